"""The document of an evaluation -> its charts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from .charts import Line, comparison, published_style, style
from .measures import MEASURES
from .points import QUANTIZED, RESTORED, Curve
from .published import Published
from .results import Document

_MARGIN = 1.15
"""How far the chart goes on beyond this codec's own rates."""


def draw(document: Document, published: Published | None) -> dict[str, Figure]:
    """Charts by the name that their files end in, such as "psnr".

    One chart a measure with this codec, the other codecs that were run and, dashed, those that
    were only published; and, where there are any, one of other quantizers and of wrong N, by PSNR.
    """
    main = document["main"]
    charts = {}
    for measure in document["measures"]:
        drawn = _lines(document, measure, lambda c: _is_codec(c, main))
        drawn += _published(published, measure)
        charts[measure.replace("_", "-")] = comparison(drawn, measure, _rates(document))
    others = [c for c in document["curves"] if c["variant"] not in ("", RESTORED, QUANTIZED)]
    if others and "psnr" in document["measures"]:
        drawn = _lines(document, "psnr", lambda c: c in others or _is_main(c, main))
        charts["quantizers"] = comparison(drawn, "psnr", _rates(document))
    return charts


def _is_codec(curve: dict[str, Any], main: dict[str, Any]) -> bool:
    """Whether a curve is another codec, restored, or the main one quantized only."""
    return curve["variant"] in ("", RESTORED) or (
        curve["variant"] == QUANTIZED and _is_main(curve, main)
    )


def _is_main(curve: dict[str, Any], main: dict[str, Any]) -> bool:
    return all(curve[key] == main[key] for key in ("codec", "coder", "model", "effort"))


def _lines(document: Document, measure: str, shown: Callable[[dict[str, Any]], bool]) -> list[Line]:
    drawn = []
    for row in (row for row in document["curves"] if shown(row)):
        curve = Curve(**{f: row[f] for f in ("codec", "variant", "coder", "model", "effort")})
        pairs = [(p["bpp"], p[measure]) for p in row["points"] if p[measure] is not None]
        scaled = [(bpp, MEASURES[measure].scale(value)) for bpp, value in pairs]
        points = tuple(sorted(pair for pair in scaled if math.isfinite(pair[1])))
        drawn.append(Line(row["label"], points, style(curve, document["main"]["model"])))
    return drawn


def _published(published: Published | None, measure: str) -> list[Line]:
    curves = [c for c in (published.curves if published else ()) if not c.runnable]
    scale = MEASURES[measure].scale
    return [
        Line(
            f"{curve.label} (published)",
            tuple(zip(curve.bpp, map(scale, curve.measures[measure]), strict=True)),
            published_style(number),
        )
        for number, curve in enumerate(c for c in curves if measure in c.measures)
    ]


def _rates(document: Document) -> tuple[float, float]:
    own = [row["bpp"] for row in document["mean"] if row["bpp"] is not None]
    return (min(own) / _MARGIN, max(own) * _MARGIN) if own else (0.0, 1.0)
