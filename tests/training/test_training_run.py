"""The loop: a run trains, logs, validates, saves and resumes; it stops without losing anything."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from qann_core import cli
from qann_core.common.errors import ParameterError, TrainingError
from qann_core.networks.restoration import QannUNet
from qann_core.training.codec_objective import CodecObjective
from qann_core.training.data import PhotoSet
from qann_core.training.objective import Figures, Stage, stage_at
from qann_core.training.options import RunOptions
from qann_core.training.run import TrainingRun

Make = Callable[..., Any]


def small_run(folder: Path, photos: PhotoSet, options: RunOptions, networks: Make) -> TrainingRun:
    objective = CodecObjective(*networks(), skeleton_share=0.25, finish_share=0.25)
    return TrainingRun(folder, photos, options, objective)


def test_stages_share_the_budget() -> None:
    shares = {"a": 0.25, "b": 0.5, "c": 0.25}
    stages = tuple(Stage(name, share, lambda p: 1 - p) for name, share in shares.items())
    assert [stage_at(share, stages)[0].name for share in (0, 0.24, 0.26, 0.74, 0.76, 1)] == [
        *"aabbcc"
    ]
    assert stage_at(0.5, stages)[1] == 0.5 and stage_at(1.0, stages)[1] == 1
    first_is_empty = (Stage("none", 0.0, lambda p: p), *stages)
    assert stage_at(0.0, first_is_empty)[0].name == "a"


def test_a_run_trains_logs_saves_and_resumes(
    tmp_path: Path, photos: PhotoSet, options: Make, networks: Make
) -> None:
    small_run(tmp_path, photos, options(ema_decay=0.9), networks).run()
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["levels"] for row in rows] == ["40", "88", "196"]
    assert all(float(row["bpp"]) > 0 and float(row["psnr_restored"]) > 10 for row in rows)
    stored = json.loads((tmp_path / "options.json").read_text(encoding="utf-8"))
    assert stored["crop"] == 64 and stored["finish_share"] == 0.25
    assert stored["arithmetic"] in ("float32", "bfloat16")
    assert Image.open(tmp_path / "curves.png").size[0] > 500
    trained = QannUNet.from_pretrained(tmp_path / "model" / "qann", low_cpu_mem_usage=False)
    assert trained.config.widths == [8, 8, 8, 16]
    left = {"state.pt", "options.json", "log.csv", "curves.png", "model"}
    assert {path.name for path in tmp_path.iterdir()} == left

    resumed = small_run(tmp_path, photos, options(steps=6, ema_decay=0.9), networks)
    assert resumed.progress.step == 4
    states = resumed.optimizer.state_dict()["muon"]["state"].values()
    assert any(state["momentum_buffer"].abs().max() > 0 for state in states)
    resumed.run()
    assert resumed.progress.step == 6


def test_the_average_of_weights_does_not_lag_behind_a_young_run(
    tmp_path: Path, photos: PhotoSet, options: Make, networks: Make
) -> None:
    run = small_run(tmp_path, photos, options(ema_decay=0.3), networks)
    assert run.average is not None
    expected = [weight.detach().clone() for weight in run.average.parameters()]
    for step in range(5):  # 1 / 10, 2 / 11, 3 / 12 are kept, and then the decay itself
        run.update(0.5)
        newest = list(run.objective.parameters())
        share = max(9 / (10 + step), 0.7)
        expected = [a + share * (b.detach() - a) for a, b in zip(expected, newest, strict=True)]
    for a, b in zip(expected, run.average.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_folder_of_another_run_is_refused(
    tmp_path: Path, photos: PhotoSet, options: Make, networks: Make
) -> None:
    small_run(tmp_path, photos, options(steps=1), networks).run()
    vae, _ = networks()
    wider = QannUNet(widths=(8, 8, 8, 24), embedding_channels=16, attention_heads=2)
    with pytest.raises(ParameterError, match="holds a run of other networks; choose another"):
        TrainingRun(tmp_path, photos, options(), CodecObjective(vae, wider))


@pytest.mark.parametrize("damage", [b"", b"not a state", None])
def test_a_damaged_state_is_one_sentence(
    damage: bytes | None, tmp_path: Path, photos: PhotoSet, options: Make, networks: Make
) -> None:
    run = small_run(tmp_path, photos, options(), networks)
    run.save()
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(ParameterError, match=r"state\.pt is damaged.*delete the file"):
        small_run(tmp_path, photos, options(), networks)


class BreaksAtStepThree(CodecObjective):
    """A loss of NaN, once."""

    calls = 0

    def forward(self, batch: Tensor, levels: Tensor, stage: str) -> tuple[Tensor, Figures]:
        self.calls += 1
        loss, figures = super().forward(batch, levels, stage)
        return loss * (float("nan") if self.calls == 3 else 1.0), figures


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_good_weights(
    tmp_path: Path, photos: PhotoSet, options: Make, networks: Make
) -> None:
    objective = BreaksAtStepThree(*networks())
    run = TrainingRun(tmp_path, photos, options(checkpoint_minutes=1e-9), objective)
    with pytest.raises(TrainingError, match="not finite at step 3"):
        run.run()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["progress"]["step"] == 2, "the last checkpoint before it"
    assert all(weight.isfinite().all() for weight in state["objective"].values())
    assert (tmp_path / "model" / "qann" / "config.json").exists()


def test_ctrl_c_saves_a_checkpoint_first(
    tmp_path: Path, photos: PhotoSet, options: Make, networks: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(tmp_path, photos, options(steps=1000), networks)
    update, before = run.update, signal.getsignal(signal.SIGINT)

    def interrupted(share: float) -> dict[str, float]:
        if run.progress.step == 2:
            signal.raise_signal(signal.SIGINT)
        return update(share)

    monkeypatch.setattr(run, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["progress"]["step"] == 3
    assert signal.getsignal(signal.SIGINT) is before
    assert small_run(tmp_path, photos, options(), networks).progress.step == 3


@pytest.mark.parametrize(
    "wrong",
    [
        ("--batch", "0"), ("--batch", "-1"), ("--minutes", "-5"), ("--minutes", "nan"),
        ("--minutes", "0"), ("--steps", "-3"), ("--steps", "0"), ("--rate", "inf"),
        ("--skeleton-share", "1.5"), ("--finish-share", "nan"), ("--crop", "60"), ("--crop", "16"),
        ("--skeleton-share", "0.6", "--finish-share", "0.6"), ("--seed", "-1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_out_of_range_are_one_sentence(
    wrong: tuple[str, ...], tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert cli.main(["train", str(photo_folder), "--out", str(out), *wrong]) == 2
    said = capsys.readouterr().err
    assert said.startswith("qann: ") and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path, photo_folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", str(port), "-m", "qann_core", "train",
            str(photo_folder), "--out", str(tmp_path / "run"), "--steps", "4", "--batch", "1",
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
