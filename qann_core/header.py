"""The header that every file of the codec and of its comparators begins with, and its checksum.

| offset | bytes | field                                                            |
|--------|-------|------------------------------------------------------------------|
| 0      | 4     | magic: the kind of file                                          |
| 4      | 1     | container version: 1                                             |
| 5      | 1     | identifier: what made the payload                                |
| 6      | 4     | model id: names the weights that made the latents                |
| 10     | 2     | setting: how coarse the latents are                              |
| 12     | 2     | width of the image, pixels                                       |
| 14     | 2     | height of the image, pixels                                      |
| 16     | 4     | payload length, bytes                                            |
| 20     | 4     | CRC-32 (ISO-HDLC, as in PNG) of bytes 0 to 19 and of the payload |
| 24     | ...   | payload, to the end of the file                                  |

Numbers are unsigned and little-endian.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from .errors import BitstreamError, ParameterError
from .limits import MAX_PAYLOAD, MAX_PIXELS, MAX_SIDE

VERSION = 1
HEADER_BYTES = 24

_FIELDS = struct.Struct("<4sBB4sHHHI")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class Fields:
    """The fields between magic and checksum; see the table above."""

    identifier: int
    model_id: str
    setting: int
    width: int
    height: int
    payload_bytes: int


def sealed(magic: bytes, fields: Fields, payload: bytes) -> bytes:
    """The whole file; model id and size must be those that the checks below let pass."""
    model = bytes.fromhex(fields.model_id)
    head = _FIELDS.pack(
        magic, VERSION, fields.identifier, model, fields.setting,
        fields.width, fields.height, fields.payload_bytes,
    )  # fmt: skip
    return head + _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head))) + payload


def read_fields(data: bytes, magic: bytes, kind: str) -> Fields:
    """The fields of a file with this magic; the ``kind`` of file is named where it is another.

    Raises:
        BitstreamError: for another magic or version, or a header that is cut short.
    """
    if data[: len(magic)] != magic[: len(data)] or not data:
        raise BitstreamError(
            f"This is not a {kind}: it starts with {data[:4]!r} instead of {magic!r}."
        )
    if len(data) < HEADER_BYTES:
        raise BitstreamError(
            f"The file is cut short: it has {len(data)} bytes and the header alone needs "
            f"{HEADER_BYTES}."
        )
    _, version, identifier, model, setting, width, height, length = _FIELDS.unpack_from(data)
    if version != VERSION:
        raise BitstreamError(
            f"The file has container version {version}; this program reads version {VERSION}."
        )
    return Fields(identifier, model.hex(), setting, width, height, length)


def opened(data: bytes) -> bytes:
    """The payload of a file whose fields were read.

    Raises:
        BitstreamError: when the checksum is not that of the file.
    """
    payload = memoryview(data)[HEADER_BYTES:]
    (stored,) = _CHECKSUM.unpack_from(data, _FIELDS.size)
    actual = zlib.crc32(payload, zlib.crc32(data[: _FIELDS.size]))
    if stored != actual:
        raise BitstreamError(
            f"The file is damaged: its checksum is {actual:08x} and should be {stored:08x}."
        )
    return bytes(payload)


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
