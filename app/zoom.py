"""Buttons that zoom a divided picture."""

from __future__ import annotations

import gradio as gr


def zoom_buttons(picture: str) -> tuple[gr.Button, gr.Button]:
    """Out and in, for the toolbar of the divided picture of this id; page.js does the work."""
    zoom_out, zoom_in = gr.Button("−"), gr.Button("+")
    for button, direction in ((zoom_out, -1), (zoom_in, 1)):
        button.click(None, js=f"() => window.qannZoom('#{picture}', {direction})")
    return zoom_out, zoom_in
