"""Training around one latent tensor: a VAE by itself, or a restorer on a frozen VAE.

The same run serves both; they differ in their objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ..errors import ParameterError
from ..files import find_images
from ..models import load_vae, resolve_folder
from ..restoration import QannUNet
from ..tensor_vae import downsampling_factor, latent_channels
from .data import PhotoSet, load_photos
from .optimizer import rate_factor
from .reconstruction_run import ReconstructionRun
from .run import RunOptions, check_crop, stored
from .tensor_objective import RestorerObjective, TensorObjective, VaeObjective


@dataclass(frozen=True)
class TensorOptions(RunOptions):
    """What a run is told; see ``RunOptions``."""

    minutes: float = 60.0
    batch: int = 4
    crop: int = 160
    ema_decay: float = 0.99


class TensorRun(ReconstructionRun):
    """A run of a ``TensorObjective``; ``model/`` in its folder has the averaged weights.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        objective: what to minimise, with its networks.
    """

    validation_levels = (16, 64, 256)

    def __init__(
        self, folder: Path, photos: PhotoSet, options: TensorOptions, objective: TensorObjective
    ) -> None:
        super().__init__(folder, photos, options, objective)
        self.level_range = objective.min_levels, objective.max_levels
        self.restores = isinstance(objective, RestorerObjective)

    def update(self, share: float) -> dict[str, float]:
        """See ``BudgetedRun``."""
        return self.learn(self.forward, share, rate_factor(share, "joint", self.progress.step))

    def figures(self, images: Tensor, levels: Tensor) -> Tensor:
        """See ``ReconstructionRun``."""
        return cast(TensorObjective, self.averaged).figures(images, levels)

    def save_networks(self) -> None:
        """Writes the averaged weights to ``model/``."""
        cast(TensorObjective, stored(self.averaged)).save(self.folder / "model")


def small_vae(channels: int = 16) -> AutoencoderKL:
    """A fresh ``AutoencoderKL`` of 2.1 million parameters, 8 pixels a latent position.

    Without attention, whose cost would grow with the square of the image's area.

    Args:
        channels: of the latents, at least 2.
    """
    return AutoencoderKL(
        block_out_channels=(16, 32, 64, 112),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
    )


def small_restorer(channels: int) -> QannUNet:
    """A fresh restoration network of 1.9 million parameters for one latent tensor."""
    return QannUNet(band_channels=(channels,), band_levels=(0,), widths=(96, 128))


def train_vae(
    folders: Sequence[Path],
    out: Path,
    options: TensorOptions,
    channels: int = 16,
    exclude: Sequence[Path] = (),
) -> None:
    """Trains a small ``AutoencoderKL`` for this codec on the photos below ``folders``.

    Args:
        channels: of the latents.
        exclude: files to leave out.

    Raises:
        ParameterError: no usable photos, or options out of range.
    """
    if not 2 <= channels <= 64:
        raise ParameterError(f"A VAE of {channels} latent channels is not made; give 2 to 64.")
    torch.manual_seed(options.seed)
    vae = small_vae(channels)
    photos = _photos(folders, options, downsampling_factor(vae), exclude)
    TensorRun(out, photos, options, VaeObjective(vae)).run()


def train_restorer(
    folders: Sequence[Path],
    out: Path,
    vae: str | Path,
    options: TensorOptions,
    exclude: Sequence[Path] = (),
) -> None:
    """Trains a restoration network for a frozen diffusers VAE on the photos below ``folders``.

    Args:
        vae: the folder of an ``AutoencoderKL`` or ``AutoencoderTiny``, a folder or a run's
            ``model`` with ``vae/`` in it, a bundled model's name, or ``hub:OWNER/NAME``.
        exclude: files to leave out.

    Raises:
        ModelError: when the VAE cannot be found or loaded.
        ParameterError: no usable photos, or options out of range.
    """
    network = load_vae(resolve_folder(vae))
    torch.manual_seed(options.seed)
    qann = small_restorer(latent_channels(network))
    photos = _photos(folders, options, downsampling_factor(network), exclude)
    TensorRun(out, photos, options, RestorerObjective(network, qann)).run()


def _photos(
    folders: Sequence[Path], options: TensorOptions, factor: int, exclude: Sequence[Path]
) -> PhotoSet:
    check_crop(options.crop, factor)
    return load_photos(find_images(folders, exclude), options.crop)
