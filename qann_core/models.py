"""The trained weights that ship with the codec: finding, checking and loading them.

A model is a folder with ``model.json`` (name, id, what it is), ``vae/`` and ``qann/`` (each a
diffusers folder: config.json and a safetensors file). The class that ``vae/config.json`` names
tells which codec it is for: ``WaveletVAE``, or a VAE of one latent tensor, which may also be used
alone, from a folder or from the hub, without ``qann/``. The id is a digest of all, so a file that
names it can only be decoded with exactly these weights. A model may also have ``prior/``, for the
entropy coder of that name, which has an id of its own. Nothing here imports torch until weights are
loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelError

if TYPE_CHECKING:
    from .restoration import QannUNet
    from .tensor_vae import TensorVAE
    from .vae import WaveletVAE

DEFAULT_MODEL = "default"

WAVELET_VAE = "WaveletVAE"

HUB_PREFIX = "hub:"
"""What a model's name starts with when its VAE is to be fetched from the Hugging Face hub."""

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
"""The two files of a network saved by diffusers."""

MODEL_FILES = (f"vae/{CONFIG}", f"vae/{WEIGHTS}", f"qann/{CONFIG}", f"qann/{WEIGHTS}")
"""The files of a model's networks, of which its id is a digest."""


@dataclass(frozen=True)
class ModelInfo:
    """What ``model.json`` says.

    Attributes:
        name: the folder's name.
        id: 8 hexadecimal digits, stored in every file that the model makes.
        summary: one sentence for people.
        aim: what the weights were trained for: "psnr" (squared error) or "eye".
    """

    name: str
    id: str
    summary: str
    aim: str = "psnr"


def models_folder() -> Path:
    """Where the bundled models lie: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    installed = package / "assets" / "models"
    return installed if installed.is_dir() else package.parent / "assets" / "models"


@cache
def bundled_models() -> tuple[ModelInfo, ...]:
    """All bundled models, by name."""
    files = sorted(models_folder().glob("*/model.json"))
    return tuple(ModelInfo(**json.loads(file.read_text(encoding="utf-8"))) for file in files)


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


def folder_digest(folder: Path, names: Sequence[str] = MODEL_FILES) -> str:
    """The id of the weights in a model folder: 8 hexadecimal digits of a SHA-256.

    Raises:
        ModelError: when a file is missing; only safetensors weights are read, never pickles.
    """
    digest = hashlib.sha256()
    for name in names:
        try:
            digest.update((folder / name).read_bytes())
        except OSError as error:
            raise ModelError(
                f"{folder} is not a model folder: {name} cannot be read "
                "(only safetensors weights are loaded)."
            ) from error
    return digest.hexdigest()[:8]


def wrong_model(made_with: str, own: str) -> ModelError:
    """The error of a codec whose weights are not those that a file was made with."""
    return ModelError(f"The file was made with model {made_with}; this codec has model {own}.")


def resolve_folder(model: str | Path) -> Path:
    """The folder of a bundled model's name, of a path to one or to a VAE alone, or of a hub id.

    ``hub:OWNER/NAME`` or ``hub:OWNER/NAME/FOLDER`` fetches a diffusers VAE from the hub, once;
    nothing else ever uses the network.

    Raises:
        ModelError: when there is none of them.
    """
    if str(model).startswith(HUB_PREFIX):
        return _fetch_vae(str(model).removeprefix(HUB_PREFIX))
    for folder in (models_folder() / str(model), Path(model)):
        if (folder / "vae").is_dir() or (folder / "config.json").is_file():
            return folder
    known = ", ".join(info.name for info in bundled_models()) or "none"
    raise ModelError(
        f"There is no model {str(model)!r}; give a folder, hub:OWNER/NAME or one of: {known}."
    )


def _fetch_vae(repository: str) -> Path:
    """Downloads config.json and the safetensors of a diffusers VAE; returns their folder."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    owner, name, subfolder = [*repository.split("/", 2), "", ""][:3]
    try:
        for file in (CONFIG, WEIGHTS):
            path = hf_hub_download(f"{owner}/{name}", file, subfolder=subfolder or None)
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{HUB_PREFIX}{repository} is not in the local cache and cannot be fetched: the hub "
            "cannot be reached; check the network, or give a folder."
        ) from error
    except EntryNotFoundError as error:
        raise ModelError(
            f"{HUB_PREFIX}{repository} has no {file}; give a diffusers VAE with safetensors "
            "weights, with its folder where that is not the repository's root."
        ) from error
    except (OSError, ValueError) as error:  # the hub's own errors and those of the network
        reason = str(error).splitlines()[0]
        raise ModelError(f"{HUB_PREFIX}{repository} cannot be fetched: {reason}") from error
    return Path(path).parent


