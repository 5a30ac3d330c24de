"""Metadata of image files: what a .qann file can keep, and what is lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .isobmff import brands

_ORIENTATION = 0x0112
_STRUCTURE = frozenset((_ORIENTATION, 0x8769, 0xA005, 0x0213, 0x011A, 0x011B, 0x0128))
"""EXIF tags that say nothing once the picture is upright: pointers and resolution."""

_TIFF_TAGS = frozenset((0x8769, 0x8825, 0x010F, 0x0110, 0x013B, 0x8298))
"""Of TIFF's own tags, those that belong to EXIF: its pointers, camera, author and rights."""

_GAIN_MAPS = (b"hdrgm:", b"HDRGainMap", b"hdrgainmap")
_LIMIT = 1 << 24
_JPEG_LIMIT = 65533 - 2 - len(b"http://ns.adobe.com/xap/1.0/\0")
"""Longest EXIF data and XMP packet that are written, in bytes; JPEG has one segment for each."""

_HEAD = 1 << 20
"""Bytes of an AVIF or HEIF file that are searched for the mark of a gain map."""


@dataclass(frozen=True)
class Metadata:
    """What came with an image.

    Attributes:
        exif: EXIF data, beginning with its byte order, its orientation removed since the pixels
            are upright; empty without any.
        xmp: the XMP packet; empty without any.
        names: all that was found, in words, in a fixed order: "EXIF", "XMP", "IPTC",
            "ICC profile" (applied to the pixels), "gain map".
    """

    exif: bytes = b""
    xmp: bytes = b""
    names: tuple[str, ...] = ()


def read_metadata(image: Image.Image, file: BinaryIO | None) -> Metadata:
    """The metadata of an opened image; damaged EXIF counts as none."""
    exif, has_exif = _exif(image)
    xmp = image.info.get("xmp", b"")
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    found = {
        "EXIF": has_exif,
        "XMP": bool(xmp),
        "IPTC": 0x0404 in (image.info.get("photoshop") or {}),
        "ICC profile": bool(image.info.get("icc_profile")),
        "gain map": any(mark in xmp for mark in _GAIN_MAPS) or _has_gain_map(image, file),
    }
    return Metadata(exif, xmp, tuple(name for name, there in found.items() if there))


def not_kept(names: Iterable[str]) -> str:
    """One sentence on metadata that the files of a run do not keep; empty for none."""
    order = ("EXIF", "XMP", "IPTC", "ICC profile", "gain map")
    found = set(names)
    listed = [name for name in order if name in found]
    return f"Not kept: {', '.join(listed)}." if listed else ""


def save_options(extension: str, exif: bytes, xmp: bytes) -> tuple[dict[str, Any], list[str]]:
    """Options with which Pillow writes metadata into a file of this extension, in lower case.

    Returns:
        Options of ``Image.save``, and the names of what the format cannot hold.
    """
    limit = {".jpg": _JPEG_LIMIT, ".jpeg": _JPEG_LIMIT, ".png": _LIMIT, ".webp": _LIMIT}
    longest = (limit | {".avif": _LIMIT}).get(extension, 0)
    options: dict[str, Any] = {}
    lost = []
    for name, data in (("EXIF", exif), ("XMP", xmp)):
        if len(data) > longest:
            lost.append(name)
        elif not data:
            continue
        elif name == "EXIF":
            options["exif"] = b"Exif\0\0" + data
        elif extension == ".png":
            text = PngInfo()
            text.add_itxt("XML:com.adobe.xmp", data.decode("utf-8", "replace"))
            options["pnginfo"] = text
        else:
            options["xmp"] = data
    return options, lost


def _exif(image: Image.Image) -> tuple[bytes, bool]:
    try:
        exif = image.getexif()
        wanted = exif.keys() & _TIFF_TAGS if image.format == "TIFF" else exif.keys() - _STRUCTURE
        if not wanted and not exif.get_ifd(0x8769):
            return b"", False
        if image.format == "TIFF":
            return b"", True
        upright = Image.Exif()  # a copy: the image keeps its own, by which it is to be turned
        upright.load(exif.tobytes())
        upright.pop(_ORIENTATION, None)
        return upright.tobytes().removeprefix(b"Exif\0\0"), True
    except Exception:  # a TIFF structure of its own, as easily damaged
        return b"", False


def _has_gain_map(image: Image.Image, file: BinaryIO | None) -> bool:
    if file is None or image.format not in ("AVIF", "HEIF"):
        return False
    if b"tmap" in brands(file):
        return True
    file.seek(0)
    head = file.read(_HEAD)
    return any(mark in head for mark in _GAIN_MAPS)
