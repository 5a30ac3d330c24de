"""The roads not taken: other quantizers of the same latents, each with files of its own.

The VAE, the decoder and Brotli are the codec's; only the quantizer differs, and no restoration
network follows. docs/comparators.md compares them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from ..bisection import bisect
from ..errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from ..codec import Codec, Latents
    from ..rate_distortion import Point
    from .interface import Comparator, ReducedLatents


@cache
def comparators() -> tuple[Comparator, ...]:
    """All of them; what they need is loaded when it is first used."""
    from .daq import DistributionAware
    from .rq import ResidualQuantization

    return DistributionAware(), ResidualQuantization()


def comparator_by_name(name: str) -> Comparator:
    """The comparator of this name; ParameterError, naming those there are, when there is none."""
    for comparator in comparators():
        if comparator.name == name:
            return comparator
    known = ", ".join(comparator.name for comparator in comparators())
    raise ParameterError(f"There is no comparator named {name!r}; there are: {known}.")


def decode(codec: Codec, reduced: ReducedLatents) -> np.ndarray:
    """Reduced latents through the VAE's decoder to an image, uint8 (H, W, 3) sRGB.

    Raises:
        ModelError: when the latents were made by other weights.
    """
    codec.check_model(reduced.model_id)
    return codec.synthesize(reduced.pyramid, reduced.height, reduced.width)


def at_bytes(
    comparator: Comparator, codec: Codec, latents: Latents, n_bytes: int
) -> tuple[bytes, ReducedLatents]:
    """The largest file of at most ``n_bytes``, found by bisection, and what it holds.

    Where even the lowest setting needs more, that file: its length tells.
    """
    allowed = comparator.allowed
    files = {0: comparator.pack(latents, allowed[0], codec.model_id)}

    def fits(index: int) -> bool:
        files[index] = comparator.pack(latents, allowed[index], codec.model_id)
        return len(files[index]) <= n_bytes

    best, _ = bisect(fits, 0, len(allowed))
    return files[best], comparator.unpack(files[best])


def sweep_comparator(
    codec: Codec,
    comparator: Comparator,
    pixels: np.ndarray,
    settings: Iterable[int] | None = None,
    extra: Collection[str] = (),
) -> Iterator[Point]:
    """Points of a comparator, one for each setting; by default those of ``comparator.settings``.

    The image is encoded once, when the first point is asked for; its time counts in each point.
    ``extra``: see ``rate_distortion.measure``.
    """
    from ..rate_distortion import measure, timed

    latents, encoding = timed(codec.encode, pixels)
    for setting in comparator.settings if settings is None else settings:
        data, packing = timed(comparator.pack, latents, setting, codec.model_id)
        reduced, unpacking = timed(comparator.unpack, data)
        decoded, decoding = timed(decode, codec, reduced)
        seconds = (encoding + packing, unpacking + decoding)
        yield measure(comparator.name, setting, len(data), pixels, decoded, extra, seconds)
