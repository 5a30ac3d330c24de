"""Results for the gallery's photos, made ahead of time and served as static files.

``python -m app.frames`` fills the folder: for each photo, results at 24 values of N, evenly spaced
on a logarithmic scale, and then what other codecs make of the same bytes. The page starts it as a
process of the lowest priority, so that visitors' own photos come first. Each photo has an
``index.json`` that names what is there so far; the browser swaps these pictures in while N moves,
without the server.

The folder is ``QANN_PAGE_CACHE``, or ``qann-page`` among the temporary files. What it holds depends
on the weights and on this program's version, so each has a folder of its own, and others are
deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import qann_core

from .choice import MAX_SLIDER, codec_of
from .compare.facts import PEERS, facts, peer_facts
from .compress import compress_photo, judge, peer_at_bytes
from .examples import credits, example_photo
from .photos import Photo
from .session import OPENING

N_STOPS = 24
MAX_BYTES = 400_000_000
"""The folder is not filled beyond this."""

_FORMAT = 3
"""Raised when the files or the facts change."""

_MOVING_QUALITY = 80
"""WebP quality of the pictures shown while N moves; at rest they are lossless."""

_THUMBNAIL = 240


@cache
def stops() -> tuple[int, ...]:
    """The values of N, from the smallest to the slider's largest; the opening's is among them."""
    lowest = codec_of().min_levels
    spaced = {round(n) for n in np.geomspace(lowest, MAX_SLIDER, N_STOPS)}
    nearest = min(spaced, key=lambda n: abs(n - OPENING.levels))
    return tuple(sorted(spaced - {nearest} | {OPENING.levels}))


def folder() -> Path:
    """Where everything is; the web server shows it as ``frames/``."""
    base = os.environ.get("QANN_PAGE_CACHE") or Path(tempfile.gettempdir(), "qann-page")
    path = Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


@cache
def version() -> str:
    """Changes whenever the same photo and N could give something else."""
    named = f"{_FORMAT} {qann_core.__version__} {codec_of().model_id} {stops()}"
    return hashlib.sha256(named.encode()).hexdigest()[:12]


def frame(name: str, levels: int, photo: Photo | None = None) -> dict[str, Any]:
    """The facts of an example at one N, without other codecs where they are not made yet."""
    place = folder() / version() / name / str(levels)
    if not (place / "facts.json").is_file():
        _make(photo or example_photo(name), levels, place)
    return _read(place)


def _read(place: Path) -> dict[str, Any]:
    return dict(json.loads((place / "facts.json").read_text(encoding="utf-8")))


def _write(place: Path, found: dict[str, Any]) -> None:
    scratch = place / f"facts-{os.getpid()}.tmp"
    scratch.write_text(json.dumps(found), encoding="utf-8")
    scratch.replace(place / "facts.json")


def _make(photo: Photo, levels: int, place: Path) -> None:
    result = compress_photo(photo, levels)
    result.encode_seconds = None  # taken at the lowest priority, so they would say nothing
    judge(photo, result)
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=place.parent))
    scratch.chmod(0o755)

    def link(data: bytes, file: str) -> str:
        (scratch / file).write_bytes(data)
        return _address(place / file)

    found = facts(photo, result, link)
    for side, pixels in (("quantized", result.quantized), ("restored", result.restored)):
        file = f"{side}-moving.webp"
        Image.fromarray(pixels).save(scratch / file, "WEBP", quality=_MOVING_QUALITY, method=2)
        found["sides"][side]["moving"] = _address(place / file)
    _write(scratch, found)
    try:
        scratch.rename(place)
    except OSError:  # another process was quicker
        shutil.rmtree(scratch, ignore_errors=True)


def add_peers(photo: Photo, levels: int) -> None:
    """Adds to a frame what other codecs make of the photo in as many bytes."""
    place = folder() / version() / photo.name / str(levels)
    found = _read(place)

    def link(data: bytes, file: str) -> str:
        (place / file).write_bytes(data)
        return _address(place / file)

    for name in PEERS:
        if name not in found["sides"]:
            peer = peer_at_bytes(photo, found["bytes"], name)
            found["sides"][name] = peer_facts(peer, f"{photo.name}-N{levels}", link)
    _write(place, found)


def _address(path: Path) -> str:
    return f"frames/{path.relative_to(folder()).as_posix()}"


def write_index(name: str) -> None:
    """Names all that is there of a photo, in one file that a browser fetches."""
    place = folder() / version() / name
    place.mkdir(parents=True, exist_ok=True)
    found = [
        json.loads((place / str(n) / "facts.json").read_text(encoding="utf-8"))
        for n in stops()
        if (place / str(n) / "facts.json").is_file()
    ]
    scratch = place / f"index-{os.getpid()}-{threading.get_ident()}.tmp"
    scratch.write_text(json.dumps({"stops": stops(), "frames": found}), encoding="utf-8")
    scratch.replace(place / "index.json")


def thumbnail(name: str) -> str:
    """The address of a small copy of an example; made now where it is not there yet."""
    path = folder() / version() / name / "thumbnail.webp"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        credit = next(credit for credit in credits() if credit.name == name)
        with Image.open(credit.path) as image:
            small = image.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
            scratch = path.with_suffix(f".{os.getpid()}.tmp")
            small.save(scratch, "WEBP", quality=80, method=4)
        scratch.replace(path)
    return f"frames/{version()}/{name}/thumbnail.webp"


@cache
def opening() -> dict[str, Any]:
    """What the page opens with."""
    found = frame(OPENING.photo, OPENING.levels)
    for credit in credits():
        write_index(credit.name)
    return found


def coarse_to_fine() -> Iterator[int]:
    """All stops: first a few over the whole range, then those between them."""
    seen: set[int] = set()
    for stride in (8, 4, 2, 1):
        for n in stops()[::stride]:
            if n not in seen:
                seen.add(n)
                yield n


def used_bytes() -> int:
    """What the folder holds."""
    return sum(path.stat().st_size for path in folder().rglob("*") if path.is_file())


def fill(parent: int | None) -> None:
    """Makes all that is missing, the opening photo first, until the folder's bound is reached.

    Args:
        parent: the process that it ends with; None for none.
    """
    for other in folder().iterdir():
        if other.is_dir() and other.name != version():
            shutil.rmtree(other, ignore_errors=True)
    names = sorted((credit.name for credit in credits()), key=lambda name: name != OPENING.photo)
    for work in (_fill_frame, add_peers):
        for photo in map(example_photo, names):
            for levels in coarse_to_fine():
                if parent not in (None, os.getppid()) or used_bytes() > MAX_BYTES:
                    return
                work(photo, levels)
                write_index(photo.name)


def _fill_frame(photo: Photo, levels: int) -> None:
    frame(photo.name, levels, photo)


def _yield_to_visitors() -> None:
    if hasattr(os, "nice"):  # not on Windows
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # only what nobody else wants
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    _yield_to_visitors()
    fill(int(sys.argv[1]) if len(sys.argv) > 1 else None)
