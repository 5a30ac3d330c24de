"""Rate-distortion charts, for the page and for ``qann benchmark``: points in, a Figure out.

No pyplot, no state, any thread. The colours are Okabe and Ito's, told apart by colour-blind
readers too, and each codec has its own marker. Figures have no background and middle-grey text, to
sit on a light or a dark page.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .rate_distortion import Point

INK = "#7b8494"
MEASURES = {"PSNR": "psnr", "SSIM": "ssim", "MS-SSIM": "ms_ssim"}


@dataclass(frozen=True)
class Style:
    """How a codec looks on every chart: its label, colour, marker and line."""

    label: str
    colour: str
    marker: str
    line: str


_STYLES = {
    "restored": Style("QANN restored", "#D55E00", "o", "-"),
    "quantized": Style("QANN quantized only", "#E69F00", "o", "--"),
    "jpeg": Style("JPEG", "#0072B2", "s", "-"),
    "jpeg444": Style("JPEG 4:4:4", "#0072B2", "P", ":"),
    "jpeg2000": Style("JPEG 2000", "#7F3C8D", "X", "-"),
    "webp": Style("WebP", "#009E73", "^", "-"),
    "avif": Style("AVIF", "#CC79A7", "D", "-"),
    "jpegxl": Style("JPEG XL", "#56B4E9", "v", "-"),
    "daq": Style("DAQ, by distribution", "#0072B2", "P", "-"),
    "rq": Style("RQ, residual codes", "#009E73", "X", "-"),
    "told-half": Style("QANN told N/2", "#CC79A7", "<", ":"),
    "told-double": Style("QANN told 2N", "#56B4E9", ">", ":"),
}
# Tol's muted colours, told apart by colour-blind readers as well.
_SPARE = (
    "#882255", "#332288", "#117733", "#AA4499", "#44AA99", "#999933", "#CC6677", "#6699CC",
)  # fmt: skip
_SPARE_MARKERS = "*<>hpd"


@dataclass(frozen=True)
class Line:
    """A curve that is drawn as it is, dashed and without markers: quality over bits per pixel."""

    label: str
    points: tuple[tuple[float, float], ...]


def style(codec: str, label: str | None = None) -> Style:
    """The codec's style; a codec without one gets a spare colour that its name alone decides."""
    if codec in _STYLES:
        return _STYLES[codec]
    if codec == "restored-prior":
        return Style(label or codec, _STYLES["restored"].colour, "d", "-.")
    if codec.startswith("effort-"):
        line, marker = ("-.", "p") if codec.endswith("-prior") else ("-", "h")
        return Style(label or codec, "#7A1200", marker, line)
    number = sum(codec.encode())
    colour, marker = _SPARE[number % len(_SPARE)], _SPARE_MARKERS[number % len(_SPARE_MARKERS)]
    return Style(label or codec, colour, marker, "--" if codec.startswith("quantized") else "-")


def rate_distortion(points: Sequence[Point], measure: str, current: Sequence[Point]) -> Figure:
    """Quality over rate, one line a codec; ``current`` points get a ring.

    Args:
        measure: a key of MEASURES.
    """
    figure = Figure(figsize=(5.8, 4.6), dpi=140, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    present = {point.codec for point in points}
    for codec in [c for c in _STYLES if c in present] + sorted(present - set(_STYLES)):
        curve = _finite((p for p in points if p.codec == codec), MEASURES[measure])
        _draw(axes, curve, style(codec))
    for point in current:
        for x, y in _finite([point], MEASURES[measure]):
            axes.plot(x, y, "o", ms=14, mfc="none", mec=style(point.codec).colour, mew=2)
    _label(axes, f"{measure}{', dB' if measure == 'PSNR' else ''}, RGB")
    if points:
        axes.set_xlim(left=0)
        axes.legend(loc="lower right", frameon=False, labelcolor=INK, fontsize=10)
    else:
        axes.grid(False)
        axes.margins(0.4)
        note = "This is where the slider stands; no curve yet"
        axes.annotate(note, (0.5, 0.91), xycoords="axes fraction", color=INK, ha="center")
    return figure


def comparison(
    curves: Mapping[str, tuple[str, Sequence[tuple[float, float]]]],
    dashed: Sequence[Line],
    quality: str,
    rates: tuple[float, float],
) -> Figure:
    """Many codecs' mean curves, with the legend beside them.

    Args:
        curves: name to label and (bits per pixel, quality) of each codec that was measured.
        dashed: curves that were published by others.
        quality: what the axis of quality says, such as "PSNR, dB, RGB".
        rates: the range of bits per pixel to show; the axis of quality spans what lies in it.
    """
    figure = Figure(figsize=(9.6, 5.6), dpi=110, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for name, (label, curve) in curves.items():
        _draw(axes, curve, style(name, label))
    for number, line in enumerate(dashed):
        pattern = (number, (5, 2)) if number % 2 else (number, (2, 2))
        colour, label = _SPARE[number % len(_SPARE)], f"{line.label} (published)"
        axes.plot(*zip(*sorted(line.points), strict=True), linestyle=pattern, lw=1.2,
                  color=colour, label=label)  # fmt: skip
    drawn = [*(curve for _, curve in curves.values()), *(line.points for line in dashed)]
    shown = [y for curve in drawn for x, y in curve if rates[0] <= x <= rates[1]]
    if shown:
        margin = 0.03 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.set_xlim(0, rates[1])
    _label(axes, quality)
    figure.legend(loc="outside right upper", frameon=False, labelcolor=INK, fontsize=9)
    return figure


def png(figure: Figure, dpi: int = 200) -> bytes:
    """A figure as a PNG file on white, for downloads; 128 colours make it a third as long."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor="white")
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
            packed, "PNG", dpi=(dpi, dpi)
        )
    return packed.getvalue()


def plain(axes: Axes) -> None:
    """The one chart style: light grid, no box, grey ink."""
    axes.grid(color=INK, alpha=0.25, lw=0.6)
    axes.tick_params(colors=INK, labelsize=10, length=0)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw(axes: Axes, curve: Iterable[tuple[float, float]], look: Style) -> None:
    ordered = sorted(curve)
    if ordered:
        axes.plot(*zip(*ordered, strict=True), look.line, color=look.colour, marker=look.marker,
                  markersize=5, lw=1.8, label=look.label)  # fmt: skip


def _label(axes: Axes, quality: str) -> None:
    axes.set_xlabel("bits per pixel", fontsize=11)
    axes.set_ylabel(quality, fontsize=11)
    plain(axes)


def _finite(points: Iterable[Point], field: str) -> list[tuple[float, float]]:
    pairs = [(p.bpp, getattr(p, field)) for p in points]
    return [(x, y) for x, y in pairs if y is not None and math.isfinite(y)]
