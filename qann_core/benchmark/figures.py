"""The benchmark's document -> its charts."""

from __future__ import annotations

from matplotlib.figure import Figure

from ..charts import Line, comparison
from .published import Published
from .results import IN_DECIBELS, MEASURES, on_scale
from .tables import Document

_MARGIN = 1.15
"""How far the chart goes on beyond this codec's own rates."""


def draw(document: Document, published: Published | None) -> dict[str, Figure]:
    """Charts by the name that their files end in, such as "psnr".

    One chart a measure with this codec, the other codecs that were run and, dashed, those that
    were only published; and, where there are any, one of the variants of this codec, by PSNR.
    """
    charts = {
        measure.replace("_", "-"): _chart(document, measure, ("codec", "peer"), published)
        for measure in document["measures"]
    }
    if any(curve["group"] == "variant" for curve in document["curves"]):
        charts["quantizers"] = _chart(document, "psnr", ("codec", "variant"), None)
    return charts


def _chart(
    document: Document, measure: str, groups: tuple[str, ...], published: Published | None
) -> Figure:
    curves = {
        curve["name"]: (
            curve["label"],
            [
                (p["bpp"], on_scale(measure, p[measure]))
                for p in curve["points"]
                if p[measure] is not None
            ],
        )
        for curve in document["curves"]
        if curve["group"] in groups
    }
    dashed = [
        Line(
            curve.label,
            tuple(
                (bpp, on_scale(measure, value))
                for bpp, value in zip(curve.bpp, curve.measures[measure], strict=True)
            ),
        )
        for curve in (published.curves if published else ())
        if measure in curve.measures and not curve.runnable
    ]
    own = [row["bpp"] for row in document["mean"]]
    rates = (min(own) / _MARGIN, max(own) * _MARGIN)
    unit = ", dB, RGB" if measure in ("psnr", *IN_DECIBELS) else ""
    return comparison(curves, dashed, MEASURES[measure] + unit, rates)
