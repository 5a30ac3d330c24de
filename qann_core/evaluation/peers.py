"""Other codecs behind one small interface, through Pillow, for comparison with this one.

JPEG is the plain standard reference: baseline, Huffman tables optimised, 4:2:0. The others run
as a careful user would run them: WebP at its slowest method, AVIF (AV1) at speed 6. libavif tunes
for the eye by default, so AVIF is there three times: as most people run it, tuned for PSNR without
chroma subsampling, and tuned for SSIMULACRA 2. A claim about a measure is to be compared with the
encoder that was tuned for it.
"""

import importlib
import io
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
from PIL import Image, ImageFile, features

from ..common.errors import ImageError, ParameterError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Peer:
    """One codec with one integer quality; a higher quality gives a larger file.

    Attributes:
        name: identifier, such as "jpeg".
        label: how to call it on a chart, such as "JPEG".
        min_quality, max_quality: the qualities allowed, both included.
        sweep: qualities in increasing order that span about 24 to 38 dB on photos.
        image_format: Pillow's name of the format.
        options: Pillow's options for an image of the given shape at a quality.
        library: the encoder behind it, such as "libwebp".
        feature: Pillow's name for that library; None where a plugin brings it.
    """

    name: str
    label: str
    min_quality: int
    max_quality: int
    sweep: tuple[int, ...]
    image_format: str
    options: Callable[[Shape, int], dict[str, Any]]
    library: str
    feature: str | None

    @property
    def software(self) -> str:
        """The encoder and its version, such as "libwebp 1.6.0"."""
        version = features.version(self.feature) if self.feature else metadata.version(self.library)
        return f"{self.library} {version}"

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        """uint8 (H, W, 3) to the bytes of a whole file.

        Raises:
            ParameterError: when the quality is outside the codec's range.
            ImageError: when the codec refuses the image, which may be too large for it.
        """
        if not self.min_quality <= quality <= self.max_quality:
            raise ParameterError(
                f"{self.label} quality is {quality}; it must be from {self.min_quality}"
                f" to {self.max_quality}."
            )
        options = self.options(pixels.shape, quality)
        try:
            return _saved(pixels, self.image_format, options)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            height, width = pixels.shape[:2]
            raise ImageError(
                f"{self.label} cannot store an image of {width} x {height} pixels."
            ) from error

    def decode(self, data: bytes) -> np.ndarray:
        """The bytes of a file that ``encode`` made, to uint8 (H, W, 3)."""
        with Image.open(io.BytesIO(data), formats=[self.image_format]) as image:
            return np.array(image.convert("RGB"))


def _saved(pixels: np.ndarray, image_format: str, options: dict[str, Any]) -> bytes:
    """The file that Pillow writes; for JPEG, with room for noise.

    Pillow gives libjpeg a byte a pixel for a file with optimised tables. Noise needs more.
    """
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if image_format != "JPEG":
        image.save(buffer, image_format, **options)
        return buffer.getvalue()
    with _BUFFER_SIZE:
        usual = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(usual, 2 * pixels.size)
        try:
            image.save(buffer, image_format, **options)
        finally:
            ImageFile.MAXBLOCK = usual
    return buffer.getvalue()


_BUFFER_SIZE = threading.Lock()
"""Held while ``ImageFile.MAXBLOCK``, which all threads share, is not the usual one."""


def _jpeg_2000_options(shape: Shape, quality: int) -> dict[str, Any]:
    """Quality 1..100 is a rate from 0.04 to 4 bits per pixel, evenly spaced in logarithm."""
    rate = 0.04 * 100 ** ((quality - 1) / 99)
    return {
        "quality_mode": "rates",
        "quality_layers": [24 / rate],
        "irreversible": True,
        "num_resolutions": min(6, 1 + int(math.log2(min(shape[:2])))),
        "mct": 1,
        "no_jp2": True,  # the bare codestream: no container to pay for
    }


def _avif_options(quality: int, subsampling: str, tune: str | None = None) -> dict[str, Any]:
    options: dict[str, Any] = {"quality": quality, "speed": 6, "subsampling": subsampling}
    return options | ({"advanced": {"tune": tune}} if tune else {})


_JPEG_SWEEP = (5, 10, 20, 30, 45, 60, 75, 90)  # at multiples of 5 there are published figures

# tune=ssimulacra2 and JPEG XL go without quality 100, which is lossless, another codec in effect.
_PEERS = (
    Peer("jpeg", "JPEG", 1, 100, _JPEG_SWEEP, "JPEG",
         lambda _, quality: {"quality": quality, "optimize": True, "subsampling": "4:2:0"},
         "libjpeg-turbo", "libjpeg_turbo"),
    Peer("jpeg444", "JPEG 4:4:4", 1, 100, _JPEG_SWEEP, "JPEG",
         lambda _, quality: {"quality": quality, "optimize": True, "subsampling": "4:4:4"},
         "libjpeg-turbo", "libjpeg_turbo"),
    Peer("webp", "WebP", 0, 100, (0, 5, 15, 30, 50, 70, 82, 90), "WEBP",
         lambda _, quality: {"quality": quality, "method": 6}, "libwebp", "webp"),
    Peer("avif", "AVIF", 0, 100, (5, 15, 26, 36, 46, 56, 66, 78), "AVIF",
         lambda _, quality: _avif_options(quality, "4:2:0"), "libavif", "avif"),
    Peer("avif-psnr", "AVIF, tune=psnr, 4:4:4", 0, 100, (0, 4, 9, 15, 21, 28, 36, 46, 58), "AVIF",
         lambda _, quality: _avif_options(quality, "4:4:4", "psnr"), "libavif", "avif"),
    Peer("avif-ssimulacra2", "AVIF, tune=ssimulacra2", 0, 99, (0, 6, 14, 22, 30, 40, 50, 60, 72),
         "AVIF", lambda _, quality: _avif_options(quality, "4:2:0", "ssimulacra2"),
         "libavif", "avif"),
    Peer("jpeg2000", "JPEG 2000", 1, 100, (8, 20, 32, 43, 54, 65, 76, 87), "JPEG2000",
         _jpeg_2000_options, "OpenJPEG", "jpg_2000"),
    Peer("jpegxl", "JPEG XL", 1, 99, (3, 10, 20, 32, 45, 60, 76, 90), "JXL",
         lambda _, quality: {"quality": quality, "effort": 7}, "pillow-jxl-plugin", None),
)  # fmt: skip


@cache
def available_peers() -> tuple[Peer, ...]:
    """The peers that this installation can run; JPEG XL needs the optional pillow_jxl plugin."""
    Image.init()
    with suppress(ImportError):
        importlib.import_module("pillow_jxl")  # registers its format with Pillow
    return tuple(peer for peer in _PEERS if peer.image_format in Image.SAVE)


def peer_labels() -> dict[str, str]:
    """How to call each peer, available here or not."""
    return {peer.name: peer.label for peer in _PEERS}


def peer_by_name(name: str) -> Peer:
    """The available peer of this name.

    Raises:
        ParameterError: when there is none; names those that there are.
    """
    for peer in available_peers():
        if peer.name == name:
            return peer
    known = ", ".join(peer.name for peer in available_peers())
    raise ParameterError(f"There is no codec {name!r} to compare with; choose from {known}.")
