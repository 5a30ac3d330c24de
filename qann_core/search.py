"""Finding the number of levels N for a wanted rate or quality; latents are encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .bisection import bisect
from .codec import Codec
from .errors import ParameterError
from .metrics import bits_per_pixel, psnr


def levels_for_bpp(
    codec: Codec,
    latents: Any,
    target: float,
    progress: Callable[[], object],
    effort: int = 0,
) -> tuple[bytes, int]:
    """The largest N whose file is at most ``target`` bits per pixel.

    Args:
        progress: called after each try.
        effort: as for ``Codec.quantize``.

    Returns:
        The file's bytes and N.

    Raises:
        ParameterError: when even the smallest N needs more.
    """
    files: dict[int, bytes] = {}

    def fits(levels: int) -> bool:
        files[levels] = codec.pack(latents, levels, effort=effort)
        progress()
        return bits_per_pixel(len(files[levels]), latents.height, latents.width) <= target

    lowest, highest = codec.min_levels, codec.max_levels
    levels, _ = bisect(fits, lowest - 1, highest + 1)
    if levels < lowest:
        smallest = bits_per_pixel(len(files[lowest]), latents.height, latents.width)
        raise ParameterError(
            f"{target} bits per pixel cannot be reached; this image needs at least {smallest:.3f}."
        )
    return files[levels], levels


def levels_for_psnr(
    codec: Codec,
    latents: Any,
    pixels: np.ndarray,
    target: float,
    progress: Callable[[], object],
    effort: int = 0,
) -> tuple[bytes, int]:
    """The smallest N whose restored image has at least ``target`` dB PSNR.

    Args:
        progress: called after each try.
        effort: as for ``Codec.quantize``.

    Returns:
        The file's bytes and N.

    Raises:
        ParameterError: when even the largest N falls short.
    """
    reached: dict[int, float] = {}
    integers: dict[int, Any] = {}

    def falls_short(levels: int) -> bool:
        integers[levels] = codec.quantize(latents, levels, effort)
        reached[levels] = psnr(pixels, codec.decode(integers[levels]))
        progress()
        return reached[levels] < target

    highest = codec.max_levels
    _, levels = bisect(falls_short, codec.min_levels - 1, highest + 1)
    if levels > highest:
        raise ParameterError(
            f"{target} dB cannot be reached; this image gets at most {reached[highest]:.2f} dB."
        )
    return codec.pack_integers(integers[levels]), levels
