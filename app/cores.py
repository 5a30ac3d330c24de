"""The processor's cores, shared out between what runs at the same time.

A network that works on all cores is held up wherever something else takes one of them: its threads
wait for each other many times a millisecond. So work either has all cores or shares them by number.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import torch


class Cores(NamedTuple):
    """Executors of one thread each, in which PyTorch uses so many cores.

    Attributes:
        every: all of them, for what runs alone.
        most: all but one, and at least one.
        one: a single one, beside ``most``.
    """

    every: Executor
    most: Executor
    one: Executor


@cache
def cores() -> Cores:
    """The executors, made once."""
    count = torch.get_num_threads()
    executors = []
    for share in (count, max(1, count - 1), 1):
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"{share}-cores")
        executor.submit(torch.set_num_threads, share).result()
        executors.append(executor)
    torch.set_num_threads(count)  # a number set in a thread becomes that of all later threads
    return Cores(*executors)
