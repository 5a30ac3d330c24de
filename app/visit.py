"""What one visitor's visit keeps: the photo, its latents (encoded once), the present result.

A ``Visit`` lives in a ``gr.State``: one for each open page, never shared. Pixels of the photo and
of one result stay with the visit; latents, the largest part, lie in a pool of bounded size and are
made again when a visitor returns after others have taken the room.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from qann_core import Codec, ParameterError, read_image
from qann_core.codec import Latents
from qann_core.metrics import bits_per_pixel, psnr, ssim
from qann_core.peers import (
    Measured,
    PeerResult,
    at_bytes,
    available_peers,
    bytes_at_psnr,
    peer_by_name,
)
from qann_core.rate_distortion import Point

from .cores import shares
from .models import DEFAULT_CHOICE, DEFAULT_MODEL, Choice, codec_of, pack
from .pictures import closer_look, lossless_bytes, png_bytes

MAX_MEGAPIXELS = 12
"""Largest picture that endpoints and files may have."""

PAGE_MEGAPIXELS = 3
"""Largest photo on the page, where a move of the slider should take a few seconds at most."""

LATENTS_BYTES = 768 * 1024 * 1024
"""Room for all visitors' latents together; an image of 12 megapixels takes 144 MiB of it."""

KEEP_SECONDS = 30 * 60
"""A visit that is not used for so long is forgotten."""


def shared_codec() -> Codec:
    """The default model's codec, whose latents are a pyramid of wavelet subbands."""
    codec = codec_of()
    assert isinstance(codec, Codec)
    return codec


class LatentsPool:
    """Latents by photo and model, the least recently used dropped first when there is no room."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._latents: OrderedDict[tuple[str, str], Latents] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, photo: str, pixels: np.ndarray, model: str = DEFAULT_MODEL) -> Latents:
        """The latents kept under this key, or those of ``pixels``, encoded now and kept."""
        key = photo, model
        with self._lock:
            if key in self._latents:
                self._latents.move_to_end(key)
                return self._latents[key]
        latents = codec_of(model).encode(pixels)
        with self._lock:
            self._latents[key] = latents
            while len(self._latents) > 1 and self.n_bytes > self._max_bytes:
                self._latents.popitem(last=False)
        return latents

    def drop(self, photo: str) -> None:
        """Forgets one photo's latents of every model."""
        with self._lock:
            for key in [key for key in self._latents if key[0] == photo]:
                del self._latents[key]

    @property
    def n_bytes(self) -> int:
        """Bytes of all the latents kept."""
        bands = (band for latents in self._latents.values() for band in latents.pyramid)
        return sum(band.numel() * band.element_size() for band in bands)


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

    def latents(self, model: str = DEFAULT_MODEL) -> Latents:
        """The photo's latents of a model; its encoder runs only the first time."""
        return latents_pool.get(self.key, self.pixels, model)

    def use(self, choice: Choice) -> None:
        """Goes on with another choice; points of other codecs stay."""
        if choice == self.choice:
            return
        others = {peer.name for peer in available_peers()}
        peers = [point for point in self.points if point.codec in others]
        self.kept[self.choice] = [point for point in self.points if point.codec not in others]
        self.points = [*self.kept.pop(choice, []), *peers]
        self.choice = choice


@dataclass
class Result:
    """A photo at one N: the file, both decoded pictures and their measures.

    Attributes:
        levels, step: N and the quantization step that it gives.
        choice: what compressed it.
        data: the .qann file.
        quantized, restored: uint8 (H, W, 3), decoded without and with the restoration network.
        psnr_*, ssim_*: against the original.
        jpeg_bytes: length of a JPEG file with the restored picture's PSNR; None if out of reach.
        quantized_file: the quantized picture as a lossless file, and its extension.
        restored_png: the restored picture as a PNG file.
        spot: rows and columns of the small box where restoration helps most.
        peers: other codecs' files of at most as many bytes, filled as they are asked for.
    """

    levels: int
    step: float
    choice: Choice
    data: bytes
    quantized: np.ndarray
    restored: np.ndarray
    psnr_quantized: float
    psnr_restored: float
    ssim_quantized: float
    ssim_restored: float
    jpeg_bytes: float | None
    quantized_file: tuple[bytes, str]
    restored_png: bytes
    spot: tuple[slice, slice]
    peers: dict[str, PeerResult] = field(default_factory=dict)

    @property
    def bits_per_pixel(self) -> float:
        """Rate of the whole file."""
        return bits_per_pixel(len(self.data), *self.restored.shape[:2])

    @property
    def ratio(self) -> float:
        """How many times smaller than the raw 24-bit pixels the file is."""
        return self.restored.nbytes / len(self.data)

    @property
    def gain(self) -> float:
        """What restoration adds, in dB."""
        return self.psnr_restored - self.psnr_quantized

    @property
    def saving_over_jpeg(self) -> float | None:
        """Per cent fewer bytes than JPEG at the restored picture's PSNR; negative: more."""
        return None if self.jpeg_bytes is None else 100 * (1 - len(self.data) / self.jpeg_bytes)


