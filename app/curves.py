"""Tab "Rate-distortion": this photo's curves, point by point, kept for the visit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from qann_core import Codec
from qann_core.codec import Latents
from qann_core.peers import Peer, available_peers
from qann_core.quantization import QuantizedLatents
from qann_core.rate_distortion import (
    QUANTIZED,
    RESTORED,
    Evaluation,
    Point,
    bd_rate,
    sweep_codec,
    sweep_peer,
)

from . import cards, figures, words
from .models import DEFAULT_CHOICE, Choice, codec_of, pack
from .pictures import cache_file
from .toasts import toasted
from .visit import Photo, Result, Visit

LEVELS = (24, 36, 54, 81, 122, 183, 275, 400)
_REDRAW_SECONDS = 0.5


@dataclass(frozen=True)
class _Encoded:
    """The codec for a sweep, with the encoder's work done already."""

    codec: Codec
    latents: Latents
    choice: Choice

    def encode(self, pixels: np.ndarray, /) -> Latents:
        return self.latents

    def pack(self, latents: Latents, levels: int, /) -> bytes:
        return pack(latents, levels, self.choice)

    def unpack(self, data: bytes, /) -> QuantizedLatents:
        return self.codec.unpack(data)

    def decode(self, quantized: QuantizedLatents, /, *, restore: bool) -> np.ndarray:
        return self.codec.decode(quantized, restore)


def shown_peers() -> list[Peer]:
    """The codecs on the chart: those that this installation has."""
    names = ("jpeg", "webp", "avif", "jpegxl")
    return [peer for peer in available_peers() if peer.name in names]


def own_levels(choice: Choice) -> list[int]:
    """The N of a complete sweep: those of LEVELS that the chosen model allows."""
    codec = codec_of(choice.model)
    return [n for n in LEVELS if codec.min_levels <= n <= codec.max_levels]


def n_points(choice: Choice = DEFAULT_CHOICE) -> int:
    """How many points a complete sweep has."""
    return 2 * len(own_levels(choice)) + sum(len(peer.sweep) for peer in shown_peers())


def sweep(photo: Photo) -> Iterator[Point]:
    """The points that the photo does not have yet, added to it as they come."""
    points, choice = photo.points, photo.choice
    have = {(point.codec, point.setting) for point in points}
    levels = [n for n in own_levels(choice) if (RESTORED, n) not in have]
    codec = _Encoded(codec_of(choice.model), photo.latents(choice.model), choice)
    for point in sweep_codec(codec, photo.pixels, levels):
        if (point.codec, point.setting) not in have:
            points.append(point)
            yield point
    for peer in shown_peers():
        qualities = [q for q in peer.sweep if (peer.name, q) not in have]
        for point in sweep_peer(peer, photo.pixels, qualities):
            points.append(point)
            yield point


def as_evaluation(name: str, points: Iterable[Point]) -> Evaluation:
    """The points as the library's evaluation of one image."""
    return Evaluation(((name, tuple(points)),))


def bd_rates(points: Iterable[Point]) -> dict[str, float | None]:
    """BD-rate in per cent of the restored curve against each other curve that has points."""
    evaluation = as_evaluation("", points)
    curves = {
        codec: ([p.bpp for p in curve], [p.psnr for p in curve])
        for codec in evaluation.codecs()
        for curve in [evaluation.mean_curve(codec)]
    }
    if RESTORED not in curves:
        return {}
    return {
        codec: bd_rate(*curve, *curves[RESTORED])
        for codec, curve in curves.items()
        if codec != RESTORED
    }


def _table(points: list[Point]) -> str:
    rows = []
    for codec, value in bd_rates(points).items():
        count = sum(point.codec == codec for point in points)
        text = "–" if value is None else f"{value:+.1f} %".replace("-", "−")
        rows.append((figures.codec_label(codec), text, str(count)))
    if not rows:
        rows = [("–", "–", "0")]
    return (
        cards.table(
            ("Against", "BD-rate of QANN restored", "Points"), rows, "BD-rate against each codec"
        )
        + "<p class='quiet'>BD-rate: how many per cent more (+) or fewer (−) bits QANN needs for "
        "the same PSNR, averaged over the range that both curves share; – where they share "
        "too little.</p>"
    )


