"""All that was measured -> one document of plain values, and a CSV table of every point.

The document (see ``to_document``) is what is stored, drawn and printed: README's tables and charts
come from it alone, and it has at least the fields that ``qann evaluate`` writes.
"""

from __future__ import annotations

import csv
import io
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..deltas import bd_psnr, bd_rate, decibels, spread
from ..rate_distortion import QUANTIZED, RESTORED, Evaluation, Point, level_rows
from .published import Published
from .runner import Measured
from .subjects import named

MEASURES = {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "ssimulacra2": "SSIMULACRA 2"}
"""Measures of quality by their name as a field of ``Point``, and how to call them."""

IN_DECIBELS = ("ssim", "ms_ssim")
"""Measures that are drawn, and whose deltas are taken, as -10 log10(1 - m), see ``deltas``."""


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark.

    Attributes:
        measured: all subjects.
        names: the images' names, in the order of the records.
        measures: names of the measures to report.
        threads: of each process.
        published: what others published for the same images.
    """

    measured: tuple[Measured, ...]
    names: tuple[str, ...]
    measures: tuple[str, ...]
    threads: int
    published: Published | None

    def evaluation(self) -> Evaluation:
        """All points, under the names of their curves."""
        per_image = []
        for index, name in enumerate(self.names):
            points: list[Point] = []
            for one in self.measured:
                points += named(one.subject, one.records[index].points)
            per_image.append((name, tuple(points)))
        return Evaluation(tuple(per_image))


def to_document(benchmark: Benchmark) -> dict[str, Any]:
    """Everything but the single points of other codecs, rounded, for JSON; infinity becomes None.

    Keys: ``images``, ``mean``, ``per_image`` and ``bd_rate_psnr...`` as ``Evaluation.to_dict``;
    ``measures``, ``threads``, ``processor``; ``curves``: every codec with its time, memory and mean
    points; ``deltas``: each of this codec's curves against every other curve; ``published``: the
    source of the curves that were not measured here.
    """
    evaluation = benchmark.evaluation()
    own = [*evaluation.mean_curve(QUANTIZED), *evaluation.mean_curve(RESTORED)]
    peers = [c.name for m in benchmark.measured for c in m.subject.curves.values()
             if c.group == "peer"]  # fmt: skip
    deltas = _deltas(benchmark, evaluation)
    against = {(row["curve"], row["anchor"]): row["psnr"]["bd_rate"] for row in deltas}
    return _plain({
        "images": len(benchmark.names),
        "measures": benchmark.measures,
        "threads": benchmark.threads,
        "processor": _processor(),
        "mean": level_rows(own),
        "bd_rate_psnr": {peer: against[RESTORED, peer] for peer in peers},
        "bd_rate_psnr_quantized": {peer: against[QUANTIZED, peer] for peer in peers},
        "bd_rate_psnr_restoration": against[RESTORED, QUANTIZED],
        "curves": _curves(benchmark, evaluation),
        "deltas": deltas,
        "published": benchmark.published and benchmark.published.source,
        "per_image": [
            {"image": name, **row}
            for name, points in evaluation.per_image for row in level_rows(points)
        ],
    })  # fmt: skip


def to_csv(benchmark: Benchmark) -> str:
    """One line a point, of every image and codec."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [field.name for field in fields(Point)]
    if "ssimulacra2" not in benchmark.measures:
        columns.remove("ssimulacra2")
    writer.writerow(["image", *columns])
    for name, points in benchmark.evaluation().per_image:
        for point in points:
            values = asdict(point)
            writer.writerow([name, *(_rounded(values[column]) for column in columns)])
    return buffer.getvalue()


def _curves(benchmark: Benchmark, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Each curve: what made it, its means, and its process's memory."""
    rows = []
    for one in benchmark.measured:
        for curve in one.subject.curves.values():
            points = evaluation.mean_curve(curve.name)
            times = [(p.encode_seconds, p.decode_seconds) for p in points]
            encode, decode = (
                None if None in column else float(np.mean(column))
                for column in zip(*times, strict=True)
            )
            rows.append({
                "name": curve.name,
                "label": curve.label,
                "group": curve.group,
                "software": one.subject.software,
                "encode_seconds": encode,
                "decode_seconds": decode,
                "idle_megabytes": round(max(r.idle_megabytes for r in one.records)),
                "peak_megabytes": round(max(r.peak_megabytes for r in one.records)),
                "points": [
                    {"setting": p.setting, "bpp": p.bpp, "n_bytes": p.n_bytes,
                     **{name: getattr(p, name) for name in benchmark.measures}}
                    for p in points
                ],
            })  # fmt: skip
    return rows


def _deltas(benchmark: Benchmark, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Each of this codec's curves against every other one, and against what was published."""
    curves = [curve for one in benchmark.measured for curve in one.subject.curves.values()]
    by_image = [_by_codec(points) for _, points in evaluation.per_image]
    means = {curve.name: evaluation.mean_curve(curve.name) for curve in curves}
    rows: list[dict[str, Any]] = []
    for curve in (c for c in curves if c.group == "codec"):
        for anchor in (a for a in curves if a.name != curve.name):
            row: dict[str, Any] = {"curve": curve.name, "anchor": anchor.name}
            for name in benchmark.measures:
                pairs = [(image[anchor.name], image[curve.name]) for image in by_image]
                row[name] = _delta(name, means[anchor.name], means[curve.name])
                each = spread([bd_rate(*_axes(name, a), *_axes(name, b)) for a, b in pairs])
                row[name]["per_image"] = each and asdict(each)
            rows.append(row)
        for other in benchmark.published.curves if benchmark.published else ():
            row = {"curve": curve.name, "anchor": other.label, "published": True}
            for name in (m for m in benchmark.measures if m in other.measures):
                values = [on_scale(name, value) for value in other.measures[name]]
                mine = _axes(name, means[curve.name])
                row[name] = {
                    "bd_rate": bd_rate(other.bpp, values, *mine),
                    "bd_quality": bd_psnr(other.bpp, values, *mine),
                }
            rows.append(row)
    return rows


def _delta(measure: str, anchor: Sequence[Point], curve: Sequence[Point]) -> dict[str, Any]:
    axes = (*_axes(measure, anchor), *_axes(measure, curve))
    return {"bd_rate": bd_rate(*axes), "bd_quality": bd_psnr(*axes)}


def _axes(measure: str, points: Iterable[Point]) -> tuple[list[float], list[float]]:
    """Rate and quality of the points at which the measure is defined."""
    known = [(p.bpp, getattr(p, measure)) for p in points if getattr(p, measure) is not None]
    return [bpp for bpp, _ in known], [on_scale(measure, value) for _, value in known]


def on_scale(measure: str, value: float) -> float:
    """The value on the scale on which a measure is drawn and its deltas are taken."""
    return decibels(value) if measure in IN_DECIBELS else value


def _by_codec(points: Iterable[Point]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.codec, []).append(point)
    return groups


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


def _processor() -> str:
    """The processor's name and number of cores, as far as the system tells."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text(encoding="utf-8").splitlines() if facts.exists() else ():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return f"{name}, {os.cpu_count()} cores"
