"""The process that makes results ahead (``app.ahead``): it stands still while visitors wait."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .frames import own_pixels, own_place, write_index
from .photos import Photo

MAX_WAITING = 50
"""Of more photos than these, results are not made ahead: each waits on disk with its pixels."""


def _can_stop() -> bool:
    return hasattr(signal, "SIGSTOP")


class Filler:
    """One such process. Even at the lowest priority it would take caches and memory bandwidth.

    Where a system has no signal to stop it (Windows), it goes on. It ends when it has nothing to do
    and is started again when it has. It also ends when its input does, that is with this process.

    It has a process group of its own: POSIX ends stopped members of a group whose parent has died,
    so that none is left behind even where this process is killed.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._waiting = 0
        self._begun: set[str] = set()
        self._made: set[str] = set()
        self._lock = threading.RLock()

    def start(self) -> None:
        """Starts it; it ends with this process."""
        with self._lock:
            if self.process is None:
                atexit.register(self.end)
            self._begun.clear()  # a new process knows of nothing
            command = [sys.executable, "-m", "app.ahead", "serve"]
            self.process = subprocess.Popen(
                command, 0, stdin=subprocess.PIPE, process_group=0 if _can_stop() else None
            )
            if _can_stop():  # and so may not read what it is sent: then messages are lost
                assert self.process.stdin is not None
                os.set_blocking(self.process.stdin.fileno(), False)
                if self._waiting:
                    self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        """Ends it, paused or not, and deletes what it made of visitors' photos."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for key in self._made:
            shutil.rmtree(own_place(key), ignore_errors=True)

    def make(self, photo: Photo) -> bool:
        """Has results of a visitor's photo made ahead, once; whether they will be there."""
        with self._lock:
            if self.process is None:
                return False
            place = own_place(photo.key)
            if photo.key in self._begun and (place / "index.json").is_file():
                return True
            if sum(own_pixels(key).is_file() for key in self._begun) >= MAX_WAITING:
                return False
            try:
                place.mkdir(0o700, parents=True, exist_ok=True)
                photo.pixels.tofile(own_pixels(photo.key))
                write_index(place)
            except OSError:  # the disk is full
                shutil.rmtree(place, ignore_errors=True)
                return False
            self._send({"key": photo.key, "name": photo.name, "shape": photo.pixels.shape})
            self._begun.add(photo.key)
            self._made.add(photo.key)
            return True

    def forget(self, photo: Photo) -> None:
        """Has what was made of a visitor's photo deleted."""
        with self._lock:
            if photo.key not in self._made:
                return
            self._made.remove(photo.key)
            self._begun.discard(photo.key)
            if self.process is not None and self.process.poll() is None:
                self._send({"key": photo.key, "forget": True})
            shutil.rmtree(own_place(photo.key), ignore_errors=True)

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            self.start()
        assert self.process.stdin is not None
        # Lost where it has just ended or is too busy: the browser asks the server for each N.
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

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
"""The one of this server; where it was not started, nothing is made ahead."""
