"""What optimised quantization through the decoder is worth, and what it costs, by its passes.

    python benchmarks/optimised_quantization.py FOLDER... [--efforts 1 2 4 8] [--every K] [--side S]

Takes every K-th photo below the folders, scaled to at most S pixels on its longer side, encodes it
once, and packs it at each N with each effort. Prints the BD-rate of each effort against plain
rounding in files of both coders, the gain of restoration, and how long choosing the integers takes
in decodings of the same picture.
"""

import time

import numpy as np
from dead_zone import GAINS, LEVELS, cells, mean_curves, photo_parser, photos

from qann_core import Codec
from qann_core.codec import Latents
from qann_core.evaluation.deltas import bd_rate
from qann_core.evaluation.tables import markdown_table
from qann_core.metrics import bits_per_pixel, psnr


def figures(codec: Codec, pixels: np.ndarray, latents: Latents, effort: float) -> np.ndarray:
    """(len(LEVELS), 6): bits per pixel of both coders, PSNR quantized and restored, and seconds to
    choose the integers and to decode them, at each N."""
    rows = []
    for levels in LEVELS:
        started = time.perf_counter()
        integers = codec.quantize(latents, levels, int(effort))
        chosen = time.perf_counter()
        restored = codec.decode(integers)
        decoded = time.perf_counter()
        rates = [
            bits_per_pixel(len(codec.pack_integers(integers, coder)), *pixels.shape[:2])
            for coder in ("prior", "brotli")
        ]
        qualities = psnr(pixels, codec.decode(integers, restore=False)), psnr(pixels, restored)
        rows.append((*rates, *qualities, chosen - started, decoded - chosen))
    return np.array(rows)


def main() -> None:
    """Measures and prints the table."""
    parser = photo_parser(__doc__)
    parser.add_argument("--efforts", type=int, nargs="+", default=(1, 2, 4, 8, 16))
    options = parser.parse_args()
    pictures = photos(options.folders, options.every, options.side)
    curves = mean_curves(pictures, sorted({0, *options.efforts}), figures)
    prior, brotli, plain, restored, *_ = curves[0]
    print(f"{len(pictures)} photos; BD-rate against plain rounding, %")
    rows = []
    for effort, (rate, other, worse, better, choosing, decoding) in curves.items():
        deltas = (
            bd_rate(prior, restored, rate, better),
            bd_rate(brotli, restored, other, better),
            bd_rate(prior, plain, rate, worse),
        )
        decodings = f"{choosing.sum() / decoding.sum():.1f}"
        rows.append((f"{effort:.0f}", *cells(deltas, better - worse), decodings))
    head = ("effort", "prior, restored", "Brotli, restored", "prior, quantized", GAINS,
            "time, decodings")  # fmt: skip
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
