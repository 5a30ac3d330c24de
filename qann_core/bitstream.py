"""The .qann container: a header of 24 bytes, then the entropy coder's payload.

| offset | bytes | field                                                            |
|--------|-------|------------------------------------------------------------------|
| 0      | 4     | magic: ``QANN``                                                  |
| 4      | 1     | container version: 1; 2 with metadata, see below                 |
| 5      | 1     | entropy coder: 1 = brotli, 2 = prior (``coding.registry``)       |
| 6      | 4     | model id: names the weights that made the latents                |
| 10     | 2     | N, the number of distinct values that the latents may take       |
| 12     | 2     | width of the image, pixels                                       |
| 14     | 2     | height of the image, pixels                                      |
| 16     | 4     | payload length, bytes                                            |
| 20     | 4     | CRC-32 (ISO-HDLC, as in PNG) of bytes 0 to 19 and of the payload |
| 24     | ...   | payload, to the end of the file                                  |

Numbers are unsigned and little-endian.

A file of version 2 also keeps EXIF and XMP, after its payload of p bytes. The checksum covers them
as well. Files without metadata stay version 1, byte for byte, and a program that knows only version
1 refuses version 2 by its number.

| offset     | bytes | field                                         |
|------------|-------|-----------------------------------------------|
| 24 + p     | 4     | length e of the EXIF data, at most 1 MiB      |
| 28 + p     | 4     | length x of the XMP packet, at most 1 MiB     |
| 32 + p     | e     | EXIF data, beginning with their byte order    |
| 32 + p + e | x     | XMP packet                                    |

The shapes of the latents are not stored: they follow from the image's size and the model. Nothing
here imports torch before latents are really built, so that reading a header is quick.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .coding.registry import coder_by_name, coder_name
from .common.errors import BitstreamError, ParameterError
from .common.limits import (
    MAX_LEVELS,
    MAX_PAYLOAD,
    MAX_PIXELS,
    MAX_SIDE,
    MAX_UNTRUSTED_PIXELS,
    MIN_LEVELS,
)
from .common.shapes import BLOCK, Shape, integer_range, pyramid_shapes

if TYPE_CHECKING:
    from .coding.weights import Prior
    from .quantization import QuantizedLatents

BandShapes = Callable[[int, int], tuple[Shape, ...]]
"""Height and width of an image in pixels to the shapes of its latents, coarse to fine."""

MAGIC = b"QANN"
VERSION, VERSION_WITH_METADATA = 1, 2
HEADER_BYTES = 24

MAX_METADATA = 1 << 20
"""Longest EXIF data and longest XMP packet: above what JPEG can hold, far below an image."""

_FIELDS = struct.Struct("<4sBB4sHHHI")
_LENGTHS = struct.Struct("<II")

_SMALL_PIXELS = 65536
"""So many pixels with padding are decoded of any image that is itself within the caller's limit."""


@dataclass(frozen=True)
class Header:
    """What a .qann file says about itself.

    Attributes:
        version: container version.
        width, height: size of the image in pixels, before padding.
        levels: N, the number of distinct values that the latents may take.
        coder_id, coder: the entropy coder's number in the file and its name.
        model_id: 8 hexadecimal digits naming the weights that made the latents.
        payload_bytes, total_bytes: size of the coded latents and of the whole file.
        metadata_bytes: size of the EXIF and XMP that it keeps.
    """

    version: int
    width: int
    height: int
    levels: int
    coder_id: int
    coder: str
    model_id: str
    payload_bytes: int
    total_bytes: int
    metadata_bytes: int = 0

    @property
    def bits_per_pixel(self) -> float:
        """Rate of the file, header included, metadata not."""
        return 8 * (self.total_bytes - self.metadata_bytes) / (self.width * self.height)


def pack(
    latents: QuantizedLatents,
    coder: str = "brotli",
    prior: Prior | None = None,
    band_shapes: BandShapes = pyramid_shapes,
) -> bytes:
    """Quantized latents to the bytes of a .qann file.

    Args:
        coder: "brotli", or "prior" for the learned prior.
        prior: the model's, which the prior coder needs.
        band_shapes: of the model's VAE.

    Raises:
        ModelError: when a prior is needed and not there, or this machine cannot use it.
        ParameterError: when the coder's name is unknown, or the latents do not fit the format
            (size, N, model id, shapes, or integers outside ``integer_range(N)``).
    """
    _check_latents(latents, band_shapes)
    chosen = coder_by_name(coder, prior)
    payload = chosen.encode(latents.bands, latents.levels)
    head = _FIELDS.pack(
        MAGIC, VERSION, chosen.id, bytes.fromhex(latents.model_id), latents.levels,
        latents.width, latents.height, len(payload),
    )  # fmt: skip
    return _with_checksum(head, payload)


