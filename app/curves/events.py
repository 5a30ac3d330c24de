"""Tab "Rate-distortion": what its buttons and choices do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from qann_core.evaluation.points import QUANTIZED, RESTORED, Point, curve_of, kind_label
from qann_core.evaluation.results import to_csv

from ..compare.events import setting_shown
from ..compress import Result
from ..markup import size_text, table
from ..pictures import cache_file
from ..session import Photo, Visit
from . import drawings, words
from .gallery import take_stored
from .measures import MEASURES, comparisons, curves, quality_at
from .sweeps import CODECS, n_points, points_of, sweep

_REDRAW_SECONDS = 0.5

WORKING = "Working:"
"""Before the count while a sweep runs, which can be cancelled then."""


def enter(visit: Visit, measure: str, family: str, *shown: Any) -> list[Any]:
    """The tab was opened: photo, model and N may have changed meanwhile."""
    visit.present(setting_shown(*shown))
    return draw(visit, measure, family)


def draw(visit: Visit, measure: str, family: str = CODECS, doing: str = "") -> list[Any]:
    """Chart, table, progress and download of the points so far."""
    photo, result = visit.present()
    visit.measure = measure
    take_stored(photo)
    points = points_of(photo, family)
    done, total = len(points), n_points(family, photo.choice)
    doing = doing or (
        "Complete:" if done >= total else "Not computed yet:" if not done else "So far:"
    )
    return [
        *_shown(photo, result, measure, family),
        _status(done, total, doing),
        _download(f"{photo.name}-{family.lower()}", points),
        gr.update(interactive=done < total),
    ]


def _shown(photo: Photo, result: Result, measure: str, family: str) -> list[str]:
    points = points_of(photo, family)
    chart = drawings.chart(points, MEASURES[measure], _measured(result), result.levels)
    return [chart, _table(points, measure, result)]


def _measured(result: Result) -> list[Point]:
    """The slider's present point, twice: its file decoded without and with restoration."""
    n_bytes, bpp = len(result.data), result.bits_per_pixel
    measured = {
        QUANTIZED: (result.psnr_quantized, result.ssim_quantized, result.ssimulacra2_quantized),
        RESTORED: (result.psnr_restored, result.ssim_restored, result.ssimulacra2_restored),
    }
    names = ("psnr", "ssim", "ssimulacra2")
    return [
        Point(curve_of(kind), result.levels, bpp, n_bytes, dict(zip(names, values, strict=True)))
        for kind, values in measured.items()
    ]


def _table(points: list[Point], name: str, result: Result) -> str:
    measure = MEASURES[name]
    own = quality_at(curves(points, measure).get(RESTORED, ()), result.bits_per_pixel)
    rows = [] if own is None else [(kind_label(RESTORED), measure.text(own), "")]
    rows += [
        (
            kind_label(other.codec),
            "–" if other.value is None else measure.text(other.value),
            "–" if other.bd_rate is None else f"{other.bd_rate:+.1f} %".replace("-", "−"),
        )
        for other in comparisons(points, measure, result.bits_per_pixel)
    ]
    if points and not rows:
        return f"<p>{words.TOO_SMALL.format(measure=name)}</p>"
    size = size_text(len(result.data))
    heads = ("Curve", f"{name} at {size}", "BD-rate of QANN")
    shown = table(heads, rows or [("–", "–", "–")], f"Comparison by {name}")
    return shown + f"<p class='quiet'>{words.BD_RATE.format(measure=name)}</p>"


def _status(done: int, total: int, doing: str) -> str:
    kind = "sweep working" if doing == WORKING else "sweep"
    return (
        f"<div class='{kind}' role='status'><progress max='{total}' value='{done}' "
        f"aria-label='Points computed'></progress><span>{escape(doing)} {done} of {total} points."
        "</span></div>"
    )


def _download(name: str, points: list[Point]) -> dict[str, Any]:
    if not points:
        return gr.update(value=None, visible=False)
    text = to_csv({name: points}, [measure.field for measure in MEASURES.values()])
    return gr.update(value=cache_file(text.encode(), f"{name}.csv"), visible=True)


def compute(visit: Visit, measure: str, family: str = CODECS) -> Iterator[list[Any]]:
    """Computes the missing points and shows them as they come, until done or stopped.

    They are shown by the measure that is chosen meanwhile. A new photo, model or coder stops it
    too, silently: by then the page shows that one's points.
    """
    photo, result = visit.present()
    visit.stop_sweep, visit.measure = False, measure
    take_stored(photo)
    drawn, total, under_way = 0.0, n_points(family, photo.choice), photo.points
    busy = [gr.skip(), gr.update(interactive=False)]
    status = _status(len(points_of(photo, family)), total, WORKING)
    yield [gr.skip(), gr.skip(), status, *busy]
    for _ in sweep(photo, family):
        if visit.stop_sweep or not _on_screen(visit, under_way):
            break
        if time.monotonic() - drawn > _REDRAW_SECONDS:
            drawn = time.monotonic()
            status = _status(len(points_of(photo, family)), total, WORKING)
            yield [*_shown(photo, result, visit.measure, family), status, *busy]
    if _on_screen(visit, under_way):
        yield draw(visit, visit.measure, family, "Cancelled, and kept:" if visit.stop_sweep else "")


def _on_screen(visit: Visit, points: list[Point]) -> bool:
    return visit.photo is not None and visit.photo.points is points


def stop(visit: Visit) -> None:
    """Asks the running sweep to end after its present point."""
    visit.stop_sweep = True
