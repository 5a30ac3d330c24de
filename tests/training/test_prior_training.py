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
from qann_core.common.shapes import pyramid_shapes
from qann_core.networks.vae import WaveletVAE
from qann_core.training import prior as prior_training
from qann_core.training.data import PhotoSet
from qann_core.training.options import RunOptions
from qann_core.training.prior import PriorObjective, export_prior
from qann_core.training.prior_tables import fit_tables
from qann_core.training.run import TrainingRun


def small_run(folder: Path, photos: PhotoSet) -> TrainingRun:
    torch.manual_seed(0)
    vae = WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1))
    options = RunOptions(steps=3, batch=2, crop=64, min_levels=90, max_levels=100)
    objective = PriorObjective(vae, PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1)))
    objective.validation_side = 96
    return TrainingRun(folder, photos, options, objective)


def test_a_run_logs_resumes_and_exports_a_prior_that_codes(
    tmp_path: Path, photos: PhotoSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior_training, "TABLE_CROPS", 2)
    run = small_run(tmp_path, photos)
    run.run()
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["ratio"]]
    assert [row["levels"] for row in rows] == ["40", "88", "196"]
    for row in rows:
        assert float(row["ratio"]) == pytest.approx(
            float(row["bpp"]) / float(row["bpp_brotli"]), rel=1e-3
        )
    resumed = small_run(tmp_path, photos)
    assert resumed.progress == run.progress and run.progress.step == 3
    prior = load_prior(export_prior(resumed))
    bands = tuple(np.full(shape, 2, np.int32) for shape in pyramid_shapes(30, 50))
    payload = PriorCoder(prior).encode(bands, 64)
    decoded = PriorCoder(prior).decode(payload, pyramid_shapes(30, 50), 64)
    assert all(map(np.array_equal, bands, decoded))


@pytest.mark.slow
def test_the_loss_falls(tmp_path: Path, photos: PhotoSet) -> None:
    run = small_run(tmp_path, photos)
    losses = [run.update(0.0)["loss"] for _ in range(24)]
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.01


def test_tables_follow_what_was_seen() -> None:
    torch.manual_seed(0)
    network = exact_network(PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1)))
    ones = tuple(torch.ones(1, *shape) for shape in pyramid_shapes(64, 64))
    tables = fit_tables(network, [(ones, torch.tensor([64.0]))])
    assert tables.shape[0] == CLASSES and (tables.sum(1) == TOTAL).all() and tables.min() >= 1
    assert tables[:, 32].max() > 0.8 * TOTAL, "a one is nearly certain where only ones were seen"
