"""Bundled weights: complete, small, safetensors, what their manifest says; clear errors."""

import json
import shutil
from pathlib import Path

import pytest

from qann_core import Codec, models
from qann_core.errors import ModelError

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
