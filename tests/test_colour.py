"""Colour of every kind to sRGB."""

import numpy as np
import pytest
from made_images import (
    SRGB_COLUMNS,
    cmyk_profile,
    gamma,
    gradient,
    icc_profile,
    matrix_profile,
    saved,
    xyz,
)
from PIL import Image, ImageCms

from qann_core.images import read_image


class TestProfiles:
    def test_srgb_profile_changes_nothing(self):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        loaded = read_image(saved(Image.fromarray(gradient()), "PNG", icc_profile=profile))
        np.testing.assert_array_equal(loaded.pixels, gradient())
        assert loaded.notices == ()

    @pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
    def test_swapped_primaries_swap_the_colours(self, image_format):
        red, green, blue = SRGB_COLUMNS
        image = Image.new("RGB", (16, 16), (255, 0, 0))
        data = saved(image, image_format, icc_profile=matrix_profile(green, red, blue), quality=95)
        loaded = read_image(data)
        np.testing.assert_allclose(loaded.pixels[8, 8], (0, 255, 0), atol=6)
        assert any("converted to sRGB" in notice for notice in loaded.notices)

    def test_linear_rgb_is_brightened(self):
        profile = matrix_profile(*SRGB_COLUMNS, curve=1.0)
        loaded = read_image(
            saved(Image.new("RGB", (4, 4), (55, 55, 55)), "PNG", icc_profile=profile)
        )
        # sRGB's encoding of the linear value 55 / 255 (IEC 61966-2-1).
        expected = 255 * (1.055 * (55 / 255) ** (1 / 2.4) - 0.055)
        np.testing.assert_allclose(loaded.pixels[0, 0], expected, atol=2)

    def test_grey_profile(self):
        tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": gamma(1.0)}
        profile = icc_profile(b"mntr", b"GRAY", tags)
        for image in (Image.new("L", (4, 4), 55), Image.new("LA", (4, 4), (55, 255))):
            loaded = read_image(saved(image, "PNG", icc_profile=profile))
            np.testing.assert_allclose(loaded.pixels[0, 0], 128, atol=2)

    def test_grey_image_and_palette_with_rgb_profile(self):
        profile = matrix_profile(*SRGB_COLUMNS, curve=1.0)
        for mode in ("L", "P"):
            image = Image.new("RGB", (4, 4), (55, 55, 55))
            image = image.convert("L") if mode == "L" else image.quantize(4)
            loaded = read_image(saved(image, "PNG", icc_profile=profile))
            np.testing.assert_allclose(loaded.pixels[0, 0], 128, atol=2)

    def test_cmyk_profile_with_its_black_mapped_to_black(self):
        for black, expected in ((0, 255), (255, 0)):
            image = Image.new("CMYK", (16, 16), (255, 0, 255, black))
            data = saved(image, "TIFF", icc_profile=cmyk_profile())
            loaded = read_image(data)
            np.testing.assert_allclose(loaded.pixels[8, 8], expected, atol=3)
            assert loaded.notices == (
                "Colours were converted to sRGB from the image's own colour space.",
            )

    def test_profile_applies_before_compositing(self):
        red, green, blue = SRGB_COLUMNS
        image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
        image.paste((255, 0, 0, 255), (0, 0, 2, 4))
        loaded = read_image(saved(image, "PNG", icc_profile=matrix_profile(green, red, blue)))
        np.testing.assert_allclose(loaded.pixels[0, 0], (0, 255, 0), atol=4)
        np.testing.assert_array_equal(loaded.pixels[0, 3], (255, 255, 255))

    @pytest.mark.parametrize(
        "profile", [b"not a profile", cmyk_profile(), matrix_profile(*SRGB_COLUMNS)[:140]]
    )
    def test_unusable_profile_is_ignored_with_a_notice(self, profile):
        loaded = read_image(saved(Image.fromarray(gradient()), "PNG", icc_profile=profile))
        np.testing.assert_array_equal(loaded.pixels, gradient())
        assert loaded.notices == ("The embedded colour profile is not usable and was ignored.",)
