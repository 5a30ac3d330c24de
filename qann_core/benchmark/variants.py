"""Variants of this codec that the benchmark compares it with: roads not taken.

DAQ and RQ quantize the same latents otherwise (see ``comparators``). The others are the codec
itself, its files unchanged, but the restoration network is told a wrong N: half or twice the true
one. What they lose is what telling it N is worth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from ..rate_distortion import Point, measure, timed

if TYPE_CHECKING:
    import numpy as np

    from ..codec import Codec

COMPARATORS = ("daq", "rq")
"""Names of the comparators, known without importing torch."""

WRONG_LEVELS = {"told-half": 0.5, "told-double": 2.0}
"""By what the N that the network is told is multiplied."""

VARIANTS = {
    "told-half": "QANN told N/2",
    "told-double": "QANN told 2N",
    "daq": "DAQ",
    "rq": "RQ",
}
"""Names of all variants, and how to call them on charts."""


def sweep_told(
    codec: Codec,
    pixels: np.ndarray,
    levels_list: Iterable[int],
    name: str,
    extra: Collection[str] = (),
) -> Iterator[Point]:
    """Points of the codec with a network that is told a wrong N.

    Args:
        pixels: uint8 (H, W, 3).
        name: a key of WRONG_LEVELS, and of the points.
        extra: see ``rate_distortion.measure``.
    """

    def decode(data: bytes, told: int) -> np.ndarray:
        quantized = codec.unpack(data)
        restored = codec.restore(quantized, told_levels=told)
        return codec.synthesize(restored, quantized.height, quantized.width)

    latents, encoding = timed(codec.encode, pixels)
    for levels in levels_list:
        data, packing = timed(codec.pack, latents, levels)
        decoded, decoding = timed(decode, data, round(levels * WRONG_LEVELS[name]))
        seconds = (encoding + packing, decoding)
        yield measure(name, levels, len(data), pixels, decoded, extra, seconds)
