"""A run's weights as a model folder: half precision, checked, and written whole or not at all."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ..common.errors import ModelError
from ..common.files import staging_folder
from ..models import MODEL_FILES, ModelInfo, folder_digest


def export_run(run: Path, folder: Path, summary: str) -> ModelInfo:
    """Writes the weights that a training run has in ``model/``; see ``export_model``.

    Raises:
        ModelError: when ``run`` is not a run's folder, or for what ``export_model`` raises it.
    """
    if not (run / "model").is_dir():
        raise ModelError(f"{run} has no folder 'model'; give the folder of a training run.")
    aim = "psnr"
    options = run / "options.json"
    if options.is_file():
        aim = json.loads(options.read_text(encoding="utf-8")).get("aim", aim)
    return export_model(run / "model", folder, summary, aim)


def export_model(networks: Path, folder: Path, summary: str, aim: str = "psnr") -> ModelInfo:
    """Writes half-precision weights as a model folder.

    Args:
        networks: a folder with ``vae/`` and ``qann/``, such as a run's ``model``.
        folder: the model folder to write; its name becomes the model's name. What it holds
            besides, a prior for instance, stays.
        summary: one sentence for people.
        aim: what the weights were trained for, see ``ModelInfo``.

    Raises:
        ModelError: when a file is missing or damaged, or weights are not finite in half precision;
            ``folder`` is then as it was.
    """
    contents = {name: _converted(networks / name) for name in MODEL_FILES}
    with staging_folder(folder) as staged:
        for name, content in contents.items():
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_bytes(content)
        info = ModelInfo(folder.name, folder_digest(staged), summary, aim)
        manifest = json.dumps(asdict(info), indent=2) + "\n"
        (staged / "model.json").write_text(manifest, encoding="utf-8")
        for name in (*MODEL_FILES, "model.json"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, folder / name)
    return info


def _converted(source: Path) -> bytes:
    """One file of ``MODEL_FILES`` from a run's precision to half."""
    try:
        if source.suffix == ".json":
            config: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
            config.pop("_name_or_path", None)  # where diffusers found it: a path of this machine
            return (json.dumps(config, indent=2) + "\n").encode()
        tensors = {key: tensor.half() for key, tensor in load_file(source).items()}
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        raise ModelError(f"{source} cannot be read, so that nothing is exported.") from error
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ModelError(
                f"The weights {key} in {source} are not finite in half precision, so that nothing "
                "is exported."
            )
    return save(tensors, metadata={"format": "pt"})
