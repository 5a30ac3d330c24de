"""Median-edge prediction of the LL band (LOCO-I, Weinberger et al. 2000), and its inverse."""

import numpy as np


def med_residual(plane: np.ndarray) -> np.ndarray:
    """Median-edge prediction error (LOCO-I, Weinberger et al. 2000) of (H, W); zero outside."""
    padded = np.pad(plane, ((1, 0), (1, 0)))
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    residual: np.ndarray = plane - _median_edge(left, above, corner)
    return residual


def _median_edge(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    low, high = np.minimum(left, above), np.maximum(left, above)
    predicted: np.ndarray = np.clip(left + above - corner, low, high)
    return predicted


def med_restore(residuals: np.ndarray) -> np.ndarray:
    """The inverse of ``med_residual`` for all channels (C, H, W), one anti-diagonal at a time."""
    channels, height, width = residuals.shape
    if height > width:  # so that the skewed array is at most twice the picture
        return med_restore(residuals.transpose(0, 2, 1)).transpose(0, 2, 1)
    skewed = np.zeros((height + width + 1, channels, height + 1), np.int32)  # [x + y + 2, c, y + 1]
    rows, columns = np.mgrid[:height, :width]
    skewed[rows + columns + 2, :, rows + 1] = residuals.transpose(1, 2, 0)
    for t in range(2, height + width + 1):
        first, last = max(1, t - width), min(height, t - 1)
        left, above = skewed[t - 1, :, first : last + 1], skewed[t - 1, :, first - 1 : last]
        corner = skewed[t - 2, :, first - 1 : last]
        skewed[t, :, first : last + 1] += _median_edge(left, above, corner)
    return np.ascontiguousarray(skewed[rows + columns + 2, :, rows + 1].transpose(2, 0, 1))
