"""The program that makes results ahead of time (``app.frames``): ``python -m app.ahead``.

By itself it makes those of the gallery: the pictures of all photos first, then what other codecs
make of the same bytes. Started by the page (``app.filler``) it also makes those of visitors' own
photos, before all else and the newest photo first, and ends when there is nothing left to do.

It runs at the lowest priority, so that visitors come first.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .choice import OPENING
from .examples import credits, example_photo
from .frames import (
    OWN,
    add_peers,
    folder,
    frame,
    own_pixels,
    own_place,
    own_places,
    place_of,
    stops,
    version,
    write_index,
)
from .memory import give_freed_memory_back
from .photos import Photo, latents_pool

GALLERY_BYTES = 400_000_000
"""The gallery's results are not made beyond this."""

OWN_BYTES = 1_000_000_000
"""Beyond this the results of visitors' photos that were made first are deleted."""

LEFT_SECONDS = 2 * 3600
"""Results of a visitor's photo that have not been added to for so long were left by a server that
was killed."""

IDLE_SECONDS = 20
"""How long it waits for another photo before it ends and frees its memory."""

Message = dict[str, Any]
"""From the page: the "key" of a photo to "forget"; or of one to begin, with its "name" and the
"shape" of its pixels, which are in ``own_pixels``."""


def coarse_to_fine() -> Iterator[int]:
    """All values of N: first a few over the whole range, then those between them."""
    seen: set[int] = set()
    for stride in (8, 4, 2, 1):
        for n in stops()[::stride]:
            if n not in seen:
                seen.add(n)
                yield n


def n_bytes(place: Path) -> int:
    """What a folder holds; nothing where it has just been deleted."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return 0


class Work:
    """What is left to do, one result at a time."""

    def __init__(self) -> None:
        self._gallery = self._gallery_steps()
        self._own: dict[str, Iterator[None]] = {}
        _tidy()

    def take(self, message: Message) -> None:
        """Begins a visitor's photo, or forgets one."""
        key = message["key"]
        if "forget" in message:
            self._own.pop(key, None)
            latents_pool.drop(key)
            shutil.rmtree(own_place(key), ignore_errors=True)
        else:
            with suppress(OSError, ValueError):  # it has been forgotten meanwhile
                self._own[key] = self._own_steps(_photo(message))

    def step(self) -> bool:
        """One result more; whether there was something to do."""
        while self._own:
            key = next(reversed(self._own))
            try:
                next(self._own[key])
                return True
            except Exception:  # it is done, or fails; the others go on
                self._own.pop(key)
                latents_pool.drop(key)
        try:
            return next(self._gallery, False)
        except OSError:  # the disk is full
            return False

    def _gallery_steps(self) -> Iterator[bool]:
        names = sorted(
            (credit.name for credit in credits()), key=lambda name: name != OPENING.photo
        )
        for make in (frame, add_peers):
            for photo in map(example_photo, names):
                for levels in coarse_to_fine():
                    if n_bytes(folder()) - sum(map(n_bytes, own_places())) > GALLERY_BYTES:
                        return
                    make(photo, levels)
                    write_index(place_of(photo))
                    yield True

    def _own_steps(self, photo: Photo) -> Iterator[None]:
        place = place_of(photo)
        for levels in coarse_to_fine():
            frame(photo, levels)
            write_index(place)
            self._make_room(place)
            yield

    def _make_room(self, newest: Path) -> None:
        """Deletes results of other photos, those that were made first, where there are too many."""
        sizes = {place: n_bytes(place) for place in own_places()}
        total = sum(sizes.values())
        for place, size in sizes.items():
            if total <= OWN_BYTES:
                return
            if place != newest:
                self._own.pop(place.name.removeprefix(OWN), None)
                shutil.rmtree(place, ignore_errors=True)
                total -= size


def _photo(message: Message) -> Photo:
    path = own_pixels(message["key"])
    pixels = np.fromfile(path, np.uint8).reshape(message["shape"])
    path.unlink()
    return Photo(message["name"], pixels, key=message["key"])


def _tidy() -> None:
    """Deletes results of other versions, and what killed servers left of their visitors."""
    for other in folder().iterdir():
        if other.is_dir() and other.name != version():
            shutil.rmtree(other, ignore_errors=True)
    for place in own_places():
        if time.time() - place.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(place, ignore_errors=True)


def _receive(inbox: queue.SimpleQueue[Message]) -> None:
    """Hands on what the page writes, a line each; ends this process with the page."""
    for line in sys.stdin:
        inbox.put(json.loads(line))
    os._exit(0)


def serve() -> None:
    """Does what the page asks for, then the gallery, until there is nothing more to do."""
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(inbox,), daemon=True).start()
    work = Work()
    busy = True
    while True:
        try:
            while True:
                work.take(inbox.get(timeout=0 if busy else IDLE_SECONDS))
                busy = True
        except queue.Empty:
            if not busy:
                os._exit(0)  # at once, so that no message is lost on the way
        busy = work.step()


def _yield_to_visitors() -> None:
    if hasattr(os, "nice"):  # not on Windows
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # only what nobody else wants
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    give_freed_memory_back()
    _yield_to_visitors()
    if "serve" in sys.argv:
        serve()
    else:
        work = Work()
        while work.step():
            pass
