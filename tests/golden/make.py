"""Makes the golden files of the bundled models: run once per set of weights, never edit results.

    python tests/golden/make.py

Each model has a folder, called by its id. NAME.qann stands beside NAME.npz, the integers it must
decode to on every machine, and NAME.png, the picture that the model made of it in float32.
NAME-prior-ID is coded with the learned prior of that id.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from qann_core import Codec
from qann_core.common.limits import MAX_LEVELS
from qann_core.models import bundled_models, has_prior, models_folder, prior_digest, prior_folder
from qann_core.networks import precision

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "assets" / "examples"


def pictures(example: str) -> dict[str, tuple[np.ndarray, int]]:
    """Name -> pixels and N: a photo at odd sizes, flat colour, noise, a single pixel."""
    photo = np.asarray(Image.open(EXAMPLES / f"{example}.jpg").convert("RGB"))
    small = np.asarray(Image.fromarray(photo).resize((150, 101), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    return {
        "photo-coarse": (small, 24),
        "photo-medium": (small, 96),
        "photo-fine": (small[:70, :90], 400),
        "flat": (np.full((40, 64, 3), (250, 250, 255), np.uint8), 64),
        "noise": (noise, 512),
        "one-pixel": (np.full((1, 1, 3), (12, 200, 99), np.uint8), 128),
    }


def main() -> None:
    """Writes what is missing."""
    precision.BFLOAT16_MIN_LEVELS = MAX_LEVELS + 1  # float32 defines the picture
    for info in bundled_models():
        for name, (pixels, levels) in pictures("astronaut").items():
            stem = HERE / info.id / name
            if not stem.with_suffix(".qann").exists():
                make(stem, info.name, pixels, levels)
        if has_prior(models_folder() / info.name):
            prior = prior_digest(prior_folder(models_folder() / info.name))
            stem = HERE / info.id / f"photo-medium-prior-{prior}"
            if not stem.with_suffix(".qann").exists():
                make(stem, info.name, *pictures("astronaut")["photo-medium"], coder="prior")


def make(stem: Path, model: str, pixels: np.ndarray, levels: int, coder: str | None = None) -> None:
    """One file and what it decodes to."""
    stem.parent.mkdir(exist_ok=True)
    codec = Codec.load(model)
    data = codec.pack(codec.encode(pixels), min(levels, codec.max_levels), coder)
    quantized = codec.unpack(data)
    stem.with_suffix(".qann").write_bytes(data)
    bands = {f"band{index}": band.astype(np.int16) for index, band in enumerate(quantized.bands)}
    np.savez_compressed(stem.with_suffix(".npz"), **bands)
    Image.fromarray(codec.decode(quantized)).save(stem.with_suffix(".png"))
    print(stem.name, len(data), "bytes")


if __name__ == "__main__":
    main()
