"""Training: data, one process, resuming, and two processes, on small photos."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qann_core.coding.network import PriorNetwork
from qann_core.coding.range_coder import CLASSES, SYMBOLS, TOTAL, Tables
from qann_core.coding.weights import Prior, exact_network, load_prior
from qann_core.errors import ParameterError
from qann_core.quantization import ROUNDING_OFFSET
from qann_core.restoration import QannUNet
from qann_core.training.data import CropStream, PhotoSet
from qann_core.training.loop import TrainingOptions, TrainingRun, stage_at
from qann_core.training.objective import Objective, quantize_batch
from qann_core.training.optimizer import HybridOptimizer, rate_factor
from qann_core.training.prior_loop import PriorOptions, PriorTrainingRun
from qann_core.training.tensor_loop import TensorOptions, TensorRun, small_vae
from qann_core.training.tensor_objective import VaeObjective
from qann_core.vae import WaveletVAE


def small_networks() -> tuple[WaveletVAE, QannUNet]:
    torch.manual_seed(0)
    return (
        WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1)),
        QannUNet(widths=(8, 8, 8, 16), embedding_channels=16, attention_heads=2),
    )


@pytest.fixture
def photos(photo: np.ndarray) -> PhotoSet:
    return PhotoSet((photo, photo[::-1].copy()), (photo[:, ::-1].copy(),))


def options(**changes: object) -> TrainingOptions:
    settings = {"steps": 4, "batch": 2, "crop": 64, "skeleton_share": 0.25, "finish_share": 0.25}
    return TrainingOptions(**{**settings, **changes})  # type: ignore[arg-type]


def test_stages_share_the_budget() -> None:
    settings = options()
    assert stage_at(0.0, settings) == ("skeleton", 0.0)
    assert stage_at(0.5, settings) == ("joint", 0.5)
    assert stage_at(0.76, settings)[0] == "finish"
    assert stage_at(0.3, options(skeleton_share=0.0))[0] == "joint"


def test_the_learning_rate_ends_near_zero() -> None:
    assert rate_factor(1.0, "joint", 10**6) < 0.01
    assert rate_factor(1.0, "finish", 10**6) < 0.01
    assert rate_factor(0.0, "joint", 0) < rate_factor(0.0, "joint", 10**6)


def test_a_run_trains_logs_saves_and_resumes(tmp_path: Path, photos: PhotoSet) -> None:
    TrainingRun(tmp_path, photos, options(), *small_networks()).run()
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["levels"] for row in rows] == ["40", "88", "196"]
    assert all(float(row["bpp"]) > 0 and float(row["psnr_restored"]) > 10 for row in rows)
    told = json.loads((tmp_path / "options.json").read_text(encoding="utf-8"))
    assert told["crop"] == 64 and told["arithmetic"] in ("float32", "bfloat16")
    assert Image.open(tmp_path / "curves.png").size[0] > 500
    trained = QannUNet.from_pretrained(tmp_path / "model" / "qann", low_cpu_mem_usage=False)
    assert trained.config.widths == [8, 8, 8, 16]

    resumed = TrainingRun(tmp_path, photos, options(steps=6), *small_networks())
    assert resumed.progress.step == 4
    states = resumed.optimizer.state_dict()["muon"]["state"].values()
    assert any(state["momentum_buffer"].abs().max() > 0 for state in states)
    resumed.run()
    assert resumed.progress.step == 6


def test_the_average_of_weights_does_not_lag_behind_a_young_run(
    tmp_path: Path, photos: PhotoSet
) -> None:
    run = TrainingRun(tmp_path, photos, options(ema_decay=0.3), *small_networks())
    assert run.average is not None
    expected = [weight.detach().clone() for weight in run.average.parameters()]
    for step in range(5):  # 1 / 10, 2 / 11, 3 / 12 are kept, and then the decay itself
        run.update(0.5)
        newest = list(run.objective.parameters())
        share = max(9 / (10 + step), 0.7)
        expected = [a + share * (b.detach() - a) for a, b in zip(expected, newest, strict=True)]
    for a, b in zip(expected, run.average.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_folder_of_another_run_is_refused(tmp_path: Path, photos: PhotoSet) -> None:
    vae, qann = small_networks()
    TrainingRun(tmp_path, photos, options(steps=1), vae, qann).run()
    prior = PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1))
    wider = QannUNet(widths=(8, 8, 8, 24), embedding_channels=16, attention_heads=2)
    settings = {"steps": 1, "batch": 2, "crop": 64}
    starts = (
        lambda: TrainingRun(tmp_path, photos, options(), vae, wider),
        lambda: PriorTrainingRun(tmp_path, photos, PriorOptions(**settings), vae, prior),
        lambda: TensorRun(tmp_path, photos, TensorOptions(**settings), VaeObjective(small_vae(4))),
    )
    for start in starts:
        with pytest.raises(ParameterError, match="holds a run of other networks; choose another"):
            start()


def test_training_lowers_the_loss(photos: PhotoSet) -> None:
    objective = Objective(*small_networks())
    optimizer = HybridOptimizer(objective)
    crops = CropStream(photos.training, 64, 4, seed=1)
    images = crops.next()
    optimizer.scale_rates(0.5)
    levels = torch.full((4,), 64.0)
    losses = []
    for _ in range(30):
        loss, _ = objective(images, levels, "skeleton")
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1, abs=0.05), "starts as the identity"
    assert losses[-1] < 0.98 * losses[0]


def test_the_joint_stage_moves_every_part(photos: PhotoSet) -> None:
    objective = Objective(*small_networks())
    optimizer = HybridOptimizer(objective)
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    images = CropStream(photos.training, 64, 2, 1).next()
    for _ in range(3):
        loss, figures = objective(images, torch.tensor([40.0, 200.0]), "joint")
        loss.backward()
        optimizer.step()
    assert figures[0] > 0
    for part in ("vae.encoder", "vae.decoder", "vae.prior", "qann"):
        names = [name for name in before if name.startswith(part)]
        after = dict(objective.named_parameters())
        assert any(not torch.equal(before[name], after[name]) for name in names), part


def test_a_learned_prior_joins_the_rate(tmp_path: Path, photos: PhotoSet) -> None:
    tables = np.ones((CLASSES, SYMBOLS), np.int32)
    tables[:, 0] = TOTAL - SYMBOLS + 1
    start = exact_network(PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1)))
    prior = Prior(b"test", start, Tables(tables))
    settings = options(skeleton_share=0.0, finish_share=0.0)
    run = TrainingRun(tmp_path, photos, settings, *small_networks(), prior)
    images = torch.from_numpy(photos.training[0][None, :64, :64]).permute(0, 3, 1, 2).float()
    latents = run.objective.vae.analysis(images - 127.5)
    levels, step = torch.tensor([64.0]), torch.tensor([110.0])
    values = tuple(band.detach().requires_grad_(True) for band in latents)
    quantized = quantize_batch(latents, step)
    bits = run.objective.rate(quantized, values, levels, step)
    bits.sum().backward()
    assert all(band.grad is not None and band.grad.abs().max() > 0 for band in values)
    assert bits < run.objective.vae.rate(values, step) * 2 and bits > 0
    run.run()
    weights = dict(load_prior(tmp_path / "model" / "prior").network.named_parameters())
    assert any(not torch.equal(p, weights[name]) for name, p in start.named_parameters())


def test_gradients_that_are_not_finite_change_nothing(photos: PhotoSet) -> None:
    objective = Objective(*small_networks())
    optimizer = HybridOptimizer(objective)
    before = [p.detach().clone() for p in objective.parameters()]
    for parameter in objective.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))


def test_training_rounds_as_the_codec_does() -> None:
    latents = (torch.tensor([0.55]).view(1, 1, 1, 1),) * 2
    ll, detail = quantize_batch(latents, torch.tensor([1.0]))
    assert (ll.item(), detail.item()) == (1.0, 0.0 if ROUNDING_OFFSET < 0.45 else 1.0)


def test_two_processes_train_together(tmp_path: Path, photo: np.ndarray) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(np.roll(photo, index * 30, 1)).save(folder / f"{index}.png")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", str(port), "-m", "qann_core", "train",
            str(folder), "--out", str(tmp_path / "run"), "--steps", "4", "--batch", "1",
            "--crop", "64", "--skeleton-share", "0.5", "--finish-share", "0",
        ],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["progress"]["step"] == 4
    weights = state["objective"]
    closing = [name for name in weights if name.endswith("conv2.weight")]
    assert closing and all(weights[name].any() for name in closing), "they start at zero"
    assert state["processes"] == 2
    assert (tmp_path / "run" / "model" / "qann" / "config.json").exists()
