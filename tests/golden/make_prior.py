"""Makes the golden files of the prior coder: run once, never edit the results.

    python tests/golden/make_prior.py

``tiny-quarters`` is a prior with a few features and random weights, so that these files decode
forever, whatever prior the bundled models have. Each NAME.qann in it stands beside the integers
that it must decode to on every machine.
"""

from pathlib import Path

import numpy as np
import torch
from make import HERE, pictures

from qann_core import bitstream
from qann_core.coding.network import PriorNetwork
from qann_core.coding.weights import Prior, exact_network, load_prior, save_prior
from qann_core.networks import wavelet
from qann_core.quantization import QuantizedLatents, quantize
from qann_core.training.prior_tables import fit_tables

PICTURES = pictures("window")


def pyramid(pixels: np.ndarray) -> wavelet.Pyramid:
    """The plain wavelet transform of an image, uint8 (H, W, 3)."""
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() - 127.5
    return wavelet.forward(wavelet.pad(image))


def make_prior(folder: Path) -> None:
    """Writes a prior: random weights, and tables counted on the photo."""
    torch.manual_seed(1)
    network = PriorNetwork((12, 12, 8, 8), (1, 1, 1, 1))
    for table in network.embeddings:
        torch.nn.init.normal_(table)
    for level in network.levels:
        for head in level.heads:
            torch.nn.init.normal_(head.weight, std=0.3)
    photo = PICTURES["photo-medium"][0]
    samples = []
    for levels in (32, 96, 300):
        bands = quantize(pyramid(photo), levels)
        floats = tuple(torch.from_numpy(band)[None].float() for band in bands)
        samples.append((floats, torch.tensor([float(levels)])))
    save_prior(network, fit_tables(exact_network(network), samples), folder)


def main() -> None:
    """Writes the prior, its files and what those must decode to, if they are missing."""
    folder = HERE / "tiny-quarters"
    if not folder.exists():
        make_prior(folder)
        make_files(load_prior(folder))


def make_files(prior: Prior) -> None:
    """The prior's files."""
    for name, (pixels, levels) in PICTURES.items():
        stem = HERE / "tiny-quarters" / name
        bands = quantize(pyramid(pixels), levels)
        latents = QuantizedLatents(bands, levels, *pixels.shape[:2], model_id="0" * 8)
        data = bitstream.pack(latents, "prior", prior)
        stem.with_suffix(".qann").write_bytes(data)
        arrays = {f"band{index}": band.astype(np.int16) for index, band in enumerate(bands)}
        np.savez_compressed(stem.with_suffix(".npz"), **arrays)
        print(stem.name, len(data), "bytes")


if __name__ == "__main__":
    main()
