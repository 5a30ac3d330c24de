"""Tab "Open a file": its components, and the one event."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..toasts import toasted
from . import words
from .events import open_file, open_sample


def build() -> None:
    """The tab's components and events."""
    gr.Markdown(words.INTRO)
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            file = gr.File(label="A .qann file", elem_id="qann-input", height=120)
            sample = gr.Button("Open a sample", size="sm", elem_id="open-sample")
            picture = gr.HTML(
                "<p class='quiet'>No file opened yet.</p>", elem_id="opened-pictures",
                min_height=420, apply_default_css=False,
            )  # fmt: skip
        with gr.Column(scale=4, min_width=320):
            about = gr.HTML(words.HINT, elem_id="header-table")
            with gr.Row(elem_classes="downloads"):
                png_file = gr.DownloadButton("Restored PNG", visible=False, size="sm")
    outputs = [picture, about, png_file, file]
    options: dict[str, Any] = {
        "api_visibility": "private", "show_progress": "minimal", "show_progress_on": [picture],
    }  # fmt: skip
    file.upload(toasted(open_file), [file], outputs, **options)
    sample.click(toasted(open_sample), None, outputs, **options)
