"""Colour of every kind to sRGB."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import (
    COLOURS,
    DISPLAY_P3,
    SRGB_COLUMNS,
    chrm,
    cicp,
    cmyk_profile,
    colour_patches,
    described_png,
    gama,
    gamma,
    gradient,
    icc_profile,
    matrix_profile,
    png,
    saved,
    with_nclx,
    xyz,
)
from PIL import Image, ImageCms

from qann_core.common.errors import ImageError
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


CONVERTED = "Colours were converted to sRGB from the image's own colour space."


def shown(data):
    loaded = read_image(data)
    return loaded.pixels.reshape(-1, 3)[: len(COLOURS)].astype(int), loaded.notices


class TestNumbers:
    """The values are what Chromium 156 shows; tests/browser compares every kind with it."""

    @pytest.mark.parametrize(
        ("chunks", "first_three"),
        [
            ([cicp(12, 13)], [(218, 0, 26), (64, 64, 64), (128, 128, 128)]),
            ([cicp(9, 1)], [(246, 0, 6), (53, 54, 54), (121, 121, 121)]),
            ([cicp(1, 8)], [(229, 110, 110), (137, 137, 137), (188, 188, 188)]),
            ([cicp(1, 7)], [(206, 58, 58), (81, 81, 81), (141, 141, 141)]),
            ([gama(1.0)], [(229, 110, 110), (137, 137, 137), (188, 188, 188)]),
            ([gama(0.5)], [(206, 43, 43), (71, 71, 71), (137, 137, 137)]),
            ([chrm(DISPLAY_P3), gama(0.45455)], [(220, 0, 18), (62, 62, 62), (129, 129, 129)]),
            ([cicp(2, 2), gama(1.0)], [(229, 110, 110), (137, 137, 137), (188, 188, 188)]),
            ([(b"sRGB", b"\0"), cicp(12, 13)], [(218, 0, 26), (64, 64, 64), (128, 128, 128)]),
        ],
        ids=str,
    )
    def test_converted(self, chunks, first_three):
        pixels, notices = shown(described_png(*chunks))
        assert np.abs(pixels[:3] - first_three).max() <= 1
        assert (pixels[6] == 255).all() and notices == (CONVERTED,)

    @pytest.mark.parametrize(
        "chunks",
        [
            [cicp(1, 13)], [cicp(2, 13)], [cicp(12, 2)], [cicp(1, 9)], [cicp(12, 13, full_range=0)],
            [cicp(12, 13, matrix=1)], [gama(0.45455)], [gama(0.44)], [chrm(DISPLAY_P3)],
            [(b"sRGB", b"\0"), gama(1.0)], [gama(0)], [gama(0.00015)], [gama(6251)],
            [(b"cICP", b"")],
            [cicp(1, 13), gama(1.0)],
        ],
        ids=str,
    )  # fmt: skip
    def test_taken_as_srgb(self, chunks):
        pixels, notices = shown(described_png(*chunks))
        np.testing.assert_array_equal(pixels, COLOURS)
        assert notices == ()

    @pytest.mark.parametrize("bad", [[0.0] * 8, [0.3] * 8, [3.0] * 8])
    def test_impossible_chromaticities_are_ignored(self, bad):
        pixels, _ = shown(described_png(chrm(bad), gama(1.0)))
        assert tuple(pixels[1]) == (137, 137, 137)

    def test_profile_and_numbers(self):
        red, green, blue = SRGB_COLUMNS
        profile = b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(green, red, blue))
        assert tuple(shown(described_png(profile, cicp(12, 13)))[0][0]) == (218, 0, 26)
        for other in (gama(1.0), (b"sRGB", b"\0")):
            np.testing.assert_allclose(shown(described_png(profile, other))[0][3], (0, 255, 0))

    @pytest.mark.parametrize(
        ("numbers", "name", "greys"),
        [((9, 16), "PQ", (30, 132)), ((1, 16), "PQ", (30, 132)), ((9, 18), "HLG", (43, 99))],
    )
    def test_hdr_is_tone_mapped(self, numbers, name, greys):
        pixels, notices = shown(described_png(cicp(*numbers)))
        assert np.abs(pixels[1:3] - np.array(greys)[:, None]).max() <= 1
        assert (pixels[6] == 255).all()
        assert notices == (f"High dynamic range ({name}) was tone-mapped to sRGB.",)

    def test_tone_mapping_is_monotone(self):
        ramp = np.arange(256, dtype=np.uint8).repeat(3)
        for transfer in (16, 18):
            data = png(256, 1, 8, 2, b"\0" + ramp.tobytes(), [cicp(9, transfer)])
            greys = read_image(data).pixels[0, :, 0].astype(int)
            assert (np.diff(greys) >= 0).all() and greys[0] == 0 and greys[-1] == 255

    def test_grey_palette_and_transparency(self):
        grey = png(2, 1, 8, 0, b"\0\x40\x80", [gama(1.0)])
        np.testing.assert_array_equal(read_image(grey).pixels[0, :, 1], (137, 188))
        palette = png(1, 1, 8, 3, b"\0\0", [gama(1.0), (b"PLTE", b"\x40\x80\xff")])
        np.testing.assert_array_equal(read_image(palette).pixels[0, 0], (137, 188, 255))
        half = png(1, 1, 8, 6, b"\0\x40\x40\x40\x80", [gama(1.0)])
        np.testing.assert_allclose(read_image(half).pixels[0, 0], 196, atol=1)


class TestNclx:
    @pytest.fixture(scope="class")
    def avif(self):
        patches = Image.fromarray(colour_patches())
        return saved(patches, "AVIF", quality=100, subsampling="4:4:4")

    @pytest.mark.parametrize(
        ("numbers", "red"),
        [((12, 13), (218, 0, 26)), ((12, 2), (218, 0, 26)), ((9, 1), (249, 0, 27)),
         ((1, 8), (229, 110, 110))],
    )  # fmt: skip
    def test_avif(self, avif, numbers, red):
        loaded = read_image(with_nclx(avif, *numbers))
        np.testing.assert_allclose(loaded.pixels[8, 8], red, atol=2)
        assert loaded.notices == (CONVERTED,)

    @pytest.mark.parametrize("numbers", [(1, 13), (1, 1), (2, 2), (2, 13), (77, 99)])
    def test_avif_in_srgb(self, avif, numbers):
        loaded = read_image(with_nclx(avif, *numbers))
        assert np.abs(loaded.pixels.astype(int) - colour_patches()).max() <= 3
        assert loaded.notices == ()

    def test_hdr(self, avif):
        loaded = read_image(with_nclx(avif, 9, 16))
        np.testing.assert_allclose(loaded.pixels[8, 40], 132, atol=2)
        assert loaded.notices == ("High dynamic range (PQ) was tone-mapped to sRGB.",)

    def test_profile_comes_first(self):
        red, green, blue = SRGB_COLUMNS
        data = saved(Image.fromarray(colour_patches()), "AVIF", quality=100,
                     icc_profile=matrix_profile(green, red, blue))  # fmt: skip
        np.testing.assert_allclose(read_image(data).pixels[8, 56], (0, 255, 0), atol=8)

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_damaged_boxes_are_no_traceback(self, avif, data):
        file = bytearray(avif)
        for _ in range(data.draw(st.integers(1, 4))):
            file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
        try:
            read_image(bytes(file))
        except ImageError as error:
            assert str(error).endswith(".")
