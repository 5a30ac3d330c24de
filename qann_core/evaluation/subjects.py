"""What an evaluation compares: a subject makes the points of one or several curves of an image.

Subjects are small and can be sent to another process, which loads the codec when it first needs
it. To compare another codec, add a class with the fields and methods of ``Subject``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import __version__
from ..errors import ParameterError
from ..models import (
    check_coder,
    coder_names,
    folder_digest,
    prior_digest,
    prior_folder,
    resolve_folder,
)
from .peers import Peer, peer_by_name
from .points import QANN, QUANTIZED, RESTORED, Curve, Point
from .sweeps import ASSUMED, sweep_assumed, sweep_codec, sweep_peer, sweep_quantizer

if TYPE_CHECKING:
    from ..codec import Codec
    from .quantizers import Quantizer

VARIANTS = ("assumed", "daq", "rq")
"""Other ways to go from the same latents: a network given a wrong N, and other quantizers."""

Coding = tuple[Callable[[np.ndarray, int], bytes], Callable[[bytes], np.ndarray]]
"""Pixels and a setting to a file, and a file to pixels: what costs time and memory."""


class Subject(Protocol):
    """One codec to evaluate."""

    @property
    def name(self) -> str:
        """Unique; names the file of its points."""

    @property
    def identities(self) -> dict[Curve, str]:
        """Its curves, and for each a digest of all that its points depend on but the image."""

    @property
    def settings(self) -> tuple[int, ...]:
        """The settings of its points, the same for all of its curves."""

    @property
    def software(self) -> str:
        """The program and version behind it."""

    def points(
        self, pixels: np.ndarray, settings: Sequence[int], measures: Sequence[str]
    ) -> Iterator[Point]:
        """The points of an image, uint8 (H, W, 3), at some settings, of all curves."""

    def codings(self) -> dict[Curve, Coding]:
        """By curve, how its files are made and opened; only of curves whose cost is of interest."""


@dataclass(frozen=True)
class PeerSubject:
    """Another codec, by its name."""

    name: str

    @property
    def peer(self) -> Peer:
        """The codec."""
        return peer_by_name(self.name)

    @property
    def identities(self) -> dict[Curve, str]:
        """See ``Subject``."""
        peer = self.peer
        return {Curve(self.name): _digest(peer.software, peer.options((512, 768, 3), 50))}

    @property
    def settings(self) -> tuple[int, ...]:
        """See ``Subject``."""
        return self.peer.sweep

    @property
    def software(self) -> str:
        """See ``Subject``."""
        return self.peer.software

    def points(
        self, pixels: np.ndarray, settings: Sequence[int], measures: Sequence[str]
    ) -> Iterator[Point]:
        """See ``Subject``."""
        return sweep_peer(self.peer, pixels, settings, measures)

    def codings(self) -> dict[Curve, Coding]:
        """See ``Subject``."""
        return {Curve(self.name): (self.peer.encode, self.peer.decode)}


@dataclass(frozen=True)
class ModelSubject:
    """This codec with some weights.

    Attributes:
        model: a bundled model, a folder, or hub:OWNER/NAME.
        settings: the values of N.
        coders: names of entropy coders.
        effort: passes of optimised quantization.
    """

    model: str
    settings: tuple[int, ...]
    coders: tuple[str, ...]
    effort: int = 0

    @cached_property
    def short(self) -> str:
        """The model's name on curves."""
        return _short(self.model)

    @property
    def name(self) -> str:
        """See ``Subject``."""
        return f"{self.short}-{self.effort}" if self.effort else self.short

    @cached_property
    def identities(self) -> dict[Curve, str]:
        """See ``Subject``."""
        folder = resolve_folder(self.model)
        weights = folder_digest(folder)
        priors = prior_folder(folder)
        found = {}
        for coder in self.coders:
            # An effort asks the prior what integers cost, whatever coder packs them.
            asks = "prior" in coder_names(folder) and (coder == "prior" or self.effort > 0)
            parts = (__version__, weights, coder, self.effort, asks and prior_digest(priors))
            for variant in (QUANTIZED, RESTORED):
                found[Curve(QANN, variant, coder, self.short, self.effort)] = _digest(*parts)
        return found

    @property
    def software(self) -> str:
        """See ``Subject``."""
        return _software(self.model)

    def points(
        self, pixels: np.ndarray, settings: Sequence[int], measures: Sequence[str]
    ) -> Iterator[Point]:
        """See ``Subject``."""
        codec = codec_of(self.model)
        latents = codec.encode(pixels)
        yield from sweep_codec(
            codec, latents, pixels, settings, measures, self.coders, self.effort, self.short
        )

    def codings(self) -> dict[Curve, Coding]:
        """See ``Subject``."""
        codec = codec_of(self.model)

        def coding(coder: str) -> Coding:
            return (
                lambda pixels, n: codec.pack(codec.encode(pixels), n, coder, self.effort),
                lambda data: codec.decode(codec.unpack(data)),
            )

        return {
            Curve(QANN, RESTORED, coder, self.short, self.effort): coding(coder)
            for coder in self.coders
        }


