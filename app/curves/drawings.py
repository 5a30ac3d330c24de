"""The rate-distortion chart as HTML: lines in an SVG that stretches, points as buttons over it.

Text and markers keep their size at any width, every point can be reached with the keyboard, and
``chart.js`` shows what a point is. Plain data in, text out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

from qann_core.evaluation.charts import kind_style
from qann_core.evaluation.points import QUANTIZED, RESTORED, Point, kind_label
from qann_core.evaluation.sweeps import ASSUMED

from ..markup import size_text
from .measures import Measure, Shown, curves, levels_at, present_points, quality_at

_MARKERS = {
    "o": "circle(50%)",
    "s": "inset(6%)",
    "^": "polygon(50% 0, 100% 95%, 0 95%)",
    "v": "polygon(0 5%, 100% 5%, 50% 100%)",
    "D": "polygon(50% 0, 100% 50%, 50% 100%, 0 50%)",
    "<": "polygon(100% 0, 100% 100%, 5% 50%)",
    ">": "polygon(0 0, 95% 50%, 0 100%)",
    "P": "polygon(35% 0, 65% 0, 65% 35%, 100% 35%, 100% 65%, 65% 65%, 65% 100%, 35% 100%, "
    "35% 65%, 0 65%, 0 35%, 35% 35%)",
    "X": "polygon(0 20%, 20% 0, 50% 30%, 80% 0, 100% 20%, 70% 50%, 100% 80%, 80% 100%, "
    "50% 70%, 20% 100%, 0 80%, 30% 50%)",
}
_DASHES = {"--": "7 4", ":": "2 4", "-.": "7 3 2 3"}


@dataclass(frozen=True)
class _Axis:
    """One axis: its range, and where its ticks stand."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """The position of a value, in per cent of the axis."""
        return 100 * (value - self.low) / (self.high - self.low)

    def within(self, value: float) -> bool:
        """Whether a value is on the axis."""
        return self.low <= value <= self.high

    def ticks(self) -> list[float]:
        """Round values within the range."""
        found = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        margin = 1e-9 * (self.high - self.low)
        return [t for t in found if self.low - margin <= t <= self.high + margin]


def chart(points: Sequence[Point], measure: Measure, measured: Sequence[Point], levels: int) -> str:
    """Quality over bits per pixel: a line and buttons for each codec, rings where N stands.

    Args:
        points: of all codecs, in any order.
        measure: what the vertical axis shows.
        measured: the slider's point on each of this codec's curves.
        levels: the slider's N.
    """
    found = curves(points, measure)
    rings = present_points(found, measured, measure)
    own = found.get(RESTORED, [])
    across, up = _axes(found, rings)
    order = sorted(found, key=lambda codec: codec == RESTORED)  # the last is drawn on top
    lines = "".join(_line(codec, found[codec], across, up) for codec in order)
    buttons = "".join(
        _button(shown, measure, levels_at(own, shown.bpp), f"{_place(shown, across, up)}")
        for codec in order
        for shown in found[codec]
        if across.within(shown.bpp) and up.within(shown.value)
    ).replace("tabindex='-1'", "tabindex='0'", 1)  # one stop for Tab, arrow keys for the rest
    circles = "".join(f"<i class='rd-ring' style='{_place(s, across, up)}'></i>" for s in rings)
    now = "".join(
        f"<i class='rd-now' style='left:{across.share(shown.bpp):.2f}%'><b>N = {levels}</b></i>"
        for shown in rings[-1:]
    )
    legend = "".join(
        f"<li>{_marker(codec)}{escape(kind_label(codec))}</li>" for codec in order[::-1]
    )
    if not found:
        now += "<p class='rd-empty'>No curves of this photo yet: press “Compute curves”.</p>"
    words = escape(_words(found, measure, measured), quote=True)
    return (
        f'<figure class="rd" role="group" aria-label="{words}">'
        f"<ul class='rd-legend' aria-hidden='true'>{legend}<li><i class='rd-ring'></i>the slider's "
        f"N</li></ul><p class='rd-axis'>{measure.label}, {measure.unit_name}</p>"
        f"<div class='rd-plot'>{_grid(across, up, measure)}"
        "<svg viewBox='0 0 100 100' preserveAspectRatio='none' aria-hidden='true'>"
        f"{lines}</svg>{now}{circles}{buttons}<div class='rd-tip' aria-hidden='true' hidden></div>"
        "</div><p class='rd-axis across'>bits per pixel of the whole file</p></figure>"
    )


def _axes(found: dict[str, list[Shown]], rings: Sequence[Shown]) -> tuple[_Axis, _Axis]:
    """As far across as this codec's curve goes, and as far up as the points there."""
    everything = [*(shown for curve in found.values() for shown in curve), *rings]
    widest = [*found.get(RESTORED, ()), *rings] or everything
    right = 1.06 * max((shown.bpp for shown in widest), default=1.0)
    values = [shown.value for shown in everything if shown.bpp <= right] or [0.0, 1.0]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 1.0
    return _Axis(0.0, right), _Axis(low - margin, high + margin)


