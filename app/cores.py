"""The processor's cores, shared out between what must not get in each other's way.

A network that works on all cores is held up wherever something else takes one of them: its threads
wait for each other many times a millisecond. So one core is kept out of the largest network's work,
and all else runs there meanwhile.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache

import torch


@cache
def shares() -> tuple[Executor, Executor]:
    """Two executors of one thread each: PyTorch uses all cores but one in the first, and one core
    in the second."""
    cores = torch.get_num_threads()
    executors = []
    for share in (max(1, cores - 1), 1):
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"{share}-cores")
        executor.submit(torch.set_num_threads, share).result()
        executors.append(executor)
    torch.set_num_threads(cores)  # a number set in a thread becomes that of all later threads
    return executors[0], executors[1]
