"""Export: half the precision, an id, the aim; whole or not at all."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from qann_core import cli
from qann_core.common.errors import ModelError
from qann_core.models import MODEL_FILES, folder_digest, models_folder
from qann_core.training.export import export_model, export_run

SOURCE = models_folder() / "fast"
WEIGHTS = "qann/diffusion_pytorch_model.safetensors"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder as a training run leaves it."""
    for name in MODEL_FILES:
        (tmp_path / "run" / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / name, tmp_path / "run" / "model" / name)
    return tmp_path / "run"


def test_weights_are_halved_once_and_named(run: Path, tmp_path: Path) -> None:
    info = export_model(run / "model", tmp_path / "again", "A copy.")
    assert info.id == folder_digest(tmp_path / "again") and info.name == "again"
    # Half-precision weights survive another round unchanged.
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (SOURCE / WEIGHTS).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "run"]


def test_the_models_file_says_what_the_run_aimed_at(run: Path, tmp_path: Path) -> None:
    (run / "options.json").write_text('{"aim": "eye"}', encoding="utf-8")
    export_run(run, tmp_path / "made", "For the eye.")
    assert json.loads((tmp_path / "made" / "model.json").read_text(encoding="utf-8"))["aim"] == (
        "eye"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_weights_that_are_not_finite_are_refused_and_nothing_is_left(
    run: Path, tmp_path: Path, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run / "model" / WEIGHTS
    tensors = {key: tensor.float() for key, tensor in load_file(file).items()}
    first = next(iter(tensors))
    tensors[first].view(-1)[0] = value  # 1e6 is beyond half precision
    save_file(tensors, file)
    assert cli.main(["export", str(run), str(tmp_path / "made"), "--summary", "Broken."]) == 2
    said = capsys.readouterr().err
    assert "not finite" in said and first in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failed_export_leaves_a_model_that_was_there(run: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    export_model(run / "model", made, "Good.")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    (run / "model" / WEIGHTS).write_bytes(b"short")
    with pytest.raises(ModelError, match="cannot be read"):
        export_model(run / "model", made, "Bad.")
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "run"]


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no folder 'model'"):
        export_run(tmp_path, tmp_path / "made", "Nothing.")
    assert torch.finfo(torch.float16).max < 1e6
