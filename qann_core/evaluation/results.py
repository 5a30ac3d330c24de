"""All that was measured -> one document of plain values, and a CSV table of every point.

The document (see ``to_document``) is what is stored, drawn and printed: README's tables and charts
come from it alone. Nothing here draws.
"""

from __future__ import annotations

import csv
import io
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .deltas import Axes, bd_quality, bd_rate, problem, spread
from .measures import MEASURES
from .points import QANN, QUANTIZED, RESTORED, Curve, Point, labels
from .published import Published, PublishedCurve, published_for
from .runner import Evaluation

Document = dict[str, Any]


class Curves:
    """An evaluation as arrays: what each curve has on each image that it is whole on.

    Attributes:
        values: by curve and image, "bpp", "n_bytes" and the measures as float64 arrays over the
            settings; NaN where a measure is not defined.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        n_settings = {c: len(s.settings) for s in evaluation.subjects for c in s.identities}
        by_curve: dict[Curve, dict[str, list[Point]]] = {}
        for image, points in evaluation.points.items():
            for point in points:
                by_curve.setdefault(point.curve, {}).setdefault(image, []).append(point)
        self.values = {
            curve: {
                image: _arrays(points, evaluation.measures)
                for image, points in images.items()
                if len(points) == n_settings[curve]
            }
            for curve, images in by_curve.items()
        }

    def images(self, curve: Curve, measure: str | None = None) -> set[str]:
        """The images that a curve is whole on and, where asked, a measure is finite throughout."""
        return {
            image
            for image, values in self.values.get(curve, {}).items()
            if measure is None or all(map(math.isfinite, _scaled(values, measure)))
        }

    def mean(self, curve: Curve, value: str, images: Iterable[str]) -> list[float]:
        """By setting, the mean over the images of "bpp", "n_bytes" or a measure."""
        rows = [self.values[curve][image][value] for image in sorted(images)]
        return np.mean(rows, axis=0).tolist() if rows else []

    def least_gain(self, curve: Curve, measure: str) -> list[float]:
        """By setting, what restoration adds to a measure on the image that it helps least."""
        quantized, restored = _pair(curve)
        gains = [
            self.values[restored][image][measure] - self.values[quantized][image][measure]
            for image in self.images(quantized, measure) & self.images(restored, measure)
        ]
        return np.min(gains, axis=0).tolist() if gains else []

    def axes(self, curve: Curve, measure: str, images: Iterable[str]) -> Axes:
        """The mean curve over the images, as deltas take it."""
        means = {name: self.mean(curve, name, images) for name in ("bpp", measure)}
        return means["bpp"], _scaled(means, measure)

    def axes_of_image(self, curve: Curve, measure: str, image: str) -> Axes:
        """One image's curve; deltas pass over what is not finite."""
        values = self.values[curve][image]
        return values["bpp"].tolist(), _scaled(values, measure)


def _arrays(points: Sequence[Point], measures: Sequence[str]) -> dict[str, np.ndarray]:
    columns: dict[str, list[Any]] = {
        "bpp": [point.bpp for point in points],
        "n_bytes": [point.n_bytes for point in points],
        **{measure: [point.values[measure] for point in points] for measure in measures},
    }
    return {name: np.array(column, float) for name, column in columns.items()}


def _scaled(values: Mapping[str, Iterable[float]], measure: str) -> list[float]:
    """A measure on the scale that deltas are taken on."""
    return [MEASURES[measure].scale(float(value)) for value in values[measure]]


