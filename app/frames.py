"""Results made ahead of time and served as static files: of the gallery and of visitors' photos.

For each photo there are results at 24 values of N, evenly spaced on a logarithmic scale. Each photo
has an ``index.json`` that names what is there so far; the browser swaps these pictures in while N
moves, without the server. ``app.ahead`` makes them, in a process of its own.

The folder is ``QANN_PAGE_CACHE``, or ``qann-page`` among the temporary files. What it holds depends
on the weights and on this program's version, so each has a folder of its own. A visitor's photo has
one whose name cannot be guessed; it is deleted when the visit ends or is forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import qann_core

from .choice import MAX_SLIDER, OPENING, codec_of
from .compare.facts import PEERS, facts, peer_facts
from .compress import compress_photo, judge, peer_at_bytes
from .examples import credits, example_photo
from .photos import Photo

N_STOPS = 24
_FORMAT = 4
"""Raised when the files or the facts change."""

_MOVING_QUALITY = 80
"""WebP quality of the pictures shown while N moves; at rest they are lossless."""

_THUMBNAIL = 240

OWN = "own-"
"""Begins the name of the folder of a visitor's photo."""


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


def gallery_place(name: str) -> Path:
    """The folder of an example."""
    return folder() / version() / name


def own_place(key: str) -> Path:
    """The folder of a visitor's photo, by the photo's ``key``."""
    return folder() / version() / (OWN + key)


def own_pixels(key: str) -> Path:
    """Where a visitor's photo waits for the process that makes the results: raw samples."""
    return own_place(key) / "pixels"


def own_places() -> list[Path]:
    """The folders of all visitors' photos, the one that was written to last at the end."""
    written = {}
    for place in (folder() / version()).glob(OWN + "*"):
        try:
            written[place] = place.stat().st_mtime
        except FileNotFoundError:  # its visit has just ended
            continue
    return sorted(written, key=written.__getitem__)


def place_of(photo: Photo) -> Path:
    """The folder of a photo's results."""
    return gallery_place(photo.name) if photo.bundled else own_place(photo.key)


def frame(photo: Photo, levels: int) -> dict[str, Any]:
    """The facts of a photo at one N, made now where they are not there yet.

    Other codecs are among them once ``add_peers`` has been there.
    """
    place = place_of(photo) / str(levels)
    if not (place / "facts.json").is_file():
        _make(photo, levels, place)
    return _read(place)


def _read(place: Path) -> dict[str, Any]:
    return dict(json.loads((place / "facts.json").read_text(encoding="utf-8")))


def _write(path: Path, found: dict[str, Any]) -> None:
    """Writes JSON in one go, since browsers and other processes may read it at any time."""
    scratch = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    scratch.write_text(json.dumps(found), encoding="utf-8")
    scratch.replace(path)


def _make(photo: Photo, levels: int, place: Path) -> None:
    result = compress_photo(photo, levels)
    result.encode_seconds = None  # taken at the lowest priority, so they would say nothing
    judge(photo, result)
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=place.parent))
    scratch.chmod(0o755)

    def link(data: bytes, file: str) -> str:
        (scratch / file).write_bytes(data)
        return address(place / file)

    found = facts(photo, result, link)
    for side, pixels in (("quantized", result.quantized), ("restored", result.restored)):
        file = f"{side}-moving.webp"
        Image.fromarray(pixels).save(scratch / file, "WEBP", quality=_MOVING_QUALITY, method=2)
        found["sides"][side]["moving"] = address(place / file)
    _write(scratch / "facts.json", found)
    try:
        scratch.rename(place)
    except OSError:  # another process was quicker
        shutil.rmtree(scratch, ignore_errors=True)


def add_peers(photo: Photo, levels: int) -> None:
    """Adds to a frame what other codecs make of the photo in as many bytes."""
    place = place_of(photo) / str(levels)
    found = _read(place)

    def link(data: bytes, file: str) -> str:
        (place / file).write_bytes(data)
        return address(place / file)

    for name in PEERS:
        if name not in found["sides"]:
            peer = peer_at_bytes(photo, found["bytes"], name)
            found["sides"][name] = peer_facts(peer, f"{photo.name}-N{levels}", link)
    _write(place / "facts.json", found)


def address(path: Path) -> str:
    """Where browsers find a file or folder of these."""
    return f"frames/{path.relative_to(folder()).as_posix()}"


def write_index(place: Path) -> None:
    """Names all that is there of a photo, in one file that a browser fetches.

    "whole" says that nothing will be added: of an example, other codecs are waited for.
    """
    place.mkdir(parents=True, exist_ok=True)
    found = [_read(place / str(n)) for n in stops() if (place / str(n) / "facts.json").is_file()]
    sides = set() if place.name.startswith(OWN) else set(PEERS)
    whole = len(found) == len(stops()) and all(sides <= set(facts["sides"]) for facts in found)
    _write(place / "index.json", {"frames": found, "whole": whole})


def thumbnail(name: str) -> str:
    """The address of a small copy of an example; made now where it is not there yet."""
    path = gallery_place(name) / "thumbnail.webp"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        credit = next(credit for credit in credits() if credit.name == name)
        with Image.open(credit.path) as image:
            small = image.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
            scratch = path.with_suffix(f".{os.getpid()}.tmp")
            small.save(scratch, "WEBP", quality=80, method=4)
        scratch.replace(path)
    return address(path)


@cache
def opening() -> dict[str, Any]:
    """What the page opens with."""
    found = frame(example_photo(OPENING.photo), OPENING.levels)
    for credit in credits():
        write_index(gallery_place(credit.name))
    return found
