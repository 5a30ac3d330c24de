"""Training of a restoration network for a frozen diffusers VAE of one latent tensor.

It works on latents mapped to their own full range (``tensor_quantization``), with N drawn per
image. Pixels are centred, +-127.5.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..models import load_vae, resolve_folder
from ..restoration import QannUNet
from ..tensor_quantization import centred_integers, dequantize_tensor, quantize_tensor, value_grid
from ..tensor_vae import TensorVAE, analysis, downsampling_factor, latent_channels, synthesis
from .data import load_photos
from .objective import Figures, Objective, Stage, detached, long_decay, mse, psnr, psnr_of
from .options import RunOptions, Sources, check_crop
from .run import TrainingRun


class RestorerObjective(Objective):
    """Error of a restoration network on the quantized latents of a frozen VAE.

    The error of the latents and that of the decoded pixels are each taken relative to what they
    are without restoration, so that every N and every image weighs the same. No rate is estimated.
    """

    columns = ("psnr_quantized", "psnr_restored")
    validation_levels = (16, 64, 256)
    stages = (Stage("restoration", 1.0, long_decay),)

    def __init__(self, vae: TensorVAE, qann: QannUNet) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(False)
        self.qann = qann

    def forward(self, batch: Tensor, levels: Tensor, stage: str) -> tuple[Tensor, Figures]:
        """See ``Objective``; the batch is images, sides multiples of the VAE's factor."""
        with torch.no_grad():
            latents = analysis(self.vae, batch)
            low, step = value_grid(latents, levels)
            integers = quantize_tensor(latents, low, step, levels)
            scaled = latents / step[:, None, None, None]
            before = mse(self._decode(integers, low, step), batch)
        centred = centred_integers(integers, low, step)
        (correction,) = self.qann((centred,), levels)
        after = mse(self._decode(integers + correction, low, step), batch)
        latent_ratio = mse(centred + correction, scaled) / (mse(centred, scaled) + 1e-3)
        loss = (after / (before + 1) + latent_ratio).mean()
        figures = detached(
            psnr_quantized=psnr_of(before.mean()), psnr_restored=psnr_of(after.mean())
        )
        return loss, figures

    def figures(self, images: Tensor, levels: Tensor) -> Figures:
        """See ``Objective``."""
        latents = analysis(self.vae, images)
        low, step = value_grid(latents, levels)
        integers = quantize_tensor(latents, low, step, levels)
        (correction,) = self.qann((centred_integers(integers, low, step),), levels)
        return {
            "psnr_quantized": psnr(self._decode(integers, low, step), images),
            "psnr_restored": psnr(self._decode(integers + correction, low, step), images),
        }

    def save(self, folder: Path) -> None:
        """See ``Objective``."""
        self.vae.save_pretrained(folder / "vae")
        self.qann.save_pretrained(folder / "qann")

    def _decode(self, integers: Tensor, low: Tensor, step: Tensor) -> Tensor:
        return synthesis(self.vae, dequantize_tensor(integers, low, step))


def small_restorer(channels: int) -> QannUNet:
    """A fresh restoration network of 1.9 million parameters for one latent tensor."""
    return QannUNet(band_channels=(channels,), band_levels=(0,), widths=(96, 128))


def train_restorer(sources: Sources, vae: str | Path, options: RunOptions) -> None:
    """Trains a restoration network for a frozen VAE.

    Args:
        vae: the folder of an ``AutoencoderKL`` or ``AutoencoderTiny``, a folder or a run's
            ``model`` with ``vae/`` in it, or ``hub:OWNER/NAME``.

    Raises:
        ModelError: when the VAE cannot be found or loaded.
        ParameterError: no usable photos, or options out of range.
        TrainingError: when the loss is not finite.
    """
    network = load_vae(resolve_folder(vae))
    check_crop(options.crop, downsampling_factor(network))
    torch.manual_seed(options.seed)
    objective = RestorerObjective(network, small_restorer(latent_channels(network)))
    photos = load_photos(sources.images(), options.crop)
    TrainingRun(sources.out, photos, options, objective).run()
