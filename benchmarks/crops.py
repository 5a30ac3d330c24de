"""Bundled photos beside AVIF at the same bytes: crops to look at, and which band's error shows.

    python benchmarks/crops.py OUT [--levels N]

OUT gets PHOTO.png: a crop of the original, of this codec's picture (learned prior) and of AVIF's,
twice as large. A line a photo gives both SSIMULACRA 2 scores, and what the score would be if one
band of the latents had come through without error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from app.matching import at_bytes
from qann_core import Codec, read_image
from qann_core.evaluation.peers import peer_by_name
from qann_core.metrics import ssimulacra2

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples"
CORNERS = {
    "astronaut": (40, 150), "brushes": (100, 200), "facade": (120, 200), "landing": (150, 250),
    "page": (40, 60), "rocket": (100, 200), "stream": (200, 200), "window": (150, 250),
}  # fmt: skip
"""Top and left of each photo's crop."""

HEIGHT, WIDTH = 200, 220


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--levels", type=int, default=80)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    codec, avif = Codec.load(), peer_by_name("avif")
    for name, (top, left) in CORNERS.items():
        pixels = read_image(EXAMPLES / f"{name}.jpg").pixels
        latents = codec.encode(pixels)
        data = codec.pack(latents, options.levels, "prior")
        quantized = codec.unpack(data)
        decoded, peer = codec.decode(quantized), at_bytes(avif, pixels, len(data))
        sheet = np.concatenate(
            [p[top : top + HEIGHT, left : left + WIDTH] for p in (pixels, decoded, peer.pixels)], 1
        )
        height, width = sheet.shape[:2]
        Image.fromarray(sheet).resize((2 * width, 2 * height)).save(options.out / f"{name}.png")
        restored = codec.restore(quantized)
        without_error = []
        for index, band in enumerate(latents.pyramid):
            bands = (*restored[:index], band, *restored[index + 1 :])
            picture = codec.synthesize(bands, *pixels.shape[:2])
            without_error.append(f"{ssimulacra2(pixels, picture):.1f}")
        print(
            f"{name}: {len(data)} bytes, SSIMULACRA 2 {ssimulacra2(pixels, decoded):.1f}; "
            f"AVIF {len(peer.data)} bytes, {ssimulacra2(pixels, peer.pixels):.1f}; "
            f"one band exact, coarse to fine: {', '.join(without_error)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
