"""The processor's cores, shared out between the answers that are made at the same time.

A network that works on all cores is held up wherever something else takes one of them: its threads
wait for each other many times a millisecond. So answers share the cores by number, and are made by
as many threads of this module's own: PyTorch keeps memory for each thread that it ever worked in.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch

from .memory import trim

_Made = TypeVar("_Made")

LATER_SECONDS = 1
"""A first part of an answer goes before second parts that have waited for less, and so on."""

ROOM_PIXELS = 6_000_000
"""How large all photos may be together whose answers have been begun: about 100 MB."""

REST_SECONDS = 2
"""After so long without work, free memory is given back."""

_count = torch.get_num_threads()
_changed = threading.Condition()
_waiting: list[tuple[float, int, Callable[[], Any], Future[Any]]] = []
_arrivals = itertools.count()
_at_work = 0
_outside: deque[object] = deque()
_pixels_begun = 0


def crowded() -> bool:
    """Whether answers wait for a core or for memory."""
    return bool(_waiting or _outside)


@contextmanager
def begun(pixels: int) -> Iterator[None]:
    """An answer of several parts is made meanwhile; waits until there is memory for it."""
    global _pixels_begun
    place = object()
    with _changed:
        _outside.append(place)
        _changed.wait_for(
            lambda: (
                _outside[0] is place
                and (not _pixels_begun or _pixels_begun + pixels <= ROOM_PIXELS)
            )
        )
        _outside.popleft()
        _pixels_begun += pixels
        _changed.notify_all()
    try:
        yield
    finally:
        with _changed:
            _pixels_begun -= pixels
            _changed.notify_all()


def run(part: int, make: Callable[[], _Made]) -> _Made:
    """What ``make`` returns or raises, once there was a core for it.

    Early parts of answers go first, so that in a crowd nobody waits for a first picture until all
    earlier answers are complete.
    """
    _start()
    made: Future[_Made] = Future()
    with _changed:
        place = time.monotonic() + LATER_SECONDS * part, next(_arrivals)
        heapq.heappush(_waiting, (*place, make, made))
        _changed.notify_all()
    return made.result()


def take(spared: int = 0) -> None:
    """This thread's next networks run on this answer's share of the cores, but for ``spared``."""
    _use(max(1, _count // max(1, _at_work) - spared))


@cache
def beside() -> ThreadPoolExecutor:
    """For what runs on one core beside a network."""
    return ThreadPoolExecutor(_count, "one-core", initializer=_use, initargs=(1,))


@cache
def _start() -> None:
    for _ in range(_count):
        threading.Thread(target=_work, name="answers", daemon=True).start()


def _work() -> None:
    while True:
        _next()


def _next() -> None:
    """The next part of an answer; afterwards new threads may use all cores again."""
    global _at_work
    with _changed:
        if not _changed.wait_for(lambda: _waiting, REST_SECONDS):
            trim()
            _changed.wait_for(lambda: _waiting)
        *_, make, made = heapq.heappop(_waiting)
        _at_work += 1
    try:
        made.set_result(make())
    except BaseException as error:
        made.set_exception(error)
    finally:
        _use(_count)
        with _changed:
            _at_work -= 1


def _use(threads: int) -> None:
    torch.get_num_threads()  # a thread's first operation else takes the process's number
    torch.set_num_threads(threads)
