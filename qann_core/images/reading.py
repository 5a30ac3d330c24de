"""Any image file -> validated 8-bit sRGB pixels, and back to a file.

Pixels are always a uint8 array (H, W, 3) in sRGB. Everything else that a file may hold (an EXIF
orientation, a colour profile, transparency, a palette, CMYK, deeper samples, several frames) is
converted here, once; what the user may want to know about it becomes a *notice*: one short
sentence.
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..common.errors import ImageError, ParameterError
from ..common.files import write_bytes_atomically
from ..common.limits import MAX_PIXELS, MAX_SIDE
from . import isobmff, png
from .cicp import ColourCoding
from .colour import to_srgb
from .deep_samples import to_8_bits
from .isobmff import brands
from .metadata import Metadata, read_metadata
from .tiff import MAGIC, TiffPage

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP")
"""Pillow's names of the formats read. No others are tried: some of them start programs."""

_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
"""Brands of files that the package pillow-heif reads, where it is installed."""

_ADVICE = "use a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file"

_NOT_OPENED: dict[type, str] = {
    FileNotFoundError: "does not exist; check the file's name",
    IsADirectoryError: "is a folder; name one image file in it",
    PermissionError: "may not be read; check its permissions",
}

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".bmp": {"format": "BMP"},
    ".tif": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    ".webp": {"format": "WEBP", "lossless": True},
    ".avif": {"format": "AVIF", "quality": 95, "subsampling": "4:4:4"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}

WRITTEN_EXTENSIONS = tuple(_SAVE_OPTIONS)
"""File name extensions of the formats that are written, in lower case."""


@dataclass(frozen=True)
class LoadedImage:
    """An image ready for the codec.

    Attributes:
        pixels: uint8 (H, W, 3), sRGB, C-contiguous, writable.
        notices: short sentences on what was changed on the way, for the user; often empty.
        metadata: what the file held beside its pixels.
    """

    pixels: np.ndarray
    notices: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


def read_image(source: str | Path | bytes | BinaryIO) -> LoadedImage:
    """Reads a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP image, and HEIC with pillow-heif installed.

    The orientation is applied; colour described by an ICC profile or by numbers (cICP, gAMA and
    cHRM in PNG, nclx in AVIF and HEIC) is converted to sRGB, HDR tone-mapped; transparency is
    composited over white, deeper samples scaled to 8 bits; of several frames the first is used.

    Args:
        source: a path, a file's whole content, or a binary file object.

    Raises:
        ImageError: when it cannot be read, is not an image, is damaged, or exceeds MAX_PIXELS
            or MAX_SIDE; the size is checked before any pixel is decoded.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(io.BytesIO(source), "The file")
    if not isinstance(source, (str, os.PathLike)):
        return _read(source, f"The file {getattr(source, 'name', '')}".rstrip())
    with _open_path(Path(source)) as file:
        return _read(file, str(source))


def from_pil(image: Image.Image) -> LoadedImage:
    """A Pillow image in any mode, converted as ``read_image`` does.

    Raises:
        ImageError: when its data are damaged or it exceeds MAX_PIXELS or MAX_SIDE.
    """
    return _load(image, "The image")


def check_pixels(array: np.ndarray) -> np.ndarray:
    """Validates pixels that come from a caller; returns them C-contiguous.

    Raises:
        ImageError: unless they are a non-empty uint8 array (H, W, 3) within MAX_PIXELS and
            MAX_SIDE.
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"Pixels must be a numpy array, not {type(array).__name__}.")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ImageError(
            f"Pixels are {array.dtype} of shape {array.shape}; they must be uint8 (H, W, 3)."
        )
    _check_size(array.shape[1], array.shape[0], "The image")
    return np.ascontiguousarray(array)


def write_image(path: str | Path, pixels: np.ndarray, force: bool = False) -> None:
    """Writes pixels to a file, wholly or not at all, as ``encode_image`` makes it.

    Args:
        pixels: uint8 (H, W, 3).
        force: overwrite a file that exists.

    Raises:
        ImageError: when the pixels are not valid or too large for the format.
        ParameterError: for an unknown extension, or when the file cannot be written.
    """
    write_bytes_atomically(path, encode_image(path, pixels), force)


def encode_image(
    path: str | Path, pixels: np.ndarray, metadata: Mapping[str, Any] | None = None
) -> bytes:
    """The content of an image file; the extension of its ``path`` chooses the format.

    PNG, BMP, TIFF and WebP are written losslessly, JPEG and AVIF at quality 95, 4:4:4.

    Args:
        pixels: uint8 (H, W, 3).
        metadata: what ``metadata.save_options`` gives.

    Raises:
        ImageError: when the pixels are not valid or too large for the format.
        ParameterError: for an unknown extension.
    """
    pixels = check_pixels(pixels)
    options = _SAVE_OPTIONS.get(Path(path).suffix.lower())
    if options is None:
        raise ParameterError(f"{path} must end in one of {', '.join(_SAVE_OPTIONS)}.")
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, **options, **(metadata or {}))
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise ImageError(
            f"{width} x {height} pixels cannot be written as {options['format']}; use a .png file."
        ) from error
    return buffer.getvalue()


