"""Photos that visitors bring or choose, and the pool of their latents.

Latents are the largest part of what a visit needs. They are on disk, in a pool of bounded size, and
are made again when a visitor returns after others have taken the room.
"""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qann_core import read_image
from qann_core.codec import Latents
from qann_core.evaluation.peers import available_peers
from qann_core.evaluation.points import Point

from .choice import DEFAULT_CHOICE, DEFAULT_MODEL, Choice, codec_of
from .matching import Measured

MAX_MEGAPIXELS = 12
"""Largest picture that endpoints and files may have."""

PAGE_MEGAPIXELS = 3
"""Largest photo on the page, where a move of the slider should take a few seconds at most."""

QUICK_MEGAPIXELS = 1
"""What a visitor's photo is scaled to at first, so that an answer takes about a second."""

LATENTS_BYTES = 1024 * 1024 * 1024
"""Room on disk for all visitors' latents; a photo of one megapixel takes 12 MiB of it."""


class _Kept:
    """Latents in a file without a name, which goes when this object does."""

    def __init__(self, latents: Latents) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as this)
        self._like = [torch.empty_like(band, device="meta") for band in latents.pyramid]
        self._device = latents.pyramid[0].device
        for band in latents.pyramid:
            band.cpu().contiguous().numpy().tofile(self._file)
        self.n_bytes = self._file.tell()

    def read(self, pixels: np.ndarray) -> Latents:
        """The same latents; ``pixels`` are those that they were made of."""
        bands, offset = [], 0
        for like in self._like:
            data = np.memmap(self._file, np.float32, "c", offset, tuple(like.shape))
            band = torch.empty_like(like, device="cpu").copy_(torch.from_numpy(data))
            bands.append(band.to(self._device))
            offset += data.nbytes
        return Latents(tuple(bands), pixels)


class LatentsPool:
    """Latents by photo and model, the least recently used dropped first when there is no room.

    They are kept on disk, and so in what memory the system has to spare.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, photo: str, pixels: np.ndarray, model: str = DEFAULT_MODEL) -> Latents:
        """The latents kept under this key, or those of ``pixels``, encoded now and kept."""
        key = photo, model
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is not None:
            return kept.read(pixels)
        latents = codec_of(model).encode(pixels)
        with suppress(OSError):  # the disk is full
            kept = _Kept(latents)
            with self._lock:
                self._kept[key] = kept
                while len(self._kept) > 1 and self.n_bytes > self._max_bytes:
                    self._kept.popitem(last=False)
        return latents

    def drop(self, photo: str) -> None:
        """Forgets one photo's latents of every model."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == photo]:
                del self._kept[key]

    @property
    def n_bytes(self) -> int:
        """Bytes of all the latents kept."""
        return sum(kept.n_bytes for kept in self._kept.values())


latents_pool = LatentsPool(LATENTS_BYTES)


@dataclass
class Photo:
    """A picture that a visitor brought or chose.

    Attributes:
        name: for headings and downloaded files; no folder, no extension.
        pixels: uint8 (H, W, 3).
        notices: what was changed on the way in, for the visitor.
        points: this photo's rate-distortion points so far: those of what is chosen,
            and those of other codecs.
        jpeg: what JPEG has made of it so far, so that each search begins where others ended.
        key: names its latents in the pool; cannot be guessed, unless the photo is bundled.
        bundled: whether it is an example, whose latents all visits may share.
        choice: what compresses it.
        kept: points of choices made before.
        address: where browsers find an own photo's pixels, once it was stored.
    """

    name: str
    pixels: np.ndarray
    notices: tuple[str, ...] = ()
    points: list[Point] = field(default_factory=list)
    jpeg: Measured = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    bundled: bool = False
    choice: Choice = DEFAULT_CHOICE
    kept: dict[Choice, list[Point]] = field(default_factory=dict)
    address: str | None = None

    def latents(self, model: str = DEFAULT_MODEL) -> Latents:
        """The photo's latents of a model; its encoder runs only the first time."""
        return latents_pool.get(self.key, self.pixels, model)

    def use(self, choice: Choice) -> None:
        """Goes on with another choice; points of other codecs stay."""
        if choice == self.choice:
            return
        others = {peer.name for peer in available_peers()}
        peers = [point for point in self.points if point.kind in others]
        self.kept[self.choice] = [point for point in self.points if point.kind not in others]
        self.points = [*self.kept.pop(choice, []), *peers]
        self.choice = choice


def read_photo(path: str | Path, name: str, megapixels: int = MAX_MEGAPIXELS) -> Photo:
    """An image file as a photo; one of more than ``megapixels`` is scaled down, with a notice.

    Raises:
        ImageError: when it is not an image that can be read, or is much too large.
    """
    loaded = read_image(Path(path).read_bytes())
    height, width = loaded.pixels.shape[:2]
    smaller = scaled(loaded.pixels, megapixels)
    if smaller is loaded.pixels:
        return Photo(name, loaded.pixels, loaded.notices)
    notice = (
        f"The photo was scaled from {width} × {height} to {smaller.shape[1]} × "
        f"{smaller.shape[0]} pixels: "
        f"at most {megapixels} megapixels are worked on here. The command `qann compress` keeps "
        "them all."
    )
    return Photo(name, smaller, (*loaded.notices, notice))


def quick_copy(photo: Photo) -> Photo:
    """The photo at QUICK_MEGAPIXELS at most; itself where it is no larger."""
    pixels = scaled(photo.pixels, QUICK_MEGAPIXELS)
    return photo if pixels is photo.pixels else Photo(photo.name, pixels, photo.notices)


def on_disk(photo: Photo) -> Photo:
    """The photo with its pixels in a file without a name, which is read as far as it is needed."""
    with tempfile.TemporaryFile() as file:
        photo.pixels.tofile(file)
        pixels = np.memmap(file, np.uint8, "r", shape=photo.pixels.shape)
    return Photo(photo.name, pixels, photo.notices)


def scaled(pixels: np.ndarray, megapixels: float) -> np.ndarray:
    """The same pixels, or fewer by Lanczos so that there are at most ``megapixels``."""
    height, width = pixels.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    if scale >= 1:
        return pixels
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
