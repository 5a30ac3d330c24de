"""Pixels to what a browser shows: lossless files in the page's cache, crops inside the HTML."""

from __future__ import annotations

import atexit
import base64
import io
import secrets
import threading
import time
import zlib
from collections import deque
from contextlib import suppress
from pathlib import Path

import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image

_WEBP_MAX_SIDE = 16383

KEPT_SECONDS = 3600
"""How long files for visitors are kept."""

_made: deque[tuple[float, Path]] = deque()
_lock = threading.Lock()


def lossless_bytes(pixels: np.ndarray) -> tuple[bytes, str]:
    """Exactly these pixels in the quickest lossless format that holds them, and its extension.

    WebP's lossless mode at its lowest effort is three times as quick as PNG and a third smaller;
    PNG takes over where a side is too long for WebP.
    """
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if max(image.size) <= _WEBP_MAX_SIDE:
        image.save(buffer, "WEBP", lossless=True, quality=0, method=0)
        return buffer.getvalue(), "webp"
    return png_bytes(pixels), "png"


def cache_file(data: bytes, name: str) -> str:
    """Writes a file into the folder that Gradio serves; returns its path.

    Files older than KEPT_SECONDS are deleted, and all when the server ends: Gradio deletes only
    those that it made.
    """
    folder = Path(get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    path = folder / name
    path.write_bytes(data)
    with _lock:
        _made.append((time.monotonic(), path))
    delete_files(KEPT_SECONDS)
    return str(path)


def delete_files(age: float) -> None:
    """Deletes the files of ``cache_file`` that are older, in seconds."""
    with _lock:
        while _made and time.monotonic() - _made[0][0] >= age:
            _, path = _made.popleft()
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()


atexit.register(delete_files, 0)


def png_bytes(pixels: np.ndarray) -> bytes:
    """The pixels as a PNG file, quickly made.

    Of photos, run lengths alone make files that are a tenth smaller than zlib's quickest matches
    do, in less time.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def data_url(pixels: np.ndarray) -> str:
    """A small picture as a URL that holds it, so that it arrives with the numbers beside it."""
    data, extension = lossless_bytes(pixels)
    return f"data:image/{extension};base64," + base64.b64encode(data).decode()


def closer_look(
    original: np.ndarray, quantized: np.ndarray, restored: np.ndarray, side: int = 96
) -> tuple[slice, slice]:
    """The box of at most ``side`` pixels where restoration lowers the squared error most."""
    # (q - o)^2 - (r - o)^2 = (q - r)(q + r - 2 o)
    q, r = quantized.astype(np.int16), restored.astype(np.int16)
    gain = np.einsum("hwc,hwc->hw", q - r, q + r - 2 * original.astype(np.int16), dtype=np.int32)
    sums = np.pad(gain.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    height, width = (min(side, length) for length in gain.shape)
    drops = (
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
        + sums[:-height, :-width]
    )  # fmt: skip
    top, left = np.unravel_index(np.argmax(drops), drops.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)
