"""Sweeps: the points of one image, one by one, as plain data. Nothing here draws.

They are generators, so that a caller can show each point as it comes and stop between two of them.
Sweeps of this codec take the image's latents: whoever has them already encodes nothing again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics import bits_per_pixel, measured
from .peers import Peer
from .points import QANN, QUANTIZED, RESTORED, Curve, Point, assumed

if TYPE_CHECKING:
    from ..codec import Codec
    from .quantizers import Quantizer

FAST_MEASURES = ("psnr", "ssim", "ms_ssim")
"""What a sweep measures unless it is asked for more."""

ASSUMED = ("assumed-half", "assumed-double")
"""Variants whose network is given half or twice the true N."""


def sweep_codec(
    codec: Codec,
    latents: Any,
    pixels: np.ndarray,
    levels: Iterable[int],
    measures: Sequence[str] = FAST_MEASURES,
    coders: Sequence[str] = (),
    effort: int = 0,
    model: str = "",
) -> Iterator[Point]:
    """Points of this codec: for each N and each entropy coder "quantized", then "restored".

    The integers are chosen, and both pictures decoded and measured, once for all coders: what they
    decode to is the same.

    Args:
        latents: what ``codec.encode`` made of the pixels.
        coders: names of entropy coders; by default the codec's first.
        effort: passes of optimised quantization.
        model: how the points' curves name the weights.
    """
    coders = tuple(coders) or codec.coders[:1]
    for n in levels:
        integers = codec.quantize(latents, n, effort)
        values: dict[str, dict[str, float | None]] = {}
        for coder in coders:
            data = codec.pack_integers(integers, coder)
            unpacked = codec.unpack(data) if not values else None
            for variant in (QUANTIZED, RESTORED):
                if unpacked is not None:
                    decoded = codec.decode(unpacked, variant == RESTORED)
                    values[variant] = measured(measures, pixels, decoded)
                curve = Curve(QANN, variant, coder, model, effort)
                yield _point(curve, n, len(data), pixels, values[variant])


def sweep_assumed(
    codec: Codec,
    latents: Any,
    pixels: np.ndarray,
    levels: Iterable[int],
    measures: Sequence[str] = FAST_MEASURES,
    model: str = "",
) -> Iterator[Point]:
    """Points of the network that is given a wrong N: for each N half of it, then twice it.

    What it loses against the true N is what knowing N is worth.
    """
    coder = codec.coders[0]
    for n in levels:
        integers = codec.quantize(latents, n)
        n_bytes = len(codec.pack_integers(integers, coder))
        for variant in ASSUMED:
            wrong = assumed(variant, n, codec.min_levels, codec.max_levels)
            restored = codec.restore(integers, wrong)
            decoded = codec.synthesize(restored, *pixels.shape[:2])
            values = measured(measures, pixels, decoded)
            yield _point(Curve(QANN, variant, coder, model), n, n_bytes, pixels, values)


def sweep_quantizer(
    quantizer: Quantizer,
    codec: Codec,
    latents: Any,
    pixels: np.ndarray,
    settings: Iterable[int] | None = None,
    measures: Sequence[str] = FAST_MEASURES,
    model: str = "",
) -> Iterator[Point]:
    """Points of another quantizer of the same latents, by default at ``quantizer.settings``."""
    curve = Curve(QANN, quantizer.name, "brotli", model)
    for setting in quantizer.settings if settings is None else settings:
        reduced = quantizer.reduce(latents.pyramid, setting)
        decoded = codec.synthesize(reduced.pyramid, *pixels.shape[:2])
        values = measured(measures, pixels, decoded)
        yield _point(curve, setting, reduced.n_bytes, pixels, values)


def sweep_peer(
    peer: Peer,
    pixels: np.ndarray,
    qualities: Iterable[int] | None = None,
    measures: Sequence[str] = FAST_MEASURES,
) -> Iterator[Point]:
    """Points of a peer, one for each quality; by default those of ``peer.sweep``.

    Raises:
        ImageError: when the peer cannot store the image.
    """
    for quality in peer.sweep if qualities is None else qualities:
        data = peer.encode(pixels, quality)
        values = measured(measures, pixels, peer.decode(data))
        yield _point(Curve(peer.name), quality, len(data), pixels, values)


def _point(
    curve: Curve, setting: int, n_bytes: int, pixels: np.ndarray, values: dict[str, float | None]
) -> Point:
    return Point(curve, setting, bits_per_pixel(n_bytes, *pixels.shape[:2]), n_bytes, values)
