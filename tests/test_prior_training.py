"""Training of the prior: a run logs, resumes, and exports a prior that codes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from qann_core.coding.network import PriorNetwork
from qann_core.coding.prior_coder import PriorCoder
from qann_core.coding.range_coder import CLASSES, TOTAL
from qann_core.coding.weights import exact_network, load_prior
from qann_core.errors import ParameterError
from qann_core.shapes import pyramid_shapes
from qann_core.training import prior_loop
from qann_core.training.data import PhotoSet
from qann_core.training.prior_loop import PriorOptions, PriorTrainingRun
from qann_core.training.prior_tables import fit_tables
from qann_core.vae import WaveletVAE


@pytest.fixture
def photos(photo: np.ndarray) -> PhotoSet:
    return PhotoSet((photo, photo[::-1].copy()), (photo[:, ::-1].copy(),))


def small_run(folder: Path, photos: PhotoSet, minutes: float) -> PriorTrainingRun:
    torch.manual_seed(0)
    vae = WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1))
    options = PriorOptions(minutes, batch=2, crop=64, min_levels=90, max_levels=100)
    network = PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1))
    return PriorTrainingRun(folder, photos, options, vae, network)


def test_a_run_logs_resumes_and_exports_a_prior_that_codes(
    tmp_path: Path, photos: PhotoSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior_loop, "VALIDATION_CROP", 96)
    monkeypatch.setattr(prior_loop, "TABLE_CROPS", 2)
    run = small_run(tmp_path, photos, 0.01)
    run.run()
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["levels"] for row in rows if row["ratio"]] == ["40", "88", "196"]
    resumed = small_run(tmp_path, photos, 0.01)
    assert resumed.progress == run.progress and run.progress.step > 0
    prior = load_prior(resumed.export())
    bands = tuple(np.full(shape, 2, np.int32) for shape in pyramid_shapes(30, 50))
    payload = PriorCoder(prior).encode(bands, 64)
    decoded = PriorCoder(prior).decode(payload, pyramid_shapes(30, 50), 64)
    assert all(map(np.array_equal, bands, decoded))


def test_the_loss_falls(tmp_path: Path, photos: PhotoSet) -> None:
    run = small_run(tmp_path, photos, 1.0)
    losses = [run.update(0.0)["loss"] for _ in range(48)]
    assert np.mean(losses[-16:]) < np.mean(losses[:16]) - 0.01


def test_tables_follow_what_was_seen() -> None:
    torch.manual_seed(0)
    network = exact_network(PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1)))
    ones = tuple(torch.ones(1, *shape) for shape in pyramid_shapes(64, 64))
    tables = fit_tables(network, [(ones, torch.tensor([64.0]))])
    assert tables.shape[0] == CLASSES and (tables.sum(1) == TOTAL).all() and tables.min() >= 1
    assert tables[:, 32].max() > 0.8 * TOTAL, "a one is nearly certain where only ones were seen"


def test_a_crop_must_fit_the_wavelet(tmp_path: Path, photos: PhotoSet) -> None:
    with pytest.raises(ParameterError, match="multiple of 16"):
        PriorTrainingRun(tmp_path, photos, PriorOptions(crop=40), WaveletVAE(), PriorNetwork())
