"""Bundled weights: complete, small, safetensors, what their manifest says; clear errors."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from qann_core import Codec, models
from qann_core.common.errors import ModelError

TEN_MEGABYTES = 10_000_000


def test_every_bundled_model_is_what_its_manifest_says() -> None:
    infos = models.bundled_models()
    assert models.DEFAULT_MODEL in {info.name for info in infos}
    assert len({info.id for info in infos}) == len(infos)
    for info in infos:
        folder = models.models_folder() / info.name
        assert models.folder_digest(folder) == info.id
        assert models.model_by_id(info.id) == info
        assert (folder / "MODEL_CARD.md").stat().st_size > 1000
        weights = list(folder.rglob("*.safetensors"))
        parts = {file.relative_to(folder).parts[0] for file in weights}
        assert {"vae", "qann"} <= parts <= {"vae", "qann", "prior", "rq"}
        assert all(file.stat().st_size < TEN_MEGABYTES for file in weights)
        assert not [file for file in folder.rglob("*") if file.suffix in {".bin", ".pt", ".pkl"}]


def test_unknown_names_ids_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Codec.load("no-such-model")
    with pytest.raises(ModelError, match="ffffffff"):
        models.model_by_id("ffffffff")
    (tmp_path / "vae").mkdir()
    with pytest.raises(ModelError, match="safetensors"):
        Codec.load(tmp_path)


def test_damaged_weights_are_an_error_that_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models.models_folder() / models.DEFAULT_MODEL, folder)
    weights = folder / "qann" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model\.json"):
        Codec.load(folder)
    manifest = folder / "model.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**facts, "id": models.folder_digest(folder)}), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Codec.load(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', "\xff", '{"id": null}'])
def test_a_manifest_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models.models_folder() / "fast", folder)
    (folder / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match=r"model\.json") as caught:
        Codec.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["vae", "qann"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(min(t)), "lack"),
        (lambda t: t.update(more=t[min(t)].clone()), "have, beyond"),
        (lambda t: t.update({min(t): t[min(t)][:1].clone()}), "in another shape"),
    ],
)
def test_weights_are_whole_or_refused(
    tmp_path: Path, part: str, change: Callable[[dict[str, torch.Tensor]], object], words: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models.models_folder() / "fast", folder)
    (folder / "model.json").unlink()
    weights = folder / part / models.WEIGHTS
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    with pytest.raises(ModelError, match=f"{words} .*exactly those of its config.json"):
        Codec.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"widths": [10**9] * 4},
        {"blocks_up": 10**9},
        {"widths": [8] * 10**5},
        {"attention_heads": float("inf")},
        {"widths": "wide"},
        {"widths": []},
    ],
)
def test_an_absurd_configuration_is_refused_before_anything_is_built(
    tmp_path: Path, change: dict[str, object]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models.models_folder() / "fast", folder)
    (folder / "model.json").unlink()
    config = folder / "qann" / models.CONFIG
    values = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**values, **change}), encoding="utf-8")
    with pytest.raises(ModelError, match="qann"):
        Codec.load(folder)
