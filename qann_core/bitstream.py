"""The .qann container: a 24-byte header, then the entropy coder's payload.

| offset | bytes | field                                                            |
|--------|-------|------------------------------------------------------------------|
| 0      | 4     | magic ``QANN``                                                   |
| 4      | 1     | container version: 1                                             |
| 5      | 1     | coder id (``entropy.CODER_NAMES``)                               |
| 6      | 4     | model id: names the weights that made the latents                |
| 10     | 2     | N, the number of distinct values that the latents may take       |
| 12     | 2     | width of the image, pixels                                       |
| 14     | 2     | height of the image, pixels                                      |
| 16     | 4     | payload length, bytes                                            |
| 20     | 4     | CRC-32 (ISO-HDLC, as in PNG) of bytes 0 to 19 and of the payload |
| 24     | ...   | payload, to the end of the file                                  |

Numbers are unsigned and little-endian. The shapes of the latents are not stored: they follow from
the image's size (``band_shapes``). Nothing here imports torch before latents are really built, so
that reading a header is quick.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import entropy
from .errors import BitstreamError, ParameterError
from .limits import MAX_LEVELS, MAX_PAYLOAD, MAX_PIXELS, MAX_SIDE, MIN_LEVELS

if TYPE_CHECKING:
    from .prior_weights import Prior
    from .quantization import QuantizedLatents

MAGIC = b"QANN"
VERSION = 1
HEADER_BYTES = 24

_FIELDS = struct.Struct("<4sBB4sHHHI")
_CHECKSUM = struct.Struct("<I")
_WAVELET_LEVELS = 4


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

    @property
    def bits_per_pixel(self) -> float:
        """Rate of the whole file, header included."""
        return 8 * self.total_bytes / (self.width * self.height)


def band_shapes(height: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """Shapes (C, H, W) of the latents, coarse to fine, of an image of this size in pixels.

    The same as ``wavelet.pyramid_shapes``, which needs torch.
    """
    block = 2**_WAVELET_LEVELS
    rows, columns = -(-height // block), -(-width // block)
    details = ((9, rows << level, columns << level) for level in range(_WAVELET_LEVELS))
    return ((3, rows, columns), *details)


def pack(latents: QuantizedLatents, coder: str = "brotli", prior: Prior | None = None) -> bytes:
    """Quantized latents to the bytes of a .qann file.

    Args:
        coder: "brotli", or "prior" for the learned prior.
        prior: what the prior coder is to use; by default, the prior of the latents' model, which
            must then be a bundled one.

    Raises:
        ModelError: when a prior is needed and not there, or this machine cannot use it.
        ParameterError: when the coder's name is unknown, or the latents do not fit the format
            (size, N, model id, shapes, or integers outside ``levels_range(N)``).
    """
    if coder == "prior" and prior is None:
        from .prior_weights import prior_of_model

        prior = prior_of_model(latents.model_id)
    chosen = entropy.coder_by_name(coder, prior)
    _check_latents(latents)
    payload = chosen.encode(latents.bands, latents.levels)
    head = _FIELDS.pack(
        MAGIC,
        VERSION,
        chosen.id,
        bytes.fromhex(latents.model_id),
        latents.levels,
        latents.width,
        latents.height,
        len(payload),
    )
    return sealed(head, payload)


def unpack(data: bytes, prior: Prior | None = None) -> QuantizedLatents:
    """The bytes of a .qann file to quantized latents.

    Args:
        prior: used where the file names it; any other prior must be a bundled one.

    Raises:
        ModelError: when the file needs a prior that is not here, or this machine cannot use it.
        BitstreamError: when the file is not a .qann file, is damaged, or needs a newer version.
    """
    header = read_header(data)
    payload = opened(data, _FIELDS.size)
    shapes = band_shapes(header.height, header.width)
    coder = entropy.coder_by_id(header.coder_id, prior)
    bands = coder.decode(payload, shapes, header.levels)

    from .quantization import QuantizedLatents  # torch comes with it: only now is it needed

    return QuantizedLatents(bands, header.levels, header.height, header.width, header.model_id)


def read_header(data: bytes) -> Header:
    """What the first 24 bytes say, checked against every limit; the payload is not decoded.

    Args:
        data: the whole file: its length is compared with the header's.

    Raises:
        BitstreamError: when the header is not one of a complete .qann file.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise BitstreamError(
            f"This is not a .qann file: it starts with {data[:4]!r} instead of {MAGIC!r}."
        )
    if len(data) < HEADER_BYTES:
        raise BitstreamError(
            f"The file is cut short: it has {len(data)} bytes and the header alone needs "
            f"{HEADER_BYTES}."
        )
    _, version, coder_id, model, levels, width, height, length = _FIELDS.unpack_from(data)
    if version != VERSION:
        raise BitstreamError(
            f"The file has container version {version}; this program reads version {VERSION}."
        )
    _check_levels(levels, BitstreamError)
    check_size(width, height, BitstreamError)
    check_length(length, len(data) - HEADER_BYTES)
    name = entropy.coder_name(coder_id)
    return Header(version, width, height, levels, coder_id, name, model.hex(), length, len(data))


def sealed(head: bytes, payload: bytes) -> bytes:
    """A file: the header's fields, the checksum of everything else, the payload."""
    return head + _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head))) + payload


def opened(data: bytes, head_bytes: int) -> bytes:
    """The payload of a ``sealed`` file whose header's fields take ``head_bytes``.

    Raises:
        BitstreamError: when the checksum is not that of the file.
    """
    payload = memoryview(data)[head_bytes + _CHECKSUM.size :]
    (stored,) = _CHECKSUM.unpack_from(data, head_bytes)
    actual = zlib.crc32(payload, zlib.crc32(data[:head_bytes]))
    if stored != actual:
        raise BitstreamError(
            f"The file is damaged: its checksum is {actual:08x} and should be {stored:08x}."
        )
    return bytes(payload)


def _check_levels(levels: int, error: type[BitstreamError] | type[ParameterError]) -> None:
    if not MIN_LEVELS <= levels <= MAX_LEVELS:
        raise error(f"N is {levels}; it must be from {MIN_LEVELS} to {MAX_LEVELS}.")


def check_size(width: int, height: int, error: type[BitstreamError] | type[ParameterError]) -> None:
    """Raises ``error`` where the image's size, in pixels, is outside the format's limits."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise error(
            f"The image is {width} x {height} pixels; sides must be from 1 to {MAX_SIDE} and "
            f"the whole at most {MAX_PIXELS} pixels."
        )


def check_length(claimed: int, present: int) -> None:
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


def check_model_id(model_id: str) -> None:
    """Raises ParameterError for anything but 8 lower-case hexadecimal digits."""
    if not re.fullmatch(r"[0-9a-f]{8}", model_id):
        raise ParameterError(
            f"The model id is {model_id!r}; it must be 8 lower-case hexadecimal digits."
        )


def _check_latents(latents: QuantizedLatents) -> None:
    """Raises ParameterError for latents that the container could not give back."""
    _check_levels(latents.levels, ParameterError)
    check_size(latents.width, latents.height, ParameterError)
    check_model_id(latents.model_id)
    shapes = tuple(band.shape for band in latents.bands)
    wanted = band_shapes(latents.height, latents.width)
    if shapes != wanted:
        raise ParameterError(f"The latents have shapes {shapes}; this image's are {wanted}.")
    low, high = entropy.integer_range(latents.levels)
    for band in latents.bands:
        if band.min() < low or band.max() > high:
            raise ParameterError(
                f"The latents reach from {band.min()} to {band.max()}; N = {latents.levels} "
                f"allows {low} to {high}."
            )
