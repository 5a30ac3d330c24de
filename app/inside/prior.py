"""Stage 4's second coder in the tab "Inside the codec": the learned prior against Brotli.

Data first, then HTML; it takes longer than the rest of the stage and follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qann_core.bitstream import HEADER_BYTES
from qann_core.coding.prior_coder import PriorCoder, predicted_scales

from ..markup import table
from . import drawings as drawn
from . import plates, words
from .anatomy import SUBBANDS, Anatomy, Subband
from .cards import SCALE_NAMES, count, per_cent
from .stages import correlation, shrink

MAP_SIDE = 384
"""Longest side of a map, in coefficients; larger subbands are averaged down to it."""

_CANDIDATES = tuple(
    s for s in SUBBANDS if s.colour == "Y" and s.scale in (4, 8) and s.orientation != "LL"
)


@dataclass(frozen=True)
class Coders:
    """The same integers by both coders.

    Attributes:
        n_brotli, n_prior: bytes of the payloads.
        brotli, prior: bytes in each band, coarse to fine; they sum up to the payload, unless no
            integer cost anything.
    """

    n_brotli: int
    n_prior: int
    brotli: np.ndarray
    prior: np.ndarray

    @property
    def saved(self) -> float:
        """Share of Brotli's payload that the prior saves; negative where it needs more."""
        return 1 - self.n_prior / self.n_brotli


def coders(anatomy: Anatomy) -> Coders:
    """Bytes by band of the photo's integers under Brotli and under the model's prior.

    Raises:
        ModelError: when the model has no prior, or this machine cannot use it.
    """
    brotli = np.zeros(len(SCALE_NAMES))
    for subband, n_bytes in anatomy.bytes_of.items():
        brotli[subband.band] += n_bytes
    bands = anatomy.quantized.bands
    coder = PriorCoder(anatomy.codec.prior)
    payload = coder.encode(bands, anatomy.levels)
    parts = coder.bytes_by_band(payload, [band.shape for band in bands], anatomy.levels)
    return Coders(len(anatomy.data) - HEADER_BYTES, len(payload), brotli, np.array(parts))


@dataclass(frozen=True)
class Expectation:
    """What the prior expected in one subband, and what came; both (h, w), in steps.

    Attributes:
        scale: of the logistic distribution that tells how likely zero is; above 0.
        magnitude: of the integers.
    """

    subband: Subband
    scale: np.ndarray
    magnitude: np.ndarray

    @property
    def agreement(self) -> float:
        """Pearson's correlation of the logarithms; zeros count as half a step."""
        return correlation(np.log(self.scale), np.log(np.maximum(self.magnitude, 0.5)))


def clearest_expectation(anatomy: Anatomy) -> Expectation:
    """The subband of brightness at 1/4 or 1/8 where expectation and magnitude agree most."""
    scales = predicted_scales(anatomy.codec.prior, anatomy.quantized.bands, anatomy.levels)
    found = (
        Expectation(
            s, scales[s.band - 1][s.channel], np.abs(anatomy.integers(s)).astype(np.float32)
        )
        for s in _CANDIDATES
    )
    return max(found, key=lambda expectation: expectation.agreement)


def learned_prior(anatomy: Anatomy) -> str:
    """Stage 4: the second coder's number, sentences, maps and bytes; one sentence without it."""
    if not anatomy.codec.has_prior:
        return "<p class='quiet'>This model has no learned prior; Brotli is its only coder.</p>"
    found = coders(anatomy)
    comparison = "fewer" if found.saved >= 0 else "more"
    return plates.head(
        f"{per_cent(abs(found.saved))} {comparison}",
        f"bytes than Brotli for this photo at N = {anatomy.levels}, by the learned prior",
        words.PRIOR,
    ) + plates.plates(_maps(clearest_expectation(anatomy)), _bytes(found))


def _maps(found: Expectation) -> str:
    name = found.subband.name
    return plates.plate(
        drawn.expectation_maps(shrink(found.scale, MAP_SIDE), shrink(found.magnitude, MAP_SIDE)),
        "What the prior expected, and what came",
        f"Two maps of {name} in the same colours, brighter for larger: the scale that the prior "
        f"expected for each coefficient, and the magnitude of the integer that came. Their "
        f"logarithms have the correlation {found.agreement:.2f}.",
        f"{name}. Left: scale of the distribution that tells how likely zero is, just before the "
        "coefficient is coded; in a fine pattern, as a quarter of them is coded first and helps to "
        "expect the next. Right: magnitude of q; zero has the darkest colour.",
    )


def _bytes(found: Coders) -> str:
    rows = [
        _row(name, *sizes)
        for name, *sizes in zip(SCALE_NAMES, found.brotli, found.prior, strict=True)
    ]
    rows.append(_row("Whole payload", found.n_brotli, found.n_prior))
    shown = table(("Scale", "Brotli", "Prior", "Difference"), rows, "Bytes by scale and coder")
    return (
        f"<figure class='plate'><figcaption>Bytes by scale</figcaption>{shown}"
        "<span class='quiet'>Each coder's payload, shared out by its code lengths and rounded; the "
        "file's header is the same for both.</span></figure>"
    )


def _row(name: str, brotli: float, prior: float) -> Sequence[str]:
    change = round(100 * (prior / brotli - 1), 1) + 0.0 if brotli else None  # no negative zero
    difference = "–" if change is None else f"{change:+.1f} %".replace("-", "−")
    return name, count(round(brotli)), count(round(prior)), difference
