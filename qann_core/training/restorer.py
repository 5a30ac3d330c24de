"""Training of a restoration network for a frozen diffusers VAE of one latent tensor.

N is drawn per image. Pixels are centred, +-127.5.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..common.errors import ModelError
from ..models import load_vae, resolve_folder
from ..networks.diffusers_vae import DiffusersVAE
from ..networks.restoration import QannUNet
from ..quantization import dead_zone_round, step_for_levels
from .data import load_photos
from .objective import Figures, Objective, Stage, detached, long_decay, mse, psnr, psnr_of
from .options import RunOptions, check_crop
from .run import TrainingRun


class RestorerObjective(Objective):
    """Error of a restoration network on the quantized latents of a frozen VAE.

    The error of the latents and that of the decoded pixels are each taken relative to what they
    are without restoration, so that every N and every image weighs the same. No rate is estimated.
    """

    columns = ("psnr_quantized", "psnr_restored")
    validation_levels = (16, 64, 256)
    stages = (Stage("restoration", 1.0, long_decay),)

    def __init__(self, vae: DiffusersVAE, qann: QannUNet) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(False)
        self.qann = qann

    def forward(self, batch: Tensor, levels: Tensor, stage: str) -> tuple[Tensor, Figures]:
        """See ``Objective``; the batch is images, sides multiples of the VAE's ``block``."""
        with torch.no_grad():
            integers, scaled, step = self._quantized(batch, levels)
            before = mse(self._decode(integers, step), batch)
        (correction,) = self.qann((integers,), levels)
        restored = integers + correction
        after = mse(self._decode(restored, step), batch)
        latent_ratio = mse(restored, scaled) / (mse(integers, scaled) + 1e-3)
        loss = (after / (before + 1) + latent_ratio).mean()
        figures = detached(
            psnr_quantized=psnr_of(before.mean()), psnr_restored=psnr_of(after.mean())
        )
        return loss, figures

    def figures(self, images: Tensor, levels: Tensor) -> Figures:
        integers, _, step = self._quantized(images, levels)
        (correction,) = self.qann((integers,), levels)
        return {
            "psnr_quantized": psnr(self._decode(integers, step), images),
            "psnr_restored": psnr(self._decode(integers + correction, step), images),
        }

    def save(self, folder: Path) -> None:
        self.vae.network.save_pretrained(folder / "vae")
        self.qann.save_pretrained(folder / "qann")

    def _quantized(self, images: Tensor, levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Integers, latents in steps, and the step of each image, (B, 1, 1, 1)."""
        step = step_for_levels(levels, self.vae.latent_range)[:, None, None, None]
        scaled = self.vae.analysis(images)[0] / step
        low = -torch.floor(levels / 2)[:, None, None, None]
        high = levels[:, None, None, None] - 1 + low
        return dead_zone_round(scaled, 0.5).clamp(low, high), scaled, step

    def _decode(self, integers: Tensor, step: Tensor) -> Tensor:
        return self.vae.synthesis((integers * step,))


def train_restorer(images: Sequence[Path], out: Path, vae: str | Path, options: RunOptions) -> None:
    """Trains a restoration network for a frozen VAE.

    Args:
        images: files of photos. out: the run's folder.
        vae: the folder of an ``AutoencoderKL`` or ``AutoencoderTiny``, a folder or a run's
            ``model`` with ``vae/`` in it, or ``hub:OWNER/NAME``.

    Raises:
        ModelError: when the VAE cannot be found or loaded.
        ParameterError: no usable photos, or options out of range.
        TrainingError: when the loss is not finite.
    """
    network = load_vae(resolve_folder(vae))
    if not isinstance(network, DiffusersVAE):
        raise ModelError(f"{vae} is no diffusers VAE of one latent tensor; train it without --vae.")
    check_crop(options.crop, network.block)
    torch.manual_seed(options.seed)
    qann = QannUNet((network.channels,), (0,), widths=(96, 128))  # 1.9 million parameters
    objective = RestorerObjective(network, qann)
    photos = load_photos(images, options.crop)
    TrainingRun(out, photos, options, objective).run()
