"""What goes wrong on purpose becomes a toast; the page stays as it was."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import gradio as gr

from qann_core import QannError


def toasted(function: Callable[..., Any]) -> Callable[..., Any]:
    """For a listener: a QannError is shown as a toast, and no output changes."""

    @functools.wraps(function)
    def shielded(*args: Any) -> Any:
        try:
            return function(*args)
        except QannError as error:
            gr.Warning(str(error), title="That did not work")
            return gr.skip()

    return shielded


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """For an endpoint: a QannError becomes the error that the client receives."""

    @functools.wraps(function)
    def shielded(*args: Any) -> Any:
        try:
            return function(*args)
        except QannError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return shielded


def tell(notices: Iterable[str]) -> None:
    """Shows what was changed in a photo on the way in."""
    for notice in notices:
        gr.Info(notice)
