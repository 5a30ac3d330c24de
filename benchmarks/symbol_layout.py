"""Bytes and CPU seconds of symbol layouts for Brotli, on the codec's own integers.

    python benchmarks/symbol_layout.py FOLDER [--levels N ...] [--model NAME]

Layouts: ``interleaved`` (one byte a coefficient, channels last),
``planar`` (subbands whole, coarse to fine, LL predicted; the plain baseline), ``packed`` (planar,
magnitudes and signs apart, small alphabets bit-packed, all-zero planes skipped), all with Brotli at
quality 11, ``grouped_11`` and ``grouped`` (the codec's: bits grouped by the magnitude that their
context lets expect; at quality 11, and as the codec does it). Prints a Markdown table of means over
the images, one thread.
"""

from collections.abc import Callable
from unittest.mock import patch

import brotli
import numpy as np
import torch
from experiment import cpu_timed, folder_parser

from qann_core import Codec, read_image
from qann_core.coding import symbols
from qann_core.coding.prediction import med_residual
from qann_core.coding.registry import coder_by_name
from qann_core.common.files import find_images
from qann_core.common.limits import MAX_LEVELS
from qann_core.evaluation.tables import markdown_table

Bands = tuple[np.ndarray, ...]


def zigzag(values: np.ndarray) -> np.ndarray:
    """0, -1, 1, -2, 2 ... to 0, 1, 2, 3, 4 ... as bytes; larger ones are clipped (an optimist)."""
    return np.where(values > 0, 2 * values - 1, -2 * values).clip(0, 255).astype(np.uint8)


def predicted(bands: Bands) -> Bands:
    """The bands with the first replaced by its prediction residual."""
    return (np.stack([med_residual(plane) for plane in bands[0]]), *bands[1:])


def interleaved(bands: Bands) -> int:
    """Bytes with the channels of a position side by side."""
    flat = [zigzag(band.transpose(1, 2, 0)).ravel() for band in predicted(bands)]
    return len(brotli.compress(np.concatenate(flat).tobytes(), quality=11))


def planar(bands: Bands) -> int:
    """Bytes with every subband whole."""
    flat = [zigzag(band).ravel() for band in predicted(bands)]
    return len(brotli.compress(np.concatenate(flat).tobytes(), quality=11))


def packed(bands: Bands) -> int:
    """Bytes with all-zero planes skipped, small magnitudes four or two to a byte, signs raw."""
    streams, signs = [], []
    for band in predicted(bands):
        for plane in band:
            if not plane.any():
                continue
            magnitudes = np.abs(plane).ravel().clip(0, 255).astype(np.uint8)
            signs.append(plane.ravel()[magnitudes > 0] < 0)
            bits = 2 if magnitudes.max() < 4 else 4 if magnitudes.max() < 16 else 8
            padded = np.pad(magnitudes, (0, -magnitudes.size % (8 // bits)))
            columns = padded.reshape(-1, 8 // bits).astype(np.int32)
            weights = 1 << (bits * np.arange(8 // bits))
            streams.append((columns @ weights).astype(np.uint8))
    if not streams:
        return 0
    sign_bytes = -(-sum(sign.size for sign in signs) // 8)
    payload: bytes = brotli.compress(np.concatenate(streams).tobytes(), quality=11)
    return len(payload) + int(sign_bytes)


def grouped_11(bands: Bands) -> int:
    """Bytes of the codec's own coder with Brotli at quality 11."""
    with patch.object(symbols, "QUALITY", 11):
        return grouped(bands)


def grouped(bands: Bands) -> int:
    """Bytes of the codec's own coder."""
    return len(coder_by_name("brotli").encode(bands, MAX_LEVELS))


LAYOUTS: tuple[Callable[[Bands], int], ...] = (
    interleaved, planar, packed, grouped_11, grouped,
)  # fmt: skip


def main() -> None:
    """Measures and prints the table."""
    options = folder_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    codec = Codec.load(options.model)
    sizes = np.zeros((len(options.levels), len(LAYOUTS)))
    seconds = np.zeros_like(sizes)
    paths = find_images([options.folder])
    for path in paths:
        latents = codec.encode(read_image(path).pixels)
        for row, levels in enumerate(options.levels):
            bands = codec.quantize(latents, levels).bands
            for column, layout in enumerate(LAYOUTS):
                size, taken = cpu_timed(layout, bands)
                sizes[row, column] += size / len(paths)
                seconds[row, column] += taken / len(paths)
    names = [layout.__name__ for layout in LAYOUTS]
    rows = []
    for row, levels in enumerate(options.levels):
        cells = (f"{b:.0f} / {s:.3f}" for b, s in zip(sizes[row], seconds[row], strict=True))
        change = 100 * (sizes[row, -1] / sizes[row, 1] - 1)
        rows.append((str(levels), *cells, f"{change:+.1f} %"))
    head = ("N", *(f"{name}, bytes / s" for name in names), "against planar")
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
