"""Shapes of the latents and the range of their integers: what a reader of files needs, no torch."""

WAVELET_LEVELS = 4
BLOCK = 2**WAVELET_LEVELS
"""Image sides are padded to a multiple of this, in pixels."""

Shape = tuple[int, int, int]
"""Channels, height and width of a band."""


def padded_size(height: int, width: int, multiple: int = BLOCK) -> tuple[int, int]:
    """Image size (in pixels) rounded up to multiples of ``multiple``."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def pyramid_shapes(height: int, width: int) -> tuple[Shape, ...]:
    """Shapes (C, H, W) of a wavelet pyramid, coarse to fine, for an image of this size in pixels.

    The LL band has 3 channels at 1/16 of the (padded) image's size; details have 9 channels at
    1/16, 1/8, 1/4 and 1/2.
    """
    rows, columns = (side // BLOCK for side in padded_size(height, width))
    details = ((9, rows << level, columns << level) for level in range(WAVELET_LEVELS))
    return ((3, rows, columns), *details)


def integer_range(levels: int) -> tuple[int, int]:
    """Smallest and largest integer that N = ``levels`` allows: N values in all, around zero."""
    return -(levels // 2), levels - 1 - levels // 2
