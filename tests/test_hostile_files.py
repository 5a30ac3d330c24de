"""Files made to break the reader, and arguments that are none: one clear error, before any work."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import torch

import qann_core
from qann_core import Codec, bitstream
from qann_core.coding.symbols import varint
from qann_core.common.errors import BitstreamError, ModelError, ParameterError, QannError
from qann_core.common.limits import MAX_UNTRUSTED_PIXELS
from qann_core.common.shapes import integer_range, pyramid_shapes
from qann_core.quantization import QuantizedLatents


def file_of(
    payload: bytes, size: tuple[int, int] = (32, 16), levels: int = 64, coder: int = 1,
    model: str = "08fb743a",
) -> bytes:  # fmt: skip
    """A .qann file with this payload, whose lengths and checksum are right; (width, height)."""
    head = struct.pack("<4sBB4sHHHI", b"QANN", 1, coder, bytes.fromhex(model), levels, *size,
                       len(payload))  # fmt: skip
    return head + struct.pack("<I", zlib.crc32(payload, zlib.crc32(head))) + payload


FLAGS = b"\xe0\0\0\0\0"  # the three planes of LL have something, details have nothing


@pytest.mark.parametrize("mean", [0, 16 * 64, 16 * 65536, 2**20 - 1, 2**32, 2**35 - 1])
def test_a_mean_that_n_rules_out_is_damage(mean: int) -> None:
    payload = FLAGS + varint(16) + varint(mean) + varint(16) + bytes(20)
    with pytest.raises(BitstreamError, match=r"is out of range|more than 35 bits|integers"):
        bitstream.unpack(file_of(payload))


@pytest.mark.parametrize("size", [(8192, 8192), (65535, 257), (4097, 4096)])
def test_a_large_picture_is_refused_before_any_work(
    codec: Codec, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file_of(bytes(5), size, model=codec.model_id)
    assert size[0] * size[1] > MAX_UNTRUSTED_PIXELS

    def fail(*_: object) -> None:
        raise AssertionError("no work is done")

    monkeypatch.setattr("qann_core.coding.brotli_coder.BrotliCoder.decode", fail)
    monkeypatch.setattr("qann_core.codec.cached_codec", fail)
    for read in (codec.unpack, qann_core.decompress):
        with pytest.raises(BitstreamError, match=f"{size[0]} x {size[1]} pixels; at most"):
            read(data)
    assert bitstream.read_header(data).width == size[0], "the header alone may be read"


def test_the_caller_may_allow_more_or_less(codec: Codec) -> None:
    data = file_of(bytes(5), (40, 30), model=codec.model_id)
    assert codec.unpack(data, max_pixels=1200).width == 40
    with pytest.raises(BitstreamError, match="at most 1199 pixels"):
        codec.unpack(data, max_pixels=1199)


@pytest.mark.parametrize(("height", "width"), [(20000, 1), (2, 20000)])
def test_a_thin_image_counts_as_it_is_padded(codec, height, width):
    data = codec.pack(codec.encode(np.zeros((height, width, 3), np.uint8)), 96)
    assert codec.unpack(data, max_pixels=16 * 20000).height == height
    with pytest.raises(BitstreamError, match="max_pixels"):
        codec.unpack(data, max_pixels=16 * 20000 - 1)


def test_coder_and_model_must_fit() -> None:
    fast = Codec.load("fast")
    assert not fast.has_prior
    with pytest.raises(ModelError, match="no prior"):
        fast.unpack(file_of(bytes(40), coder=2, model=fast.model_id))
    with pytest.raises(BitstreamError, match="coder 3"):
        fast.unpack(file_of(bytes(40), coder=3, model=fast.model_id))
    with pytest.raises(ModelError, match="model c23837bc"):
        qann_core.decompress(file_of(bytes(40), model="c23837bc"))


@pytest.mark.parametrize("channels", [3, 4])
def test_the_prior_codes_a_wavelet_vae_alone(channels: int, codec: Codec) -> None:
    shapes = ((channels, 4, 4),)
    bands = tuple(np.zeros(shape, np.int32) for shape in shapes)
    payload = codec.prior.id + bytes(2 + channels + 40)
    data = file_of(payload, (32, 32), coder=2)
    for call in (
        lambda: bitstream.unpack(data, codec.prior, band_shapes=lambda *_: shapes),
        lambda: bitstream.pack(
            QuantizedLatents(bands, 64, 32, 32, "0123abcd"), "prior", codec.prior, lambda *_: shapes
        ),
    ):
        with pytest.raises(ModelError, match=f"1 arrays, the first of {channels} channels"):
            call()


@pytest.mark.parametrize("coder", ["brotli", "prior"])
def test_residuals_that_n_rules_out_are_damage(codec: Codec, coder: str) -> None:
    low, high = integer_range(512)
    bands = [np.zeros(shape, np.int32) for shape in pyramid_shapes(32, 48)]
    bands[0][:, ::2] = high
    bands[0][:, 1::2] = low
    quantized = codec.quantize(codec.encode(np.zeros((32, 48, 3), np.uint8)), 512)
    quantized = type(quantized)(tuple(bands), 512, 32, 48, codec.model_id)
    data = bytearray(codec.pack_integers(quantized, coder))
    struct.pack_into("<H", data, 10, 16)  # the same payload said to be of N = 16
    struct.pack_into("<I", data, 20, zlib.crc32(data[24:], zlib.crc32(data[:20])))
    with pytest.raises(BitstreamError):
        codec.unpack(bytes(data))


NAN = float("nan")


@pytest.mark.parametrize(
    "call",
    [
        lambda c, q: qann_core.compress(np.zeros((8, 8, 3), np.uint8), NAN),
        lambda c, q: qann_core.compress(np.zeros((8, 8, 3), np.uint8), None),
        lambda c, q: c.restore(q, NAN),
        lambda c, q: c.restore(q, 0),
        lambda c, q: c.attention(q, None, 0),
        lambda c, q: c.attention(q, NAN, 0),
        lambda c, q: c.attention(q, 0, 0.5),
        lambda c, q: c.pack_integers(q, 3),
        lambda c, q: c.unpack(None),
        lambda c, q: c.unpack("QANN"),
        lambda c, q: c.unpack(c.pack_integers(q), max_pixels=NAN),
        lambda c, q: c.unpack(c.pack_integers(q), max_pixels=None),
        lambda c, q: Codec.load(None),
        lambda c, q: Codec.load("psnr", coder="zip"),
        lambda c, q: Codec.load("psnr", device="tpu"),
        lambda c, q: Codec.load("psnr", device=None),
    ],
)
def test_arguments_that_are_none_are_named(
    codec: Codec, call: Callable[[Codec, object], object]
) -> None:
    quantized = codec.quantize(codec.encode(np.zeros((8, 8, 3), np.uint8)), 64)
    with pytest.raises(ParameterError) as caught:
        call(codec, quantized)
    assert isinstance(caught.value, QannError) and "\n" not in str(caught.value)


def test_latents_that_are_not_finite_are_refused(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    bands = tuple(torch.full((1, *shape), torch.nan) for shape in pyramid_shapes(16, 16))
    monkeypatch.setattr(codec.vae, "analysis", lambda image: bands)
    with pytest.raises(ModelError, match="not finite"):
        codec.encode(pixels)