def _grid(across: _Axis, up: _Axis, measure: Measure) -> str:
    digits = 0 if up.high - up.low > 5 else measure.digits - 1
    columns = "".join(
        f"<i class='rd-column' style='left:{across.share(tick):.2f}%'><b>{tick:g}</b></i>"
        for tick in across.ticks()
    )
    rows = "".join(
        f"<i class='rd-row' style='bottom:{up.share(tick):.2f}%'>"
        f"<b>{f'{tick:.{digits}f}'.replace('-', '−')}</b></i>"
        for tick in up.ticks()
    )
    return f"<div aria-hidden='true'>{columns}{rows}</div>"


def _place(shown: Shown, across: _Axis, up: _Axis) -> str:
    return f"left:{across.share(shown.bpp):.2f}%;bottom:{up.share(shown.value):.2f}%"


def _line(codec: str, curve: Sequence[Shown], across: _Axis, up: _Axis) -> str:
    look = kind_style(codec)
    path = " ".join(f"{across.share(s.bpp):.2f},{100 - up.share(s.value):.2f}" for s in curve)
    return (
        f"<polyline points='{path}' stroke='{look.colour}' stroke-dasharray='"
        f"{_DASHES.get(look.line, 'none')}' stroke-width='{3 if codec == RESTORED else 2}'/>"
    )


def _marker(codec: str) -> str:
    look = kind_style(codec)
    shape = _MARKERS.get(look.marker, _MARKERS["o"])
    return f"<i class='rd-marker' style='background:{look.colour};clip-path:{shape}'></i>"


def _button(shown: Shown, measure: Measure, levels: int | None, place: str) -> str:
    point = shown.point
    own = levels == point.setting and point.kind in (QUANTIZED, RESTORED)
    setting = f"{'N' if _is_levels(point.kind) else 'quality'} {point.setting}"
    said = [
        f"{kind_label(point.kind)}, {setting}",
        f"{size_text(point.n_bytes)}, {point.bpp:.3f} bits per pixel",
        f"{measure.label} {measure.text(shown.value)}",
    ]
    if levels is not None:
        said.append(f"Choose: N = {levels}" + ("" if own else ", the same bytes"))
    text = escape("\n".join(said), quote=True)
    choice = "" if levels is None else f" data-levels='{levels}'"
    return (
        f"<button type='button' tabindex='-1' data-codec='{escape(point.kind, quote=True)}'"
        f"{choice} style='{place}' aria-label=\"{text}\">{_marker(point.kind)}</button>"
    )


def _is_levels(codec: str) -> bool:
    """Whether a codec's setting is N, not a quality."""
    return codec in (QUANTIZED, RESTORED, *ASSUMED)


def _words(found: dict[str, list[Shown]], measure: Measure, measured: Sequence[Point]) -> str:
    """The chart in two sentences, for those who cannot see it."""
    if not found or not measured:
        return f"Empty chart of {measure.label} over bits per pixel: no curves yet."
    bpp = measured[-1].bpp
    at = {codec: quality_at(curve, bpp) for codec, curve in found.items()}
    values = ", ".join(
        f"{kind_label(codec)} {measure.text(value)}"
        for codec, value in at.items() if value is not None
    )  # fmt: skip
    return (
        f"Chart of {measure.label} over bits per pixel, {len(found)} curves. At the slider's "
        f"{bpp:.3f} bits per pixel: {values or 'no curve'}. Arrow keys go from point to point."
    )
