"""The colour description (nclx) of the main picture in an AVIF or HEIF file (ISO/IEC 23008-12)."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from .cicp import ColourCoding

_MAX_META = 1 << 24
"""Longest ``meta`` box that is looked at, in bytes."""


def brands(file: BinaryIO) -> frozenset[bytes]:
    """The major and compatible brands; none when it is no such file."""
    file.seek(0)
    head = file.read(8)
    if len(head) < 8 or head[4:] != b"ftyp":
        return frozenset()
    body = file.read(min(int.from_bytes(head[:4]), 4096) - 8)
    return frozenset(body[i : i + 4] for i in (0, *range(8, len(body) - 3, 4)))


def colour_coding(file: BinaryIO) -> ColourCoding | None:
    """What the ``colr`` box of the main picture says; None where there is none of kind nclx."""
    try:
        return _colour_coding(_meta(file))
    except (struct.error, IndexError, KeyError):  # cut short: the decoder will say so
        return None


def _meta(file: BinaryIO) -> bytes:
    position = 0
    for _ in range(100):
        file.seek(position)
        head = file.read(16)
        size, kind = struct.unpack(">I4s", head[:8])
        start = 8
        if size == 1:
            size, start = int.from_bytes(head[8:16]), 16
        if kind == b"meta":
            file.seek(position + start)
            return file.read(min(size - start, _MAX_META))[4:]
        if size < 8:
            break
        position += size
    return b""


def _colour_coding(meta: bytes) -> ColourCoding | None:
    boxes = dict(_boxes(meta))
    pitm = boxes[b"pitm"]
    item = int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8])
    properties = dict(_boxes(boxes[b"iprp"]))
    kinds = list(_boxes(properties[b"ipco"]))
    for index in _properties_of(item, properties[b"ipma"]):
        kind, data = kinds[index - 1]
        if kind == b"colr" and data[:4] == b"nclx":
            primaries, transfer = struct.unpack(">HH", data[4:8])
            return ColourCoding.from_numbers(primaries, transfer, is_video=True)
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        start = 8
        if size == 1:
            size, start = struct.unpack_from(">Q", data, position + 8)[0], 16
        if size == 0:
            size = len(data) - position
        if size < start:
            return
        yield kind, data[position + start : position + size]
        position += size


def _properties_of(item: int, data: bytes) -> list[int]:
    """Numbers, from 1, of the properties associated with an item."""
    version, wide = data[0], data[3] & 1
    (count,) = struct.unpack_from(">I", data, 4)
    position = 8
    for _ in range(count):
        size = 2 if version < 1 else 4
        number = int.from_bytes(data[position : position + size])
        n = data[position + size]
        position += size + 1
        width = 2 if wide else 1
        if number == item:
            mask = 0x7FFF if wide else 0x7F
            places = range(position, position + n * width, width)
            return [int.from_bytes(data[p : p + width]) & mask for p in places]
        position += n * width
    return []
