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
from qann_core.codec import AnyCodec, EncodedCodec, Latents
from qann_core.comparators import comparators, sweep_comparator
from qann_core.comparators.told import FACTORS, sweep_told
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
CODECS, QUANTIZERS = "Codecs", "Quantizers"
"""What QANN is compared with: other codecs, or other ways to reduce the same latents."""

_REDRAW_SECONDS = 0.5


@dataclass(frozen=True)
class _Chosen:
    """The visitor's choice for a sweep, with the encoder's work done already."""

    codec: AnyCodec
    latents: Latents
    choice: Choice

    def encode(self, pixels: np.ndarray, /) -> Latents:
        return self.latents

    def pack(self, latents: Latents, levels: int, /) -> bytes:
        integers = self.codec.quantize(latents, levels, self.choice.effort)
        return pack(integers, self.choice)

    def unpack(self, data: bytes, /) -> QuantizedLatents:
        return self.codec.unpack(data)

    def decode(self, quantized: QuantizedLatents, /, *, restore: bool) -> np.ndarray:
        return self.codec.decode(quantized, restore)


def shown_peers() -> list[Peer]:
    """The codecs on the chart: those that this installation has."""
    names = ("jpeg", "webp", "avif", "jpegxl")
    return [peer for peer in available_peers() if peer.name in names]


def settings_by_codec(family: str, choice: Choice = DEFAULT_CHOICE) -> dict[str, tuple[int, ...]]:
    """The curves of a family, CODECS or QUANTIZERS, and the settings of each one's points.

    The chosen model may allow fewer N than LEVELS; other quantizers need a pyramid of latents.
    """
    codec = codec_of(choice.model)
    levels = tuple(n for n in LEVELS if codec.min_levels <= n <= codec.max_levels)
    curves = dict.fromkeys((QUANTIZED, RESTORED), levels)
    if family == CODECS:
        return curves | {peer.name: tuple(peer.sweep) for peer in shown_peers()}
    if not isinstance(codec, Codec):
        return curves
    others = {comparator.name: comparator.settings for comparator in comparators()}
    return curves | others | dict.fromkeys(FACTORS, levels)


def n_points(family: str = CODECS, choice: Choice = DEFAULT_CHOICE) -> int:
    """How many points a complete sweep of a family has."""
    return sum(len(settings) for settings in settings_by_codec(family, choice).values())


def points_of(photo: Photo, family: str) -> list[Point]:
    """The photo's points so far that belong to a family."""
    shown = settings_by_codec(family, photo.choice)
    return [point for point in photo.points if point.codec in shown]


def sweep(photo: Photo, family: str = CODECS) -> Iterator[Point]:
    """The points of a family that the photo does not have yet, added to it as they come."""
    points = photo.points
    have = {(point.codec, point.setting) for point in points}
    missing = {
        codec: [setting for setting in settings if (codec, setting) not in have]
        for codec, settings in settings_by_codec(family, photo.choice).items()
    }
    latents = photo.latents(photo.choice.model)
    for curve in _sweeps(latents, photo.choice, photo.pixels, missing):
        for point in curve:
            if (point.codec, point.setting) not in have:
                points.append(point)
                yield point


def _sweeps(
    latents: Latents, choice: Choice, pixels: np.ndarray, missing: dict[str, list[int]]
) -> Iterator[Iterator[Point]]:
    """The sweeps that give the missing settings of every codec, one after the other."""
    chosen = codec_of(choice.model)
    yield sweep_codec(_Chosen(chosen, latents, choice), pixels, missing[RESTORED])
    for peer in shown_peers():
        yield sweep_peer(peer, pixels, missing.get(peer.name, ()))
    if not isinstance(chosen, Codec):
        return
    codec = EncodedCodec(chosen, latents)
    for comparator in comparators():
        yield sweep_comparator(codec, comparator, pixels, missing.get(comparator.name, ()))
    yield sweep_told(codec, pixels, missing.get(next(reversed(FACTORS)), ()))


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
    chart = figures.rate_distortion(points, measure, current)
    if not doing:
        finished = len(points) >= total
        doing = "Done:" if finished else "Ready to go on:" if points else "Not started:"
    update = [chart, _table(points), _status(len(points), total, doing)]
    return [*update, *_downloads(f"{photo.name}-{family.lower()}", points, measure, current)]


def _downloads(name: str, points: list[Point], measure: str, current: list[Point]) -> list[Any]:
    if not points:
        return [gr.update(value=None, interactive=False)] * 2
    table = as_evaluation(name, points).to_csv()
    png = figures.png(figures.rate_distortion(points, measure, current))
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
            chart = figures.rate_distortion(points, measure, _current(result))
            status = _status(len(points), total, "Working:")
            yield [chart, _table(points), status, gr.skip(), gr.skip()]
    if _on_screen(visit, under_way):
        yield draw(visit, measure, family, "Cancelled, and kept:" if visit.stop_sweep else "")


def _on_screen(visit: Visit, points: list[Point]) -> bool:
    return visit.photo is not None and visit.photo.points is points


def stop(visit: Visit) -> None:
    """Asks the running sweep to end after its present point."""
    visit.stop_sweep = True


def build(visit: gr.State, tab: gr.Tab) -> None:
    """The tab's components and events."""
    gr.Markdown(words.CURVES_INTRO)
    with gr.Row(elem_classes="controls"):
        family = gr.Radio(
            [CODECS, QUANTIZERS],
            value=CODECS,
            label="Compare with other",
            min_width=260,
            elem_id="family",
        )
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
    running = start.click(
        toasted(compute),
        [visit, measure, family],
        outputs,
        concurrency_id="curves",
        concurrency_limit=1,
        **quiet,
    )
    redraw = toasted(draw)
    tab.select(redraw, [visit, measure, family], outputs, trigger_mode="always_last", **quiet)
    measure.input(redraw, [visit, measure, family], outputs, trigger_mode="always_last", **quiet)
    # A sweep of the other family would go on drawing its own chart; its points so far are kept.
    family.input(
        redraw,
        [visit, measure, family],
        outputs,
        cancels=[running],
        trigger_mode="always_last",
        **quiet,
    )
    cancel.click(stop, [visit], None, queue=False, **quiet)
