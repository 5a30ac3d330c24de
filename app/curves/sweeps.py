"""A photo's rate-distortion points, one by one, kept for the visit. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qann_core import Codec
from qann_core.codec import Latents
from qann_core.evaluation.peers import Peer, available_peers
from qann_core.evaluation.points import QUANTIZED, RESTORED, Point
from qann_core.evaluation.quantizers import OTHER_QUANTIZERS
from qann_core.evaluation.sweeps import (
    ASSUMED,
    sweep_assumed,
    sweep_codec,
    sweep_peer,
    sweep_quantizer,
)

from ..choice import DEFAULT_CHOICE, DEFAULT_CODER, Choice, codec_of
from ..photos import Photo
from .measures import MEASURES

MEASURED = tuple(measure.field for measure in MEASURES.values())
"""What is measured of every point."""

LEVELS = (24, 36, 54, 81, 122, 183, 275, 400)
CODECS, QUANTIZERS = "Codecs", "Quantizers"
"""What QANN is compared with: other codecs, or other ways to reduce the same latents."""


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
    if not _has_pyramid(codec):
        return curves
    others = {quantizer.name: quantizer.settings for quantizer in OTHER_QUANTIZERS}
    return curves | others | dict.fromkeys(ASSUMED, levels)


def _has_pyramid(codec: Codec) -> bool:
    """Whether the latents have several bands, as the other quantizers need them."""
    return len(codec.vae.band_shapes(1, 1)) > 1


def n_points(family: str = CODECS, choice: Choice = DEFAULT_CHOICE) -> int:
    """How many points a complete sweep of a family has."""
    return sum(len(settings) for settings in settings_by_codec(family, choice).values())


def points_of(photo: Photo, family: str) -> list[Point]:
    """The photo's points so far that belong to a family."""
    shown = settings_by_codec(family, photo.choice)
    return [point for point in photo.points if point.kind in shown]


def sweep(photo: Photo, family: str = CODECS) -> Iterator[Point]:
    """The points of a family that the photo does not have yet, added to it as they come."""
    points = photo.points
    have = {(point.kind, point.setting) for point in points}
    missing = {
        codec: [setting for setting in settings if (codec, setting) not in have]
        for codec, settings in settings_by_codec(family, photo.choice).items()
    }
    latents = photo.latents(photo.choice.model)
    for curve in _sweeps(latents, photo.choice, photo.pixels, missing):
        for point in curve:
            if (point.kind, point.setting) not in have:
                points.append(point)
                yield point


def _sweeps(
    latents: Latents, choice: Choice, pixels: np.ndarray, missing: dict[str, list[int]]
) -> Iterator[Iterator[Point]]:
    """The sweeps that give the missing settings of every codec, one after the other."""
    codec = codec_of(choice.model)
    coders = () if choice.coder == DEFAULT_CODER else (choice.coder,)
    yield sweep_codec(codec, latents, pixels, missing[RESTORED], MEASURED, coders, choice.effort)
    for peer in shown_peers():
        yield sweep_peer(peer, pixels, missing.get(peer.name, ()), MEASURED)
    if not _has_pyramid(codec):
        return
    for quantizer in OTHER_QUANTIZERS:
        settings = missing.get(quantizer.name, ())
        yield sweep_quantizer(quantizer, codec, latents, pixels, settings, MEASURED)
    yield sweep_assumed(codec, latents, pixels, missing.get(ASSUMED[-1], ()), MEASURED)
