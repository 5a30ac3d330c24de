"""N chosen on another tab: the Compare tab follows."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .compare.events import N_RESULT_OUTPUTS, result_outputs, slide
from .compare.layout import CompareTab
from .session import Visit

EVENT: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "codec",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}
"""For events that compute a result: one at a time, and of those that wait only the last."""


def set_levels(visit: Visit, wanted: int | None, *view: Any) -> Any:
    """The visit's result at N = ``wanted``, for the outputs of ``levels_outputs``."""
    _, result = visit.present()
    if wanted is None or wanted == result.levels:
        return [gr.skip()] * (N_RESULT_OUTPUTS + 1)
    choice = result.choice
    update = slide(visit, wanted, choice.model, choice.coder, choice.effort > 0, *view)
    return [*update, wanted]


def levels_inputs(other: CompareTab) -> list[Any]:
    """What ``set_levels`` reads of the Compare tab: its view."""
    return [other.left, other.right, other.show_maps]


def levels_outputs(other: CompareTab) -> list[Any]:
    """What ``set_levels`` writes: the Compare tab's result and its N."""
    return [*result_outputs(other), other.levels]
