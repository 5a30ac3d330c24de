"""Files that must decode forever: to the same integers, and to the same picture, nearly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import qann_core
from qann_core import Codec, models

GOLDEN = sorted(
    file
    for file in (Path(__file__).parent / "golden").glob("*/*.qann")
    if file.parent.name != "tiny-quarters"  # test_prior.py has those
)


def test_there_are_golden_files_of_every_bundled_model() -> None:
    for info in models.bundled_models():
        assert sum(info.id == file.parent.name for file in GOLDEN) >= 6, info.name


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_integers_are_exact(file: Path) -> None:
    quantized = Codec.load(models.model_by_id(file.parent.name).name).unpack(file.read_bytes())
    with np.load(file.with_suffix(".npz")) as stored:
        assert len(stored.files) == len(quantized.bands)
        for index, band in enumerate(quantized.bands):
            assert np.array_equal(band, stored[f"band{index}"])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_pictures_are_the_same_within_a_grey_level(file: Path, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        decoded = qann_core.decompress(file.read_bytes())
    finally:
        torch.set_num_threads(before)
    stored = np.asarray(Image.open(file.with_suffix(".png")))
    assert decoded.shape == stored.shape
    assert (np.abs(decoded.astype(int) - stored) <= 1).mean() >= 0.999
