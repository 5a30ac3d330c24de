"""The processor's cores, shared out between the answers that are made at the same time.

A network that works on all cores is held up wherever something else takes one of them: its threads
wait for each other many times a millisecond. So answers share the cores by number.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch

_count = torch.get_num_threads()
_lock = threading.Lock()
_at_work = 0


def count() -> int:
    """How many cores there are."""
    return _count


@contextmanager
def at_work() -> Iterator[None]:
    """An answer is made meanwhile."""
    global _at_work
    with _lock:
        _at_work += 1
    try:
        yield
    finally:
        with _lock:
            _at_work -= 1


def take(spared: int = 0) -> None:
    """This thread's next networks run on this answer's share of the cores, but for ``spared``."""
    _use(max(1, _count // max(1, _at_work) - spared))


def give_back() -> None:
    """What this thread does next, and new threads, may use all cores again."""
    _use(_count)


@cache
def beside() -> ThreadPoolExecutor:
    """For what runs on one core beside a network."""
    return ThreadPoolExecutor(_count, "one-core", initializer=_use, initargs=(1,))


def _use(threads: int) -> None:
    torch.get_num_threads()  # a thread's first operation else takes the process's number
    torch.set_num_threads(threads)