def vae_class(folder: Path) -> str:
    """The name of the class of a model folder's VAE, as its config.json says.

    Raises:
        ModelError: when there is no such file, or it does not say.
    """
    file = _vae_folder(folder) / CONFIG
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} is not the configuration of a diffusers VAE.") from error


def _vae_folder(folder: Path) -> Path:
    return folder / "vae" if (folder / "vae").is_dir() else folder


def prior_folder(folder: Path) -> Path:
    """Where a model folder keeps its learned prior, if it has one; see ``coding.weights``."""
    return folder / "prior"


def coder_names(folder: Path) -> tuple[str, ...]:
    """Names of the entropy coders that a model's latents can be packed with, the default first."""
    if vae_class(folder) != WAVELET_VAE:
        return ("brotli-tensor",)
    return ("brotli", "prior") if has_prior(folder) else ("brotli",)


def has_prior(folder: Path) -> bool:
    """Whether a model folder has a learned prior."""
    return (prior_folder(folder) / "diffusion_pytorch_model.safetensors").is_file()


def prior_digest(folder: Path) -> str:
    """The id of the learned prior in a folder: 8 hexadecimal digits, as files name it."""
    names = ("config.json", "diffusion_pytorch_model.safetensors")
    data = b"".join((folder / name).read_bytes() for name in names)
    return hashlib.sha256(data).hexdigest()[:8]


def load_networks(folder: Path) -> tuple[WaveletVAE, QannUNet, str]:
    """Both networks, float32, in inference mode, and the id of their weights.

    Raises:
        ModelError: when files are missing, damaged or not what ``model.json`` says.
    """
    identifier = _checked_digest(folder, MODEL_FILES)
    kind = vae_class(folder)
    if kind != "WaveletVAE":
        raise ModelError(f"The VAE in {folder} is a {kind}; load it with load_codec.")

    from .restoration import QannUNet
    from .vae import WaveletVAE

    return _load(WaveletVAE, folder / "vae"), _load(QannUNet, folder / "qann"), identifier


def load_tensor_networks(folder: Path) -> tuple[TensorVAE, QannUNet | None, str]:
    """A VAE with one latent tensor and its restoration network, or None where there is none.

    Args:
        folder: a model folder, whose ``qann/`` may be missing, or a VAE's own.

    Raises:
        ModelError: when files are missing, damaged, not safetensors, not what ``model.json``
            says, or do not fit together.
    """
    has_restorer = (folder / "qann").is_dir()
    names = [name for name in MODEL_FILES if has_restorer or name.startswith("vae/")]
    if _vae_folder(folder) == folder:
        names = [name.removeprefix("vae/") for name in names]
    identifier = _checked_digest(folder, names)

    from .restoration import QannUNet
    from .tensor_vae import latent_channels

    vae = load_vae(folder)
    qann = _load(QannUNet, folder / "qann") if has_restorer else None
    if qann is not None and list(qann.config.band_channels) != [latent_channels(vae)]:
        raise ModelError(
            f"The networks in {folder} do not fit together: the VAE's latents have "
            f"{latent_channels(vae)} channels, the restoration network's "
            f"{list(qann.config.band_channels)}."
        )
    return vae, qann, identifier


def load_vae(folder: Path) -> TensorVAE:
    """The VAE of one latent tensor in a model folder or in its own; frozen, in inference mode.

    Raises:
        ModelError: when it is of another class, or cannot be loaded from safetensors.
    """
    from .tensor_vae import TENSOR_VAES

    kind = vae_class(folder)
    if kind not in TENSOR_VAES:
        raise ModelError(f"The VAE in {folder} is a {kind}; use one of: {', '.join(TENSOR_VAES)}.")
    return _load(TENSOR_VAES[kind], _vae_folder(folder))


def _checked_digest(folder: Path, names: Sequence[str]) -> str:
    """The digest of the files; ModelError where ``model.json`` names another."""
    identifier = folder_digest(folder, names)
    manifest = folder / "model.json"
    if manifest.exists() and json.loads(manifest.read_text(encoding="utf-8"))["id"] != identifier:
        raise ModelError(f"The weights in {folder} are not those that its model.json names.")
    return identifier


def _load(network: Any, folder: Path) -> Any:
    """One network, float32, frozen, in inference mode; ModelError when it cannot be loaded."""
    import torch

    try:
        loaded = network.from_pretrained(
            folder,
            torch_dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(f"The weights in {folder} cannot be loaded: {error}") from error
    return loaded.eval().requires_grad_(False)
