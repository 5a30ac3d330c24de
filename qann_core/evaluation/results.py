"""All that was measured -> one document of plain values, and a CSV table of every point.

The document (see ``to_document``) is what is stored, drawn and printed: README's tables and charts
come from it alone. Nothing here draws.
"""

import csv
import io
import itertools
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from .deltas import Axes, bd_quality, bd_rate, problem, spread
from .measures import MEASURES
from .points import QANN, QUANTIZED, RESTORED, Curve, Point, labels
from .published import Published, published_for
from .runner import Evaluation

Document = dict[str, Any]


class Curves:
    """An evaluation as arrays: what each curve has on each image that it is whole on.

    Attributes:
        values: by curve and image, "bpp", "n_bytes" and the measures as float64 arrays over the
            settings; NaN where a measure is not defined.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.values: dict[Curve, dict[str, dict[str, np.ndarray]]] = {}
        n_settings = {c: len(s.settings) for s in evaluation.subjects for c in s.identities}
        for image, points in evaluation.points.items():
            for curve in dict.fromkeys(point.curve for point in points):
                own = [point for point in points if point.curve == curve]
                images = self.values.setdefault(curve, {})
                if len(own) == n_settings[curve]:
                    rows = [{"bpp": p.bpp, "n_bytes": p.n_bytes, **p.values} for p in own]
                    names = ("bpp", "n_bytes", *evaluation.measures)
                    images[image] = {n: np.array([row[n] for row in rows], float) for n in names}

    def images(self, curve: Curve, measure: str | None = None) -> set[str]:
        """The images that a curve is whole on and, where asked, a measure is finite throughout."""
        return {
            image
            for image, values in self.values.get(curve, {}).items()
            if measure is None or all(map(math.isfinite, _scaled(values, measure)))
        }

    def common(self, a: Curve, b: Curve, measure: str | None = None) -> set[str]:
        """The same of two curves."""
        return self.images(a, measure) & self.images(b, measure)

    def mean(self, curve: Curve, value: str, images: Iterable[str]) -> list[float]:
        """By setting, the mean over the images of "bpp", "n_bytes" or a measure."""
        rows = [self.values[curve][image][value] for image in sorted(images)]
        return np.mean(rows, axis=0).tolist() if rows else []

    def least_gain(self, curve: Curve, measure: str) -> list[float]:
        """By setting, what restoration adds to a measure on the image that it helps least."""
        quantized, restored = _pair(curve)
        gains = [
            self.values[restored][image][measure] - self.values[quantized][image][measure]
            for image in self.common(quantized, restored, measure)
        ]
        return np.min(gains, axis=0).tolist() if gains else []

    def axes(self, curve: Curve, measure: str, images: Iterable[str]) -> Axes:
        """The mean curve over the images, as deltas take it."""
        means = {name: self.mean(curve, name, images) for name in ("bpp", measure)}
        return means["bpp"], _scaled(means, measure)


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
        "counts": {m: len(curves.common(quantized, restored, m)) for m in evaluation.measures},
        "mean": _mean_rows(evaluation, curves, main),
        "bd_rate": bd_rates,
        "bd_rate_psnr": bd_rates.get("psnr", {}),
        "no_bd_rate": {m: why for m in evaluation.measures if (why := _reasons(of_main, m))},
        "curves": _curve_rows(evaluation, curves),
        "deltas": deltas,
        "published": published["source"],
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
    return replace(curve, variant=QUANTIZED), replace(curve, variant=RESTORED)


def _mean_rows(evaluation: Evaluation, curves: Curves, main: Curve) -> list[dict[str, Any]]:
    quantized, restored = _pair(main)
    images = curves.images(restored)
    columns = {name: curves.mean(restored, name, images) for name in ("bpp", "n_bytes")}
    for measure in evaluation.measures:
        common = curves.common(quantized, restored, measure)
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
            known = {"image": image, "levels": point.setting}
            known |= {"bpp": point.bpp, "n_bytes": point.n_bytes}
            row = rows.setdefault(point.setting, known)
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


def _deltas(evaluation: Evaluation, curves: Curves, published: Published) -> list[dict[str, Any]]:
    """Each restored curve against each peer and the first; the first one against every other."""
    every = [curve for curve, images in curves.values.items() if images]
    restored = [curve for curve in every if curve.variant == RESTORED]
    rows = []
    for curve in restored:
        for anchor in every:
            if anchor != curve and (anchor.codec != QANN or restored[0] in (anchor, curve)):
                found = {m: _measured_delta(curves, anchor, curve, m) for m in evaluation.measures}
                rows.append({"curve": curve.name, "anchor": anchor.name, **found})
        for other in published["curves"]:
            found = {
                m: _delta((other["bpp"], _scaled(other, m)),
                          curves.axes(curve, m, curves.images(curve, m)))
                for m in evaluation.measures if m in other
            }  # fmt: skip
            names = {"curve": curve.name, "anchor": other["label"], "published": True}
            rows.append({**names, **found})
    return rows


def _measured_delta(curves: Curves, anchor: Curve, curve: Curve, measure: str) -> dict[str, Any]:
    """Of the mean curves, and how single images differ."""
    common = curves.common(anchor, curve, measure)
    mean = _delta(*(curves.axes(c, measure, common) for c in (anchor, curve)))
    single = [
        bd_rate(*(curves.axes(c, measure, [image]) for c in (anchor, curve)))
        for image in sorted(curves.common(anchor, curve))
    ]
    return {**mean, "images": len(common), "spread": spread(single)}


def _delta(anchor: Axes, curve: Axes) -> dict[str, Any]:
    reason = problem(anchor, curve)
    values = {"bd_rate": bd_rate(anchor, curve), "bd_quality": bd_quality(anchor, curve)}
    return {**values, "reason": reason} if reason else values


def _undefined(evaluation: Evaluation) -> list[dict[str, str]]:
    """Measures that some image leaves without a finite value, once for each image and measure."""
    found: dict[tuple[str, str], str] = {}
    for image, points in evaluation.points.items():
        for point, measure in itertools.product(points, evaluation.measures):
            value, known = point.values[measure], MEASURES[measure]
            if value is None or not math.isfinite(known.scale(value)):
                reason = (
                    "is not defined for it, which may be too small" if value is None
                    else "is infinite where it comes out without loss"
                )  # fmt: skip
                found.setdefault((image, measure), f"{known.label} {reason}.")
    return [
        {"image": image, "subject": measure, "reason": reason}
        for (image, measure), reason in found.items()
    ]


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
