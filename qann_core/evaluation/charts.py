"""How curves look, and the charts of ``qann evaluate``: lines in, a Figure out.

No pyplot, no state, any thread. The colours are Okabe and Ito's, told apart by colour-blind
readers too, and each codec has its own marker. Figures have no background and middle-grey text, to
sit on a light or a dark page.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .measures import MEASURES
from .points import QANN, QUANTIZED, RESTORED, Curve

INK = "#7b8494"


@dataclass(frozen=True)
class Style:
    """How a curve looks on every chart; without a marker it is thin, without a colour spare."""

    colour: str
    marker: str
    line: str


_STYLES = {
    RESTORED: Style("#D55E00", "o", "-"),
    QUANTIZED: Style("#E69F00", "o", "--"),
    "daq": Style("#0072B2", "P", "-"),
    "rq": Style("#009E73", "X", "-"),
    "assumed-half": Style("#CC79A7", "<", ":"),
    "assumed-double": Style("#56B4E9", ">", ":"),
    "jpeg": Style("#0072B2", "s", "-"),
    "jpeg444": Style("#0072B2", "P", ":"),
    "jpeg2000": Style("#7F3C8D", "X", "-"),
    "webp": Style("#009E73", "^", "-"),
    "avif": Style("#CC79A7", "D", "-"),
    "avif-psnr": Style("#CC79A7", "d", "--"),
    "avif-ssimulacra2": Style("#CC79A7", "p", ":"),
    "jpegxl": Style("#56B4E9", "v", "-"),
}
_OTHER_MODELS = ("#882255", "#332288", "#117733", "#AA4499", "#999933", "#6699CC")
"""Tol's muted colours, told apart by colour-blind readers as well."""


@dataclass(frozen=True)
class Line:
    """One curve of a chart.

    Attributes:
        label: for the legend.
        points: (bits per pixel, quality).
        style: how it looks.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    style: Style


def kind_style(kind: str) -> Style:
    """The style of a curve of a kind, see ``Curve``; its name alone decides an unknown one's."""
    return _STYLES.get(kind) or Style(_spare(kind), "h", "-")


def style(curve: Curve, main_model: str = "") -> Style:
    """A curve's style: efforts are darker, learned priors dash-dotted, other models coloured."""
    look = kind_style(curve.kind)
    if curve.codec != QANN or curve.variant not in (RESTORED, QUANTIZED):
        return look
    colour, marker, line = look.colour, look.marker, look.line
    if main_model and curve.model != main_model:
        colour = _spare(curve.model)
    elif curve.effort and curve.variant == RESTORED:
        colour = "#7A1200"
    if curve.coder == "prior":
        marker, line = "d", "-."
    return Style(colour, marker, line)


def published_style(number: int) -> Style:
    """How a curve that others published looks: thin and dashed, the number sets it apart."""
    return Style(_OTHER_MODELS[number % len(_OTHER_MODELS)], "", "--" if number % 2 else ":")


def comparison(drawn: Sequence[Line], measure: str, rates: tuple[float, float]) -> Figure:
    """Many codecs' mean curves, with the legend beside them.

    Args:
        measure: a key of MEASURES.
        rates: the range of bits per pixel to show; the axis of quality spans what lies in it.
    """
    figure = Figure(figsize=(9.6, 5.6), dpi=110, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    _draw(axes, drawn)
    shown = [y for line in drawn for x, y in line.points if rates[0] <= x <= rates[1]]
    if shown:
        margin = 0.03 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - margin, max(shown) + margin + 1e-9)
    axes.set_xlim(0, rates[1])
    _label(axes, MEASURES[measure].axis)
    if any(line.points for line in drawn):
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


def _spare(name: str) -> str:
    return _OTHER_MODELS[sum(name.encode()) % len(_OTHER_MODELS)]


def _draw(axes: Axes, drawn: Iterable[Line]) -> None:
    for line in drawn:
        if line.points:
            look = line.style
            axes.plot(*zip(*line.points, strict=True), look.line, color=look.colour,
                      marker=look.marker or None, markersize=5, lw=1.8 if look.marker else 1.2,
                      label=line.label)  # fmt: skip


def _label(axes: Axes, quality: str) -> None:
    axes.set_xlabel("bits per pixel", fontsize=11)
    axes.set_ylabel(quality, fontsize=11)
    plain(axes)
