"""Training photos: any folders of images, decoded once into memory and cut into random crops."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..common.errors import ImageError, ParameterError, one_line
from ..images import read_image
from ..networks.samples import centred

_LONG_SIDES = (1800, 1100, 700)
"""Large photos are kept at each of these sizes, in pixels: detail differs with scale."""

_LARGEST_WEIGHT = 800_000
"""An image is drawn in proportion to its pixels, up to this many."""


_VALIDATION_EVERY = 40
"""One photo in so many is kept for validation."""

_NAMED = 5
"""Skipped files of one kind that are named; the others are counted."""


@dataclass(frozen=True)
class PhotoSet:
    """Decoded photos, uint8 (H, W, 3), to train on and to validate with.

    Attributes:
        training: every photo in each of its sizes. validation: photos in one size each.
        notes: lines for the log: how many photos there are, and which files were skipped and why.
    """

    training: tuple[np.ndarray, ...]
    validation: tuple[np.ndarray, ...]
    notes: tuple[str, ...] = ()


def load_photos(paths: Sequence[Path], crop: int) -> PhotoSet:
    """Decodes and downscales all photos; unreadable or too small ones are left out and reported.

    One usable photo in forty is for validation, never all of them. Those are chosen by a hash of
    the path below the folder that all photos have in common, so that a set of photos is always
    split alike, wherever it is and however its files are named.

    Raises:
        ParameterError: when no photo is left to train on; says why.
    """
    root = Path(os.path.commonpath([path.absolute().parent for path in paths]))

    def load(path: Path) -> list[np.ndarray] | ImageError:
        try:
            pixels = read_image(path).pixels
        except ImageError as error:
            return error
        return downscaled(pixels, weaken_jpeg=path.suffix.lower() in {".jpg", ".jpeg"}, crop=crop)

    usable: list[tuple[bytes, list[np.ndarray]]] = []
    unusable: list[str] = []
    small: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scaled = tqdm(pool.map(load, paths), "Reading photos", len(paths))
        for path, versions in zip(paths, scaled, strict=True):
            if isinstance(versions, ImageError):
                unusable.append(str(versions).rstrip("."))
            elif not versions:
                small.append(str(path))
            else:
                name = path.absolute().relative_to(root).as_posix()
                usable.append((hashlib.sha256(name.encode("utf-8", "replace")).digest(), versions))
    skipped = [
        f"{len(files)} {reason} ({_named(files)})"
        for files, reason in (
            (unusable, "not usable as images"),
            (small, f"with a side of less than {crop} pixels"),
        )
        if files
    ]
    if not usable:
        raise ParameterError(
            f"There is no photo to train on; of {len(paths)} files, {' and '.join(skipped)}."
        )
    by_hash = sorted(range(len(usable)), key=lambda index: usable[index][0])
    validates = sorted(by_hash[: round(len(usable) / _VALIDATION_EVERY)])
    trained = sorted(set(by_hash) - set(validates))
    notes = [
        f"{len(trained)} photos for training, {len(validates)} for validation; "
        f"of {len(paths)} files {len(paths) - len(usable)} skipped.",
        *(f"Skipped: {reason}." for reason in skipped),
    ]
    return PhotoSet(
        tuple(photo for index in trained for photo in usable[index][1]),
        tuple(usable[index][1][-1] for index in validates),
        tuple(notes),
    )


def _named(files: Sequence[str]) -> str:
    """The first of the files, and how many more there are."""
    shown = "; ".join(map(one_line, files[:_NAMED]))
    return shown if len(files) <= _NAMED else f"{shown} and {len(files) - _NAMED} more"


def downscaled(pixels: np.ndarray, weaken_jpeg: bool, crop: int) -> list[np.ndarray]:
    """The versions of a photo to train on, every side at least ``crop`` pixels.

    Small JPEG photos shrink by 1.25, which weakens their block artefacts; large photos become
    several sizes.
    """
    height, width = pixels.shape[:2]
    long_side = max(height, width)
    targets = [side for side in _LONG_SIDES if side * 1.25 <= long_side]
    if not targets:
        targets = [round(long_side / 1.25)] if weaken_jpeg else [long_side]
    versions = []
    for target in targets:
        size = max(1, round(width * target / long_side)), max(1, round(height * target / long_side))
        if min(size) < crop and min(height, width) >= crop:
            factor = crop / min(height, width)
            size = max(crop, round(width * factor)), max(crop, round(height * factor))
        if min(size) < crop:
            continue
        versions.append(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)))
    return versions


class CropStream:
    """Endless batches of random crops with flips and transposes.

    Args:
        photos: uint8 (H, W, 3) arrays, sides at least ``crop``.
        crop: side of a crop in pixels.
        batch: crops per batch.
        seed: of the random choices; differs between processes and between resumed runs.
    """

    def __init__(self, photos: Sequence[np.ndarray], crop: int, batch: int, seed: int) -> None:
        self._photos, self._crop, self._batch = photos, crop, batch
        self._weights = _weights(photos)
        self._random = np.random.default_rng(seed)

    def next(self) -> Tensor:
        """The next batch, centred float32 (B, 3, crop, crop), channels last in memory."""
        chosen = self._random.choice(len(self._photos), self._batch, p=self._weights)
        return centred(np.stack([self._cut(self._photos[i]) for i in chosen]))

    def _cut(self, photo: np.ndarray) -> np.ndarray:
        top = self._random.integers(photo.shape[0] - self._crop + 1)
        left = self._random.integers(photo.shape[1] - self._crop + 1)
        cut = photo[top : top + self._crop, left : left + self._crop]
        if self._random.random() < 0.5:
            cut = cut[:, ::-1]
        if self._random.random() < 0.25:
            cut = cut.transpose(1, 0, 2)
        return cut


class DeviceCrops:
    """The same batches from photos in an accelerator's memory, cut there.

    Args:
        photos, crop, batch: as for ``CropStream``.
        device: where all of them go; randomness is that of the device's default generator.
    """

    def __init__(
        self, photos: Sequence[np.ndarray], crop: int, batch: int, device: torch.device
    ) -> None:
        self._crop, self._batch = crop, batch
        pixels = np.concatenate([photo.reshape(-1, 3) for photo in photos])
        self._pixels = torch.from_numpy(pixels).to(device)
        sizes = np.array([photo.shape[:2] for photo in photos])
        starts = np.concatenate(([0], np.cumsum(sizes.prod(1))[:-1]))
        self._starts = torch.from_numpy(starts).to(device)
        self._sizes = torch.from_numpy(sizes).to(device)
        self._shares = torch.from_numpy(np.cumsum(_weights(photos))).to(device)
        self._along = torch.arange(crop, device=device)

    def next(self) -> Tensor:
        """The next batch, centred float32 (B, 3, crop, crop), channels last in memory."""
        draws = torch.rand(5, self._batch, device=self._pixels.device, dtype=torch.float64)
        chosen = torch.searchsorted(self._shares, draws[0]).clamp(max=len(self._shares) - 1)
        height, width = self._sizes[chosen].unbind(1)
        top = (draws[1] * (height - self._crop + 1)).long()[:, None, None]
        left = (draws[2] * (width - self._crop + 1)).long()[:, None, None]
        flipped, turned = ((draws[i] < p)[:, None, None] for i, p in ((3, 0.5), (4, 0.25)))
        down, across = self._along[:, None], self._along[None, :]
        row, column = torch.where(turned, across, down), torch.where(turned, down, across)
        column = torch.where(flipped, self._crop - 1 - column, column)
        first = self._starts[chosen][:, None, None]
        places = first + (top + row) * width[:, None, None] + left + column
        return self._pixels[places].permute(0, 3, 1, 2).float() - 127.5


def _weights(photos: Sequence[np.ndarray]) -> np.ndarray:
    """Probability of each photo to be drawn."""
    weights = np.array([min(p.shape[0] * p.shape[1], _LARGEST_WEIGHT) for p in photos], float)
    shares: np.ndarray = weights / weights.sum()
    return shares


def centre_crops(photos: Sequence[np.ndarray], crop: int) -> np.ndarray:
    """One crop from the middle of every photo: uint8 (B, crop, crop, 3)."""
    cuts = []
    for photo in photos:
        top, left = (photo.shape[0] - crop) // 2, (photo.shape[1] - crop) // 2
        cuts.append(photo[top : top + crop, left : left + crop])
    return np.stack(cuts)
