"""Image files in and out: any that people have to 8-bit sRGB pixels, and pixels to files.

``reading`` is the way in and out. ``tiff``, ``png``, ``isobmff`` and ``deep_samples`` read what
Pillow does not; ``colour`` converts to sRGB, by an ICC profile or through ``cicp``; ``metadata`` is
EXIF and XMP.
"""

from .reading import (
    WRITTEN_EXTENSIONS,
    LoadedImage,
    check_pixels,
    encode_image,
    from_pil,
    read_image,
    write_image,
)

__all__ = [
    "WRITTEN_EXTENSIONS",
    "LoadedImage",
    "check_pixels",
    "encode_image",
    "from_pil",
    "read_image",
    "write_image",
]
