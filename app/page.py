"""The page: tabs, theme, wiring, launch options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from . import api
from .card import PreviewCard
from .compare import events
from .compare import layout as compare
from .curves import layout as curves
from .examples import EXAMPLES
from .frames import folder
from .inside import layout as inside
from .open_file import layout as open_file
from .session import Visit

TITLE = "QANN: an image codec you can look inside"

DESCRIPTION = (
    "Drag one slider and see a photo break and mend itself: N distinct values, a few kilobytes, "
    "and a network that knows N. Beside JPEG, WebP and AVIF at the same bytes."
)

HEADING = """
<h1>QANN</h1><p>A photo kept as <b>N distinct values</b>, packed with Brotli, and repaired by a
small network that knows N.</p>
"""

STATIC = Path(__file__).resolve().parent / "static"
ROOMS_CSS = [STATIC.parent / room / f"{room}.css" for room in ("curves", "inside")]
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.Theme:
    """Calm and system fonts only: the page loads nothing from anywhere else."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.orange,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_200",
        checkbox_border_color_dark="*neutral_400",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
    )


def build() -> gr.Blocks:
    """The whole page.

    Files made for visitors are deleted after an hour. At most 64 events wait. Answers of the tab
    Compare share the cores (``cores``); one sweep of curves is made at a time.
    """
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(600, 3600), fill_width=False
    ) as demo:
        visit = gr.State(Visit())
        gr.HTML(HEADING, elem_id="heading")
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Compare", id="compare", elem_id="tab-compare"):
                tab = compare.build(visit)
            with gr.Tab("Rate-distortion", id="curves", elem_id="tab-curves") as curves_tab:
                curves.build(visit, curves_tab, tab)
            with gr.Tab("Inside the codec", id="inside", elem_id="tab-inside") as inside_tab:
                inside.build(visit, inside_tab, tab)
            with gr.Tab("Open a file", id="open", elem_id="tab-open"):
                open_file.build()
        api.build()
        events.wire(tab)
    demo.queue(max_size=64, default_concurrency_limit=4)
    return demo


def _static_routes() -> list[Mount]:
    """What is served without Gradio: our scripts, the examples, and results made ahead."""
    folders = {"qann": STATIC, "photos": EXAMPLES, "frames": folder()}
    return [Mount(f"/{name}", StaticFiles(directory=path)) for name, path in folders.items()]


def launch_options() -> dict[str, Any]:
    """Options of ``demo.launch``."""
    return {
        "theme": theme(),
        "css_paths": [STATIC / "page.css", STATIC / "compare.css", *ROOMS_CSS],
        "head": '<script type="module" src="qann/main.js"></script>',
        "app_kwargs": {
            "routes": _static_routes(),
            "middleware": [Middleware(PreviewCard, TITLE, DESCRIPTION)],
        },
        # Threads for events alone: files are served by others, whatever waits.
        "max_threads": 2 * events.AT_ONCE,
        "max_file_size": "30mb",
        "mcp_server": True,
        "footer_links": ["api", "settings"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "state_session_capacity": 200,
        "show_error": False,
    }
