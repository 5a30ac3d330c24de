"""The comparators' container: a 24-byte header as that of a .qann file, then the payload.

| offset | bytes | field                                                            |
|--------|-------|------------------------------------------------------------------|
| 0      | 4     | magic ``QCMP``                                                   |
| 4      | 1     | container version: 1                                             |
| 5      | 1     | comparator id (``COMPARATORS``)                                  |
| 6      | 4     | model id: names the weights that made the latents                |
| 10     | 2     | the comparator's setting                                         |
| 12     | 2     | width of the image, pixels                                       |
| 14     | 2     | height of the image, pixels                                      |
| 16     | 4     | payload length, bytes                                            |
| 20     | 4     | CRC-32 (ISO-HDLC, as in PNG) of bytes 0 to 19 and of the payload |
| 24     | ...   | payload, to the end of the file                                  |

Numbers are unsigned and little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..bitstream import HEADER_BYTES, check_length, check_model_id, check_size, opened, sealed
from ..errors import BitstreamError, ParameterError

MAGIC = b"QCMP"
VERSION = 1
COMPARATORS = {"daq": 1, "rq": 2}
"""Comparator ids in the file."""

_FIELDS = struct.Struct("<4sBB4sHHHI")


@dataclass(frozen=True)
class Header:
    """What a comparator's file says about itself; see the table above."""

    setting: int
    width: int
    height: int
    model_id: str


def pack(comparator: str, header: Header, payload: bytes) -> bytes:
    """The file.

    Raises:
        ParameterError: when the image's size or the model id does not fit the format.
    """
    check_size(header.width, header.height, ParameterError)
    check_model_id(header.model_id)
    head = _FIELDS.pack(
        MAGIC,
        VERSION,
        COMPARATORS[comparator],
        bytes.fromhex(header.model_id),
        header.setting,
        header.width,
        header.height,
        len(payload),
    )
    return sealed(head, payload)


def unpack(comparator: str, data: bytes) -> tuple[Header, bytes]:
    """Header and payload of a file that this comparator made.

    Raises:
        BitstreamError: when it is not such a file, or is damaged.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise BitstreamError(
            f"This is not a comparator's file: it starts with {data[:4]!r} instead of {MAGIC!r}."
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
    made_by = {number: name for name, number in COMPARATORS.items()}.get(identifier)
    if made_by is None:
        raise BitstreamError(f"The file needs comparator {identifier}, which is unknown here.")
    if made_by != comparator:
        raise BitstreamError(f"The file was made by {made_by}; {comparator} cannot read it.")
    check_size(width, height, BitstreamError)
    check_length(length, len(data) - HEADER_BYTES)
    return Header(setting, width, height, model.hex()), opened(data, _FIELDS.size)
