"""Reading and writing images: every mode, orientation, profile and kind of damage."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_images import check_damaged, gradient, png, saved
from PIL import Image

from qann_core.common.errors import ImageError, ParameterError
from qann_core.common.limits import MAX_PIXELS, MAX_SIDE
from qann_core.images import (
    check_pixels,
    from_pil,
    read_image,
    write_image,
)


class TestFormats:
    @pytest.mark.parametrize(
        ("image_format", "options", "tolerance"),
        [
            ("PNG", {}, 0),
            ("BMP", {}, 0),
            ("TIFF", {}, 0),
            ("TIFF", {"compression": "tiff_lzw"}, 0),
            ("WEBP", {"lossless": True}, 0),
            ("WEBP", {"quality": 95}, 12),
            ("JPEG", {"quality": 95, "subsampling": 0}, 6),
            ("JPEG", {"quality": 95, "progressive": True}, 12),
            ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 6),
        ],
    )
    def test_rgb_of_every_format(self, image_format, options, tolerance):
        pixels = gradient()
        loaded = read_image(saved(Image.fromarray(pixels), image_format, **options))
        assert loaded.pixels.shape == pixels.shape
        assert loaded.pixels.dtype == np.uint8
        assert loaded.pixels.flags.c_contiguous and loaded.pixels.flags.writeable
        assert np.abs(loaded.pixels.astype(int) - pixels).max() <= tolerance
        assert loaded.notices == ()

    def test_gif_keeps_its_palette_colours(self):
        pixels = np.zeros((6, 8, 3), np.uint8)
        pixels[:, 4:] = (10, 200, 90)
        palette = Image.fromarray(pixels).quantize(4)
        loaded = read_image(saved(palette, "GIF"))
        np.testing.assert_array_equal(loaded.pixels, pixels)

    @pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
    def test_first_of_several_frames(self, image_format):
        frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
        options = {"lossless": True} if image_format == "WEBP" else {}
        data = saved(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
        loaded = read_image(data)
        assert np.abs(loaded.pixels.astype(int) - (255, 0, 0)).max() <= 4
        assert loaded.notices == ("Only the first frame was used.",)

    def test_second_picture_of_a_phone_is_no_frame(self):
        photo = Image.fromarray(gradient())
        data = saved(photo, "MPO", save_all=True, append_images=[photo.resize((8, 8))])
        loaded = read_image(data)
        assert loaded.pixels.shape == gradient().shape and loaded.notices == ()

    def test_path_string_and_file_object(self, tmp_path):
        path = tmp_path / "a photo é.png"
        Image.fromarray(gradient()).save(path)
        for source in (path, str(path)):
            np.testing.assert_array_equal(read_image(source).pixels, gradient())
        with open(path, "rb") as file:
            file.read(5)  # wherever the caller left it
            np.testing.assert_array_equal(read_image(file).pixels, gradient())

    @given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
    @settings(max_examples=30, deadline=None)
    def test_png_of_any_size_is_exact(self, pixels):
        np.testing.assert_array_equal(
            read_image(saved(Image.fromarray(pixels), "PNG")).pixels, pixels
        )


class TestModes:
    def test_grey_and_one_bit(self):
        grey = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
        loaded = from_pil(Image.fromarray(grey))
        np.testing.assert_array_equal(loaded.pixels, np.repeat(grey[..., None], 3, 2))
        bits = from_pil(Image.fromarray(grey > 100))
        np.testing.assert_array_equal(bits.pixels[..., 1], np.where(grey > 100, 255, 0))

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
    def test_alpha_is_composited_over_white(self, mode):
        grey = mode in ("LA", "La")
        colour = (0, 0, 0) if grey else (250, 0, 0)
        if mode == "PA":
            image = Image.new("RGB", (4, 3), colour).quantize(2)
            image.putalpha(51)
        else:
            image = (
                Image.new("LA", (4, 3), (0, 51))
                if grey
                else Image.new("RGBA", (4, 3), (*colour, 51))
            )
            image = image.convert(mode)
        assert image.mode == mode
        loaded = from_pil(image)
        expected = 255 + 0.2 * (np.array(colour) - 255)
        np.testing.assert_allclose(loaded.pixels[1, 2], expected, atol=2)
        assert loaded.notices == ("Transparency was composited over white.",)

    def test_opaque_alpha_makes_no_notice(self):
        assert from_pil(Image.new("RGBA", (4, 4), (1, 2, 3, 255))).notices == ()

    def test_transparent_palette_and_transparent_colour(self):
        palette = Image.new("P", (4, 4), 1)
        palette.putpalette([0, 0, 0, 0, 0, 250])
        for data in (
            saved(palette, "PNG", transparency=1),
            saved(palette, "GIF", transparency=1),
            saved(Image.new("RGB", (4, 4), "blue"), "PNG", transparency=(0, 0, 255)),
            saved(Image.new("L", (4, 4), 7), "PNG", transparency=7),
        ):
            loaded = read_image(data)
            assert loaded.pixels.min() == 255
            assert "Transparency was composited over white." in loaded.notices

    @pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled_not_clipped(self, image_format):
        samples = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
        loaded = read_image(saved(Image.fromarray(samples), image_format))
        expected = np.rint(samples / 257)
        np.testing.assert_array_equal(loaded.pixels[..., 0], expected)
        assert loaded.notices == ("16-bit samples were scaled to 8 bits.",)

    def test_16_bit_rgb(self):
        samples = np.linspace(0, 65535, 4 * 5 * 3).astype(">u2").reshape(4, 5, 3)
        rows = b"".join(b"\0" + row.tobytes() for row in samples)
        loaded = read_image(png(5, 4, 16, 2, rows))
        assert np.abs(loaded.pixels - samples / 257).max() <= 1
        assert loaded.notices == ("16-bit samples were scaled to 8 bits.",)

    @pytest.mark.parametrize(
        ("mode", "values", "expected", "notices"),
        [
            ("I", [0, 100, 255], [0, 100, 255], 0),
            ("I", [0, 25700, 65535], [0, 100, 255], 1),
            ("I", [-100, 0, 100], [0, 128, 255], 1),
            ("I", [0, 500_000, 1_000_000], [0, 128, 255], 1),
            ("F", [0.0, 0.2, 1.0], [0, 51, 255], 1),
            ("F", [0.0, 51.0, 255.0], [0, 51, 255], 1),
            ("F", [-1.0, 0.0, 1.0], [0, 128, 255], 1),
            ("F", [0.0, np.nan, 1.0], [0, 0, 255], 1),
            ("F", [0.0, 0.0, 0.0], [0, 0, 0], 1),
        ],
    )
    def test_wide_samples(self, mode, values, expected, notices):
        samples = np.array([values], np.int32 if mode == "I" else np.float32)
        loaded = from_pil(Image.fromarray(samples))
        np.testing.assert_array_equal(loaded.pixels[0, :, 0], expected)
        assert len(loaded.notices) == notices

    def test_float_tiff(self):
        samples = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
        loaded = read_image(saved(Image.fromarray(samples), "TIFF"))
        np.testing.assert_array_equal(loaded.pixels[..., 2], np.rint(samples * 255))

    @pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
    def test_cmyk_without_profile(self, image_format):
        image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        loaded = read_image(saved(image, image_format))
        np.testing.assert_allclose(loaded.pixels[3, 3], (255, 0, 0), atol=3)
        assert any("CMYK" in notice for notice in loaded.notices)

    def test_lab_ycbcr_hsv(self):
        lab = Image.fromarray(np.full((4, 4, 3), (255, 128, 128), np.uint8), "RGB")
        lab = Image.merge("LAB", lab.split())
        np.testing.assert_allclose(from_pil(lab).pixels[0, 0], 255, atol=3)
        for mode in ("YCbCr", "HSV", "RGBX"):
            loaded = from_pil(Image.new("RGB", (4, 4), (200, 100, 50)).convert(mode))
            np.testing.assert_allclose(loaded.pixels[0, 0], (200, 100, 50), atol=4)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
    def test_all_eight(self, orientation, image_format):
        upright = gradient(24, 40)
        # What a camera stores so that the viewer's operation gives the upright picture.
        undo = {
            1: lambda a: a,
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a, 1),
            7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
            8: lambda a: np.rot90(a, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"PNG": {}, "TIFF": {}}.get(image_format, {"quality": 95})
        stored = Image.fromarray(np.ascontiguousarray(undo(upright)))
        loaded = read_image(saved(stored, image_format, exif=exif, **options))
        assert loaded.pixels.shape == upright.shape
        assert np.abs(loaded.pixels.astype(int) - upright).max() <= 16

    def test_damaged_exif_is_ignored(self):
        data = saved(Image.fromarray(gradient()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
        np.testing.assert_array_equal(read_image(data).pixels, gradient())


def assert_one_sentence(error, *words):
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    for word in words:
        assert word in text


class TestErrors:
    def test_files_that_cannot_be_opened(self, tmp_path):
        with pytest.raises(ImageError) as error:
            read_image(tmp_path / "none.png")
        assert_one_sentence(error, "none.png", "does not exist")
        with pytest.raises(ImageError) as error:
            read_image(tmp_path)
        assert_one_sentence(error, "folder")
        with pytest.raises(ImageError) as error:
            read_image("a\0b.png")
        assert_one_sentence(error)

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
    def test_permission(self, tmp_path):
        path = tmp_path / "mine.png"
        path.write_bytes(b"x")
        path.chmod(0)
        with pytest.raises(ImageError, match="may not be read"):
            read_image(path)

    def test_permission_error_is_translated(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
        with pytest.raises(ImageError) as error:
            read_image(tmp_path / "a.png")
        assert_one_sentence(error, "permissions")

    def test_empty_and_not_an_image(self, tmp_path):
        (tmp_path / "empty.png").write_bytes(b"")
        with pytest.raises(ImageError) as error:
            read_image(tmp_path / "empty.png")
        assert_one_sentence(error, "empty.png is empty", "JPEG")
        for data in (b"hello, world", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"%PDF-1.7\n", b"\0" * 100):
            with pytest.raises(ImageError) as error:
                read_image(data)
            assert_one_sentence(error, "not an image", "JPEG")

    @pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
    def test_truncated(self, image_format, kept):
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        data = saved(Image.fromarray(noise), image_format)
        with pytest.raises(ImageError) as error:
            read_image(data[: int(len(data) * kept)])
        assert_one_sentence(error, "damaged")

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_damage_gives_pixels_or_one_clear_error(self, data):
        image_format = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {} if image_format in ("GIF", "BMP") else {"exif": exif}
        file = saved(Image.fromarray(gradient(12, 14)), image_format, **options)
        check_damaged(file, data)

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize(
        ("width", "height"), [(60_000, 60_000), (10_000, 10_000), (8200, 8200), (MAX_SIDE + 1, 1)]
    )
    def test_size_is_checked_before_decoding(self, width, height, monkeypatch):
        def fail(*_):
            raise AssertionError("decoded")

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
        before = Image.MAX_IMAGE_PIXELS
        with pytest.raises(ImageError) as error:
            read_image(png(width, height, 8, 2))
        assert_one_sentence(error, "too large", "megapixels")
        assert before == Image.MAX_IMAGE_PIXELS

    def test_warnings_as_errors(self):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImageError, match="too large"):
                read_image(png(10_000, 10_000, 8, 2))

    @pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 5), (5, 0)])
    def test_no_pixels(self, width, height):
        with pytest.raises(ImageError) as error:
            read_image(png(width, height, 8, 2))
        assert_one_sentence(error)
        with pytest.raises(ImageError, match="no pixels"):
            from_pil(Image.new("RGB", (width, height)))

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((4, 4)),
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            np.zeros((0, 4, 3), np.uint8),
            np.broadcast_to(np.uint8(0), (1, MAX_SIDE + 1, 3)),
            np.broadcast_to(np.uint8(0), (8192, MAX_PIXELS // 8192 + 1, 3)),
            [[[0, 0, 0]]],
        ],
    )
    def test_check_pixels_refuses(self, array):
        with pytest.raises(ImageError) as error:
            check_pixels(array)
        assert_one_sentence(error)

    def test_check_pixels_makes_contiguous(self):
        flipped = gradient()[:, ::-1]
        checked = check_pixels(flipped)
        assert checked.flags.c_contiguous
        np.testing.assert_array_equal(checked, flipped)


class TestWriting:
    @pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tif", ".tiff", ".webp"])
    def test_lossless_formats(self, tmp_path, suffix):
        path = tmp_path / f"out{suffix}"
        write_image(path, gradient())
        np.testing.assert_array_equal(read_image(path).pixels, gradient())

    @pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".avif"])
    def test_lossy_formats(self, tmp_path, suffix):
        path = tmp_path / f"out{suffix}"
        write_image(path, gradient())
        assert np.abs(read_image(path).pixels.astype(int) - gradient()).max() <= 6

    def test_unknown_extension_and_bad_pixels_leave_nothing(self, tmp_path):
        for name in ("out", "out.gif", "out.exe"):
            with pytest.raises(ParameterError, match=r"\.png"):
                write_image(tmp_path / name, gradient())
        with pytest.raises(ImageError):
            write_image(tmp_path / "out.png", np.zeros((2, 2, 3)))
        wide = np.zeros((1, 20_000, 3), np.uint8)  # WebP's limit is 16383
        with pytest.raises(ImageError, match=r"\.png"):
            write_image(tmp_path / "out.webp", wide)
        assert list(tmp_path.iterdir()) == []


class TestExamples:
    def test_credits_match_the_files(self):
        import json
        from pathlib import Path

        folder = Path(__file__).parents[2] / "assets" / "examples"
        credits = json.loads((folder / "credits.json").read_text(encoding="utf-8"))
        listed = {entry["file"] for entry in credits}
        assert listed == {p.name for p in folder.iterdir() if p.suffix == ".jpg"}
        keys = {"file", "title", "subject", "author", "licence", "source"}
        for entry in credits:
            assert set(entry) == keys and all(entry.values())
            loaded = read_image(folder / entry["file"])
            assert loaded.notices == () and max(loaded.pixels.shape) <= 768
