"""The network told the wrong N: the same file, restored as if N were half or twice what it is.

What it loses against being told the truth is what knowing N is worth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from ..limits import MAX_LEVELS, MIN_LEVELS

if TYPE_CHECKING:
    import numpy as np

    from ..codec import Codec
    from ..quantization import QuantizedLatents
    from ..rate_distortion import Point

FACTORS = {"told-half": 0.5, "told-double": 2.0}
"""Codec names of the points, and what N is multiplied by before the network is told."""


def told_levels(name: str, levels: int) -> int:
    """The N that is told instead of ``levels``, within the limits of N."""
    return min(max(round(levels * FACTORS[name]), MIN_LEVELS), MAX_LEVELS)


def decode_told(codec: Codec, quantized: QuantizedLatents, levels: int) -> np.ndarray:
    """The image, uint8 (H, W, 3), restored by the network that is told N = ``levels``."""
    latents = codec.restore(quantized, told_levels=levels)
    return codec.synthesize(latents, quantized.height, quantized.width)


def sweep_told(
    codec: Codec, pixels: np.ndarray, levels_list: Iterable[int], extra: Collection[str] = ()
) -> Iterator[Point]:
    """Points of the wrongly told network, two for each N: "told-half", then "told-double".

    The image is encoded once, when the first point is asked for; its time counts in each point.
    ``extra``: see ``rate_distortion.measure``.
    """
    from ..rate_distortion import measure, timed

    latents, encoding = timed(codec.encode, pixels)
    for levels in levels_list:
        data, packing = timed(codec.pack, latents, levels)
        quantized, unpacking = timed(codec.unpack, data)
        for name in FACTORS:
            told = told_levels(name, levels)
            decoded, decoding = timed(decode_told, codec, quantized, told)
            seconds = (encoding + packing, unpacking + decoding)
            yield measure(name, levels, len(data), pixels, decoded, extra, seconds)
