"""Training photos: any folders of images, decoded once into memory and cut into random crops."""

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..errors import ImageError, ParameterError
from ..images import read_image
from ..samples import centred

_LONG_SIDES = (1800, 1100, 700)
"""Large photos are kept at each of these sizes, in pixels: detail differs with scale."""

_LARGEST_WEIGHT = 800_000
"""An image is drawn in proportion to its pixels, up to this many."""


@dataclass(frozen=True)
class PhotoSet:
    """Decoded photos, uint8 (H, W, 3), split into training and validation by file name."""

    training: tuple[np.ndarray, ...]
    validation: tuple[np.ndarray, ...]


def load_photos(paths: Sequence[Path], crop: int, validation_every: int = 40) -> PhotoSet:
    """Decodes and downscales all photos; unreadable or too small ones are left out.

    About one photo in ``validation_every`` is kept for validation, chosen by a hash of its name
    so that the split never changes.
    """

    def load(path: Path) -> tuple[list[np.ndarray], bool]:
        digest = hashlib.sha256(path.name.encode()).digest()
        try:
            pixels = read_image(path).pixels
        except ImageError:
            return [], False
        scaled = downscaled(pixels, weaken_jpeg=path.suffix.lower() in {".jpg", ".jpeg"}, crop=crop)
        return scaled, digest[0] * 256 + digest[1] < 65536 // validation_every

    training: list[np.ndarray] = []
    validation: list[np.ndarray] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for scaled, validates in tqdm(pool.map(load, paths), "Reading photos", len(paths)):
            (validation if validates else training).extend(scaled[-1:] if validates else scaled)
    if not training:
        raise ParameterError(f"No photo has both sides of {crop} pixels or more.")
    return PhotoSet(tuple(training), tuple(validation))


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
        if min(size) < crop and min(height, width) > crop:
            factor = crop / min(height, width)
            size = max(crop, round(width * factor)), max(crop, round(height * factor))
        if min(size) < crop:
            continue
        versions.append(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)))
    return versions


class CropStream:
    """Endless batches of random crops with flips and transposes, cut in a background thread.

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
        self._ready: Queue[np.ndarray] = Queue(maxsize=4)
        threading.Thread(target=self._fill, daemon=True).start()

    def next(self) -> Tensor:
        """The next batch, centred float32 (B, 3, crop, crop), channels last in memory."""
        return centred(self._ready.get())

    def _fill(self) -> None:
        while True:
            chosen = self._random.choice(len(self._photos), self._batch, p=self._weights)
            self._ready.put(np.stack([self._cut(self._photos[i]) for i in chosen]))

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
    """The same batches from photos that lie in an accelerator's memory, cut there.

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
    return weights / weights.sum()


def centre_crops(photos: Sequence[np.ndarray], crop: int) -> np.ndarray:
    """One crop from the middle of every photo: uint8 (B, crop, crop, 3)."""
    cuts = []
    for photo in photos:
        top, left = (photo.shape[0] - crop) // 2, (photo.shape[1] - crop) // 2
        cuts.append(photo[top : top + crop, left : left + crop])
    return np.stack(cuts)
