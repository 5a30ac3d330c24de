"""Tab "Rate-distortion": its components, and which of them start which events."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..toasts import toasted
from . import drawings, words
from .events import compute, draw, stop
from .sweeps import CODECS, QUANTIZERS


def build(visit: gr.State, tab: gr.Tab) -> None:
    """The tab's components and events."""
    gr.Markdown(words.INTRO)
    with gr.Row(elem_classes="controls"):
        family = gr.Radio(
            [CODECS, QUANTIZERS],
            value=CODECS,
            label="Compare with other",
            min_width=260,
            elem_id="family",
        )
        measure = gr.Radio(
            list(drawings.MEASURES), value="PSNR", label="Quality measure", min_width=300
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
