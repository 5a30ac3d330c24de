"""Finding the number of levels N for a wanted rate or quality; latents are encoded once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .codec import Codec, Latents
from .errors import ParameterError
from .limits import MAX_LEVELS, MIN_LEVELS
from .metrics import bits_per_pixel, psnr


def levels_for_bpp(
    codec: Codec, latents: Latents, target: float, progress: Callable[[], object]
) -> tuple[bytes, int]:
    """The largest N whose file is at most ``target`` bits per pixel.

    Returns:
        The file's bytes and N.

    Raises:
        ParameterError: when even the smallest N needs more.
    """
    files: dict[int, bytes] = {}

    def exceeds(levels: int) -> bool:
        files[levels] = codec.pack(latents, levels)
        progress()
        return bits_per_pixel(len(files[levels]), latents.height, latents.width) > target

    levels = _first(exceeds) - 1
    if levels < MIN_LEVELS:
        smallest = bits_per_pixel(len(files[MIN_LEVELS]), latents.height, latents.width)
        raise ParameterError(
            f"{target} bits per pixel cannot be reached; this image needs at least {smallest:.3f}."
        )
    return files[levels], levels


def levels_for_psnr(
    codec: Codec,
    latents: Latents,
    pixels: np.ndarray,
    target: float,
    progress: Callable[[], object],
) -> tuple[bytes, int]:
    """The smallest N whose restored image has at least ``target`` dB PSNR.

    Returns:
        The file's bytes and N.

    Raises:
        ParameterError: when even the largest N falls short.
    """
    reached: dict[int, float] = {}

    def suffices(levels: int) -> bool:
        restored = codec.decode(codec.quantize(latents, levels))
        reached[levels] = psnr(pixels, restored)
        progress()
        return reached[levels] >= target

    levels = _first(suffices)
    if levels > MAX_LEVELS:
        raise ParameterError(
            f"{target} dB cannot be reached; this image gets at most {reached[MAX_LEVELS]:.2f} dB."
        )
    return codec.pack(latents, levels), levels


def _first(holds: Callable[[int], bool]) -> int:
    """The smallest N for which ``holds`` (false, then true), or MAX_LEVELS + 1 if for none."""
    low, high = MIN_LEVELS, MAX_LEVELS + 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
