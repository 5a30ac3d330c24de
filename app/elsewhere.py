"""N chosen on another tab: the Compare tab follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from .compare.events import move
from .session import Visit

EVENT: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "codec",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}
"""For events that compute a result: one at a time, and of those that wait only the last."""


def set_levels(visit: Visit, wanted: int | None) -> Iterator[Any]:
    """The visit's result at N = ``wanted``, for the Compare tab's ``answer``."""
    _, result = visit.present()
    if wanted is None or wanted == result.levels:
        yield gr.skip()
    else:
        yield from move(visit, wanted)
