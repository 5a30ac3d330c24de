"""The process that makes results ahead (``app.frames``): it stands still while visitors wait."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def _can_stop() -> bool:
    return hasattr(signal, "SIGSTOP")


class Filler:
    """One such process. Even at the lowest priority it would take caches and memory bandwidth.

    Where a system has no signal to stop it (Windows), it goes on at the lowest priority.

    It has a process group of its own: POSIX ends stopped members of a group whose parent has died,
    so that none is left behind even where this process is killed.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._waiting = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts it; it ends with this process."""
        command = [sys.executable, "-m", "app.frames", str(os.getpid())]
        self.process = subprocess.Popen(command, process_group=0 if _can_stop() else None)
        atexit.register(self.end)

    def end(self) -> None:
        """Ends it, paused or not."""
        if self.process is not None:
            self.process.kill()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is made ahead meanwhile; several threads may ask for it at once."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            before, self._waiting = self._waiting, self._waiting + change
            changes = bool(before) != bool(self._waiting)
            if self.process is not None and changes and _can_stop():
                self.process.send_signal(signal.SIGSTOP if self._waiting else signal.SIGCONT)


filler = Filler()
"""The one of this server; where it was not started, ``paused`` does nothing."""
