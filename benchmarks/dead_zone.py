"""Rate and distortion of rounding offsets: how wide the dead zone should be.

    python benchmarks/dead_zone.py FOLDER... [--offsets 0.38 0.42 0.46] [--every K] [--side S]

Takes every K-th photo below the folders, scaled to at most S pixels on its longer side, encodes it
once, and packs it at each N with each offset (0.5 would be plain rounding). Prints the BD-rate of
each offset against the codec's own, restored and quantized only, and the gain of restoration.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from qann_core import Codec, QuantizedLatents, bitstream, read_image
from qann_core.codec import Latents
from qann_core.common.files import find_images
from qann_core.evaluation.deltas import bd_rate
from qann_core.evaluation.tables import markdown_table
from qann_core.metrics import bits_per_pixel, psnr
from qann_core.quantization import ROUNDING_OFFSET, quantize

LEVELS = (36, 64, 96, 144, 220)


def photo_parser(doc: str) -> argparse.ArgumentParser:
    """A parser described by the first line of ``doc``, with the options that ``photos`` takes."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=50, metavar="K")
    parser.add_argument("--side", type=int, default=512, metavar="S")
    return parser


def photos(folders: list[Path], every: int, side: int) -> list[np.ndarray]:
    """Every ``every``-th photo, scaled down to at most ``side`` pixels a side."""
    pictures = []
    for path in find_images(folders)[::every]:
        picture = Image.fromarray(read_image(path).pixels)
        picture.thumbnail((side, side))
        pictures.append(np.array(picture))
    return pictures


def mean_curves(
    pictures: list[np.ndarray],
    settings: Sequence[float],
    measure: Callable[[Codec, np.ndarray, Latents, float], np.ndarray],
) -> dict[float, np.ndarray]:
    """By setting, what is measured of each photo and its latents, (len(LEVELS), F): means, (F, N).

    Every photo is encoded once.
    """
    codec = Codec.load()
    encoded = [codec.encode(picture) for picture in pictures]
    curves = {}
    for setting in tqdm(settings, "Settings"):
        pairs = zip(pictures, encoded, strict=True)
        curves[setting] = np.mean([measure(codec, p, y, setting) for p, y in pairs], axis=0).T
    return curves


def figures(codec: Codec, pixels: np.ndarray, latents: Latents, offset: float) -> np.ndarray:
    """(len(LEVELS), 3): bits per pixel, PSNR quantized only and PSNR restored at each N."""
    rows = []
    for levels in LEVELS:
        bands = quantize(latents.pyramid, levels, offset)
        packed = QuantizedLatents(bands, levels, latents.height, latents.width, codec.model_id)
        rate = bits_per_pixel(len(bitstream.pack(packed)), latents.height, latents.width)
        plain, restored = (codec.decode(packed, restore) for restore in (False, True))
        rows.append((rate, psnr(pixels, plain), psnr(pixels, restored)))
    return np.array(rows)


GAINS = f"gain of restoration at N = {', '.join(map(str, LEVELS))}, dB"
"""The heading of the last of ``cells``."""


def cells(deltas: Sequence[float | None], gains: Sequence[float]) -> tuple[str, ...]:
    """A table's cells: BD-rates in per cent, and the gains at all of LEVELS together."""
    rates = ("n/a" if value is None else f"{value:+.2f}" for value in deltas)
    return *rates, ", ".join(f"{gain:.2f}" for gain in gains)


def main() -> None:
    """Measures and prints the table."""
    parser = photo_parser(__doc__)
    parser.add_argument("--offsets", type=float, nargs="+", default=(0.34, 0.38, 0.42, 0.46, 0.5))
    options = parser.parse_args()
    pictures = photos(options.folders, options.every, options.side)
    curves = mean_curves(pictures, sorted({*options.offsets, ROUNDING_OFFSET}), figures)
    rate, *anchors = curves[ROUNDING_OFFSET]
    print(f"{len(pictures)} photos; BD-rate against offset {ROUNDING_OFFSET}")
    rows = []
    for offset, (bpp, plain, restored) in curves.items():
        deltas = (
            bd_rate((rate, anchors[1]), (bpp, restored)),
            bd_rate((rate, anchors[0]), (bpp, plain)),
        )
        rows.append((f"{offset:.2f}", *cells(deltas, restored - plain)))
    print(markdown_table(("offset", "restored, %", "quantized, %", GAINS), rows))


if __name__ == "__main__":
    main()
