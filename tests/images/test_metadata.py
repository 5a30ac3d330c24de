"""What a file holds beside its pixels, and what is said of it."""

import numpy as np
import pytest
from made_images import SRGB_COLUMNS, gradient, matrix_profile, saved
from PIL import Image

from qann_core.images import read_image
from qann_core.images.metadata import not_kept

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'


def camera(orientation=None):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:01:02 03:04:05"
    if orientation:
        exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_exif_and_profile(image_format):
    data = saved(
        Image.fromarray(gradient()), image_format, exif=camera(),
        icc_profile=matrix_profile(*SRGB_COLUMNS),
    )  # fmt: skip
    assert read_image(data).metadata.names == ("EXIF", "ICC profile")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_can_be_written_again_without_turning_the_picture(image_format):
    data = saved(Image.fromarray(gradient()), image_format, exif=camera(6))
    kept = read_image(data)
    again = read_image(saved(Image.fromarray(kept.pixels), "PNG", exif=kept.metadata.exif))
    np.testing.assert_array_equal(again.pixels, kept.pixels)
    exif = Image.Exif()
    exif.load(again.metadata.exif)
    assert exif[0x010F] == "A camera" and 0x0112 not in exif
    assert exif.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_orientation_alone_is_nothing_to_lose(image_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert (
        read_image(saved(Image.fromarray(gradient()), image_format, exif=exif)).metadata.names == ()
    )


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "AVIF"])
def test_xmp_and_gain_map(image_format):
    image = Image.fromarray(gradient())
    plain = read_image(saved(image, image_format, xmp=XMP)).metadata
    assert plain.names == ("XMP",) and plain.xmp == XMP
    mapped = XMP.replace(b"></", b' hdrgm:Version="1.0"></')
    assert read_image(saved(image, image_format, xmp=mapped)).metadata.names == ("XMP", "gain map")


def test_nothing_and_damage():
    plain = saved(Image.fromarray(gradient()), "PNG")
    assert read_image(plain).metadata.names == ()
    bad = saved(Image.fromarray(gradient()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_image(bad).metadata.exif == b""


def test_the_sentence():
    assert not_kept([]) == ""
    assert not_kept(["gain map", "EXIF", "EXIF"]) == "Not kept: EXIF, gain map."