@dataclass(frozen=True)
class VariantSubject:
    """The same latents reduced in another way, or restored with a wrong N.

    Attributes:
        model: as for ``ModelSubject``.
        variant: one of VARIANTS.
        levels: the values of N for "assumed"; other quantizers have settings of their own.
    """

    model: str
    variant: str
    levels: tuple[int, ...]

    @property
    def name(self) -> str:
        """See ``Subject``."""
        return f"{_short(self.model)}-{self.variant}"

    @property
    def software(self) -> str:
        """See ``Subject``."""
        return _software(self.model)

    @property
    def settings(self) -> tuple[int, ...]:
        """See ``Subject``."""
        return self.levels if self.variant == "assumed" else self._quantizer.settings

    @property
    def _quantizer(self) -> Quantizer:
        from .quantizers import quantizer_by_name

        return quantizer_by_name(self.variant)

    @property
    def identities(self) -> dict[Curve, str]:
        """See ``Subject``."""
        weights = folder_digest(resolve_folder(self.model))
        learned = "" if self.variant == "assumed" else self._quantizer.identity
        identity = _digest(__version__, weights, self.variant, learned)
        variants = ASSUMED if self.variant == "assumed" else (self.variant,)
        return {Curve(QANN, v, "brotli", _short(self.model)): identity for v in variants}

    def points(
        self, pixels: np.ndarray, settings: Sequence[int], measures: Sequence[str]
    ) -> Iterator[Point]:
        """See ``Subject``."""
        codec: Any = codec_of(self.model)
        latents, short = codec.encode(pixels), _short(self.model)
        if self.variant == "assumed":
            yield from sweep_assumed(codec, latents, pixels, settings, measures, short)
        else:
            yield from sweep_quantizer(
                self._quantizer, codec, latents, pixels, settings, measures, short
            )

    def codings(self) -> dict[Curve, Coding]:
        """See ``Subject``."""
        return {}


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
    from ..optimised_quantization import check_effort
    from ..quantization import check_levels

    chosen: list[Subject] = []
    settings = tuple(check_levels(n) for n in sorted(set(levels)))
    for model in models:
        known = coder_names(resolve_folder(model))
        own = tuple(c for c in coders if c in known) or known[:1]
        for coder in coders if len(models) == 1 else ():
            check_coder(resolve_folder(model), coder)
        chosen += [ModelSubject(model, settings, own, check_effort(effort)) for effort in efforts]
    chosen += [PeerSubject(peer_by_name(peer).name) for peer in peers]
    chosen += [VariantSubject(models[0], variant, settings) for variant in variants]
    names = [subject.name for subject in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"{name} is asked for twice; name each codec and model once.")
    return chosen


def _software(model: str) -> str:
    return f"qann {__version__}, model {folder_digest(resolve_folder(model))}"


def _short(model: str) -> str:
    return resolve_folder(model).name


@lru_cache(maxsize=2)
def codec_of(model: str) -> Codec:
    """The codec of a model, loaded once in each process."""
    from ..codec import Codec

    return Codec.load(model)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
