"""What everything else stands on, without torch: errors, bounds, shapes, and files on disk."""
