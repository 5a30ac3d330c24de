"""Part 6 of the tab "Inside the codec": the learned prior against Brotli. Data, then HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qann_core.bitstream import HEADER_BYTES
from qann_core.coding.prior_coder import PriorCoder, predicted_scales

from ..markup import count, per_cent, table
from . import drawings as drawn
from . import plates, words
from .anatomy import Anatomy
from .stages import correlation, shrink
from .subbands import SCALE_NAMES, SUBBANDS, Subband

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
        scale: of the logistic distribution that gives the probability of zero; above 0.
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
    """The second coder's number, sentences, maps and bytes; one sentence without it."""
    if not anatomy.codec.has_prior:
        return plates.text("This model has no learned prior; Brotli is its only coder.")
    found = coders(anatomy)
    comparison = "fewer" if found.saved >= 0 else "more"
    return plates.head(
        f"{per_cent(abs(found.saved))} {comparison}",
        f"bytes than Brotli for this photo at N = {anatomy.levels}",
        words.PRIOR,
    ) + plates.plates(_maps(clearest_expectation(anatomy)), _bytes(found))


def _maps(found: Expectation) -> str:
    """Expected scale and magnitude on one logarithmic scale; zeros are darkest."""
    name = found.subband.name
    low, high = np.log(0.05), np.log(2.0)
    shown = [
        plates.picture(
            drawn.map_pixels(np.log(np.maximum(shrink(values, MAP_SIDE), 0.05)), "cividis", low,
                             high), title, f"{title}: a map of {name}, brighter for larger.",
        )
        for title, values in (("Expected", found.scale), ("What came", found.magnitude))
    ]  # fmt: skip
    return plates.plate(
        f"<div class='beside'>{''.join(shown)}</div>"
        + plates.scale("cividis", ("≤ 0.05", "≥ 2"), "steps, log scale"),
        f"{name}: what the prior expected, and what came",
        "Left: the scale of each integer's distribution, just before it is decoded. Right: the "
        f"integer's magnitude. Correlation of the logarithms: {found.agreement:.2f}.",
    )


def _bytes(found: Coders) -> str:
    rows = [
        _row(name, *sizes)
        for name, *sizes in zip(SCALE_NAMES, found.brotli, found.prior, strict=True)
    ]
    rows.append(_row("All", found.n_brotli, found.n_prior))
    heads = ("Scale", "Brotli, bytes", "Prior, bytes", "Difference")
    return plates.plate(
        table(heads, rows, "Bytes by scale and coder"), "Bytes by scale",
        "Without the file's header, which is the same for both.",
    )  # fmt: skip


def _row(name: str, brotli: float, prior: float) -> Sequence[str]:
    change = round(100 * (prior / brotli - 1), 1) + 0.0 if brotli else None  # no negative zero
    difference = "–" if change is None else f"{change:+.1f} %".replace("-", "−")
    return name, count(round(brotli)), count(round(prior)), difference
