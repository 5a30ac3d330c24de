"""The container: what it says is what was put in, and anything else is one clear error."""

import struct
import tracemalloc
import zlib

import brotli
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qann_core import bitstream
from qann_core.common.errors import BitstreamError, ParameterError, QannError
from qann_core.common.limits import MAX_PIXELS, MAX_SIDE
from qann_core.common.shapes import pyramid_shapes
from qann_core.quantization import QuantizedLatents

MEGABYTES = 200


def latents(height: int = 40, width: int = 56, levels: int = 64) -> QuantizedLatents:
    random = np.random.default_rng(3)
    bands = tuple(
        random.integers(-2, 3, shape, dtype=np.int32) for shape in pyramid_shapes(height, width)
    )
    return QuantizedLatents(bands, levels, height, width, "0123abcd")


def sealed(data: bytes) -> bytes:
    """The same file with a checksum that is right, as an attacker would make it."""
    return data[:20] + struct.pack("<I", zlib.crc32(data[24:], zlib.crc32(data[:20]))) + data[24:]


def refuse(data: bytes, match: str | None = None) -> None:
    """Checks that a file is refused with one sentence and little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(BitstreamError, match=match) as caught:
            bitstream.unpack(data)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEGABYTES * 1e6
    assert "\n" not in str(caught.value)


def test_round_trip_and_header() -> None:
    original = latents()
    data = bitstream.pack(original)
    back = bitstream.unpack(data)
    assert (back.levels, back.height, back.width, back.model_id) == (64, 40, 56, "0123abcd")
    assert all(np.array_equal(a, b) for a, b in zip(original.bands, back.bands, strict=True))
    header = bitstream.read_header(data)
    assert (header.coder, header.version) == ("brotli", 1)
    assert header.total_bytes == len(data) == header.payload_bytes + bitstream.HEADER_BYTES
    assert header.bits_per_pixel == pytest.approx(8 * len(data) / (40 * 56))


def test_files_of_other_kinds() -> None:
    refuse(b"", "not a .qann")
    refuse(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(1000), "not a .qann")
    refuse(b"plain text", "not a .qann")


def test_a_file_cut_at_every_byte() -> None:
    data = bitstream.pack(latents(16, 16))
    for length in range(len(data)):
        refuse(data[:length])


def test_every_single_bit_flipped() -> None:
    data = bitstream.pack(latents(16, 16))
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(BitstreamError):
                bitstream.unpack(bytes(damaged))


def test_trailing_garbage() -> None:
    refuse(bitstream.pack(latents()) + b"x", "too many")


def test_newer_versions_and_unknown_coders_are_named() -> None:
    data = bytearray(bitstream.pack(latents()))
    data[4] = 9
    refuse(sealed(bytes(data)), "version 9")
    data[4], data[5] = 1, 200
    refuse(sealed(bytes(data)), "coder 200")


def header(levels: int, width: int, height: int, length: int) -> bytes:
    return struct.pack("<4sBB4sHHHI", b"QANN", 1, 1, b"\1\2\3\4", levels, width, height, length)


def test_huge_claims_are_refused_before_anything_is_allocated() -> None:
    refuse(sealed(header(64, MAX_SIDE, MAX_SIDE, 0) + bytes(4)), "pixels")
    refuse(sealed(header(64, 0, 10, 0) + bytes(4)), "pixels")
    refuse(sealed(header(64, 10, 10, 2**32 - 1) + bytes(4)), "payload")
    refuse(sealed(header(0, 10, 10, 0) + bytes(4)), "N is 0")
    refuse(sealed(header(64, 10, 10, 5000) + bytes(4)), "cut short")
    # As long as the fields allow: 10^9 pixels a side and payloads of 2^60 cannot even be said.
    refuse(b"QANN\x01\x01" + b"\xff" * 60)


def test_a_large_claim_over_a_tiny_payload() -> None:
    payload = b"\xff" * 5 + b"\x01" * 3 + b"\xff\xff\xff\x7f\x00" * 8 + bytes(20)
    side = int(MAX_PIXELS**0.5)
    refuse(sealed(header(64, side, side, len(payload)) + bytes(4) + payload))


def test_a_brotli_bomb() -> None:
    bomb = brotli.compress(bytes(300_000_000), quality=1)
    flags = b"\xff" * 5 + b"\x10\x10\x10"
    sizes = b"\x90\x4e\x07" + b"\x00" * 7 + b"\x00"
    length = len(bomb)
    varint = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14])
    payload = flags + sizes + varint + bomb
    refuse(sealed(header(64, 64, 64, len(payload)) + bytes(4) + payload))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_hostile_payloads_with_a_right_checksum(data: st.DataObject) -> None:
    file = bytearray(bitstream.pack(latents(32, 48)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(24, len(file) - 1))
        file[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([0, 0, 1, 7]))
    file = file[: len(file) - cut]
    file[16:20] = struct.pack("<I", len(file) - 24)
    try:
        back = bitstream.unpack(sealed(bytes(file)))
    except BitstreamError:
        return
    shapes = pyramid_shapes(32, 48)
    assert tuple(band.shape for band in back.bands) == shapes, "garbage in, but within bounds"


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_random_bytes_after_a_right_header(noise: bytes) -> None:
    try:
        bitstream.unpack(sealed(header(64, 40, 40, len(noise)) + bytes(4) + noise))
    except BitstreamError:
        return
    assert noise, "an empty payload holds no latents"


def test_latents_that_do_not_fit_are_refused() -> None:
    good = latents()
    wrong_id = QuantizedLatents(good.bands, 64, 40, 56, "NOTHEX!!")
    wrong_size = QuantizedLatents(good.bands, 64, 140, 56, "0123abcd")
    too_wide = QuantizedLatents((good.bands[0] + 1000, *good.bands[1:]), 64, 40, 56, "0123abcd")
    for wrong, match in ((wrong_id, "model id"), (wrong_size, "shapes"), (too_wide, "allows")):
        with pytest.raises(ParameterError, match=match):
            bitstream.pack(wrong)
    assert issubclass(ParameterError, QannError)
