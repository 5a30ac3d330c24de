"""Around every listener: what goes wrong on purpose becomes a toast, and the filler pauses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from qann_core import QannError

from .filler import filler


@contextmanager
def _warning() -> Iterator[None]:
    try:
        with filler.paused():
            yield
    except QannError as error:
        gr.Warning(str(error), title="That did not work")


def toasted(function: Callable[..., Any]) -> Callable[..., Any]:
    """For a listener, a generator or not: a QannError becomes a toast, and no output changes."""

    @functools.wraps(function)
    def once(*args: Any) -> Any:
        with _warning():
            return function(*args)
        return gr.skip()

    @functools.wraps(function)
    def stream(*args: Any) -> Any:
        with _warning():
            yield from function(*args)

    return stream if inspect.isgeneratorfunction(function) else once


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """For an endpoint: a QannError becomes the error that the client receives."""

    @functools.wraps(function)
    def shielded(*args: Any) -> Any:
        try:
            with filler.paused():
                return function(*args)
        except QannError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return shielded


def tell(notices: Iterable[str]) -> None:
    """Shows what was changed in a photo on the way in."""
    for notice in notices:
        gr.Info(notice)
