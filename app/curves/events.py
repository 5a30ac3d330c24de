"""Tab "Rate-distortion": what its buttons and choices do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from qann_core.rate_distortion import QUANTIZED, RESTORED, Point

from ..compress import Result
from ..markup import table
from ..pictures import cache_file
from ..session import Visit
from . import drawings
from .sweeps import CODECS, as_evaluation, bd_rates, n_points, points_of, sweep

_REDRAW_SECONDS = 0.5


def _table(points: list[Point]) -> str:
    rows = []
    for codec, value in bd_rates(points).items():
        count = sum(point.codec == codec for point in points)
        text = "–" if value is None else f"{value:+.1f} %".replace("-", "−")
        rows.append((drawings.codec_label(codec), text, str(count)))
    if not rows:
        rows = [("–", "–", "0")]
    return (
        table(("Against", "BD-rate of QANN restored", "Points"), rows, "BD-rate against each codec")
        + "<p class='quiet'>BD-rate: how many per cent more (+) or fewer (−) bits QANN needs for "
        "the same PSNR, averaged over the range that both curves share; – where they share "
        "too little.</p>"
    )


def _status(done: int, total: int, doing: str) -> str:
    return (
        f"<div class='sweep' role='status'><progress max='{total}' value='{done}' "
        f"aria-label='Points computed'></progress><span>{escape(doing)} {done} of {total} points."
        "</span></div>"
    )


def _current(result: Result) -> list[Point]:
    """The slider's present point, twice: its file decoded without and with restoration."""
    n_bytes, bpp = len(result.data), result.bits_per_pixel
    return [
        Point(QUANTIZED, result.levels, bpp, n_bytes, result.psnr_quantized, result.ssim_quantized),
        Point(RESTORED, result.levels, bpp, n_bytes, result.psnr_restored, result.ssim_restored),
    ]


def draw(visit: Visit, measure: str, family: str = CODECS, doing: str = "") -> list[Any]:
    """Chart, table, progress and downloads of the points so far."""
    photo, result = visit.present()
    points, current = points_of(photo, family), _current(result)
    total = n_points(family, photo.choice)
    chart = drawings.rate_distortion(points, measure, current)
    if not doing:
        finished = len(points) >= total
        doing = "Done:" if finished else "Ready to go on:" if points else "Not started:"
    update = [chart, _table(points), _status(len(points), total, doing)]
    return [*update, *_downloads(f"{photo.name}-{family.lower()}", points, measure, current)]


def _downloads(name: str, points: list[Point], measure: str, current: list[Point]) -> list[Any]:
    if not points:
        return [gr.update(value=None, interactive=False)] * 2
    table = as_evaluation(name, points).to_csv()
    png = drawings.png(drawings.rate_distortion(points, measure, current))
    return [
        gr.update(value=cache_file(table.encode(), f"{name}.csv"), interactive=True),
        gr.update(value=cache_file(png, f"{name}.png"), interactive=True),
    ]


def compute(visit: Visit, measure: str, family: str = CODECS) -> Iterator[list[Any]]:
    """Computes the missing points and shows them as they come, until done or stopped.

    A new photo, model or coder stops it too, silently: by then the page shows that one's points.
    """
    photo, result = visit.present()
    visit.stop_sweep = False
    drawn, total, under_way = 0.0, n_points(family, photo.choice), photo.points
    status = _status(len(points_of(photo, family)), total, "Working:")
    yield [gr.skip(), gr.skip(), status, gr.skip(), gr.skip()]
    for _ in sweep(photo, family):
        if visit.stop_sweep or not _on_screen(visit, under_way):
            break
        if time.monotonic() - drawn > _REDRAW_SECONDS:
            drawn = time.monotonic()
            points = points_of(photo, family)
            chart = drawings.rate_distortion(points, measure, _current(result))
            status = _status(len(points), total, "Working:")
            yield [chart, _table(points), status, gr.skip(), gr.skip()]
    if _on_screen(visit, under_way):
        yield draw(visit, measure, family, "Cancelled, and kept:" if visit.stop_sweep else "")


def _on_screen(visit: Visit, points: list[Point]) -> bool:
    return visit.photo is not None and visit.photo.points is points


def stop(visit: Visit) -> None:
    """Asks the running sweep to end after its present point."""
    visit.stop_sweep = True
