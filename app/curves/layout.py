"""Tab "Rate-distortion": its components, and which of them start which events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ..choice import within
from ..compare import events as compare
from ..compare.layout import CompareTab
from ..session import Visit
from ..toasts import toasted
from . import words
from .events import compute, draw, enter, stop
from .measures import MEASURES
from .sweeps import CODECS, QUANTIZERS

CHART_JS = (Path(__file__).parent / "chart.js").read_text(encoding="utf-8")
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(visit: gr.State, tab: gr.Tab, other: CompareTab) -> None:
    """The tab's components and events; ``other`` is the Compare tab, whose N a click sets."""
    gr.Markdown(words.INTRO)
    with gr.Row(elem_classes="controls"):
        measure = gr.Radio(
            list(MEASURES), value=next(iter(MEASURES)), label="Quality measure", min_width=340,
            elem_id="measure",
        )  # fmt: skip
        family = gr.Radio(
            [CODECS, QUANTIZERS], value=CODECS, label="Compare with other",
            info=words.FAMILY_INFO, min_width=260, elem_id="family",
        )  # fmt: skip
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            chart = gr.HTML(elem_id="chart", min_height=520, js_on_load=CHART_JS)
        with gr.Column(scale=2, min_width=320):
            table = gr.HTML(elem_id="bd-table")
            status = gr.HTML("", elem_id="sweep-status", min_height=28)
            with gr.Row(elem_classes="downloads"):
                start = gr.Button("Compute curves", size="sm", min_width=130, elem_id="sweep-start")
                cancel = gr.Button("Cancel", size="sm", min_width=80, elem_id="sweep-cancel")
                csv_file = gr.DownloadButton(
                    "Points as CSV", visible=False, size="sm", min_width=120
                )
    choices, outputs = [visit, measure, family], [chart, table, status, csv_file, start]
    running = start.click(
        toasted(compute), choices, outputs, concurrency_id="curves", concurrency_limit=1, **_QUIET
    )
    # Drawing what is known takes some milliseconds, so it does not wait in the queue.
    redrawing: dict[str, Any] = {
        "fn": toasted(draw), "inputs": choices, "outputs": outputs, "queue": False, **_QUIET,
    }  # fmt: skip
    tab.select(
        toasted(enter), [*choices, *other.shown], outputs, queue=False, trigger_mode="always_last",
        **_QUIET,
    )  # fmt: skip
    measure.input(**redrawing)
    # A sweep of the other family would go on drawing its own chart; its points so far are kept.
    family.input(**redrawing, cancels=[running])
    cancel.click(stop, [visit], None, queue=False, **_QUIET)
    chosen = chart.select(toasted(_choose), [visit], [other.answer], **compare.MOVE)
    chosen.then(**redrawing)


def _choose(visit: Visit, choice: gr.SelectData) -> Iterator[Any]:
    """A point of the chart was chosen: its N is the page's."""
    photo, result = visit.present()
    wanted = within(int(choice.index), result.levels, photo.choice.model)
    yield from compare.move(visit, wanted)
