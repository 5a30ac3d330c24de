"""Keeps memory that the networks gave back: for processes that make many pictures, as the page's.

Every picture takes and frees tensors of some megabytes a few hundred times. By default glibc's
``malloc`` hands each of them back to the system, and the page faults of getting them again take
a fifth of a picture's time.
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""

_KEPT_BYTES = 512 * 1024 * 1024


def keep_freed_memory() -> None:
    """Lets the process keep up to 512 MiB that it has freed, in one heap for all threads.

    To be called before other threads start. Without glibc it does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
