"""Makes the golden files of the prior coder: run once per format, never edit the results.

    python tests/golden/make_prior.py

``tiny-prior`` is a prior with a few features and random weights, so that these files decode
forever, whatever prior the default model has. Each prior-NAME.qann stands beside the integers that
it must decode to on every machine.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qann_core import bitstream, wavelet
from qann_core.prior import PriorNetwork
from qann_core.prior_weights import exact_network, load_prior, save_prior
from qann_core.quantization import QuantizedLatents, quantize
from qann_core.training.prior_tables import fit_tables

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "tiny-prior"


def pyramid(pixels: np.ndarray) -> wavelet.Pyramid:
    """The plain wavelet transform of an image, uint8 (H, W, 3)."""
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() - 127.5
    return wavelet.forward(wavelet.pad(image))


def pictures() -> dict[str, tuple[np.ndarray, int]]:
    """Name -> pixels and N: a photo at three N, noise, flat colour, a single pixel."""
    photo = np.asarray(Image.open(HERE.parents[1] / "assets/examples/window.jpg").convert("RGB"))
    small = np.asarray(Image.fromarray(photo).resize((150, 101), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    return {
        "photo-coarse": (small, 24),
        "photo-medium": (small, 96),
        "photo-fine": (small[:70, :90], 400),
        "noise": (noise, 512),
        "flat": (np.full((40, 64, 3), (250, 250, 255), np.uint8), 64),
        "one-pixel": (np.full((1, 1, 3), (12, 200, 99), np.uint8), 128),
    }


def make_prior() -> None:
    """Writes ``tiny-prior``: random weights, and tables counted on the photo."""
    torch.manual_seed(1)
    network = PriorNetwork((12, 12, 8, 8), (1, 1, 1, 1))
    for table in network.embeddings:
        torch.nn.init.normal_(table)
    for level in network.levels:
        for head in level.heads:
            torch.nn.init.normal_(head.weight, std=0.3)
    photo = pictures()["photo-medium"][0]
    samples = []
    for levels in (32, 96, 300):
        bands = quantize(pyramid(photo), levels)
        floats = tuple(torch.from_numpy(band)[None].float() for band in bands)
        samples.append((floats, torch.tensor([float(levels)])))
    save_prior(network, fit_tables(exact_network(network), samples), FOLDER)


def main() -> None:
    """Writes the prior, the files and what they must decode to."""
    make_prior()
    prior = load_prior(FOLDER)
    for name, (pixels, levels) in pictures().items():
        stem = HERE / f"prior-{name}"
        bands = quantize(pyramid(pixels), levels)
        latents = QuantizedLatents(bands, levels, *pixels.shape[:2], model_id="0" * 8)
        data = bitstream.pack(latents, "prior", prior)
        stem.with_suffix(".qann").write_bytes(data)
        arrays = {f"band{index}": band.astype(np.int16) for index, band in enumerate(bands)}
        np.savez_compressed(stem.with_suffix(".npz"), **arrays)
        print(stem.name, len(data), "bytes")


if __name__ == "__main__":
    main()
