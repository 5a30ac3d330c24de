"""The processor's cores, shared out between the answers that are made at the same time.

A network that works on all cores is held up wherever something else takes one of them: its threads
wait for each other many times a millisecond. So answers share the cores by number, and are made by
as many threads of this module's own: PyTorch keeps memory for each thread that it ever worked in.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch

from qann_core import ParameterError

_Made = TypeVar("_Made")

ROOM_PIXELS = 6_000_000
"""How large all photos may be together between the parts of their answers: about 100 MB."""

PATIENCE_SECONDS = 240
"""How long an answer waits for those before it."""

_count = torch.get_num_threads()
_asked = 0
_changed = threading.Condition()
_outside: deque[object] = deque()
_pixels_begun = 0


def run(make: Callable[[], _Made]) -> _Made:
    """What ``make`` returns or raises, once there is a core for it, in the order of calls.

    ``make`` may not call this function: all cores could wait for each other. Each part of an answer
    is a call of its own, so that in a crowd nobody waits for a first picture until all earlier
    answers are complete.
    """
    _count_asked(1)
    try:
        return _answers().submit(make).result()
    finally:
        _count_asked(-1)


def take() -> None:
    """This thread's next networks run on this answer's share of the cores."""
    _use(max(1, _count // max(1, _asked)))


def crowded() -> bool:
    """Whether answers wait for a core or for memory."""
    return _asked > _count or bool(_outside)


@contextmanager
def begun(pixels: int) -> Iterator[None]:
    """The parts of an answer are made meanwhile; waits until there is memory for it.

    Raises:
        ParameterError: when that takes too long.
    """
    global _pixels_begun
    place = object()
    with _changed:
        _outside.append(place)
        try:
            if not _changed.wait_for(
                lambda: (
                    _outside[0] is place
                    and (not _pixels_begun or _pixels_begun + pixels <= ROOM_PIXELS)
                ),
                PATIENCE_SECONDS,
            ):
                raise ParameterError("There are too many visitors; please try again later.")
            _pixels_begun += pixels
        finally:
            _outside.remove(place)
            _changed.notify_all()
    try:
        yield
    finally:
        with _changed:
            _pixels_begun -= pixels
            _changed.notify_all()


@cache
def beside() -> ThreadPoolExecutor:
    """For what runs on one core beside a network."""
    return ThreadPoolExecutor(_count, "one-core", initializer=_use, initargs=(1,))


@cache
def _answers() -> ThreadPoolExecutor:
    answers = ThreadPoolExecutor(_count, "answers")
    atexit.register(answers.shutdown, wait=False, cancel_futures=True)
    return answers


def _count_asked(change: int) -> None:
    global _asked
    with _changed:
        _asked += change
    if not _asked:
        _use(_count)  # what PyTorch does elsewhere may use all cores


def _use(threads: int) -> None:
    torch.get_num_threads()  # a thread's first operation else takes the process's number
    torch.set_num_threads(threads)
