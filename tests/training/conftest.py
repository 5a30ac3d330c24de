"""Small networks and a few photos, for runs of seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qann_core.networks.restoration import QannUNet
from qann_core.networks.vae import WaveletVAE
from qann_core.training.data import PhotoSet
from qann_core.training.options import RunOptions

Networks = tuple[WaveletVAE, QannUNet]


@pytest.fixture
def photos(photo: np.ndarray) -> PhotoSet:
    return PhotoSet((photo, photo[::-1].copy()), (photo[:, ::-1].copy(),))


@pytest.fixture
def networks() -> Callable[[], Networks]:
    """Makes the same untrained networks each time."""

    def make() -> Networks:
        torch.manual_seed(0)
        return (
            WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1)),
            QannUNet(widths=(8, 8, 8, 16), embedding_channels=16, attention_heads=2),
        )

    return make


@pytest.fixture
def options() -> Callable[..., RunOptions]:
    """Makes options of a small run, with changes."""

    def make(**changes: object) -> RunOptions:
        return RunOptions(**{"steps": 4, "batch": 2, "crop": 64, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def photo_folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """Three photos on disk."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(np.roll(photo, index * 30, 1)).save(folder / f"{index}.png")
    return folder
