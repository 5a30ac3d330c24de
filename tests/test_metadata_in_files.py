"""EXIF and XMP in a .qann file: version 2, which holds a file of version 1."""

import struct

import numpy as np
import pytest

from qann_core import Codec, bitstream
from qann_core.bitstream import MAX_METADATA, Kept, attach, detach
from qann_core.common.errors import BitstreamError

KEPT = Kept(b"II*\0 some EXIF", b"<x:xmpmeta/>")


@pytest.fixture(scope="module")
def plain(codec: Codec, photo: np.ndarray) -> bytes:
    return codec.pack(codec.encode(photo[:32, :48]), 48)


def test_there_and_back(plain: bytes, codec: Codec) -> None:
    data = attach(plain, KEPT)
    assert data[4] == 2
    assert detach(data) == (plain, KEPT)
    header = bitstream.read_header(data)
    assert (header.version, header.total_bytes) == (2, len(data))
    assert header.bits_per_pixel == bitstream.read_header(plain).bits_per_pixel
    assert np.array_equal(codec.decode(codec.unpack(data)), codec.decode(codec.unpack(plain)))


def test_without_metadata_nothing_changes(plain: bytes) -> None:
    assert attach(plain, Kept()) == plain
    assert detach(plain) == (plain, Kept())
    assert bitstream.read_header(plain).version == 1


def test_damage_is_refused(plain: bytes) -> None:
    """Every byte counts: the checksum covers the chunk too, and no length is believed."""
    data = attach(plain, KEPT)
    for position in range(4, len(data)):
        for changed in (data[position] ^ 1, data[position] ^ 255):
            damaged = data[:position] + bytes([changed]) + data[position + 1 :]
            with pytest.raises(BitstreamError):
                bitstream.unpack(damaged)
    for length in range(len(data)):
        with pytest.raises(BitstreamError):
            bitstream.unpack(data[:length])
    with pytest.raises(BitstreamError):
        bitstream.unpack(data + b"\0")


def test_a_claim_beyond_the_limit_is_refused(plain: bytes) -> None:
    data = bytearray(attach(plain, KEPT))
    struct.pack_into("<I", data, len(plain), MAX_METADATA + 1)
    with pytest.raises(BitstreamError, match="at most 1048576"):
        detach(bytes(data))