@contextmanager
def _open_path(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - only the opening is guarded; closed below
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = _NOT_OPENED.get(type(error), "cannot be opened; check the file's name")
        raise ImageError(f"{path} {why}.") from error
    with file:
        yield file if file.seekable() else io.BytesIO(file.read())  # a pipe is read as a whole


def _read(file: BinaryIO, name: str) -> LoadedImage:
    file.seek(0)
    tiff = None
    if file.read(4) in MAGIC:
        with suppress(ImageError):  # its tags are too damaged
            tiff = TiffPage(file, name)
    if tiff is not None:
        _check_size(tiff.width, tiff.height, name)
        if not tiff.for_pillow:
            return _read_tiff(tiff)
    formats = (*FORMATS, *_heif(file, name))
    try:
        image = Image.open(file, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except Exception as error:  # Pillow's readers raise many classes on damaged headers
        if tiff is not None:
            return _read_tiff(tiff)
        raise _not_an_image(file, name) from error
    with image:
        return _load(image, name, file)


def _heif(file: BinaryIO, name: str) -> tuple[str, ...]:
    """Pillow's name of the format of a HEIC file, whose reader is registered; none for others."""
    found = brands(file)
    if not found & _HEIF_BRANDS or found & {b"avif", b"avis"}:
        return ()
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"{name} is a HEIC image; install the package pillow-heif (this project's extra "
            f"'heif') to read it, or {_ADVICE}."
        ) from error
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def _read_tiff(page: TiffPage) -> LoadedImage:
    """A TIFF image that is not for Pillow."""
    notices: list[str] = []
    colour, alpha = page.decode(notices)
    rgb = to_srgb(colour, colour.info.get("icc_profile"), notices)
    return _finished(rgb, alpha, notices, Metadata(names=page.metadata))


def _not_an_image(file: BinaryIO, name: str) -> ImageError:
    try:
        file.seek(0)
        empty = not file.read(1)
    except (OSError, ValueError):
        empty = False
    if empty:
        return ImageError(f"{name} is empty; {_ADVICE}.")
    return ImageError(f"{name} is not an image that can be read, or it is damaged; {_ADVICE}.")


def _too_large(name: str) -> ImageError:
    megapixels = MAX_PIXELS // 1_000_000
    return ImageError(
        f"{name} is too large; use one of at most {megapixels} megapixels"
        f" and {MAX_SIDE} pixels a side."
    )


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels; its width and height must be at least 1.")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large(name)


def _load(image: Image.Image, name: str, file: BinaryIO | None = None) -> LoadedImage:
    """Decodes and converts an opened image; everything that Pillow may raise becomes one error."""
    _check_size(*image.size, name)
    notices: list[str] = []
    try:
        # An MPO is a JPEG whose further pictures are previews or gain maps, not frames.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notices.append("Only the first frame was used.")
        if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
            notices.append("16-bit samples were scaled to 8 bits.")
        source = image
        if image.format == "PNG" and file is not None:
            image = png.decoded(image, file)
        image.load()
        _check_size(*image.size, name)  # a loader may find another size than the header's
        profile, coding = _colour_of(source, file)
        metadata = read_metadata(source, file)
        image = _scale_to_8_bits(_upright(image, notices), notices)
        colour, alpha = _split_alpha(image)
        rgb = to_srgb(colour, profile, notices, coding)
        return _finished(rgb, alpha, notices, metadata)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many classes on damaged data
        raise ImageError(f"{name} is damaged or incomplete; {_ADVICE} that opens.") from error


def _colour_of(
    image: Image.Image, file: BinaryIO | None
) -> tuple[bytes | None, ColourCoding | None]:
    """The ICC profile of an image, and what else says how its colour is meant."""
    profile = image.info.get("icc_profile")
    if file is None:
        return profile, None
    if image.format == "PNG":
        coding, comes_first = png.colour_coding(file)
        return (None if comes_first else profile), coding
    if image.format in ("AVIF", "HEIF"):
        return profile, isobmff.colour_coding(file)
    return profile, None


def _finished(
    rgb: Image.Image, alpha: Image.Image | None, notices: list[str], metadata: Metadata
) -> LoadedImage:
    """Colour in sRGB composited over white."""
    if alpha is not None and alpha.getextrema() != (255, 255):
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
        notices.append("Transparency was composited over white.")
    return LoadedImage(np.array(rgb), tuple(dict.fromkeys(notices)), metadata)


def _upright(image: Image.Image, notices: list[str]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is a TIFF of its own, as easily damaged; the pixels are fine
        notices.append("The EXIF data are damaged and were ignored.")
        return image


def _scale_to_8_bits(image: Image.Image, notices: list[str]) -> Image.Image:
    """Grey samples of more than 8 bits (modes I;16*, I, F) to mode L; other modes unchanged."""
    if not (image.mode in ("I", "F") or image.mode.startswith("I;16")):
        return image
    samples = np.asarray(image)
    grey = Image.fromarray(to_8_bits(samples.astype(samples.dtype.newbyteorder("=")), notices)[0])
    return grey


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour without alpha, and alpha (mode L) or None; palettes are resolved.

    Every kind of transparency is covered: an alpha band, a palette's, a transparent colour.
    """
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        if image.mode == "La":  # Pillow takes this one only by way of LA
            image = image.convert("LA")
        *colours, alpha = image.convert("RGBA").split()
        return (colours[0] if grey else Image.merge("RGB", colours)), alpha
    if image.mode in ("1", "P", "PA"):
        return image.convert("L" if image.mode == "1" else "RGB"), None
    return image, None
