"""Rate-distortion optimised quantization with the learned prior's cost, against the dead zone.

    python benchmarks/optimised_quantization.py FOLDER... [--weights 10.7 20] [--every K] [--side S]

Each latent takes that one of its two neighbours among the integers whose bits + k * error^2 is
smaller, the error in steps and the bits those that the prior expects after plain dead-zone rounding
of everything else. Takes every K-th photo below the folders, scaled to at most S pixels a side.
Prints, for each weight k, the BD-rate against the dead zone in files of both coders.
"""

import numpy as np
import torch
from dead_zone import GAINS, LEVELS, cells, mean_curves, photo_parser, photos
from torch import Tensor

from qann_core import Codec, QuantizedLatents, bitstream
from qann_core.benchmark.tables import markdown_table
from qann_core.codec import Latents
from qann_core.metrics import bits_per_pixel, psnr
from qann_core.prior import PriorNetwork
from qann_core.prior_likelihood import code_length
from qann_core.prior_passes import ORDERS
from qann_core.quantization import levels_range, quantize, step_for_levels
from qann_core.rate_distortion import bd_rate
from qann_core.wavelet import Pyramid


def bits(network: PriorNetwork, known: Pyramid, wanted: Pyramid, levels: int) -> list[Tensor]:
    """Bits of each detail in ``wanted`` where the prior has seen the integers ``known``."""
    found = []
    expected = network(known, torch.tensor([float(levels)]))
    for passes, band in zip(expected, wanted[1:], strict=True):
        lengths = torch.empty_like(band)
        for colour, one in enumerate(ORDERS[network.order].by_colour(passes)):
            lengths[:, colour::3] = code_length(one, band[:, colour::3])
        found.append(lengths)
    return found


@torch.inference_mode()
def optimised(codec: Codec, latents: Latents, levels: int, weight: float) -> tuple[np.ndarray, ...]:
    """Integers of the latents, chosen by rate and distortion; see the module's text."""
    assert codec.prior is not None
    network, (least, most) = codec.prior.network, levels_range(levels)
    plain = quantize(latents.pyramid, levels)
    known = tuple(torch.from_numpy(band).float()[None] for band in plain)
    scaled = tuple(band / step_for_levels(levels) for band in latents.pyramid)
    lower = tuple(v.sign() * v.abs().floor() for v in scaled)
    upper = tuple(v.sign() * (v.abs().floor() + 1) for v in scaled)
    costs = [bits(network, known, wanted, levels) for wanted in (lower, upper)]
    chosen = [plain[0]]
    for index, (v, low, high) in enumerate(zip(scaled[1:], lower[1:], upper[1:], strict=True)):
        more = costs[1][index] - costs[0][index] + weight * ((high - v) ** 2 - (low - v) ** 2)
        integers = torch.where(more < 0, high, low).clamp(least, most)
        chosen.append(integers[0].to(torch.int32).numpy())
    return tuple(chosen)


def figures(codec: Codec, pixels: np.ndarray, latents: Latents, weight: float) -> np.ndarray:
    """(len(LEVELS), 4): bits per pixel of both coders, PSNR quantized and restored at each N.

    A weight of 0 stands for the dead zone.
    """
    rows = []
    for levels in LEVELS:
        bands = (
            optimised(codec, latents, levels, weight)
            if weight
            else quantize(latents.pyramid, levels)
        )
        packed = QuantizedLatents(bands, levels, latents.height, latents.width, codec.model_id)
        files = bitstream.pack(packed, "prior", codec.prior), bitstream.pack(packed)
        rates = [bits_per_pixel(len(file), latents.height, latents.width) for file in files]
        qualities = [psnr(pixels, codec.decode(packed, restore)) for restore in (False, True)]
        rows.append((*rates, *qualities))
    return np.array(rows)


def main() -> None:
    """Measures and prints the table."""
    parser = photo_parser(__doc__)
    parser.add_argument("--weights", type=float, nargs="+", default=(10.7, 14.0, 20.0))
    options = parser.parse_args()
    pictures = photos(options.folders, options.every, options.side)
    curves = mean_curves(pictures, (0.0, *options.weights), figures)
    prior, brotli, plain, restored = curves[0.0]
    print(f"{len(pictures)} photos; BD-rate against the dead zone, %")
    rows = []
    for weight, (rate, other, worse, better) in curves.items():
        deltas = (
            bd_rate(prior, restored, rate, better),
            bd_rate(prior, plain, rate, worse),
            bd_rate(brotli, restored, other, better),
        )
        rows.append((f"{weight or 'dead zone'}", *cells(deltas, better - worse)))
    head = ("k", "prior, restored", "prior, quantized", "Brotli, restored", GAINS)
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
