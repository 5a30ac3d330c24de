"""HEIC images, where the package pillow-heif is installed, and the sentence where it is not."""

import io
import sys

import numpy as np
import pytest
from made_images import SRGB_COLUMNS, colour_patches, gradient, matrix_profile, with_nclx
from PIL import Image

from qann_core.common.errors import ImageError
from qann_core.common.limits import MAX_SIDE
from qann_core.images import read_image


@pytest.fixture(scope="module")
def heif():
    return pytest.importorskip("pillow_heif")


def written(heif, pixels, **options):
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=-1, chroma=444, **options)
    return buffer.getvalue()


def test_pixels(heif):
    loaded = read_image(written(heif, gradient(), matrix_coefficients=0))
    assert np.abs(loaded.pixels.astype(int) - gradient()).max() <= 4
    assert loaded.notices == ()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_orientation(heif, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = gradient(24, 40)
    turns = {3: 2, 6: 1, 8: 3}[orientation]
    stored = np.ascontiguousarray(np.rot90(upright, turns))
    loaded = read_image(written(heif, stored, exif=exif.tobytes()))
    assert loaded.pixels.shape == upright.shape
    assert np.abs(loaded.pixels.astype(int) - upright).max() <= 8


def test_colour_by_numbers_and_by_profile(heif):
    data = written(heif, colour_patches())
    assert np.abs(read_image(data).pixels.astype(int) - colour_patches()).max() <= 4
    loaded = read_image(with_nclx(data, 12, 13))
    np.testing.assert_allclose(loaded.pixels[8, 8], (218, 0, 26), atol=4)
    assert len(loaded.notices) == 1
    red, green, blue = SRGB_COLUMNS
    image = Image.fromarray(colour_patches())
    image.info["icc_profile"] = matrix_profile(green, red, blue)
    buffer = io.BytesIO()
    heif.from_pillow(image).save(buffer, quality=-1, chroma=444)
    np.testing.assert_allclose(read_image(buffer.getvalue()).pixels[8, 56], (0, 255, 0), atol=8)


def test_cut_short(heif):
    data = written(heif, gradient(64, 64))
    with pytest.raises(ImageError, match="damaged"):
        read_image(data[: len(data) // 2])


def test_size_is_checked_before_decoding(heif, monkeypatch):
    data = written(heif, gradient(64, 64))
    at = data.index(b"ispe") + 8
    large = data[:at] + (MAX_SIDE + 1).to_bytes(4) + data[at + 4 :]
    with pytest.raises(ImageError):
        read_image(large)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(ImageError) as error:
        read_image(data)
    assert "HEIC" in str(error.value) and "pillow-heif" in str(error.value)
    assert str(error.value).endswith(".")
