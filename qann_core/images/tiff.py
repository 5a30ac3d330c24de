"""TIFF images that Pillow cannot read, or reads wrongly: deep, planar, signed, floating, YCbCr.

tifffile reads the tags (TIFF 6.0, BigTIFF). The samples are decoded here, segment by segment, so
that no file makes the decoder hold more than its image: ``zlib`` with a bound on its output, and
for the other compressions libtiff, by way of a small grey TIFF that Pillow opens.
"""

import io
import logging
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..common.errors import ImageError
from ..common.limits import MAX_PIXELS, MAX_SIDE
from .deep_samples import to_8_bits

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF or BigTIFF file begins, in either byte order."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 1, 2, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4, _YCBCR: 3}
"""The photometric interpretations decoded here, and how many samples make a colour."""

_NONE, _DEFLATE = 1, (8, 32946)
_BY_LIBTIFF = {5: "LZW", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
_PILLOW_ONLY = (2, 3, 4, 6, 7, 50001)
"""Compressions that only Pillow decodes: the CCITT ones, JPEG and WebP."""

_TYPES = {
    **{(1, bits): f"u{bits // 8}" for bits in (8, 16, 32)},
    **{(2, bits): f"i{bits // 8}" for bits in (8, 16, 32)},
    **{(3, bits): f"f{bits // 8}" for bits in (16, 32, 64)},
}
"""NumPy's type by sample format (unsigned, signed, floating) and bits."""

_MAX_SEGMENT = 1 << 30
"""Longest strip or tile in bytes, decompressed."""


class TiffPage:
    """The first image of a TIFF file: its kind, and its pixels where Pillow is of no use.

    Args:
        file: the file; it is read when the pixels are.
        name: what messages call the image.

    Raises:
        ImageError: when its tags are damaged or it is too large.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        import tifffile

        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damage is reported by errors
        self._file, self._name = file, name
        try:
            file.seek(0)
            parsed = tifffile.TiffFile(file)
            page: Any = parsed.pages.first
            self._page = page
            self._order = parsed.byteorder
            self.width, self.height = int(page.imagewidth), int(page.imagelength)
            self._bits = _same(page.bitspersample)
            self._format = {4: 1}.get(_same(page.sampleformat), _same(page.sampleformat))
            self._samples = int(page.samplesperpixel)
            self._photometric = int(page.photometric)
            self._compression = int(page.compression)
            self._planar = int(page.planarconfig) == 2 and self._samples > 1
            self._frames = 2 if getattr(page, "imagedepth", 1) > 1 or _has_next(parsed) else 1
        except Exception as error:  # tifffile raises many classes on damaged tags
            raise _damaged(name) from error

    @property
    def _kind(self) -> str:
        """What sort of TIFF this is, in words."""
        from tifffile import COMPRESSION, PHOTOMETRIC

        numbers = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
        colour = _enum_name(PHOTOMETRIC, self._photometric)
        layout = " in separate planes" if self._planar else ""
        return (
            f"{colour} with {self._samples} x {self._bits or 'mixed'} bits, "
            f"{numbers.get(self._format, 'undefined')}{layout}, "
            f"compression {_enum_name(COMPRESSION, self._compression)}"
        )

    @property
    def metadata(self) -> tuple[str, ...]:
        """What it holds beside its pixels, in the words of ``Metadata.names``."""
        tags = {"EXIF": 34665, "XMP": 700, "IPTC": 33723, "ICC profile": 34675}
        return tuple(name for name, tag in tags.items() if tag in self._page.tags)

    @property
    def for_pillow(self) -> bool:
        """Whether Pillow reads this kind, and rightly."""
        if self._compression in _PILLOW_ONLY or self._photometric not in _COLOURS:
            return self._bits <= 8 and self._format == 1
        if self._bits < 8:
            return True
        simple = self._bits == 8 and self._format == 1 and not self._planar
        return simple and self._photometric != _YCBCR

    @property
    def _is_known(self) -> bool:
        """Whether ``decode`` reads this kind."""
        page = self._page
        if self._photometric not in _COLOURS or (self._format, self._bits) not in _TYPES:
            return False
        if self._samples < _COLOURS[self._photometric] or self._compression in _PILLOW_ONLY:
            return False
        if self._photometric == _YCBCR and (
            self._planar or (self._format, self._bits, self._samples) != (1, 8, 3)
        ):
            return False
        if self._photometric == _CMYK and int(page.tags.valueof(332, 1)) != 1:
            return False  # other inks than cyan, magenta, yellow and black
        predictors = {1: (1, 2, 3), 2: (1, 2), 3: (1, 2, 3)}[self._format]
        compressions = (_NONE, *_DEFLATE, *_BY_LIBTIFF)
        depth = max(int(getattr(page, "imagedepth", 1)), int(getattr(page, "tiledepth", 1)))
        return int(page.predictor) in predictors and self._compression in compressions and depth < 2

    def decode(self, notices: list[str]) -> tuple[Image.Image, Image.Image | None]:
        """The image, upright: its colour as 8-bit samples, mode L, RGB or CMYK, and its alpha.

        The colour has ``icc_profile`` in ``info`` where the file has one.

        Args:
            notices: gets sentences on what was done.

        Raises:
            ImageError: when nothing here reads its kind, or it is damaged; the size is for the
                caller to check before.
        """
        if not self._is_known:
            raise ImageError(
                f"{self._name} is a TIFF image of a kind that is not supported ({self._kind}); "
                "save it as RGB with 8 or 16 bits."
            )
        try:
            samples = self._ycbcr() if self._photometric == _YCBCR else self._decoded()
            return self._finished(samples, notices)
        except (ImageError, MemoryError):
            raise
        except Exception as error:
            raise _damaged(self._name) from error

    def _finished(
        self, samples: np.ndarray, notices: list[str]
    ) -> tuple[Image.Image, Image.Image | None]:
        """Samples (H, W, S) to 8 bits and upright images."""
        if self._frames > 1:
            notices.append("Only the first frame was used.")
        n_colours = _COLOURS[self._photometric]
        eight, white = to_8_bits(samples[..., :n_colours], notices)
        if self._photometric == _WHITE_IS_ZERO:
            eight = 255 - eight
        alpha = None
        if samples.shape[-1] > n_colours:
            scale = 1.0 if self._format == 3 else white
            share = np.clip(samples[..., n_colours].astype(np.float32) / scale, 0, 1)
            if self._extra_sample == 1:  # colours were multiplied by alpha
                straight = eight / np.maximum(share, 1 / 255)[..., None]
                eight = np.rint(np.clip(straight, 0, 255)).astype(np.uint8)
            alpha = self._upright(np.rint(255 * share).astype(np.uint8), "L")
        mode = {1: "L", 3: "RGB", 4: "CMYK"}[n_colours]
        colour = self._upright(eight[..., 0] if n_colours == 1 else eight, mode)
        profile = self._page.tags.valueof(34675)
        if profile:
            colour.info["icc_profile"] = bytes(profile)
        return colour, alpha

    @property
    def _extra_sample(self) -> int:
        """What the first sample beside the colour means: 1 associated alpha, 2 alpha, 0 neither.

        One that is not specified is alpha beside grey, and nothing beside other colours, as for
        Pillow.
        """
        if self._samples <= _COLOURS[self._photometric]:
            return 0
        first = next(iter(np.atleast_1d(self._page.extrasamples or 0)), 0)
        grey = self._photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and self._samples == 2
        return 2 if first not in (1, 2) and grey else int(first)

    def _upright(self, array: np.ndarray, mode: str) -> Image.Image:
        height, width = array.shape[:2]
        data = np.ascontiguousarray(array).tobytes()
        image = Image.frombytes(mode, (width, height), data)
        image.getexif()[0x0112] = int(self._page.tags.valueof(274, 1))
        return ImageOps.exif_transpose(image)

    def _decoded(self) -> np.ndarray:
        """The colour's samples and, where there is one, alpha: (H, W, S), the file's own type."""
        kept = _COLOURS[self._photometric] + (self._extra_sample in (1, 2))
        dtype = np.dtype(_TYPES[self._format, self._bits])
        out = np.empty((self.height, self.width, kept), dtype)
        in_segment = 1 if self._planar else self._samples
        for plane, top, left, rows, columns, data in self._segments(in_segment * dtype.itemsize):
            if plane >= kept:
                break
            segment = self._unpredicted(data, rows, columns, in_segment, dtype)
            place = out[top : top + rows, left : left + columns]
            inside = segment[: place.shape[0], : place.shape[1]]
            if self._planar:
                place[..., plane] = inside[..., 0]
            else:
                place[:] = inside[..., :kept]
        return out

    def _unpredicted(
        self, data: bytes, rows: int, columns: int, samples: int, dtype: np.dtype[Any]
    ) -> np.ndarray:
        """The bytes of a segment to samples (rows, columns, samples), the predictor undone."""
        predictor = int(self._page.predictor)
        if predictor == 3:  # bytes of equal weight together, the highest first, then differences
            flat = np.frombuffer(data, np.uint8).reshape(rows, columns * dtype.itemsize, samples)
            flat = np.cumsum(flat, axis=1, dtype=np.uint8)
            planes = flat.reshape(rows, dtype.itemsize, columns * samples)
            joined = np.ascontiguousarray(planes.swapaxes(1, 2))
            return joined.view(dtype.newbyteorder(">")).reshape(rows, columns, samples)
        array = np.frombuffer(data, dtype.newbyteorder(self._order))
        array = array.reshape(rows, columns, samples).astype(dtype)
        if predictor == 2:
            whole = np.dtype(f"u{dtype.itemsize}")
            array = np.cumsum(array.view(whole), axis=1, dtype=whole).view(dtype)
        return array

    def _ycbcr(self) -> np.ndarray:
        """RGB from 8-bit YCbCr in data units of some luma samples, Cb and Cr (TIFF 6.0, 21)."""
        tags = self._page.tags
        across, down = (int(v) for v in tags.valueof(530, (2, 2)))
        if across not in (1, 2, 4) or down not in (1, 2, 4):
            raise _damaged(self._name)
        out = np.empty((self.height, self.width, 3), np.uint8)
        unit = across * down + 2
        for _, top, left, rows, columns, data in self._segments(unit, across, down):
            units = np.frombuffer(data, np.uint8).reshape(
                -(-rows // down), -(-columns // across), unit
            )
            luma = units[..., :-2].reshape(*units.shape[:2], down, across).swapaxes(1, 2)
            luma_plane = luma.reshape(units.shape[0] * down, units.shape[1] * across)
            chroma = units[..., -2:].repeat(down, 0).repeat(across, 1)
            place = out[top : top + rows, left : left + columns]
            segment = np.dstack((luma_plane, chroma))[: place.shape[0], : place.shape[1]]
            place[:] = _rgb_of_ycbcr(segment, tags)
        return out

    def _segments(
        self, unit: int, across: int = 1, down: int = 1
    ) -> Iterator[tuple[int, int, int, int, int, bytes]]:
        """Strips or tiles: plane, top, left, rows, columns and the decompressed bytes.

        Args:
            unit: bytes for each ``across`` x ``down`` pixels of a segment.
        """
        page = self._page
        rows, columns = min(int(page.rowsperstrip or self.height), self.height), self.width
        if page.is_tiled:
            rows, columns = int(page.tilelength), int(page.tilewidth)
        if rows < 1 or columns < 1 or max(rows, columns) > MAX_SIDE or rows * columns > MAX_PIXELS:
            raise _damaged(self._name)
        places = [
            (plane, top, left)
            for plane in range(self._samples if self._planar else 1)
            for top in range(0, self.height, rows)
            for left in range(0, self.width, columns)
        ]
        if min(len(page.dataoffsets), len(page.databytecounts)) < len(places):
            raise _damaged(self._name)
        for (plane, top, left), offset, count in zip(
            places, page.dataoffsets, page.databytecounts, strict=False
        ):
            height = rows if page.is_tiled else min(rows, self.height - top)
            expected = -(-height // down) * -(-columns // across) * unit
            if expected > _MAX_SEGMENT:
                raise ImageError(
                    f"{self._name} has a strip or tile of over {_MAX_SEGMENT} bytes; "
                    "save it with smaller ones."
                )
            self._file.seek(int(offset))
            packed = self._file.read(min(int(count), _MAX_SEGMENT))
            data = self._decompressed(packed, expected)
            if len(data) < expected:
                raise _damaged(self._name)
            yield plane, top, left, height, columns, data[:expected]

    def _decompressed(self, data: bytes, expected: int) -> bytes:
        if int(self._page.tags.valueof(266, 1)) == 2 and self._compression != _NONE:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            data = np.packbits(bits).tobytes()
        if self._compression == _NONE:
            return data
        if self._compression in _DEFLATE:
            return zlib.decompressobj().decompress(data, expected)
        return _by_libtiff(data, self._compression, expected)


def _by_libtiff(data: bytes, compression: int, expected: int) -> bytes:
    """Decompresses one segment as if it were a grey image of 8 bits, rows of one factor long."""
    width = next(w for w in range(min(expected, 1 << 15), 0, -1) if expected % w == 0)
    height = expected // width
    ifd = {
        256: width, 257: height, 258: 8, 259: compression, 262: 1,
        273: 8, 277: 1, 278: height, 279: len(data),
    }  # fmt: skip
    offset = 8 + len(data) + len(data) % 2
    table = b"".join(
        np.array([tag, 4], "<u2").tobytes() + np.array([1, value], "<u4").tobytes()
        for tag, value in ifd.items()
    )
    head = b"II*\0" + offset.to_bytes(4, "little") + data + bytes(len(data) % 2)
    tail = len(ifd).to_bytes(2, "little") + table + bytes(4)
    with Image.open(io.BytesIO(head + tail), formats=("TIFF",)) as image:
        return image.tobytes()


def _rgb_of_ycbcr(samples: np.ndarray, tags: Any) -> np.ndarray:
    """YCbCr (H, W, 3) to RGB by the file's coefficients and reference black and white."""
    red, green, blue = _ratios(tags.valueof(529), 3) or (0.299, 0.587, 0.114)
    reference = _ratios(tags.valueof(532), 6) or (0, 255, 128, 255, 128, 255)
    black, white = np.array(reference, np.float32).reshape(3, 2).T
    scale = np.array((255, 127, 127), np.float32) / (white - black)
    y, cb, cr = np.moveaxis((samples - black) * scale, -1, 0)
    r = y + (2 - 2 * red) * cr
    b = y + (2 - 2 * blue) * cb
    g = (y - red * r - blue * b) / green
    pixels: np.ndarray = np.rint(np.clip(np.stack((r, g, b), -1), 0, 255)).astype(np.uint8)
    return pixels


def _ratios(value: Any, count: int) -> tuple[float, ...]:
    """A tag of rationals, as tifffile gives them: numerators and denominators in turn."""
    if value is None or len(value) != 2 * count:
        return ()
    return tuple(n / d for n, d in zip(value[::2], value[1::2], strict=True))


def _same(value: Any) -> int:
    """The value that all samples share, or 0 when they differ."""
    values = {int(v) for v in np.atleast_1d(value)}
    return values.pop() if len(values) == 1 else 0


def _has_next(parsed: Any) -> bool:
    try:
        parsed.pages[1]
    except Exception:  # no second image, or not a whole one
        return False
    return True


def _enum_name(enumeration: Any, value: int) -> str:
    try:
        return str(enumeration(value).name)
    except ValueError:
        return str(value)


def _damaged(name: str) -> ImageError:
    return ImageError(
        f"{name} is damaged or incomplete; use a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file that"
        " opens."
    )
