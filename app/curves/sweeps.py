"""A photo's rate-distortion points, one by one, kept for the visit. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qann_core import Codec
from qann_core.codec import AnyCodec, EncodedCodec, Latents
from qann_core.comparators import comparators, sweep_comparator
from qann_core.comparators.told import FACTORS, sweep_told
from qann_core.evaluation.peers import Peer, available_peers
from qann_core.quantization import QuantizedLatents
from qann_core.rate_distortion import (
    QUANTIZED,
    RESTORED,
    Point,
    sweep_codec,
    sweep_peer,
)

from ..choice import DEFAULT_CHOICE, Choice, codec_of, pack
from ..session import Photo

SLOW = ("ssimulacra2",)
"""Measures that a sweep takes only where it is asked to."""

LEVELS = (24, 36, 54, 81, 122, 183, 275, 400)
CODECS, QUANTIZERS = "Codecs", "Quantizers"
"""What QANN is compared with: other codecs, or other ways to reduce the same latents."""


@dataclass(frozen=True)
class _Chosen:
    """The visitor's choice for a sweep, with the encoder's work done already."""

    codec: AnyCodec
    latents: Latents
    choice: Choice

    def encode(self, pixels: np.ndarray, /) -> Latents:
        return self.latents

    def pack(self, latents: Latents, levels: int, /) -> bytes:
        integers = self.codec.quantize(latents, levels, self.choice.effort)
        return pack(integers, self.choice)

    def unpack(self, data: bytes, /) -> QuantizedLatents:
        return self.codec.unpack(data)

    def decode(self, quantized: QuantizedLatents, /, *, restore: bool) -> np.ndarray:
        return self.codec.decode(quantized, restore)


def shown_peers() -> list[Peer]:
    """The codecs on the chart: those that this installation has."""
    names = ("jpeg", "webp", "avif", "jpegxl")
    return [peer for peer in available_peers() if peer.name in names]


def settings_by_codec(family: str, choice: Choice = DEFAULT_CHOICE) -> dict[str, tuple[int, ...]]:
    """The curves of a family, CODECS or QUANTIZERS, and the settings of each one's points.

    The chosen model may allow fewer N than LEVELS; other quantizers need a pyramid of latents.
    """
    codec = codec_of(choice.model)
    levels = tuple(n for n in LEVELS if codec.min_levels <= n <= codec.max_levels)
    curves = dict.fromkeys((QUANTIZED, RESTORED), levels)
    if family == CODECS:
        return curves | {peer.name: tuple(peer.sweep) for peer in shown_peers()}
    if not isinstance(codec, Codec):
        return curves
    others = {comparator.name: comparator.settings for comparator in comparators()}
    return curves | others | dict.fromkeys(FACTORS, levels)


def n_points(family: str = CODECS, choice: Choice = DEFAULT_CHOICE) -> int:
    """How many points a complete sweep of a family has."""
    return sum(len(settings) for settings in settings_by_codec(family, choice).values())


def points_of(photo: Photo, family: str) -> list[Point]:
    """The photo's points so far that belong to a family."""
    shown = settings_by_codec(family, photo.choice)
    return [point for point in photo.points if point.codec in shown]


def sweep(photo: Photo, family: str = CODECS) -> Iterator[Point]:
    """The points of a family that the photo does not have yet, added to it as they come."""
    points = photo.points
    have = {(point.codec, point.setting) for point in points}
    missing = {
        codec: [setting for setting in settings if (codec, setting) not in have]
        for codec, settings in settings_by_codec(family, photo.choice).items()
    }
    latents = photo.latents(photo.choice.model)
    for curve in _sweeps(latents, photo.choice, photo.pixels, missing):
        for point in curve:
            if (point.codec, point.setting) not in have:
                points.append(point)
                yield point


def _sweeps(
    latents: Latents, choice: Choice, pixels: np.ndarray, missing: dict[str, list[int]]
) -> Iterator[Iterator[Point]]:
    """The sweeps that give the missing settings of every codec, one after the other."""
    chosen = codec_of(choice.model)
    yield sweep_codec(_Chosen(chosen, latents, choice), pixels, missing[RESTORED], SLOW)
    for peer in shown_peers():
        yield sweep_peer(peer, pixels, missing.get(peer.name, ()), SLOW)
    if not isinstance(chosen, Codec):
        return
    codec = EncodedCodec(chosen, latents)
    for comparator in comparators():
        yield sweep_comparator(codec, comparator, pixels, missing.get(comparator.name, ()), SLOW)
    yield sweep_told(codec, pixels, missing.get(next(reversed(FACTORS)), ()), SLOW)
