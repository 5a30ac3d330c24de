"""16-bit PNG and transparency by colour: what Pillow alone would lose."""

import struct

import numpy as np
import pytest
from made_images import gama, png

from qann_core.images import read_image

SIXTEEN = "16-bit samples were scaled to 8 bits."
OVER_WHITE = "Transparency was composited over white."


def deep_png(samples, colour_type, chunks=()):
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png(width, height, 16, colour_type, rows, chunks)


def noise(channels):
    return np.random.default_rng(2).integers(0, 65536, (11, 13, channels), dtype=np.uint16)


def test_rgb_is_rounded():
    samples = noise(3)
    loaded = read_image(deep_png(samples, 2))
    np.testing.assert_array_equal(loaded.pixels, np.rint(samples / 257))
    assert loaded.notices == (SIXTEEN,)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_composited_over_white(channels):
    samples = noise(channels)
    loaded = read_image(deep_png(samples, 4 if channels == 2 else 6))
    share = samples[..., -1:] / 65535
    expected = share * samples[..., :-1] / 257 + (1 - share) * 255
    assert np.abs(loaded.pixels - expected).max() <= 2
    assert loaded.notices == (SIXTEEN, OVER_WHITE)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_transparent_colour_of_16_bits(channels):
    """Its neighbour, equal in the upper bytes, stays opaque."""
    samples = np.full((2, 3, channels), 0x1234, np.uint16)
    samples[0, 0, -1] = 0x1235
    transparent = struct.pack(f">{channels}H", *[0x1234] * channels)
    loaded = read_image(deep_png(samples, 2 if channels == 3 else 0, [(b"tRNS", transparent)]))
    np.testing.assert_array_equal(loaded.pixels[0, 0], [18] * 3)
    assert loaded.pixels.reshape(-1, 3)[1:].min() == 255
    assert loaded.notices == (SIXTEEN, OVER_WHITE)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_that_is_not_used(channels):
    samples = np.full((2, 3, channels), 0x1234, np.uint16)
    transparent = struct.pack(f">{channels}H", *[7] * channels)
    loaded = read_image(deep_png(samples, 2 if channels == 3 else 0, [(b"tRNS", transparent)]))
    assert loaded.pixels.max() == 18 and loaded.notices == (SIXTEEN,)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_transparent_grey_of_few_bits(depth):
    levels = 2**depth
    bits = "".join(format(v, f"0{depth}b") for v in range(min(levels, 16)))
    row = bytes(int(bits.ljust(16, "0")[i : i + 8], 2) for i in range(0, len(bits), 8))
    chunk = b"tRNS", struct.pack(">H", 1)
    loaded = read_image(png(min(levels, 16), 1, depth, 0, b"\0" + row, [chunk]))
    expected = np.arange(min(levels, 16)) * 255 // (levels - 1)
    expected[1] = 255
    np.testing.assert_array_equal(loaded.pixels[0, :, 0], expected)
    assert loaded.notices == (OVER_WHITE,)


def test_orientation_and_gamma_together():
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    samples = np.zeros((2, 3, 3), np.uint16)
    samples[0] = 0x8080
    loaded = read_image(deep_png(samples, 2, [gama(1.0), (b"eXIf", exif)]))
    assert loaded.pixels.shape == (3, 2, 3)
    assert loaded.pixels[0].tolist() == [[0, 0, 0], [188, 188, 188]]