def unpack(
    data: bytes,
    prior: Prior | None = None,
    max_pixels: int = MAX_UNTRUSTED_PIXELS,
    band_shapes: BandShapes = pyramid_shapes,
    latent_range: float | None = None,
) -> QuantizedLatents:
    """The bytes of a .qann file to quantized latents.

    Args:
        prior: the model's, which files of the prior coder need.
        max_pixels: largest image, in pixels, to do any work for; of more than 65,536 pixels, a side
            shorter than 16 counts as 16.
        band_shapes, latent_range: of the model's VAE, by default a wavelet VAE's.

    Raises:
        ModelError: when the file needs a prior that is not here, or this machine cannot use it.
        BitstreamError: when the file is not a .qann file, is damaged, larger than ``max_pixels``,
            or needs a newer version.
    """
    header = read_header(data, max_pixels)
    plain, _ = detach(bytes(data))
    _check_checksum(plain)
    payload = plain[HEADER_BYTES:]
    coder = coder_by_name(header.coder, prior)
    shapes = band_shapes(header.height, header.width)
    bands = coder.decode(payload, shapes, header.levels)

    # torch comes with them: only now are they needed
    from .networks.wavelet import LL_RANGE
    from .quantization import QuantizedLatents

    return QuantizedLatents(
        bands, header.levels, header.height, header.width, header.model_id, latent_range or LL_RANGE
    )


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> Header:
    """What the first 24 bytes say, checked against every limit; the payload is not decoded.

    Args:
        data: the whole file: its length is compared with the header's.
        max_pixels: largest image, in pixels, to accept.

    Raises:
        BitstreamError: when the header is not one of a complete .qann file, or the image is larger
            than ``max_pixels``.
        ParameterError: when the arguments are of other types.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ParameterError(f"A file's data are {type(data).__name__}; they must be bytes.")
    if not isinstance(max_pixels, (int, float)) or max_pixels != max_pixels:
        raise ParameterError(f"max_pixels is {max_pixels}; it must be a number.")
    plain, _ = detach(bytes(data))
    if plain[: len(MAGIC)] != MAGIC[: len(plain)] or not plain:
        raise BitstreamError("This is not a .qann file: it does not begin with the letters QANN.")
    if len(plain) < HEADER_BYTES:
        raise BitstreamError(
            f"The file is cut short: it has {len(plain)} bytes and the header alone needs "
            f"{HEADER_BYTES}."
        )
    _, version, coder, model, levels, width, height, payload = _FIELDS.unpack_from(plain)
    if version != VERSION:
        raise BitstreamError(
            f"The file has container version {version}; this program reads versions 1 and 2."
        )
    name = coder_name(coder)
    _check_levels(levels, BitstreamError)
    _check_size(width, height, BitstreamError)
    padded = max(width, BLOCK) * max(height, BLOCK)  # the networks pad short sides
    if width * height > max_pixels or padded > max(max_pixels, _SMALL_PIXELS):
        raise BitstreamError(
            f"The file holds an image of {width} x {height} pixels; at most {max_pixels} pixels "
            "are decoded unless max_pixels allows more."
        )
    _check_length(payload, len(plain) - HEADER_BYTES)
    metadata = len(data) - len(plain)
    version = VERSION_WITH_METADATA if metadata else VERSION
    return Header(
        version, width, height, levels, coder, name, model.hex(), payload, len(data), metadata
    )


@dataclass(frozen=True)
class Kept:
    """EXIF data, beginning with their byte order, and an XMP packet; empty where there is none."""

    exif: bytes = b""
    xmp: bytes = b""


def attach(data: bytes, kept: Kept) -> bytes:
    """A .qann file with metadata: ``data`` is one without; nothing to keep gives it back.

    Both parts must be at most ``MAX_METADATA`` bytes long.
    """
    if kept == Kept():
        return data
    chunk = _LENGTHS.pack(len(kept.exif), len(kept.xmp)) + kept.exif + kept.xmp
    return _as_version(VERSION_WITH_METADATA, data, data[HEADER_BYTES:] + chunk)


def detach(data: bytes) -> tuple[bytes, Kept]:
    """The .qann file of version 1 in one of version 2, and the metadata beside it.

    Anything else, whole or damaged, comes back as it is, for the container to judge.

    Raises:
        BitstreamError: when a file of version 2 is damaged.
    """
    if data[:5] != MAGIC + bytes([VERSION_WITH_METADATA]) or len(data) < HEADER_BYTES:
        return data, Kept()
    end = HEADER_BYTES + _FIELDS.unpack_from(data)[-1]
    start = end + _LENGTHS.size
    if len(data) < start:
        raise BitstreamError("The file is cut short: its metadata are missing.")
    exif, xmp = _LENGTHS.unpack_from(data, end)
    if max(exif, xmp) > MAX_METADATA:
        raise BitstreamError(
            f"The file claims metadata of {max(exif, xmp)} bytes; at most {MAX_METADATA} are "
            "allowed."
        )
    if len(data) != start + exif + xmp:
        raise BitstreamError(
            f"The file has {len(data)} bytes; with its metadata it should have "
            f"{start + exif + xmp}."
        )
    _check_checksum(data)
    plain = _as_version(VERSION, data, data[HEADER_BYTES:end])
    return plain, Kept(data[start : start + exif], data[start + exif :])


def _as_version(version: int, data: bytes, rest: bytes) -> bytes:
    """A file with another version number in its header and ``rest`` after it."""
    fields = data[: len(MAGIC)] + bytes([version]) + data[len(MAGIC) + 1 : _FIELDS.size]
    return _with_checksum(fields, rest)


def _with_checksum(fields: bytes, rest: bytes) -> bytes:
    """A file of a header's fields and what follows the header."""
    return fields + _checksum(fields, rest).to_bytes(4, "little") + rest


