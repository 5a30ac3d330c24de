"""Any image file -> validated 8-bit sRGB pixels, and back to a file.

Pixels are always a uint8 array (H, W, 3) in sRGB. Everything that a file may hold instead (an EXIF
orientation, a colour profile, transparency, a palette, CMYK, deeper samples, several frames) is
resolved here, once, and whatever the user may want to know about it becomes a *notice*: one
short sentence.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from .errors import ImageError, ParameterError
from .files import write_bytes_atomically
from .limits import MAX_PIXELS, MAX_SIDE

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP")
"""Pillow's names of the formats read. No others are tried: some of them start programs."""

_ADVICE = "use a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file"

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

_SRGB_TOLERANCE = 2
"""A profile that moves no probed colour by more than this (of 255) is sRGB under another name."""


@dataclass(frozen=True)
class LoadedImage:
    """An image ready for the codec.

    Attributes:
        pixels: uint8 (H, W, 3), sRGB, C-contiguous, writable.
        notices: short sentences on what was changed on the way, for the user; often empty.
    """

    pixels: np.ndarray
    notices: tuple[str, ...] = ()


def read_image(source: str | Path | bytes | BinaryIO) -> LoadedImage:
    """Reads a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP image.

    The EXIF orientation is applied, an embedded colour profile converted to sRGB, transparency
    composited over white, deeper samples scaled to 8 bits; of several frames the first is used.

    Args:
        source: a path, a file's whole content, or a binary file object.

    Raises:
        ImageError: when it cannot be read, is not an image, is damaged, or exceeds MAX_PIXELS
            or MAX_SIDE; the size is checked before any pixel is decoded.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(io.BytesIO(source), "The image")
    if not isinstance(source, (str, os.PathLike)):
        return _read(source, f"The image {getattr(source, 'name', '')}".rstrip())
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
    """Writes pixels to a file, wholly or not at all; the extension chooses the format.

    PNG, BMP, TIFF and WebP are written losslessly, JPEG and AVIF at quality 95, 4:4:4.

    Args:
        pixels: uint8 (H, W, 3).
        force: overwrite a file that exists.

    Raises:
        ImageError: when the pixels are not valid or too large for the format.
        ParameterError: for an unknown extension, or when the file cannot be written.
    """
    pixels = check_pixels(pixels)
    options = _SAVE_OPTIONS.get(Path(path).suffix.lower())
    if options is None:
        raise ParameterError(f"{path} must end in one of {', '.join(_SAVE_OPTIONS)}.")
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, **options)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise ImageError(
            f"{width} x {height} pixels cannot be written as {options['format']}; use a .png file."
        ) from error
    write_bytes_atomically(path, buffer.getvalue(), force)


@contextmanager
def _open_path(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - only the opening is guarded; closed below
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist; check the file's name.") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder; name one image file in it.") from error
    except PermissionError as error:
        raise ImageError(f"{path} may not be read; check its permissions.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise ImageError(f"{path} cannot be opened; check the file's name.") from error
    with file:
        yield file


def _read(file: BinaryIO, name: str) -> LoadedImage:
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except Exception as error:  # Pillow's readers raise many classes on damaged headers
        raise _not_an_image(file, name) from error
    with image:
        return _load(image, name)


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


def _load(image: Image.Image, name: str) -> LoadedImage:
    """Decodes and converts an opened image; everything that Pillow may raise becomes one error."""
    _check_size(*image.size, name)
    notices: list[str] = []
    try:
        # An MPO is a JPEG whose further pictures are previews or gain maps, not frames.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notices.append("Only the first frame was used.")
        if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
            notices.append("16-bit samples were scaled to 8 bits.")
        image.load()
        _check_size(*image.size, name)  # a loader may find another size than the header's
        image = _scale_to_8_bits(_upright(image, notices), notices)
        colour, alpha = _split_alpha(image)
        rgb = _to_srgb(colour, image.info.get("icc_profile"), notices)
        if alpha is not None and alpha.getextrema() != (255, 255):
            rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
            notices.append("Transparency was composited over white.")
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise many classes on damaged data
        raise ImageError(f"{name} is damaged or incomplete; {_ADVICE} that opens.") from error
    return LoadedImage(np.array(rgb), tuple(dict.fromkeys(notices)))


def _upright(image: Image.Image, notices: list[str]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is a TIFF of its own, as easily damaged; the pixels are fine
        notices.append("The EXIF data are damaged and were ignored.")
        return image


def _scale_to_8_bits(image: Image.Image, notices: list[str]) -> Image.Image:
    """Grey samples of more than 8 bits (modes I;16*, I, F) to mode L; other modes unchanged.

    A 32-bit or floating-point sample does not say where white is. Integers within 0..255 or
    0..65535 and floats within 0..1, 0..255 or 0..65535 are taken to mean that range; otherwise
    white is the largest value and black the smallest.
    """
    if not (image.mode in ("I", "F") or image.mode.startswith("I;16")):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    black, highest = min(values.min(), 0.0), values.max()
    whites = {"I": (255, 65535), "F": (1, 255, 65535)}.get(image.mode, (65535,))
    white = next((w for w in whites if highest <= w), highest)
    if black < 0 or highest > whites[-1]:
        black, white = values.min(), highest
        notices.append("Samples beyond 16 bits were stretched from black to white.")
    elif image.mode == "F":
        notices.append("Floating-point samples were scaled to 8 bits.")
    elif white == 65535:
        notices.append("16-bit samples were scaled to 8 bits.")
    scaled = np.rint(255 * (values - black) / max(white - black, 1e-30))
    grey = Image.fromarray(scaled.astype(np.uint8))
    grey.info = {key: image.info[key] for key in ("icc_profile",) if key in image.info}
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


def _to_srgb(image: Image.Image, profile_data: bytes | None, notices: list[str]) -> Image.Image:
    """Colour without alpha (L, RGB, CMYK, LAB, YCbCr, ...) to RGB in sRGB."""
    if image.mode == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _apply_profile(image, profile, notices)
    if profile_data:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_data))
            return _apply_profile(image, profile, notices)
        except Exception:  # littleCMS reports a damaged or mismatched profile in many ways
            notices.append("The embedded colour profile is not usable and was ignored.")
    if image.mode == "CMYK":
        notices.append("CMYK without a colour profile was converted approximately.")
    return image.convert("RGB")


def _apply_profile(
    image: Image.Image, profile: ImageCms.ImageCmsProfile, notices: list[str]
) -> Image.Image:
    space = profile.profile.xcolor_space.strip()
    if space == "RGB" and image.mode not in ("CMYK", "LAB"):
        image = image.convert("RGB")  # a grey image may carry the profile of its editor
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if image.mode == "RGB" and _is_identity(transform):
        return image  # not converted: the 8-bit transform would change some values by one
    notices.append("Colours were converted to sRGB from the image's own colour space.")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # it is None only for a transform in place
    return converted


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform from RGB to RGB leaves a grid of 9 x 9 x 9 colours where they are."""
    ramp = np.linspace(0, 255, 9).astype(np.uint8)
    probe = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(9, 81, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
    return bool(np.abs(moved.astype(int) - probe).max() <= _SRGB_TOLERANCE)