@dataclass
class Visit:
    """One visitor's session.

    Attributes:
        photo, result: what is on screen; None before the first photo and after the visit.
        stop_sweep: the visitor's wish that a running sweep of curves should end.
        anatomy: the photo at one N opened up, as the tab "Inside the codec" has it (app.anatomy).
        wanted: the N chosen on that tab, until ``result`` has followed.
    """

    photo: Photo | None = None
    result: Result | None = None
    stop_sweep: bool = False
    anatomy: object | None = None
    wanted: int | None = None

    def forget(self) -> None:
        """Frees everything; called when the visit has ended."""
        if self.photo is not None and not self.photo.bundled:
            latents_pool.drop(self.photo.key)
        self.photo = self.result = self.anatomy = self.wanted = None

    def take(self, photo: Photo, result: Result) -> None:
        """Replaces the photo, and drops all that belonged to the one before."""
        self.forget()
        self.photo, self.result = photo, result

    def present(self) -> tuple[Photo, Result]:
        """The photo and its result.

        Raises:
            ParameterError: when the visit was forgotten.
        """
        if self.photo is None or self.result is None:
            raise ParameterError(
                f"Nothing happened here for {KEEP_SECONDS // 60} minutes, so your photo was "
                "forgotten; please choose it again."
            )
        return self.photo, self.result


def read_photo(path: str | Path, name: str, megapixels: int = MAX_MEGAPIXELS) -> Photo:
    """An image file as a photo; one of more than ``megapixels`` is scaled down, with a notice.

    Raises:
        ImageError: when it is not an image that can be read, or is much too large.
    """
    loaded = read_image(Path(path).read_bytes())
    height, width = loaded.pixels.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    if scale >= 1:
        return Photo(name, loaded.pixels, loaded.notices)
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    smaller = Image.fromarray(loaded.pixels).resize(size, Image.Resampling.LANCZOS)
    notice = (
        f"The photo was scaled from {width} × {height} to {size[0]} × {size[1]} pixels: "
        f"at most {megapixels} megapixels are worked on here. The command `qann compress` keeps "
        "them all."
    )
    return Photo(name, np.array(smaller), (*loaded.notices, notice))


def compress_photo(photo: Photo, levels: int) -> Result:
    """The photo at N = ``levels``, by what was chosen: file, pictures, measures.

    Restoration takes as long as all else together: it has the cores but one for itself.
    """
    choice, pixels = photo.choice, photo.pixels
    codec, latents = codec_of(choice.model), photo.latents(choice.model)
    quantized = codec.quantize(latents, levels, choice.effort)

    def without_restoration() -> tuple[np.ndarray, float, tuple[bytes, str]]:
        plain = codec.decode(quantized, restore=False)
        return plain, ssim(pixels, plain), lossless_bytes(plain)

    many, one = shares()
    restoring = many.submit(codec.decode, quantized)
    packing = one.submit(pack, quantized, choice)
    beside = one.submit(without_restoration)
    restored = restoring.result()
    reached = psnr(pixels, restored)
    ssim_restored = one.submit(ssim, pixels, restored)
    jpeg = one.submit(bytes_at_psnr, peer_by_name("jpeg"), pixels, reached, photo.jpeg)
    restored_png = png_bytes(restored)
    plain, ssim_quantized, quantized_file = beside.result()
    return Result(
        levels=quantized.levels,
        step=quantized.step,
        choice=choice,
        data=packing.result(),
        quantized=plain,
        restored=restored,
        psnr_quantized=psnr(pixels, plain),
        psnr_restored=reached,
        spot=closer_look(pixels, plain, restored),
        ssim_quantized=ssim_quantized,
        ssim_restored=ssim_restored.result(),
        jpeg_bytes=jpeg.result(),
        quantized_file=quantized_file,
        restored_png=restored_png,
    )


def peer_at_same_bytes(photo: Photo, result: Result, name: str) -> PeerResult:
    """What another codec makes of the photo in at most as many bytes; searched once."""
    if name not in result.peers:
        result.peers[name] = at_bytes(peer_by_name(name), photo.pixels, len(result.data))
    return result.peers[name]
