"""How curves look, and the charts of ``qann evaluate``: the document in, Figures out.

No pyplot, no state, any thread. The colours are Okabe and Ito's, which colour-blind readers
distinguish too, and each codec has its own marker. Figures have no background and middle-grey
text, for light and dark pages.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from .measures import MEASURES
from .points import QANN, QUANTIZED, RESTORED, Curve
from .published import Published
from .results import Document

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
"""Tol's muted colours, which colour-blind readers distinguish as well."""


_MARGIN = 1.15
"""How far a chart goes on beyond this codec's own rates."""

Line = tuple[str, list[tuple[float, float]], Style]
"""A curve's label, its points (bits per pixel, quality) and how it looks."""


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


def draw(document: Document, published: Published) -> dict[str, Figure]:
    """Charts by the name that their files end in, such as "psnr".

    One chart a measure with this codec, the other codecs that were run and, dashed, those that
    were only published; and, where there are any, one of other quantizers and of wrong N, by PSNR.
    """
    main = document["main"]
    charts = {}
    for measure in document["measures"]:
        drawn = _lines(document, measure, lambda c: _is_codec(c, main))
        drawn += _published(published, measure)
        charts[measure.replace("_", "-")] = _chart(drawn, measure, _rates(document))
    others = [c for c in document["curves"] if c["variant"] not in ("", RESTORED, QUANTIZED)]
    if others and "psnr" in document["measures"]:
        drawn = _lines(document, "psnr", lambda c: c in others or _is_main(c, main))
        charts["quantizers"] = _chart(drawn, "psnr", _rates(document))
    return charts


def png(figure: Figure, dpi: int = 110) -> bytes:
    """A figure as a PNG file on white; 128 colours make it a third as long."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor="white")
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
            packed, "PNG", dpi=(dpi, dpi)
        )
    return packed.getvalue()


def _is_codec(curve: dict[str, Any], main: dict[str, Any]) -> bool:
    """Whether a curve is another codec, restored, or the main one quantized only."""
    return curve["variant"] in ("", RESTORED) or (
        curve["variant"] == QUANTIZED and _is_main(curve, main)
    )


def _is_main(curve: dict[str, Any], main: dict[str, Any]) -> bool:
    return all(curve[key] == main[key] for key in ("codec", "coder", "model", "effort"))


def _lines(document: Document, measure: str, shown: Callable[[dict[str, Any]], bool]) -> list[Line]:
    drawn = []
    for row in filter(shown, document["curves"]):
        curve = Curve(**{f.name: row[f.name] for f in fields(Curve)})
        pairs = [(p["bpp"], p[measure]) for p in row["points"] if p[measure] is not None]
        scaled = [(bpp, MEASURES[measure].scale(value)) for bpp, value in pairs]
        points = sorted(pair for pair in scaled if math.isfinite(pair[1]))
        drawn.append((row["label"], points, style(curve, document["main"]["model"])))
    return drawn


def _published(published: Published, measure: str) -> list[Line]:
    """Curves that others published: thin and dashed, the number sets them apart."""
    curves = [c for c in published["curves"] if measure in c and not c["runnable"]]
    lines = []
    for number, curve in enumerate(curves):
        points = zip(curve["bpp"], map(MEASURES[measure].scale, curve[measure]), strict=True)
        colour = _OTHER_MODELS[number % len(_OTHER_MODELS)]
        look = Style(colour, "", "--" if number % 2 else ":")
        lines.append((f"{curve['label']} (published)", list(points), look))
    return lines


def _rates(document: Document) -> tuple[float, float]:
    """The range of bits per pixel to show."""
    own = [row["bpp"] for row in document["mean"] if row["bpp"] is not None]
    return (min(own) / _MARGIN, max(own) * _MARGIN) if own else (0.0, 1.0)


def _chart(drawn: Sequence[Line], measure: str, rates: tuple[float, float]) -> Figure:
    """Many codecs' mean curves, with the legend beside them.

    Args:
        rates: the range of bits per pixel to show; the axis of quality spans the points in it.
    """
    figure = Figure(figsize=(9.6, 5.6), dpi=110, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for label, points, look in drawn:
        if points:
            axes.plot(*zip(*points, strict=True), look.line, color=look.colour,
                      marker=look.marker or None, markersize=5, lw=1.8 if look.marker else 1.2,
                      label=label)  # fmt: skip
    shown = [y for _, points, _ in drawn for x, y in points if rates[0] <= x <= rates[1]]
    if shown:
        margin = 0.03 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - margin, max(shown) + margin + 1e-9)
    axes.set_xlim(0, rates[1])
    axes.set_xlabel("bits per pixel", fontsize=11, color=INK)
    axes.set_ylabel(MEASURES[measure].axis, fontsize=11, color=INK)
    axes.grid(color=INK, alpha=0.25, lw=0.6)
    axes.tick_params(colors=INK, labelsize=10, length=0)
    axes.spines[:].set_visible(False)
    if any(points for _, points, _ in drawn):
        figure.legend(loc="outside right upper", frameon=False, labelcolor=INK, fontsize=9)
    return figure


def _spare(name: str) -> str:
    return _OTHER_MODELS[sum(name.encode()) % len(_OTHER_MODELS)]
