"""A result as the data that the browser shows: numbers, sentences and addresses of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..compress import SQUARED_ERROR, Draft, Result, peer_at_same_bytes
from ..examples import credit_of
from ..markup import decibels, size_text
from ..matching import PeerResult
from ..photos import Photo
from ..pictures import lossless_bytes
from . import cards

Link = Callable[[bytes, str], str]
"""Stores a file's bytes under a name where browsers find it; gives its address."""

SIDES = {
    "original": "Original",
    "quantized": "Quantized only",
    "restored": "Restored",
    "jpeg": "JPEG",
    "webp": "WebP",
    "avif": "AVIF",
    SQUARED_ERROR: "Squared error",
}
"""What either side of the divider may show, and how it is called."""

PEERS = tuple(name for name in SIDES if name not in ("original", "quantized", "restored"))
_EXTENSIONS = {"jpeg": "jpg", "webp": "webp", "avif": "avif"}


def facts(photo: Photo, draft: Draft, link: Link, peers: Iterable[str] = ()) -> dict[str, Any]:
    """All that the browser shows of a result, as plain data for JSON.

    Args:
        draft: a ``Draft``, of which less is known, or a ``Result``.
        link: stores the files, each once: addresses are kept in ``draft.links``.
        peers: other codecs whose files of the same bytes are wanted.
    """

    def linked(data: bytes, name: str) -> str:
        if name not in draft.links or _is_gone(draft.links[name]):
            draft.links[name] = link(data, name)
        return draft.links[name]

    height, width = draft.quantized.shape[:2]
    stem = f"{photo.name}-N{draft.levels}"
    n_bytes = len(draft.data)
    found: dict[str, Any] = {
        "photo": photo.name if photo.bundled else "own",
        "name": photo.name,
        "source": cards.source(photo),
        "width": width,
        "height": height,
        "n": draft.levels,
        "bytes": n_bytes,
        "size": size_text(n_bytes),
        "bpp": draft.bits_per_pixel,
        "model": draft.choice.model,
        "coder": draft.choice.coder,
        "effort": draft.choice.effort,
        "qann": linked(draft.data, f"{stem}.qann"),
        "cards": cards.verdict(photo, draft),
        "complete": isinstance(draft, Result),
    }
    data, extension = draft.quantized_file
    sides: dict[str, dict[str, Any]] = {
        "original": {"url": original(photo, link), "note": f"{size_text(photo.pixels.nbytes)} raw"},
        "quantized": {"url": linked(data, f"{stem}-quantized.{extension}")},
    }
    if isinstance(draft, Result):
        data, extension = draft.restored_file
        sides["restored"] = {"url": linked(data, f"{stem}-restored.{extension}")}
        sides["quantized"]["note"] = f"{decibels(draft.psnr_quantized)} · {size_text(n_bytes)}"
        sides["restored"]["note"] = f"{decibels(draft.psnr_restored)} · {size_text(n_bytes)}"
        for name in peers:
            sides[name] = peer_facts(peer_at_same_bytes(photo, draft, name), stem, linked)
        rows, columns = draft.spot
        found["spot"] = [rows.start, rows.stop, columns.start, columns.stop]
        found["psnr"] = finite(draft.psnr_restored)
        found["ssimulacra2"] = draft.ssimulacra2_restored
    else:
        sides["quantized"]["note"] = size_text(n_bytes)
    return found | {"sides": sides}


def finite(value: float) -> float | None:
    """The number, or None for infinity, which JSON does not have."""
    return value if math.isfinite(value) else None


def original(photo: Photo, link: Link) -> str:
    """Where the photo itself is: an example's own file, or a lossless copy stored once."""
    if photo.bundled:
        return f"photos/{credit_of(photo.name).file}"
    if photo.address is None or _is_gone(photo.address):
        data, extension = lossless_bytes(photo.pixels)
        photo.address = link(data, f"{photo.name}.{extension}")
    return photo.address


def _is_gone(address: str) -> bool:
    """Whether the file was deleted because it was old."""
    _, found, path = address.partition("file=")
    return bool(found) and not Path(path).is_file()


def peer_facts(peer: PeerResult, stem: str, link: Link) -> dict[str, Any]:
    """What the browser shows of another codec: its very file, which the browser decodes itself.

    Of a model of ours, the decoded picture.
    """
    size = size_text(len(peer.data))
    note = f"{decibels(peer.psnr)} · {size}"
    if not peer.met:
        note += ", its smallest file"
    if peer.name in _EXTENSIONS:
        data, extension = peer.data, _EXTENSIONS[peer.name]
    else:
        data, extension = lossless_bytes(peer.pixels)
    url = link(data, f"{stem}-{peer.name}.{extension}")
    return {"url": url, "note": note, "met": peer.met, "bytes": len(peer.data), "size": size}
