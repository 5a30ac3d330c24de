"""What an evaluation compares: a subject makes the points of one or several curves of an image.

Subjects are small and can be sent to another process, which loads the codec when it first needs
it. To compare another codec, add a function that makes its ``Subject``.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import __version__
from ..common.errors import ParameterError
from ..common.limits import check_effort, check_levels
from ..models import (
    check_coder,
    coder_names,
    folder_digest,
    prior_digest,
    prior_folder,
    resolve_folder,
)
from .peers import peer_by_name
from .points import QANN, QUANTIZED, RESTORED, Curve, Point
from .sweeps import ASSUMED, sweep_assumed, sweep_codec, sweep_peer, sweep_quantizer

VARIANTS = ("assumed", "daq", "rq")
"""Other ways to go from the same latents: a network given a wrong N, and other quantizers."""

Sweep = Callable[[np.ndarray, Sequence[int], Sequence[str]], Iterator[Point]]
"""An image, uint8 (H, W, 3), settings and names of measures to the points of all curves."""


@dataclass(frozen=True)
class Subject:
    """One codec to evaluate.

    Attributes:
        name: unique; names the file of its points.
        identities: its curves, and for each a digest of all that its points depend on but the
            image.
        settings: of its points, the same for all of its curves.
        software: the program and version behind it.
        points: makes them; can be sent to another process.
        model: a bundled model, a folder, or hub:OWNER/NAME; empty for other codecs.
    """

    name: str
    identities: dict[Curve, str]
    settings: tuple[int, ...]
    software: str
    points: Sweep
    model: str = ""


def peer_subject(name: str) -> Subject:
    """Another codec, by its name; ParameterError when it is not available."""
    peer = peer_by_name(name)
    identity = _digest(peer.software, peer.options((512, 768, 3), 50))
    points = partial(_points_of_peer, name)
    return Subject(name, {Curve(name): identity}, peer.sweep, peer.software, points)


def _points_of_peer(name: str, *wanted: Any) -> Iterator[Point]:
    return sweep_peer(peer_by_name(name), *wanted)


def model_subject(
    model: str, levels: tuple[int, ...], coders: tuple[str, ...], effort: int = 0
) -> Subject:
    """This codec with some weights, at N = ``levels``, with entropy coders of these names.

    Args:
        effort: passes of optimised quantization.
    """
    folder = resolve_folder(model)
    weights, short = folder_digest(folder), folder.name
    identities = {}
    for coder in coders:
        # An effort asks the prior what integers cost, whatever coder packs them.
        asks = "prior" in coder_names(folder) and (coder == "prior" or effort > 0)
        prior = asks and prior_digest(prior_folder(folder))
        identity = _digest(__version__, weights, coder, effort, prior)
        for variant in (QUANTIZED, RESTORED):
            identities[Curve(QANN, variant, coder, short, effort)] = identity
    name = f"{short}-{effort}" if effort else short
    points = partial(_points, model, short, "", coders, effort)
    return Subject(name, identities, levels, _software(weights), points, model)


def variant_subject(model: str, variant: str, levels: tuple[int, ...]) -> Subject:
    """The latents of a model reduced in another way, or restored with a wrong N.

    Args:
        variant: one of VARIANTS.
        levels: the values of N for "assumed"; other quantizers have settings of their own.
    """
    from .quantizers import quantizer_by_name

    folder = resolve_folder(model)
    weights, short = folder_digest(folder), folder.name
    curves: tuple[str, ...] = ASSUMED
    learned = ""
    if variant != "assumed":
        quantizer = quantizer_by_name(variant)
        curves, levels, learned = (variant,), quantizer.settings, quantizer.identity
    identity = _digest(__version__, weights, variant, learned)
    identities = {Curve(QANN, v, "brotli", short): identity for v in curves}
    points = partial(_points, model, short, variant, (), 0)
    return Subject(f"{short}-{variant}", identities, levels, _software(weights), points, model)


def _points(
    model: str,
    short: str,
    variant: str,
    coders: tuple[str, ...],
    effort: int,
    pixels: np.ndarray,
    settings: Sequence[int],
    measures: Sequence[str],
) -> Iterator[Point]:
    """Those of a model: of the codec itself, or of one of VARIANTS."""
    from ..codec import cached_codec
    from .quantizers import quantizer_by_name

    codec = cached_codec(model)
    latents = codec.encode(pixels)
    if not variant:
        return sweep_codec(codec, latents, pixels, settings, measures, coders, effort, short)
    if variant == "assumed":
        return sweep_assumed(codec, latents, pixels, settings, measures, short)
    quantizer = quantizer_by_name(variant)
    return sweep_quantizer(quantizer, codec, latents, pixels, settings, measures, short)


def make_subjects(
    models: Sequence[str],
    levels: Sequence[int],
    coders: Sequence[str] = (),
    efforts: Sequence[int] = (0,),
    peers: Sequence[str] = (),
    variants: Sequence[str] = (),
) -> list[Subject]:
    """All subjects, the main one first: the first model with the first coder and effort.

    Args:
        coders: by default each model's first; a model without one of them goes without it.
        variants: names among VARIANTS, of the first model.

    Raises:
        ParameterError: when a peer is not available, a coder is in no model, N or the effort is
            out of range, or something is named twice.
        ModelError: when weights are not there.
    """
    chosen: list[Subject] = []
    settings = tuple(check_levels(n) for n in sorted(set(levels)))
    for model in models:
        known = coder_names(resolve_folder(model))
        own = tuple(c for c in coders if c in known) or known[:1]
        for coder in coders if len(models) == 1 else ():
            check_coder(resolve_folder(model), coder)
        chosen += [model_subject(model, settings, own, check_effort(effort)) for effort in efforts]
    chosen += [peer_subject(peer) for peer in peers]
    chosen += [variant_subject(models[0], variant, settings) for variant in variants]
    names = [subject.name for subject in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"{name} is asked for twice; name each codec and model once.")
    return chosen


def _software(weights: str) -> str:
    return f"qann {__version__}, model {weights}"


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
