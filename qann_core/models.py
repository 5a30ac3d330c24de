"""The trained weights that ship with the codec: finding, checking and loading them.

A model is a folder with ``model.json`` (name, id, what it is), ``vae/`` and ``qann/`` (each a
diffusers folder: config.json and a safetensors file). The class that ``vae/config.json`` names
says what kind it is: ``WaveletVAE``, or a diffusers VAE of one latent tensor, which may also be
used alone, from a folder or from the hub, without ``qann/``. The id is a digest of all, so a file
that names it can only be decoded with exactly these weights. A model may also have ``prior/``, for
the entropy coder of that name, which has an id of its own. Nothing here imports torch until weights
are loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .coding.registry import CODER_NAMES
from .common.errors import ModelError, ParameterError
from .networks import CONFIG, WEIGHTS

if TYPE_CHECKING:
    from .networks.restoration import QannUNet
    from .networks.vae import VAE, WaveletVAE

DEFAULT_MODEL = "default"

WAVELET_VAE = "WaveletVAE"

HUB_PREFIX = "hub:"
"""What a model's name starts with when its VAE is to be fetched from the Hugging Face hub."""

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
    """Where the bundled models are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    installed = package / "assets" / "models"
    return installed if installed.is_dir() else package.parent / "assets" / "models"


@cache
def bundled_models() -> tuple[ModelInfo, ...]:
    """All bundled models, by name."""
    return tuple(_read_info(file) for file in sorted(models_folder().glob("*/model.json")))


def _read_info(manifest: Path) -> ModelInfo:
    values = _read_json(manifest)
    try:
        return ModelInfo(**values)
    except TypeError as error:
        raise ModelError(f"{manifest} must have the fields name, id, summary and aim.") from error


def model_aim(folder: Path) -> str:
    """What a model folder's weights were trained for; "psnr" where there is no ``model.json``."""
    manifest = folder / "model.json"
    return _read_info(manifest).aim if manifest.exists() else "psnr"


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


def resolve_folder(model: str | Path) -> Path:
    """The folder of a bundled model's name, of a path to one or to a VAE alone, or of a hub id.

    ``hub:OWNER/NAME`` or ``hub:OWNER/NAME/FOLDER`` fetches a diffusers VAE from the hub, once;
    nothing else ever uses the network.

    Raises:
        ModelError: when there is none of them.
    """
    if not isinstance(model, (str, Path)):
        raise ParameterError(f"model is {model!r}; it must be a name or a folder.")
    if str(model).startswith(HUB_PREFIX):
        return _fetch_vae(str(model).removeprefix(HUB_PREFIX))
    for folder in (models_folder() / str(model), Path(model)):
        if (folder / "vae").is_dir() or (folder / CONFIG).is_file():
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


def _vae_folder(folder: Path) -> Path:
    return folder / "vae" if (folder / "vae").is_dir() else folder


def prior_folder(folder: Path) -> Path:
    """Where a model folder keeps its learned prior, if it has one; see ``coding.weights``."""
    return folder / "prior"


def coder_names(folder: Path | None) -> tuple[str, ...]:
    """Names of the entropy coders that a model's latents can be packed with, the default first.

    Args:
        folder: the model's; None where there is none, so that it has no learned prior.
    """
    with_prior = folder is not None and has_prior(folder)
    return tuple(name for name in CODER_NAMES.values() if name != "prior" or with_prior)


def check_coder(folder: Path, coder: str | None) -> str:
    """The entropy coder to use of a model, by default its first.

    Raises:
        ParameterError: when the model has no coder of that name.
    """
    names = coder_names(folder)
    if coder is not None and coder not in names:
        raise ParameterError(
            f"Model {folder.name} has no coder {coder!r}; it has: {', '.join(names)}."
        )
    return coder or names[0]


def has_prior(folder: Path) -> bool:
    """Whether a model folder has a learned prior, which is of a wavelet VAE's latents."""
    return (prior_folder(folder) / WEIGHTS).is_file()


def prior_digest(folder: Path) -> str:
    """The id of the learned prior in a folder: 8 hexadecimal digits, as files name it."""
    return folder_digest(folder, (CONFIG, WEIGHTS))


