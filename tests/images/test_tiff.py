"""TIFF of every kind, written by tifffile: right pixels, or a refusal that names the kind."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import check_damaged, gradient, matrix_profile, tiff_file
from PIL import Image

from qann_core.common.errors import ImageError
from qann_core.images import read_image
from qann_core.images.tiff import TiffPage

SIXTEEN = "16-bit samples were scaled to 8 bits."
OVER_WHITE = "Transparency was composited over white."


def written(samples, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ascontiguousarray(samples), metadata=None, **options)
    return buffer.getvalue()


def planes(samples):
    return np.moveaxis(samples, -1, 0)


def noise16(height=37, width=50, channels=3):
    return np.random.default_rng(1).integers(0, 65536, (height, width, channels), dtype=np.uint16)


def rounded(samples):
    return np.rint(samples / 257).astype(np.uint8)


def recompressed(samples, compression, predictor):
    """A TIFF of separate planes whose strips libtiff compressed, one grey file each."""
    height, width, channels = samples.shape
    strips = []
    for channel in range(channels):
        buffer = io.BytesIO()
        Image.fromarray(samples[..., channel]).save(
            buffer, "TIFF", compression=compression, tiffinfo={317: predictor}
        )
        buffer.seek(0)
        page = tifffile.TiffFile(buffer).pages.first
        assert len(page.dataoffsets) == 1
        strips.append(buffer.getvalue()[page.dataoffsets[0] :][: page.databytecounts[0]])
    tags = {
        256: [width], 257: [height], 258: [8 * samples.itemsize] * channels,
        259: [int(page.compression)], 262: [2],
        277: [channels], 278: [height], 284: [2], 317: [predictor],
        339: [3 if samples.dtype.kind == "f" else 1] * channels,
    }  # fmt: skip
    return tiff_file(tags, strips)


class TestSixteenBits:
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize("layout", ["contig", "separate"])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"tile": (16, 32)},
            {"rowsperstrip": 5},
            {"compression": "zlib", "predictor": 2},
            {"compression": "zlib", "predictor": 2, "tile": (16, 16)},
            {"bigtiff": True},
        ],
        ids=str,
    )
    def test_rgb_in_every_layout(self, byteorder, layout, options):
        samples = noise16()
        stored = planes(samples) if layout == "separate" else samples
        data = written(
            stored, photometric="rgb", planarconfig=layout, byteorder=byteorder, **options
        )
        loaded = read_image(data)
        np.testing.assert_array_equal(loaded.pixels, rounded(samples))
        assert loaded.notices == (SIXTEEN,)

    @pytest.mark.parametrize("predictor", [1, 2])
    @pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "lzma", "zstd"])
    def test_planes_compressed_by_libtiff(self, compression, predictor):
        if predictor == 2 and compression == "packbits":
            pytest.skip("libtiff has no predictor for it")
        samples = noise16()
        loaded = read_image(recompressed(samples, compression, predictor))
        np.testing.assert_array_equal(loaded.pixels, rounded(samples))

    @pytest.mark.parametrize("layout", ["contig", "separate"])
    @pytest.mark.parametrize("channels", [2, 4])
    def test_alpha(self, layout, channels):
        samples = noise16(channels=channels)
        samples[:9, ..., -1], samples[9:18, ..., -1] = 0, 65535
        stored = planes(samples) if layout == "separate" else samples
        photometric = "rgb" if channels == 4 else "minisblack"
        data = written(
            stored, photometric=photometric, planarconfig=layout, extrasamples=["unassalpha"]
        )
        loaded = read_image(data)
        share = samples[..., -1:] / 65535
        colours = np.broadcast_to(samples[..., :-1] / 257, (37, 50, 3))
        assert np.abs(loaded.pixels - (share * colours + (1 - share) * 255)).max() <= 1.6
        assert loaded.notices == (SIXTEEN, OVER_WHITE)

    def test_premultiplied_alpha(self):
        samples = np.zeros((4, 4, 4), np.uint16)
        samples[...] = (0, 16384, 32768, 32768)
        loaded = read_image(written(samples, photometric="rgb", extrasamples=["assocalpha"]))
        np.testing.assert_allclose(loaded.pixels[0, 0], (127.5, 191, 255), atol=1.5)

    @pytest.mark.parametrize("channels", [4, 5, 7])
    def test_samples_that_mean_nothing_are_left_out(self, channels):
        samples = noise16(channels=channels)
        extra = ["unspecified"] * (channels - 3)
        data = written(samples, photometric="rgb", extrasamples=extra, planarconfig="contig")
        np.testing.assert_array_equal(read_image(data).pixels, rounded(samples[..., :3]))

    @pytest.mark.parametrize("layout", ["contig", "separate"])
    def test_cmyk(self, layout):
        samples = np.zeros((6, 8, 4), np.uint16)
        samples[:3] = (0, 65535, 65535, 0)
        samples[3:, :, 3] = 32768
        stored = planes(samples) if layout == "separate" else samples
        loaded = read_image(written(stored, photometric="separated", planarconfig=layout))
        np.testing.assert_allclose(loaded.pixels[0, 0], (255, 0, 0), atol=2)
        np.testing.assert_allclose(loaded.pixels[5, 0], 127, atol=2)
        assert any("CMYK" in notice for notice in loaded.notices)

    def test_profile_and_orientation(self):
        profile = matrix_profile((0.3851, 0.7169, 0.0971), (0.4361, 0.2225, 0.0139),
                                 (0.1431, 0.0606, 0.7141))  # fmt: skip
        samples = np.zeros((8, 12, 3), np.uint16)
        samples[:, :4, 0] = 65535
        data = written(
            planes(samples), photometric="rgb", planarconfig="separate", iccprofile=profile,
            extratags=[(274, 3, 1, 6, True)],
        )  # fmt: skip
        loaded = read_image(data)
        assert loaded.pixels.shape == (12, 8, 3)
        np.testing.assert_allclose(loaded.pixels[1, 4], (0, 255, 0), atol=4)
        np.testing.assert_array_equal(loaded.pixels[9, 4], (0, 0, 0))


class TestWhiteIsZero:
    @pytest.mark.parametrize(
        ("dtype", "white"),
        [("u1", 255), ("u2", 65535), ("u4", 2**32 - 1), ("f2", 1), ("f4", 1), ("f8", 1)],
    )
    def test_inverted(self, dtype, white):
        samples = (np.linspace(0, 1, 6)[None].repeat(3, 0) * white).astype(dtype)
        loaded = read_image(written(samples, photometric="miniswhite"))
        expected = np.broadcast_to([255, 204, 153, 102, 51, 0], (3, 6))
        np.testing.assert_array_equal(loaded.pixels[..., 1], expected)


class TestOtherSamples:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_unsigned_32_bits(self, channels):
        values = np.array([0, 64, 128, 255], np.uint32)
        for factor, kind in ((1, 0), (257, 1), (16843009, 1), (1000, 1)):
            samples = (values * np.uint32(factor))[None]
            if channels == 3:
                samples = samples[..., None].repeat(3, 2)
            photometric = "rgb" if channels == 3 else "minisblack"
            loaded = read_image(written(samples, photometric=photometric, planarconfig="contig"))
            np.testing.assert_array_equal(loaded.pixels[0, :, 0], values)
            assert len(loaded.notices) == kind

    @pytest.mark.parametrize("layout", ["contig", "separate"])
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
    @pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=str)
    def test_floating_rgb(self, layout, dtype, options):
        samples = (gradient() / 255).astype(dtype)
        stored = planes(samples) if layout == "separate" else samples
        loaded = read_image(written(stored, photometric="rgb", planarconfig=layout, **options))
        assert np.abs(loaded.pixels.astype(int) - gradient()).max() <= (dtype == "f2")
        assert loaded.notices == ("Floating-point samples were scaled to 8 bits.",)

    def test_a_few_values_beyond_white_do_not_darken_the_image(self):
        samples = (gradient() / 255).astype("f4")
        samples[0, :3], samples[1, 0] = 40.0, -0.2
        samples[2, 2] = np.nan
        loaded = read_image(written(samples, photometric="rgb"))
        np.testing.assert_array_equal(loaded.pixels[4:], gradient()[4:])
        assert loaded.pixels[0, 0].min() == 255 and loaded.pixels[1, 0].max() == 0

    @pytest.mark.parametrize("predictor", [1, 2, 3])
    def test_planes_of_floats_compressed_by_libtiff(self, predictor):
        samples = (gradient() / 255).astype("f4")
        loaded = read_image(recompressed(samples, "tiff_lzw", predictor))
        np.testing.assert_array_equal(loaded.pixels, gradient())

    def test_signed(self):
        samples = np.array([[0, 16384, 32767]], np.int16)
        np.testing.assert_array_equal(read_image(written(samples)).pixels[0, :, 0], [0, 128, 255])
        samples = np.array([[-100, 0, 100]], np.int32)
        np.testing.assert_array_equal(read_image(written(samples)).pixels[0, :, 0], [0, 128, 255])

    @pytest.mark.parametrize("channels", [2, 3, 4])
    @pytest.mark.parametrize(
        "options", [{}, {"tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"}], ids=str
    )
    def test_8_bit_planes(self, channels, options):
        pixels = np.dstack((gradient(), gradient()[..., :1]))[..., :channels]
        if channels != 3:
            pixels[..., -1] = 255
        extra = {} if channels == 3 else {"extrasamples": ["unassalpha"]}
        data = written(
            planes(pixels), photometric="minisblack" if channels == 2 else "rgb",
            planarconfig="separate", **extra, **options,
        )  # fmt: skip
        n = 1 if channels == 2 else 3
        np.testing.assert_array_equal(read_image(data).pixels[..., :n], pixels[..., :n])

    def test_frames(self):
        data = written(np.stack([noise16(), noise16()]), photometric="rgb")
        assert "Only the first frame was used." in read_image(data).notices


class TestYcbcr:
    @pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)])
    @pytest.mark.parametrize("deflated", [False, True])
    def test_data_units(self, subsampling, deflated):
        across, down = subsampling
        colour = Image.new("RGB", (21, 13), (200, 60, 30))
        colour.paste((10, 120, 240), (8, 0, 21, 13))  # at a multiple of every subsampling
        full = np.asarray(colour.convert("YCbCr"))
        padded = np.pad(full, ((0, -13 % down), (0, -21 % across), (0, 0)), "edge")
        rows, columns = padded.shape[0] // down, padded.shape[1] // across
        luma = padded[..., 0].reshape(rows, down, columns, across).swapaxes(1, 2)
        luma = luma.reshape(rows, columns, -1)
        units = np.concatenate((luma, padded[::down, ::across, 1:]), -1)
        data = units.tobytes()
        tags = {
            256: [21], 257: [13], 258: [8, 8, 8], 259: [8 if deflated else 1], 262: [6],
            277: [3], 278: [16], 530: list(subsampling),
        }  # fmt: skip
        shell = tiff_file(tags, [zlib.compress(data) if deflated else data])
        loaded = read_image(shell)
        assert np.abs(loaded.pixels.astype(int) - np.asarray(colour)).max() <= 3

    def test_as_pillow_writes_it(self):
        image = Image.fromarray(gradient()).convert("YCbCr")
        buffer = io.BytesIO()
        image.save(buffer, "TIFF")
        loaded = read_image(buffer.getvalue())
        assert np.abs(loaded.pixels.astype(int) - gradient()).max() <= 3

    def test_jpeg(self):
        buffer = io.BytesIO()
        Image.fromarray(gradient()).save(buffer, "TIFF", compression="jpeg", quality=95)
        assert np.abs(read_image(buffer.getvalue()).pixels.astype(int) - gradient()).max() <= 12


class TestRefusals:
    @pytest.mark.parametrize(
        ("tags", "words"),
        [
            ({262: [8]}, "CIELAB"),
            ({262: [32845]}, "LOGLUV"),
            ({259: [34712]}, "JPEG2000"),
            ({259: [7]}, "compression JPEG"),
            ({258: [16, 16, 8]}, "mixed bits"),
            ({258: [12, 12, 12]}, "12 bits"),
            ({339: [6, 6, 6]}, "complex"),
            ({317: [34894]}, "RGB"),
        ],
    )
    def test_kinds_that_cannot_be_read_are_named(self, tags, words):
        plain = {256: [4], 257: [4], 258: [16] * 3, 259: [1], 262: [2], 277: [3], 278: [4]}
        data = tiff_file({**plain, **tags}, [bytes(96)])
        with pytest.raises(ImageError) as error:
            read_image(data)
        text = str(error.value)
        assert "not supported" in text and words in text and "damaged" not in text
        assert text.endswith(".") and "\n" not in text

    @pytest.mark.parametrize("kept", [0.3, 0.9])
    @pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
    def test_cut_short(self, kept, options):
        data = written(planes(noise16()), photometric="rgb", planarconfig="separate", **options)
        tags = {256: [50], 257: [37], 258: [16] * 3, 259: [8 if options else 1], 262: [2],
                277: [3], 278: [37], 284: [2]}  # fmt: skip
        page = tifffile.TiffFile(io.BytesIO(data)).pages.first
        strips = [
            data[o : o + n] for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        strips[2] = strips[2][: int(kept * len(strips[2]))]
        with pytest.raises(ImageError, match="damaged or incomplete"):
            read_image(tiff_file(tags, strips))

    def test_size_is_checked_before_anything_is_allocated(self, monkeypatch):
        monkeypatch.setattr(TiffPage, "decode", lambda *_: pytest.fail("decoded"))
        for width, height in ((60_000, 60_000), (70_000, 1)):
            tags = {256: [width], 257: [height], 258: [16] * 3, 259: [8], 262: [2], 277: [3],
                    278: [height]}  # fmt: skip
            with pytest.raises(ImageError, match="too large"):
                read_image(tiff_file(tags, [b"x"]))

    def test_what_a_strip_expands_to_is_bounded(self):
        """A strip of 64 MB of zeros, where the image has 96 bytes."""
        packed = zlib.compress(bytes(1 << 26))
        tags = {256: [4], 257: [4], 258: [16] * 3, 259: [8], 262: [2], 277: [3], 278: [4]}
        tracemalloc.start()
        pixels = read_image(tiff_file(tags, [packed])).pixels
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert pixels.max() == 0 and peak < 1 << 24

    def test_tiles_larger_than_any_image(self):
        tags = {256: [4], 257: [4], 258: [16], 259: [8], 262: [1], 277: [1], 322: [1 << 30],
                323: [1 << 30], 324: [8], 325: [1]}  # fmt: skip
        with pytest.raises(ImageError):
            read_image(tiff_file(tags, [b"x"]))

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_damage_gives_pixels_or_one_clear_error(self, data):
        kinds = [
            lambda: written(planes(noise16(9, 7)), photometric="rgb", planarconfig="separate"),
            lambda: written(noise16(9, 7)[..., 0].astype("f4"), tile=(16, 16)),
            lambda: recompressed(noise16(9, 7), "tiff_lzw", 2),
        ]
        file = data.draw(st.sampled_from(kinds))()
        check_damaged(file, data)