def _checksum(fields: bytes, rest: bytes) -> int:
    return zlib.crc32(rest, zlib.crc32(fields))


def _check_checksum(data: bytes) -> None:
    """Raises BitstreamError where a file's checksum is not the one stored in it."""
    stored = int.from_bytes(data[_FIELDS.size : HEADER_BYTES], "little")
    actual = _checksum(data[: _FIELDS.size], data[HEADER_BYTES:])
    if stored != actual:
        raise BitstreamError(
            f"The file is damaged: its checksum is {actual:08x} and should be {stored:08x}."
        )


def _check_levels(levels: int, error: type[BitstreamError] | type[ParameterError]) -> None:
    if not MIN_LEVELS <= levels <= MAX_LEVELS:
        raise error(f"N is {levels}; it must be from {MIN_LEVELS} to {MAX_LEVELS}.")


def _check_latents(latents: QuantizedLatents, band_shapes: BandShapes) -> None:
    """Raises ParameterError for latents that the container could not give back."""
    _check_levels(latents.levels, ParameterError)
    _check_size(latents.width, latents.height, ParameterError)
    if not re.fullmatch(r"[0-9a-f]{8}", latents.model_id):
        raise ParameterError(
            f"The model id is {latents.model_id!r}; it must be 8 lower-case hexadecimal digits."
        )
    shapes = tuple(band.shape for band in latents.bands)
    wanted = band_shapes(latents.height, latents.width)
    if shapes != wanted:
        raise ParameterError(f"The latents have shapes {shapes}; this image's are {wanted}.")
    low, high = integer_range(latents.levels)
    for band in latents.bands:
        if band.min() < low or band.max() > high:
            raise ParameterError(
                f"The latents reach from {band.min()} to {band.max()}; N = {latents.levels} "
                f"allows {low} to {high}."
            )


def _check_size(
    width: int, height: int, error: type[BitstreamError] | type[ParameterError]
) -> None:
    """Raises ``error`` where the image's size, in pixels, is outside the format's limits."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise error(
            f"The image is {width} x {height} pixels; sides must be from 1 to {MAX_SIDE} and "
            f"the whole at most {MAX_PIXELS} pixels."
        )


def _check_length(claimed: int, present: int) -> None:
    """Raises BitstreamError where a payload is not as long as its header says, or is too long."""
    if claimed > MAX_PAYLOAD:
        raise BitstreamError(
            f"The header claims a payload of {claimed} bytes; at most {MAX_PAYLOAD} are allowed."
        )
    if present < claimed:
        raise BitstreamError(
            f"The file is cut short: {present} of {claimed} payload bytes are there."
        )
    if present > claimed:
        raise BitstreamError(
            f"The file has {present - claimed} bytes too many after its payload of {claimed}."
        )
