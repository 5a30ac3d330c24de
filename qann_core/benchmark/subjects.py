"""What the benchmark compares, as one list: a subject is a codec that runs in its own process.

To compare another codec, add a function that makes its ``Subject`` and call it in ``subjects``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .. import __version__
from ..comparators.told import FACTORS
from ..errors import ParameterError
from ..evaluation.peers import Peer, peer_by_name
from ..models import (
    WAVELET_VAE,
    coder_names,
    folder_digest,
    has_prior,
    prior_digest,
    prior_folder,
    resolve_folder,
    vae_class,
)
from ..rate_distortion import QUANTIZED, RESTORED, Point, sweep_codec, sweep_effort, sweep_peer

Group = Literal["codec", "peer", "variant"]
"""This codec, another codec, or a road not taken: a variant of this one, for comparison."""

VARIANTS = ("told", "daq", "rq")
"""Roads not taken (see ``comparators``): the network told a wrong N, other quantizers."""

_TOLD_LABELS = {"told-half": "QANN told N/2", "told-double": "QANN told 2N"}

Sweep = Callable[[np.ndarray, Collection[str]], Iterable[Point]]
"""Pixels, uint8 (H, W, 3), and the names of slow measures to take as well, to points."""


_TENSOR_LEVELS = (4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
"""N of models whose latents are one tensor, which ends at 256."""


@dataclass(frozen=True)
class Selection:
    """What the user wants compared.

    Attributes:
        peers: names of other codecs.
        models: names or folders of weights; the first is the one that matters.
        levels: the values of N for this codec.
        variants: names among VARIANTS; they are of the main model.
        efforts: numbers of passes of optimised quantization to measure the main model with.
    """

    peers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    variants: tuple[str, ...] = ()
    efforts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Curve:
    """How a subject's points of one name appear in the results.

    Attributes:
        name: unique among all subjects.
        label: how to call it on a chart.
        group: what kind of codec it is.
    """

    name: str
    label: str
    group: Group


@dataclass(frozen=True)
class Subject:
    """One codec to benchmark.

    Attributes:
        name: unique; names the file of its measurements.
        curves: for each ``codec`` name of its points, the curve that they belong to.
        software: the program and version behind it.
        identity: digest of all that its points depend on, besides the image.
        selection: a selection of as little as has this subject: what its process needs to know.
        prepare: loads the codec, in the subject's own process.
    """

    name: str
    curves: dict[str, Curve]
    software: str
    identity: str
    selection: Selection
    prepare: Callable[[], Sweep]


def subjects(selection: Selection) -> list[Subject]:
    """All subjects, this codec first; nothing slow is loaded yet.

    Raises:
        ParameterError: when a peer is not available, or two subjects have one name.
        ModelError: when weights are not there.
    """
    own = [
        _codec_subject(model, coder, selection.levels, main=model == selection.models[0])
        for model in selection.models
        for coder in coder_names(resolve_folder(model))
    ]
    own += [
        _effort_subject(selection.models[0], selection.levels, effort)
        for effort in selection.efforts
    ]
    peers = [_peer_subject(peer_by_name(name)) for name in selection.peers]
    variants = [
        _told_subject(selection.models[0], selection.levels)
        if name == "told"
        else _comparator_subject(name, selection.models[0])
        for name in selection.variants
    ]
    chosen = own + peers + variants
    names = [subject.name for subject in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"{name} is asked for twice; name each codec and model once.")
    return chosen


def _codec_subject(model: str, coder: str, levels: tuple[int, ...], main: bool) -> Subject:
    """This codec with some weights and some entropy coder."""
    folder = resolve_folder(model)
    model_id = folder_digest(folder)
    suffix = "" if coder == coder_names(folder)[0] else f"-{coder}"
    words = "" if not suffix else f", {coder} coder"
    if not main:
        suffix, words = f"-{folder.name}{suffix}", f" ({folder.name}{words})"
    group: Group = "codec" if main else "variant"
    weights = (
        f"{model_id}, prior {prior_digest(prior_folder(folder))}" if coder == "prior" else model_id
    )
    if vae_class(folder) != WAVELET_VAE:
        levels = _TENSOR_LEVELS

    def prepare() -> Sweep:
        from ..codec import load_codec

        codec = load_codec(model, coder)
        return lambda pixels, extra: sweep_codec(codec, pixels, levels, extra)

    return Subject(
        name=f"{folder.name}-{coder}",
        curves={
            RESTORED: Curve(RESTORED + suffix, "QANN restored" + words, group),
            # One column of it in tables is enough: the other coder's pictures are the same.
            QUANTIZED: Curve(
                QUANTIZED + suffix, "QANN quantized only" + words, "variant" if suffix else group
            ),
        },
        software=f"qann {__version__}, model {weights}, coder {coder}",
        identity=_digest(__version__, weights, coder, levels),
        selection=Selection(models=(model,), levels=levels),
        prepare=prepare,
    )


def _effort_subject(model: str, levels: tuple[int, ...], effort: int) -> Subject:
    """This codec with optimised quantization, the same integers packed by every coder it has."""
    folder = resolve_folder(model)
    coders = coder_names(folder)
    weights = [folder_digest(folder)]
    if has_prior(folder):
        weights.append(f"prior {prior_digest(prior_folder(folder))}")
    name = f"effort-{effort}"

    def prepare() -> Sweep:
        from ..codec import Codec

        codec = Codec.load(model)
        return lambda pixels, extra: sweep_effort(codec, pixels, levels, effort, extra)

    return Subject(
        name=name,
        curves={
            coder: Curve(
                name + (f"-{coder}" if number else ""),
                f"QANN restored, effort {effort}" + (f", {coder} coder" if number else ""),
                "codec",
            )
            for number, coder in enumerate(coders)
        },
        software=f"qann {__version__}, model {', '.join(weights)}",
        identity=_digest(__version__, weights, coders, levels, effort),
        selection=Selection(models=(model,), levels=levels, efforts=(effort,)),
        prepare=prepare,
    )


def _peer_subject(peer: Peer) -> Subject:
    options = [peer.options((512, 768, 3), quality) for quality in peer.sweep]
    return Subject(
        name=peer.name,
        curves={peer.name: Curve(peer.name, peer.label, "peer")},
        software=peer.software,
        identity=_digest(peer.name, peer.software, peer.sweep, options),
        selection=Selection(peers=(peer.name,)),
        prepare=lambda: lambda pixels, extra: sweep_peer(peer, pixels, extra=extra),
    )


def _told_subject(model: str, levels: tuple[int, ...]) -> Subject:
    """This codec's files with a restoration network that is told half or twice the true N."""
    model_id = folder_digest(resolve_folder(model))

    def prepare() -> Sweep:
        from ..codec import Codec
        from ..comparators.told import sweep_told

        codec = Codec.load(model)
        return lambda pixels, extra: sweep_told(codec, pixels, levels, extra)

    return Subject(
        name="told",
        curves={name: Curve(name, _TOLD_LABELS[name], "variant") for name in FACTORS},
        software=f"qann {__version__}, model {model_id}",
        identity=_digest(__version__, model_id, FACTORS, levels),
        selection=Selection(models=(model,), levels=levels, variants=("told",)),
        prepare=prepare,
    )


def _comparator_subject(name: str, model: str) -> Subject:
    """Another quantizer of the same latents."""
    from ..comparators import comparator_by_name, sweep_comparator

    comparator = comparator_by_name(name)
    model_id = folder_digest(resolve_folder(model))
    codebooks = getattr(comparator, "codebooks", None)

    def prepare() -> Sweep:
        from ..codec import Codec

        codec = Codec.load(model)
        return lambda pixels, extra: sweep_comparator(codec, comparator, pixels, extra=extra)

    return Subject(
        name=name,
        curves={name: Curve(name, comparator.label, "variant")},
        software=f"qann {__version__}, model {model_id}"
        + (f", codebooks {codebooks.id}" if codebooks else ""),
        identity=_digest(
            __version__, model_id, name, comparator.settings, codebooks and codebooks.id
        ),
        selection=Selection(models=(model,), variants=(name,)),
        prepare=prepare,
    )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def named(subject: Subject, points: Iterable[Point]) -> Iterator[Point]:
    """The subject's points under the names of the curves that they belong to."""
    return (replace(point, codec=subject.curves[point.codec].name) for point in points)
