"""What the tab "Rate-distortion" measures: curves by measure, and how they compare. Plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from qann_core.evaluation.deltas import bd_rate, decibels
from qann_core.evaluation.points import RESTORED, Point


@dataclass(frozen=True)
class Measure:
    """A measure of quality; more is better.

    Attributes:
        label: for people.
        field: of a ``Point``.
        unit: with a space before it, or nothing.
        digits: after the point.
        similarity: whether it crowds towards 1, so that BD-rates are taken in decibels.
    """

    label: str
    field: str
    unit: str = ""
    digits: int = 4
    similarity: bool = False

    @property
    def unit_name(self) -> str:
        """What the axis says after the label."""
        return self.unit.strip() or "1 is equal"

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.{self.digits}f}{self.unit}".replace("-", "−")


MEASURES = {
    measure.label: measure
    for measure in (
        Measure("SSIMULACRA 2", "ssimulacra2", " points", 1),
        Measure("PSNR", "psnr", " dB", 2),
        Measure("SSIM", "ssim", similarity=True),
        Measure("MS-SSIM", "ms_ssim", similarity=True),
    )
}


@dataclass(frozen=True)
class Shown:
    """A point of a curve and its value in the chosen measure."""

    point: Point
    value: float

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return self.point.bpp


@dataclass(frozen=True)
class Comparison:
    """This codec's restored curve against another one.

    Attributes:
        codec: the other.
        value: the other's, interpolated at the slider's rate; None outside of its range.
        bd_rate: per cent more bits that QANN needs; None where the curves share too little.
    """

    codec: str
    value: float | None
    bd_rate: float | None


def curves(points: Iterable[Point], measure: Measure) -> dict[str, list[Shown]]:
    """The finite values of each codec, by rate."""
    found: dict[str, list[Shown]] = {}
    for point in points:
        value = point.values.get(measure.field)
        if value is not None and math.isfinite(value):
            found.setdefault(point.kind, []).append(Shown(point, value))
    return {codec: sorted(curve, key=lambda shown: shown.bpp) for codec, curve in found.items()}


def quality_at(curve: Sequence[Shown], bpp: float) -> float | None:
    """A curve's value at a rate, along the line that the chart draws; None outside of it."""
    if not curve or not curve[0].bpp <= bpp <= curve[-1].bpp:
        return None
    return float(np.interp(bpp, [shown.bpp for shown in curve], [shown.value for shown in curve]))


def levels_at(curve: Sequence[Shown], bpp: float) -> int | None:
    """The N at which the restored curve has this rate, nearly; None outside of it."""
    if not curve or not curve[0].bpp <= bpp <= curve[-1].bpp:
        return None
    rates = np.log([shown.bpp for shown in curve])
    levels = np.log([shown.point.setting for shown in curve])
    return round(float(np.exp(np.interp(math.log(bpp), rates, levels))))


def present_points(
    found: dict[str, list[Shown]], measured: Iterable[Point], measure: Measure
) -> list[Shown]:
    """Where the slider stands on this codec's curves: as measured, or else on the line drawn."""
    shown = []
    for point in measured:
        value = point.values.get(measure.field)
        if value is None:
            value = quality_at(found.get(point.kind, ()), point.bpp)
        if value is not None and math.isfinite(value):
            shown.append(Shown(point, value))
    return shown


def comparisons(points: Iterable[Point], measure: Measure, bpp: float) -> list[Comparison]:
    """The restored curve against each other one that has points, at a rate and on the whole."""
    found = curves(points, measure)
    own = found.get(RESTORED)
    if own is None:
        return []
    return [
        Comparison(codec, quality_at(curve, bpp), _bd_rate(curve, own, measure))
        for codec, curve in found.items()
        if codec != RESTORED
    ]


def bd_rates(points: Iterable[Point], measure: Measure) -> dict[str, float | None]:
    """BD-rate in per cent of the restored curve against each other curve that has points."""
    return {other.codec: other.bd_rate for other in comparisons(points, measure, 0.0)}


def _bd_rate(anchor: list[Shown], own: list[Shown], measure: Measure) -> float | None:
    def values(curve: list[Shown]) -> list[float]:
        return [decibels(s.value) if measure.similarity else s.value for s in curve]

    return bd_rate(([s.bpp for s in anchor], values(anchor)), ([s.bpp for s in own], values(own)))