def to_document(evaluation: Evaluation) -> Document:
    """Everything but the single points of other codecs, rounded, for JSON; infinity becomes None.

    Keys:
        images: how many images this codec was measured on; ``found``: how many there were;
            ``left_out``: what could not be measured, with reasons.
        measures, main: names; the curve that ``mean`` and ``bd_rate`` are of.
        mean: by N, means of rate and of each measure, quantized and restored. A measure's means
            are over the images where it is finite at every N: ``counts`` says how many.
        per_image: the same of each image, by its relative path.
        bd_rate: by measure and peer, in per cent, of the mean curves over the images where both are
            finite; ``bd_rate_psnr`` are those by PSNR, and ``no_bd_rate`` has the reasons.
        curves: every curve with its software and its mean points.
        deltas: each of this codec's restored curves against every peer, the main one and what was
            published, and the main one against every other, with the spread over images.
        published: the source of the curves that were not measured here.
        processor: what it ran on.
    """
    curves = Curves(evaluation)
    main = next(iter(evaluation.subjects[0].identities))
    quantized, restored = _pair(main)
    published = published_for(evaluation.digests.values())
    peers = [curve for curve in curves.values if curve.codec != QANN]
    deltas = _deltas(evaluation, curves, published)
    of_main = {d["anchor"]: d for d in deltas if d["curve"] == restored.name}
    bd_rates = {
        m: {p.name: of_main[p.name][m]["bd_rate"] for p in peers if p.name in of_main}
        for m in evaluation.measures
    }
    document: Document = _plain({
        "images": len(curves.images(restored)),
        "found": evaluation.found,
        "left_out": [asdict(one) for one in evaluation.left_out] + _undefined(evaluation),
        "measures": evaluation.measures,
        "main": asdict(restored),
        "processor": processor(),
        "counts": {m: len(_both(curves, main, m)) for m in evaluation.measures},
        "mean": _mean_rows(evaluation, curves, main),
        "bd_rate": bd_rates,
        "bd_rate_psnr": bd_rates.get("psnr", {}),
        "no_bd_rate": {
            m: reasons
            for m in evaluation.measures
            if (reasons := _reasons(of_main, m))
        },
        "curves": _curve_rows(evaluation, curves),
        "deltas": deltas,
        "published": published and published.source,
        "per_image": [
            row for image in evaluation.points for row in _image_rows(evaluation, image, main)
        ],
    })  # fmt: skip
    return document


def to_csv(points: Mapping[str, Sequence[Point]], measures: Sequence[str]) -> str:
    """One line a point, of every image (the keys) and curve."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = ["codec", "variant", "coder", "model", "effort"]
    writer.writerow(["image", *columns, "setting", "bpp", "n_bytes", *measures])
    for image, of_image in points.items():
        for p in of_image:
            numbers = [p.bpp, p.n_bytes, *(p.values.get(m) for m in measures)]
            made_by = [getattr(p.curve, column) for column in columns]
            writer.writerow([image, *made_by, p.setting, *map(_rounded, numbers)])
    return buffer.getvalue()


def processor() -> str:
    """The processor's name and number of cores, as far as the system names them."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text(encoding="utf-8").splitlines() if facts.exists() else ():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return f"{name}, {os.cpu_count()} cores"


def _pair(curve: Curve) -> tuple[Curve, Curve]:
    """The same curve quantized only, and restored."""
    fields = asdict(curve)
    return Curve(**{**fields, "variant": QUANTIZED}), Curve(**{**fields, "variant": RESTORED})


def _both(curves: Curves, main: Curve, measure: str) -> set[str]:
    quantized, restored = _pair(main)
    return curves.images(quantized, measure) & curves.images(restored, measure)


def _mean_rows(evaluation: Evaluation, curves: Curves, main: Curve) -> list[dict[str, Any]]:
    quantized, restored = _pair(main)
    images = curves.images(restored)
    columns: dict[str, list[float]] = {
        "bpp": curves.mean(restored, "bpp", images),
        "n_bytes": curves.mean(restored, "n_bytes", images),
    }
    for measure in evaluation.measures:
        common = _both(curves, main, measure)
        for curve in (quantized, restored):
            columns[f"{measure}_{curve.variant}"] = curves.mean(curve, measure, common)
    return _rows("levels", evaluation.subjects[0].settings, columns)


