"""The trained weights that ship with the codec: finding, checking and loading them.

A model is a folder with ``model.json`` (name, id, what it is), ``vae/`` and ``qann/`` (each a
diffusers folder: config.json and a safetensors file). The id is a digest of both, so a file that
names it can only be decoded with exactly these weights. A model may also have ``prior/``, for the
entropy coder of that name, which has an id of its own. Nothing here imports torch until weights
are loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelError

if TYPE_CHECKING:
    from .restoration import QannUNet
    from .vae import WaveletVAE

DEFAULT_MODEL = "default"

_HASHED = (
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "qann/config.json",
    "qann/diffusion_pytorch_model.safetensors",
)


@dataclass(frozen=True)
class ModelInfo:
    """What ``model.json`` says.

    Attributes:
        name: the folder's name.
        id: 8 hexadecimal digits, stored in every file that the model makes.
        summary: one sentence for people.
    """

    name: str
    id: str
    summary: str


def models_folder() -> Path:
    """Where the bundled models lie: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    installed = package / "assets" / "models"
    return installed if installed.is_dir() else package.parent / "assets" / "models"


@cache
def bundled_models() -> tuple[ModelInfo, ...]:
    """All bundled models, by name."""
    files = sorted(models_folder().glob("*/model.json"))
    return tuple(ModelInfo(**json.loads(file.read_text())) for file in files)


def model_by_id(identifier: str) -> ModelInfo:
    """The bundled model that made a file.

    Raises:
        ModelError: when it is not here; names the id and those that are.
    """
    for info in bundled_models():
        if info.id == identifier:
            return info
    known = ", ".join(f"{info.id} ({info.name})" for info in bundled_models()) or "none"
    raise ModelError(
        f"The file was made with model {identifier}, which is not installed; installed: {known}."
    )


def folder_digest(folder: Path) -> str:
    """The id of the weights in a model folder: 8 hexadecimal digits of a SHA-256.

    Raises:
        ModelError: when a file is missing; only safetensors weights are read, never pickles.
    """
    digest = hashlib.sha256()
    for name in _HASHED:
        try:
            digest.update((folder / name).read_bytes())
        except OSError as error:
            raise ModelError(
                f"{folder} is not a model folder: {name} cannot be read "
                "(safetensors weights of both networks are needed)."
            ) from error
    return digest.hexdigest()[:8]


def resolve_folder(model: str | Path) -> Path:
    """The folder of a bundled model's name, or of a path to one.

    Raises:
        ModelError: when there is neither.
    """
    for folder in (models_folder() / str(model), Path(model)):
        if (folder / "vae").is_dir():
            return folder
    known = ", ".join(info.name for info in bundled_models()) or "none"
    raise ModelError(f"There is no model {str(model)!r}; give a folder or one of: {known}.")


def prior_folder(folder: Path) -> Path:
    """Where a model folder keeps its learned prior, if it has one; see ``prior_weights``."""
    return folder / "prior"


def coder_names(folder: Path) -> tuple[str, ...]:
    """Names of the entropy coders that a model's latents can be packed with, the default first."""
    return ("brotli", "prior") if has_prior(folder) else ("brotli",)


def has_prior(folder: Path) -> bool:
    """Whether a model folder has a learned prior."""
    return (prior_folder(folder) / "diffusion_pytorch_model.safetensors").is_file()


def load_networks(folder: Path) -> tuple[WaveletVAE, QannUNet, str]:
    """Both networks, float32, in inference mode, and the id of their weights.

    Raises:
        ModelError: when files are missing, damaged or not what ``model.json`` says.
    """
    identifier = folder_digest(folder)
    manifest = folder / "model.json"
    if manifest.exists() and json.loads(manifest.read_text())["id"] != identifier:
        raise ModelError(f"The weights in {folder} are not those that its model.json names.")

    import torch

    from .restoration import QannUNet
    from .vae import WaveletVAE

    try:
        vae, qann = (
            network.from_pretrained(
                folder / part,
                torch_dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=False,
            ).eval()
            for network, part in ((WaveletVAE, "vae"), (QannUNet, "qann"))
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(f"The weights in {folder} cannot be loaded: {error}") from error
    return vae.requires_grad_(False), qann.requires_grad_(False), identifier


def export_model(networks: Path, folder: Path, summary: str) -> ModelInfo:
    """Writes half-precision weights of a training run as a model folder.

    Args:
        networks: a folder with ``vae/`` and ``qann/``, such as a run's ``model``.
        folder: the model folder to write; its name becomes the model's name.
        summary: one sentence for people.
    """
    from safetensors.torch import load_file, save

    for name in _HASHED:
        source, target = networks / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".json":
            target.write_bytes(source.read_bytes())
        else:
            tensors = {key: tensor.half() for key, tensor in load_file(source).items()}
            target.write_bytes(save(tensors, metadata={"format": "pt"}))
    info = ModelInfo(folder.name, folder_digest(folder), summary)
    (folder / "model.json").write_text(json.dumps(asdict(info), indent=2) + "\n")
    return info
