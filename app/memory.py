"""Gives memory that the networks freed back to the system: for processes that run for days.

Every picture takes and frees some hundred tensors of up to 40 MB. Left to itself, ``malloc`` of
glibc keeps a heap for each thread and, after the first large tensors, takes large ones from it too:
what visits keep then lies between holes of half a gigabyte. Huge pages (``app.py`` has PyTorch ask
for them) make up for what it costs to get memory from the system each time.
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""

_LARGE_BYTES = 16 * 1024 * 1024
"""Blocks from here on are taken from the system one by one, and given back when they are freed."""

_KEPT_BYTES = 256 * 1024 * 1024
"""What the heap may keep at its end until ``return_free_memory`` (``app.session``)."""


def give_freed_memory_back() -> None:
    """To be called before other threads start. Without glibc it does nothing."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
