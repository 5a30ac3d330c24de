"""Learns the codebooks of residual quantization (``evaluation.quantizers``) by k-means.

    python benchmarks/rq_codebooks.py PHOTOS... [--out FOLDER] [--model NAME] [--exclude FILE]

A few minutes on one core. Run it again whenever the encoder's weights change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from tqdm import tqdm

from qann_core import Codec, Latents, QannError
from qann_core.common.files import find_images, listed_paths
from qann_core.evaluation.quantizers import (
    BLOCKS,
    CODEBOOKS_FILE,
    CODES,
    DEPTHS,
    Codebooks,
    nearest_codes,
    to_vectors,
)
from qann_core.models import models_folder
from qann_core.training.data import load_photos

PHOTOS = 240
"""Photos drawn from those given; more does not lower the error that these codebooks leave."""

CROP = 256
_SAMPLE = 60_000
_ROUNDS = 25


def learn_codebooks(latents: Sequence[Latents], seed: int = 0) -> dict[str, Tensor]:
    """Codebooks and schedule as tensors for ``codebooks.safetensors``, in half precision.

    Depth by depth: k-means on what the depths before left. The schedule then spends depth after
    depth where it lowers the squared error most for the bits (index entropy) that it costs.
    """
    random = np.random.default_rng(seed)
    pixels = sum(item.height * item.width for item in latents)
    tensors, curves = {}, []
    steps = tqdm(total=sum(DEPTHS), desc="Learning codebooks")
    for index, (block, codes, depth) in enumerate(zip(BLOCKS, CODES, DEPTHS, strict=True)):
        rest = torch.cat([to_vectors(item.pyramid[index][0], block) for item in latents])
        books, curve = [], [(0.0, float(rest.square().sum()) / pixels)]
        for _ in range(depth):
            book = _k_means(rest, codes, random).half()
            nearest = nearest_codes(rest, book.float())
            rest = rest - book.float()[nearest]
            bits = _entropy(nearest, codes) * len(rest) / pixels
            curve.append((curve[-1][0] + bits, float(rest.square().sum()) / pixels))
            books.append(book)
            steps.update()
        tensors[f"band{index}"] = torch.stack(books)
        curves.append(curve)
    steps.close()
    return {**tensors, "schedule": torch.tensor(share_out(curves))}


def share_out(curves: Sequence[Sequence[tuple[float, float]]]) -> list[list[int]]:
    """Depths of every band at total depth 1, 2, ..., from the bands' (rate, error) by depth.

    Greedy on each curve's lower convex hull: the stretch that saves most error a bit comes first.
    """
    depths = [0] * len(curves)
    rows: list[list[int]] = []
    while any(depth + 1 < len(curve) for depth, curve in zip(depths, curves, strict=True)):
        slopes = []
        for band, (depth, curve) in enumerate(zip(depths, curves, strict=True)):
            rate, error = curve[depth]
            for further in range(depth + 1, len(curve)):
                saved, cost = error - curve[further][1], curve[further][0] - rate
                slopes.append((saved / max(cost, 1e-9), -further, band))
        _, further, band = max(slopes)
        while depths[band] < -further:
            depths[band] += 1
            rows.append(list(depths))
    return rows


def _k_means(vectors: Tensor, codes: int, random: np.random.Generator) -> Tensor:
    """Codes (codes, dimensions) by k-means on a sample; the first is the nearest to zero."""
    chosen = random.choice(len(vectors), min(len(vectors), _SAMPLE), replace=False)
    centres, _ = kmeans2(
        vectors.numpy()[chosen], codes, iter=_ROUNDS, minit="++", missing="warn", rng=random
    )
    return torch.from_numpy(centres[np.argsort(np.square(centres).sum(1))])


def _entropy(indices: Tensor, codes: int) -> float:
    share = torch.bincount(indices, minlength=codes).double() / len(indices)
    return float(-torch.special.xlogy(share, share).sum() / np.log(2))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description="Learns the codebooks of residual quantization.")
    parser.add_argument("folders", type=Path, nargs="+", help="folders of photos")
    parser.add_argument("--out", type=Path, default=models_folder() / "psnr" / "rq")
    parser.add_argument("--model", default="psnr", help="whose latents to learn from")
    parser.add_argument("--exclude", type=Path, help="a text file of image paths to leave out")
    parser.add_argument("--seed", type=int, default=0)
    try:
        _learn(parser.parse_args(arguments))
    except QannError as error:
        print(f"codebooks: {error}", file=sys.stderr)
        return 2
    return 0


def _learn(options: argparse.Namespace) -> None:
    from safetensors.torch import save_file

    paths = np.array(find_images(options.folders, listed_paths(options.exclude)), object)
    random = np.random.default_rng(options.seed)
    random.shuffle(paths)
    photos = load_photos(list(paths[:PHOTOS]), CROP).training
    codec = Codec.load(options.model)
    latents = [
        codec.encode(_random_crop(photo, random)) for photo in tqdm(photos, desc="Encoding photos")
    ]
    tensors = learn_codebooks(latents, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, options.out / CODEBOOKS_FILE, {"model": codec.model_id})
    print(f"{options.out / CODEBOOKS_FILE}: codebooks {Codebooks.load(options.out).id}")


def _random_crop(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    top, left = (random.integers(size - CROP + 1) for size in photo.shape[:2])
    return np.ascontiguousarray(photo[top : top + CROP, left : left + CROP])


if __name__ == "__main__":
    sys.exit(main())