def _status(photo: Photo, doing: str) -> str:
    done, total = len(photo.points), n_points(photo.choice)
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


def draw(visit: Visit, measure: str, doing: str = "") -> list[Any]:
    """Chart, table, progress and downloads of the points so far."""
    photo, result = visit.present()
    current = _current(result)
    chart = figures.rate_distortion(photo.points, measure, current)
    if not doing:
        finished = len(photo.points) >= n_points(photo.choice)
        doing = "Done:" if finished else "Ready to go on:" if photo.points else "Not started:"
    update = [chart, _table(photo.points), _status(photo, doing)]
    return [*update, *_downloads(photo, measure, current)]


def _downloads(photo: Photo, measure: str, current: list[Point]) -> list[Any]:
    if not photo.points:
        return [gr.update(value=None, interactive=False)] * 2
    table = as_evaluation(photo.name, photo.points).to_csv()
    png = figures.png(figures.rate_distortion(photo.points, measure, current))
    return [
        gr.update(value=cache_file(table.encode(), f"{photo.name}-curves.csv"), interactive=True),
        gr.update(value=cache_file(png, f"{photo.name}-curves.png"), interactive=True),
    ]


def compute(visit: Visit, measure: str) -> Iterator[list[Any]]:
    """Computes the missing points and shows them as they come, until done or stopped.

    A new photo, model or coder stops it too, silently: by then the page shows that one's points.
    """
    photo, result = visit.present()
    points = photo.points
    visit.stop_sweep = False
    drawn = 0.0
    yield [gr.skip(), gr.skip(), _status(photo, "Working:"), gr.skip(), gr.skip()]
    for _ in sweep(photo):
        if visit.stop_sweep or not _on_screen(visit, points):
            break
        if time.monotonic() - drawn > _REDRAW_SECONDS:
            drawn = time.monotonic()
            chart = figures.rate_distortion(photo.points, measure, _current(result))
            status = _status(photo, "Working:")
            yield [chart, _table(photo.points), status, gr.skip(), gr.skip()]
    if _on_screen(visit, points):
        yield draw(visit, measure, "Cancelled, and kept:" if visit.stop_sweep else "")


def _on_screen(visit: Visit, points: list[Point]) -> bool:
    return visit.photo is not None and visit.photo.points is points


def stop(visit: Visit) -> None:
    """Asks the running sweep to end after its present point."""
    visit.stop_sweep = True


def build(visit: gr.State, tab: gr.Tab) -> None:
    """The tab's components and events."""
    gr.Markdown(words.CURVES_INTRO)
    with gr.Row(elem_classes="controls"):
        measure = gr.Radio(
            list(figures.MEASURES), value="PSNR", label="Quality measure", min_width=300
        )
        start = gr.Button("Compute curves", variant="primary", min_width=150, elem_id="sweep-start")
        cancel = gr.Button("Cancel", min_width=100, elem_id="sweep-cancel")
    status = gr.HTML("", elem_id="sweep-status", min_height=28)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            chart = gr.Plot(
                label="Quality over bits per pixel", show_label=False, elem_id="chart", format="png"
            )
        with gr.Column(scale=2, min_width=320):
            table = gr.HTML(elem_id="bd-table")
            with gr.Row(elem_classes="downloads"):
                csv_file = gr.DownloadButton("Points as CSV", interactive=False, size="sm")
                png_file = gr.DownloadButton("Chart as PNG", interactive=False, size="sm")
    outputs = [chart, table, status, csv_file, png_file]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    start.click(
        toasted(compute),
        [visit, measure],
        outputs,
        concurrency_id="curves",
        concurrency_limit=1,
        **quiet,
    )
    redraw = toasted(draw)
    tab.select(redraw, [visit, measure], outputs, trigger_mode="always_last", **quiet)
    measure.input(redraw, [visit, measure], outputs, trigger_mode="always_last", **quiet)
    cancel.click(stop, [visit], None, queue=False, **quiet)
