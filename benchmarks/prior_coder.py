"""Bytes and seconds of the learned prior against Brotli, on the codec's own integers.

    python benchmarks/prior_coder.py FOLDER [--levels N ...] [--model NAME] [--prior FOLDER]

Three coders of the same integers: ``planar`` (plain Brotli, quality 11, one byte a coefficient,
subbands whole: see symbol_layout.py), ``grouped`` (the codec's Brotli coder) and ``prior``. The
prior's files are decoded and compared. Prints two Markdown tables of all images: mean bytes with
the worst image's change, and seconds to code and decode (planar is not decoded), the prior's with
its network on one core and on all; Brotli's library uses one. Run it with nothing beside it. All
bytes of the coded integers count; the container's 24 are the same for all and do not.
"""

from pathlib import Path

import numpy as np
import torch
from experiment import folder_parser, timed
from symbol_layout import planar
from tqdm import tqdm

from qann_core import Codec, read_image
from qann_core.coding.registry import coder_by_name
from qann_core.coding.weights import load_prior
from qann_core.common.files import find_images
from qann_core.evaluation.tables import markdown_table

DEFAULT_LEVELS = (32, 48, 64, 96, 128, 192)
SIZES = ("planar", "grouped", "prior")
CORES = torch.get_num_threads()
CODERS = ("grouped", "prior, 1 core", f"prior, {CORES} cores")
TIMES = ("planar, code", *(f"{coder}, {way}" for coder in CODERS for way in ("code", "decode")))


def main() -> None:
    """Measures and prints both tables."""
    parser = folder_parser(__doc__, DEFAULT_LEVELS)
    parser.add_argument("--prior", type=Path, help="a prior folder instead of the model's own")
    options = parser.parse_args()

    codec = Codec.load(options.model)
    prior = coder_by_name("prior", load_prior(options.prior) if options.prior else codec.prior)
    grouped = coder_by_name("brotli")
    paths = find_images([options.folder])
    sizes = np.zeros((len(options.levels), len(paths), len(SIZES)))
    seconds = np.zeros((len(options.levels), len(paths), len(TIMES)))
    for column, path in enumerate(tqdm(paths, "Coding", leave=False)):
        latents = codec.encode(read_image(path).pixels)
        for row, levels in enumerate(options.levels):
            bands = codec.quantize(latents, levels).bands
            shapes = [band.shape for band in bands]
            sizes[row, column, 0], seconds[row, column, 0] = timed(planar, bands)
            for index, (coder, cores) in enumerate(((grouped, 1), (prior, 1), (prior, CORES)), 1):
                torch.set_num_threads(cores)
                payload, coding = timed(coder.encode, bands, levels)
                decoded, decoding = timed(coder.decode, payload, shapes, levels)
                seconds[row, column, 2 * index - 1 : 2 * index + 1] = coding, decoding
                sizes[row, column, min(index, 2)] = len(payload)
                if not all(np.array_equal(a, b) for a, b in zip(decoded, bands, strict=True)):
                    raise SystemExit(f"{path} does not decode to the same integers.")
    print_tables(options.levels, [path.name for path in paths], sizes, seconds)


def print_tables(
    levels: list[int], names: list[str], sizes: np.ndarray, seconds: np.ndarray
) -> None:
    """Markdown tables of sizes and seconds, (levels, images, coders)."""
    bytes_rows, seconds_rows = [], []
    for number, size, taken in zip(levels, sizes, seconds, strict=True):
        cells = [f"{mean:.0f}" for mean in size.mean(0)]
        for other in (0, 1):
            changes = 100 * (size[:, 2] / size[:, other] - 1)
            mean = 100 * (size[:, 2].mean() / size[:, other].mean() - 1)
            worst = int(changes.argmax())
            cells += [f"{mean:+.1f} %", f"{changes[worst]:+.1f} % ({names[worst]})"]
        bytes_rows.append((str(number), *cells))
        seconds_rows.append((str(number), *(f"{value:.3f}" for value in taken.mean(0))))
    against = ("prior against planar", "worst image", "prior against grouped", "worst image")
    print(markdown_table(("N", "planar, bytes", "grouped", "prior", *against), bytes_rows))
    print(markdown_table(("N", *(f"{name}, s" for name in TIMES)), seconds_rows))


if __name__ == "__main__":
    main()
