"""What Pillow does not give of a PNG: its colour chunks, 16-bit samples, and their transparency."""

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from .cicp import BT709, ColourCoding

_MAX_CHUNKS = 1000
"""Chunks before the pixels that are looked at."""

_SRGB_GAMMA_TOLERANCE = 0.05
"""A gAMA within this of 1/2.2, relatively, and without cHRM, means sRGB's curve."""

_DEEP_COLOUR = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
"""Pillow's names of the layouts whose upper bytes it keeps, and those that keep the lower ones."""

_GREY_SCALE = {"L;2": 85, "L;4": 17}
"""Pillow scales grey samples of 2 and 4 bits to 8, but not the one that is transparent."""


def colour_coding(file: BinaryIO) -> tuple[ColourCoding | None, bool]:
    """What the chunks cICP, sRGB, gAMA and cHRM of a PNG say.

    Returns:
        The coding, or None; and whether it goes before an ICC profile, as cICP does.
    """
    chunks = _colour_chunks(file)
    numbers = chunks.get(b"cICP", b"")
    if len(numbers) == 4 and tuple(numbers[2:]) == (0, 1):  # RGB samples of full range
        coding = ColourCoding.from_numbers(numbers[0], numbers[1], is_video=False)
        if coding is not None:
            return coding, True
    gamma = chunks.get(b"gAMA", b"")
    stored = struct.unpack(">I", gamma)[0] if len(gamma) == 4 else 0
    if b"sRGB" in chunks or not 16 <= stored <= 625_000_000:  # libpng's limits
        return None, False
    exponent = 100_000 / stored
    chromaticities = _chromaticities(chunks.get(b"cHRM", b""))
    if chromaticities is None and abs(2.2 / exponent - 1) < _SRGB_GAMMA_TOLERANCE:
        return None, False
    return ColourCoding(chromaticities or BT709, 0, exponent), False


def _chromaticities(
    data: bytes,
) -> tuple[float, float, float, float, float, float, float, float] | None:
    if len(data) != 32:
        return None
    xw, yw, xr, yr, xg, yg, xb, yb = (v / 100_000 for v in struct.unpack(">8I", data))
    area = (xg - xr) * (yb - yr) - (xb - xr) * (yg - yr)
    if max(xw, yw, xr, yr, xg, yg, xb, yb) > 1 or yw == 0 or abs(area) < 1e-4:
        return None
    return xr, yr, xg, yg, xb, yb, xw, yw


def _colour_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """The chunks of interest before the pixels, the first of each kind."""
    found: dict[bytes, bytes] = {}
    position = 8
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            break
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind in (b"cICP", b"gAMA", b"cHRM", b"sRGB") and length <= 32:
            found.setdefault(kind, file.read(length))
        position += 12 + length
    return found


def decoded(image: Image.Image, file: BinaryIO) -> Image.Image:
    """A PNG image decoded so that a transparent sample or colour stays distinct from others.

    16-bit RGB and RGBA are scaled to 8 bits with rounding. Of these Pillow keeps the upper byte of
    each sample alone; the lower bytes are had by decoding once more. Of 16-bit grey images with a
    transparent sample it forgets that there is one, and of those of 2 and 4 bits it scales all
    samples but that one.

    Args:
        image: opened by Pillow, not loaded.
        file: what it was opened from.

    Returns:
        An image with the same ``info``, but for a transparent colour that became alpha.
    """
    tiles = getattr(image, "tile", None)
    layout = str(tiles[0][3]) if tiles else ""
    transparent = image.info.get("transparency")
    if layout in _DEEP_COLOUR:
        samples = _deep_colour(image, file, _DEEP_COLOUR[layout])
    elif image.mode == "I;16" and isinstance(transparent, int):
        samples = np.asarray(image)[..., None]
    else:
        image.load()
        if layout in _GREY_SCALE and isinstance(transparent, int):
            image.info["transparency"] = transparent * _GREY_SCALE[layout]
        return image
    scaled = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if transparent is not None and samples.shape[-1] in (1, 3):
        differs = (samples != np.array(transparent, np.uint16)).any(-1)
        scaled = np.dstack((scaled, np.uint8(255) * differs))
    result = Image.fromarray(scaled)
    result.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return result


def _deep_colour(image: Image.Image, file: BinaryIO, low_layout: str) -> np.ndarray:
    """16-bit samples (H, W, 3 or 4) of an image of which Pillow would keep the upper bytes."""
    high = np.asarray(image)
    file.seek(0)
    with Image.open(file, formats=("PNG",)) as again:
        again.tile = [again.tile[0]._replace(args=low_layout)]
        low = np.asarray(again)
    samples: np.ndarray = high.astype(np.uint16) << 8
    samples |= low
    return samples
