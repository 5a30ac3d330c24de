"""Images and colour profiles made for the tests, some of them byte by byte."""

import io
import struct
import zlib

import numpy as np
from hypothesis import strategies as st

from qann_core.common.errors import ImageError
from qann_core.images import check_pixels, read_image


def gradient(height=24, width=40):
    """A smooth image whose four corners all differ; lossy formats keep it within a few values."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 200 * x / (width - 1) + 20, 200 * y / (height - 1) + 20
    return np.stack((red, green, (red + 255 - green) / 2), -1).astype(np.uint8)


def saved(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(width, height, depth, colour_type, rows=b"", chunks=()):
    """A PNG made by hand: for headers that lie and for modes that Pillow does not write."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = b"".join(chunk(*pair) for pair in chunks)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


def icc_profile(kind, space, tags, connection=b"XYZ "):
    """A minimal ICC version 2 profile (ICC.1:2001-04) from tag signatures and contents."""
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for signature, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", signature, offset + len(body), len(content))
        body += content
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(
        ">I4sI4s4s4s12s4s24s4s12s48s",
        offset + len(body), b"", 0x02400000, kind, space, connection, bytes(12), b"acsp",
        bytes(24), bytes(4), white, bytes(48),
    )  # fmt: skip
    return header[:128] + struct.pack(">I", len(tags)) + table + body


def xyz(x, y, z):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


SRGB_COLUMNS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))


def matrix_profile(red, green, blue, curve=2.2):
    return icc_profile(b"mntr", b"RGB ", {
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(*red), b"gXYZ": xyz(*green), b"bXYZ": xyz(*blue),
        b"rTRC": gamma(curve), b"gTRC": gamma(curve), b"bTRC": gamma(curve),
    })  # fmt: skip


def cmyk_profile():
    """A scanned print whose black ink alone is seen, L = 100 to 20; other inks are invisible."""
    ramp = bytes(range(256))
    grid = b"".join(bytes((51 if k else 255, 128, 128)) for _ in range(8) for k in (0, 1))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + grid + ramp * 3
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"A2B0": lut, b"A2B1": lut}
    return icc_profile(b"scnr", b"CMYK", tags, b"Lab ")


def tiff_file(tags, strips):
    """A little-endian TIFF made by hand from tags, each a list of whole numbers, and strips."""
    data = b"".join(strips)
    starts = [8 + sum(len(strip) for strip in strips[:i]) for i in range(len(strips))]
    tags = {**tags, 273: starts, 279: [len(strip) for strip in strips]}
    data += b"\0" * (len(data) % 2)
    table, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        table += struct.pack("<HHI", tag, 4, len(numbers))
        if len(numbers) > 1:
            table += struct.pack("<I", 8 + len(data) + len(values))
            values += packed
        else:
            table += packed
    header = b"II*\0" + struct.pack("<I", 8 + len(data) + len(values))
    return header + data + values + struct.pack("<H", len(tags)) + table + bytes(4)


COLOURS = np.array(
    [(200, 40, 40), (64, 64, 64), (128, 128, 128), (255, 0, 0), (0, 255, 0), (30, 90, 220),
     (255, 255, 255), (180, 180, 60), (10, 10, 10)], np.uint8,
)  # fmt: skip
"""One pixel each of a PNG whose colour is described in some way."""

DISPLAY_P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
"""As cHRM has it: x and y of white, red, green and blue."""


def described_png(*chunks):
    """``COLOURS`` in one row, with chunks that say what they mean."""
    return png(len(COLOURS), 1, 8, 2, b"\0" + COLOURS.tobytes(), chunks)


def cicp(primaries, transfer, matrix=0, full_range=1):
    return b"cICP", bytes((primaries, transfer, matrix, full_range))


def gama(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(chromaticities):
    return b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in chromaticities))


def with_nclx(data, primaries, transfer):
    """An AVIF or HEIF file that Pillow wrote, its colour described by other numbers."""
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def colour_patches(side=16):
    """``COLOURS`` as squares, for formats that mix neighbouring pixels."""
    return np.repeat(np.repeat(COLOURS[None], side, 0), side, 1)


def check_damaged(file: bytes, data: st.DataObject) -> None:
    """Changes some bytes of an image file: it gives pixels or one clear error."""
    damaged = bytearray(file)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = read_image(bytes(damaged)).pixels
    except ImageError as error:
        assert str(error).endswith(".")
    else:
        assert check_pixels(pixels) is pixels
