"""QANN, a lossy image codec you can look inside."""
