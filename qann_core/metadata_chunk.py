"""The chunk of a .qann file that keeps EXIF and XMP; such a file has container version 2.

| offset            | bytes | field                                             |
|-------------------|-------|---------------------------------------------------|
| 0                 | 24    | header as in version 1, but the version is 2      |
| 24                | p     | payload, p being its length in the header         |
| 24 + p            | 4     | length e of the EXIF data, at most 1 MiB          |
| 28 + p            | 4     | length x of the XMP packet, at most 1 MiB         |
| 32 + p            | e     | EXIF data, beginning with their byte order        |
| 32 + p + e        | x     | XMP packet                                        |

The checksum covers the chunk as well. Files without metadata stay version 1, byte for byte, and a
program that knows only version 1 refuses version 2 by its number.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .checksum import check_checksum, checksum
from .common.errors import BitstreamError

VERSION = 2
MAX_BYTES = 1 << 20
"""Longest EXIF data and longest XMP packet: above what JPEG can hold, far below an image."""

_START = b"QANN" + bytes([VERSION])
_HEADER_BYTES = 24
_VERSION_AT, _LENGTH_AT, _CHECKSUM_AT = 4, 16, 20
_LENGTHS = struct.Struct("<II")


@dataclass(frozen=True)
class Kept:
    """EXIF data, beginning with their byte order, and an XMP packet; empty where there is none."""

    exif: bytes = b""
    xmp: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.exif or self.xmp)


def attach(data: bytes, kept: Kept) -> bytes:
    """A .qann file with metadata: ``data`` is one without; nothing to keep gives it back.

    Both parts must be at most ``MAX_BYTES`` long.
    """
    if not kept:
        return data
    chunk = _LENGTHS.pack(len(kept.exif), len(kept.xmp)) + kept.exif + kept.xmp
    return _with_version(VERSION, data[:_HEADER_BYTES], data[_HEADER_BYTES:] + chunk)


def detach(data: bytes) -> tuple[bytes, Kept]:
    """The .qann file of version 1 in one of version 2, and the metadata beside it.

    Anything else, whole or damaged, comes back as it is, for the container to judge.

    Raises:
        BitstreamError: when a file of version 2 is damaged.
    """
    if data[: len(_START)] != _START or len(data) < _HEADER_BYTES:
        return data, Kept()
    payload, stored = struct.unpack_from("<II", data, _LENGTH_AT)
    start = _HEADER_BYTES + payload
    if len(data) < start + _LENGTHS.size:
        raise BitstreamError("The file is cut short: its metadata are missing.")
    exif, xmp = _LENGTHS.unpack_from(data, start)
    if max(exif, xmp) > MAX_BYTES:
        raise BitstreamError(
            f"The file claims metadata of {max(exif, xmp)} bytes; at most {MAX_BYTES} are allowed."
        )
    first = start + _LENGTHS.size
    if len(data) != first + exif + xmp:
        raise BitstreamError(
            f"The file has {len(data)} bytes; with its metadata it should have "
            f"{first + exif + xmp}."
        )
    check_checksum(stored, data[:_CHECKSUM_AT], data[_HEADER_BYTES:])
    plain = _with_version(1, data[:_HEADER_BYTES], data[_HEADER_BYTES:start])
    return plain, Kept(data[first : first + exif], data[first + exif :])


def _with_version(version: int, header: bytes, rest: bytes) -> bytes:
    fields = header[:_VERSION_AT] + bytes([version]) + header[_VERSION_AT + 1 : _CHECKSUM_AT]
    return fields + struct.pack("<I", checksum(fields, rest)) + rest