def load_networks(folder: Path) -> tuple[VAE, QannUNet | None, str]:
    """A model's VAE and restoration network (None where there is none), and the weights' id.

    Both are float32, frozen, in inference mode.

    Args:
        folder: a model folder, whose ``qann/`` may be missing, or a diffusers VAE's own.

    Raises:
        ModelError: when files are missing, damaged, not safetensors, not what ``model.json``
            says, or do not fit together.
    """
    has_restorer = (folder / "qann").is_dir()
    names = [name for name in MODEL_FILES if has_restorer or name.startswith("vae/")]
    if _vae_folder(folder) == folder:
        names = [name.removeprefix("vae/") for name in names]
    identifier = folder_digest(folder, names)
    manifest = folder / "model.json"
    if manifest.exists() and _read_json(manifest).get("id") != identifier:
        raise ModelError(f"The weights in {folder} are not those that its model.json names.")

    from .networks.restoration import QannUNet

    vae = load_vae(folder)
    qann = _load(QannUNet, folder / "qann") if has_restorer else None
    channels = [shape[0] for shape in vae.band_shapes(vae.block, vae.block)]
    if qann is not None and list(qann.config.band_channels) != channels:
        raise ModelError(
            f"The networks in {folder} do not fit together: the VAE's bands have {channels} "
            f"channels, the restoration network's {list(qann.config.band_channels)}."
        )
    return vae, qann, identifier


def load_wavelet_networks(folder: Path) -> tuple[WaveletVAE, QannUNet]:
    """Both networks of a wavelet model, as ``load_networks``: what training starts from.

    Raises:
        ModelError: also where the VAE is of another kind, or has no restoration network.
    """
    from .networks.vae import WaveletVAE

    vae, qann, _ = load_networks(folder)
    if not isinstance(vae, WaveletVAE) or qann is None:
        raise ModelError(f"{folder} is not a wavelet model with a restoration network; use one.")
    return vae, qann


def load_vae(folder: Path) -> Any:
    """The VAE in a model folder or in its own (``vae.VAE``); frozen, in inference mode.

    Raises:
        ModelError: when its ``config.json`` names no class or an unknown one, or it cannot be
            loaded from safetensors.
    """
    from .networks.diffusers_vae import DIFFUSERS_VAES, DiffusersVAE
    from .networks.vae import WaveletVAE

    file = _vae_folder(folder) / CONFIG
    try:
        kind = str(_read_json(file)["_class_name"])
    except (ModelError, KeyError) as error:
        raise ModelError(f"{file} is not the configuration of a diffusers VAE.") from error
    if kind == WAVELET_VAE:
        return _load(WaveletVAE, _vae_folder(folder))
    if kind not in DIFFUSERS_VAES:
        known = ", ".join((WAVELET_VAE, *DIFFUSERS_VAES))
        raise ModelError(f"The VAE in {folder} is a {kind}; use one of: {known}.")
    return DiffusersVAE(_load(DIFFUSERS_VAES[kind], _vae_folder(folder)))


def _read_json(file: Path) -> dict[str, Any]:
    """A JSON object; ModelError when the file is none."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} must hold a JSON object.")
    return values


def _load(network: Any, folder: Path) -> Any:
    """One network, float32, frozen, in inference mode; ModelError when it cannot be loaded."""
    import torch

    _check_weights(network, folder)
    try:
        loaded = network.from_pretrained(
            folder,
            torch_dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise _cannot_load(folder, error) from error
    return loaded.eval().requires_grad_(False)


def _check_weights(network: Any, folder: Path) -> None:
    """ModelError unless the tensors in a network's file are exactly those its configuration needs.

    Nothing of the network is allocated and no weight is read: shapes alone are compared.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    config = _read_json(folder / CONFIG)
    _check_config(folder / CONFIG, config)
    try:
        with torch.device("meta"):
            needed = network.from_config(config).state_dict()
        with safe_open(folder / WEIGHTS, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, IndexError, AttributeError,
            ArithmeticError, AssertionError, SafetensorError) as error:  # fmt: skip
        raise _cannot_load(folder, error) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in needed.items()}
    for problem, names in (
        ("lack", wanted.keys() - found.keys()),
        ("have, beyond what the configuration needs,", found.keys() - wanted.keys()),
        ("have in another shape", {n for n in wanted.keys() & found if wanted[n] != found[n]}),
    ):
        if names:
            raise ModelError(f"The weights in {folder} {problem} {min(names)!r}; they must be "
                             f"exactly those of its {CONFIG}.")  # fmt: skip


_MAX_CONFIG, _MAX_BLOCKS = 16384, 64


def _check_config(file: Path, values: Any, key: str = "") -> None:
    """ModelError for numbers that no network of this codec has, before anything is built."""
    if isinstance(values, dict):
        for name, value in values.items():
            _check_config(file, value, str(name))
    elif isinstance(values, list):
        if len(values) > _MAX_BLOCKS:
            raise ModelError(
                f"{file}: {key} has {len(values)} entries; at most {_MAX_BLOCKS} may be."
            )
        for value in values:
            _check_config(file, value, key)
    elif isinstance(values, (int, float)):
        counts = "blocks" in key or "layers" in key
        most = _MAX_BLOCKS if counts and "channels" not in key else _MAX_CONFIG
        if not abs(values) <= most:
            raise ModelError(f"{file}: {key} is {values}; at most {most} is possible.")


def _cannot_load(folder: Path, error: Exception) -> ModelError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelError(f"The weights in {folder} cannot be loaded: {reason}")