def _rows(
    key: str, settings: Sequence[int], columns: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """A row a setting; None in columns of which nothing is known."""
    return [
        {key: n, **{name: values[i] if values else None for name, values in columns.items()}}
        for i, n in enumerate(settings)
    ]


def _image_rows(evaluation: Evaluation, image: str, main: Curve) -> list[dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for point in evaluation.points[image]:
        if point.curve in _pair(main):
            row = rows.setdefault(
                point.setting,
                {"image": image, "levels": point.setting, "bpp": point.bpp,
                 "n_bytes": point.n_bytes},
            )  # fmt: skip
            for measure in evaluation.measures:
                row[f"{measure}_{point.curve.variant}"] = point.values[measure]
    return list(rows.values())


def _curve_rows(evaluation: Evaluation, curves: Curves) -> list[dict[str, Any]]:
    rows, names = [], labels(curves.values)
    for subject in evaluation.subjects:
        for curve in subject.identities:
            images = curves.images(curve)
            if not images:
                continue
            columns = {name: curves.mean(curve, name, images) for name in ("bpp", "n_bytes")}
            for m in evaluation.measures:
                columns[m] = curves.mean(curve, m, curves.images(curve, m))
                if curve.variant == RESTORED:
                    columns[f"{m}_least_gain"] = curves.least_gain(curve, m)
            rows.append({
                "name": curve.name, "label": names[curve], **asdict(curve),
                "software": subject.software, "images": len(images),
                "points": _rows("setting", subject.settings, columns),
            })  # fmt: skip
    return rows


def _reasons(deltas: Mapping[str, Mapping[str, Any]], measure: str) -> dict[str, str]:
    """Why a peer has no BD-rate by a measure; published peers may lack the measure itself."""
    return {
        peer: delta[measure]["reason"]
        for peer, delta in deltas.items()
        if "reason" in delta.get(measure, ())
    }


def _deltas(
    evaluation: Evaluation, curves: Curves, published: Published | None
) -> list[dict[str, Any]]:
    """Each restored curve against each peer and the first; the first one against every other."""
    every = [curve for curve, images in curves.values.items() if images]
    restored = [curve for curve in every if curve.variant == RESTORED]
    rows = []
    for curve in restored:
        anchors = [
            a for a in every
            if a != curve and (a.codec != QANN or restored[0] in (a, curve))
        ]  # fmt: skip
        for anchor in anchors:
            row: dict[str, Any] = {"curve": curve.name, "anchor": anchor.name}
            for m in evaluation.measures:
                common = curves.images(curve, m) & curves.images(anchor, m)
                axes = curves.axes(anchor, m, common), curves.axes(curve, m, common)
                each = spread([
                    bd_rate(curves.axes_of_image(anchor, m, i), curves.axes_of_image(curve, m, i))
                    for i in sorted(curves.images(curve) & curves.images(anchor))
                ])  # fmt: skip
                row[m] = {**_delta(*axes), "images": len(common), "spread": each and asdict(each)}
            rows.append(row)
        for other in published.curves if published else ():
            rows.append(_against_published(curve, other, curves, evaluation.measures))
    return rows


def _delta(anchor: Axes, curve: Axes) -> dict[str, Any]:
    reason = problem(anchor, curve)
    values = {"bd_rate": bd_rate(anchor, curve), "bd_quality": bd_quality(anchor, curve)}
    return {**values, "reason": reason} if reason else values


def _against_published(
    curve: Curve, other: PublishedCurve, curves: Curves, measures: Sequence[str]
) -> dict[str, Any]:
    row: dict[str, Any] = {"curve": curve.name, "anchor": other.label, "published": True}
    for m in measures:
        if m in other.measures:
            values = [MEASURES[m].scale(value) for value in other.measures[m]]
            mine = curves.axes(curve, m, curves.images(curve, m))
            row[m] = _delta((list(other.bpp), values), mine)
    return row


def _undefined(evaluation: Evaluation) -> list[dict[str, str]]:
    """Measures that some image leaves without a finite value, once for each image and measure."""
    found: dict[tuple[str, str], str] = {}
    for image, points in evaluation.points.items():
        for point in points:
            for measure in evaluation.measures:
                if not _finite(point, measure):
                    reason = (
                        "is infinite where it comes out without loss"
                        if point.values[measure] is not None
                        else "is not defined for it, which may be too small"
                    )
                    found.setdefault((image, measure), reason)
    return [
        {"image": image, "subject": measure, "reason": f"{MEASURES[measure].label} {reason}."}
        for (image, measure), reason in found.items()
    ]


def _finite(point: Point, measure: str) -> bool:
    value = point.values[measure]
    return value is not None and math.isfinite(MEASURES[measure].scale(value))


def _plain(value: Any) -> Any:
    """The same nested value with rounded numbers, and None for those that JSON cannot say."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    rounded = _rounded(value)
    return None if isinstance(rounded, float) and not math.isfinite(rounded) else rounded


def _rounded(value: Any) -> Any:
    """Floats to five decimals: 0.001 % of a bit per pixel, and far below what can be seen."""
    return round(value, 5) if isinstance(value, float) else value
