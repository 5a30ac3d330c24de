"""What the networks around one latent tensor minimise: the VAE its cost, the restorer its error.

Both work on latents mapped to their own full range (``tensor_quantization``), with N drawn per
image. Pixels are centred, +-127.5.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from ..restoration import QannUNet
from ..tensor_quantization import (
    centred_integers,
    dequantize_tensor,
    quantize_tensor,
    value_grid,
)
from ..tensor_vae import TensorVAE, analysis, synthesis
from ..vae import LogisticMixturePrior

RATE_EXPONENT = 0.35
"""The VAE's cost is MSE * rate^this: bits may double where that takes a fifth off the error.

An exponent, not a weight: a small VAE's error does not fall with the square of the step as a
transform code's does, and a weight that follows the step is all rate at small N. That silences most
channels for good.
"""

RATE_START, RATE_FULL = 0.3, 0.7
"""Shares of a run between which the exponent grows from zero: first there must be something worth
its bits."""

_SMALL_RATE = 0.1
"""Bits per pixel below which fewer bits are hardly rewarded; an error of nothing is never cheap."""

_PRIOR_RANGE = 2000.0
"""The prior sees latents scaled so that their full range is this wide, the scale it starts at."""

_PREDICTED_SHARE = 4
"""One latent channel in this many is modelled by its neighbours' mean: the entropy coder predicts
channels where that pays, and these become the smooth ones."""


class TensorObjective(nn.Module):
    """What a training run needs of an objective, one module for distributed training's sake.

    Attributes:
        min_levels, max_levels: N is drawn log-uniformly between them, per image.
    """

    min_levels, max_levels = 4, 256

    def forward(self, images: Tensor, levels: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Loss, and (3,) detached means: bits per pixel, MSE quantized, MSE restored.

        Args:
            images: (B, 3, H, W) centred RGB, sides multiples of the VAE's factor.
            levels: N of each image, (B,) float.
            share: part of the run's budget that is spent.
        """
        raise NotImplementedError

    def figures(self, images: Tensor, levels: Tensor) -> Tensor:
        """(3, B): estimated bits per pixel, PSNR quantized and PSNR restored, rounding for real."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Writes the networks into a model folder."""
        raise NotImplementedError


class VaeObjective(TensorObjective):
    """Rate and distortion of an ``AutoencoderKL`` whose latents are rounded to N values.

    The posterior is a box of one step's width around the encoder's mean, the prior a mixture of
    logistics per channel, and the KL divergence between them is the rate (Ballé et al. 2018). The
    loss is log(MSE) + exponent * log(rate), so that every image and N counts alike; the rate comes
    in gradually. Rounding is straight-through, to N values over the latents' own range as in the
    codec; the step keeps its gradient (as in Esser et al. 2020), so that the few latents that make
    the range wide learn what they cost. Nothing is restored here: both PSNRs are those of quantized
    latents.
    """

    min_levels = 8

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae
        channels = vae.config.latent_channels
        predicted = max(1, channels // _PREDICTED_SHARE)
        self.split = [predicted, channels - predicted]
        self.prior = LogisticMixturePrior(self.split)

    def forward(self, images: Tensor, levels: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """See ``TensorObjective``."""
        latents = analysis(self.vae, images)
        low, step = value_grid(latents, levels)
        fixed, width = step.detach(), step[:, None, None, None]
        noisy = latents + (torch.rand_like(latents) - 0.5) * fixed[:, None, None, None]
        bits_per_pixel = self._bits(noisy, fixed, levels) / images[0, 0].numel()
        with torch.no_grad():
            rounded = quantize_tensor(latents, low, step, levels)
            rounding = (dequantize_tensor(rounded, low, step) - latents) / width
        mse = _mse(synthesis(self.vae, latents + rounding * width), images)
        grown = (share - RATE_START) / (RATE_FULL - RATE_START)
        exponent = RATE_EXPONENT * min(1.0, max(0.0, grown))
        loss = ((mse + 1).log() + exponent * (bits_per_pixel + _SMALL_RATE).log()).mean()
        return loss, torch.stack((bits_per_pixel.mean(), mse.mean(), mse.mean())).detach()

    def figures(self, images: Tensor, levels: Tensor) -> Tensor:
        """See ``TensorObjective``."""
        latents = analysis(self.vae, images)
        low, step = value_grid(latents, levels)
        decoded = dequantize_tensor(quantize_tensor(latents, low, step, levels), low, step)
        bits = self._bits(decoded, step, levels)
        psnr = _psnr(synthesis(self.vae, decoded), images)
        return torch.stack((bits / images[0, 0].numel(), psnr, psnr))

    def save(self, folder: Path) -> None:
        """See ``TensorObjective``."""
        self.vae.save_pretrained(folder / "vae")

    def _bits(self, latents: Tensor, step: Tensor, levels: Tensor) -> Tensor:
        """Bits of each image, (B,), of latents (B, C, h, w) at these steps and N, both (B,)."""
        width = _PRIOR_RANGE / (levels - 1)
        scaled = latents * (width / step)[:, None, None, None]
        return self.prior(scaled.split(self.split, 1), width)


class RestorerObjective(TensorObjective):
    """Error of a restoration network on the quantized latents of a frozen VAE.

    The error of the latents and that of the decoded pixels are each taken relative to what they
    are without restoration, so that every N and every image weighs the same. No rate is estimated.
    """

    def __init__(self, vae: TensorVAE, qann: QannUNet) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(False)
        self.qann = qann

    def forward(self, images: Tensor, levels: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """See ``TensorObjective``."""
        with torch.no_grad():
            latents = analysis(self.vae, images)
            low, step = value_grid(latents, levels)
            integers = quantize_tensor(latents, low, step, levels)
            scaled = latents / step[:, None, None, None]
            mse_quantized = _mse(self._decode(integers, low, step), images)
        centred = centred_integers(integers, low, step)
        (correction,) = self.qann((centred,), levels)
        mse = _mse(self._decode(integers + correction, low, step), images)
        latent_ratio = _mse(centred + correction, scaled) / (_mse(centred, scaled) + 1e-3)
        loss = (mse / (mse_quantized + 1) + latent_ratio).mean()
        return loss, torch.stack((mse.new_zeros(()), mse_quantized.mean(), mse.mean())).detach()

    def figures(self, images: Tensor, levels: Tensor) -> Tensor:
        """See ``TensorObjective``."""
        latents = analysis(self.vae, images)
        low, step = value_grid(latents, levels)
        integers = quantize_tensor(latents, low, step, levels)
        (correction,) = self.qann((centred_integers(integers, low, step),), levels)
        quantized = _psnr(self._decode(integers, low, step), images)
        restored = _psnr(self._decode(integers + correction, low, step), images)
        return torch.stack((torch.zeros_like(quantized), quantized, restored))

    def save(self, folder: Path) -> None:
        """See ``TensorObjective``."""
        self.vae.save_pretrained(folder / "vae")
        self.qann.save_pretrained(folder / "qann")

    def _decode(self, integers: Tensor, low: Tensor, step: Tensor) -> Tensor:
        return synthesis(self.vae, dequantize_tensor(integers, low, step))


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean((1, 2, 3))


def _psnr(decoded: Tensor, images: Tensor) -> Tensor:
    """PSNR of each image in dB, (B,), after clipping to the range of pixels."""
    return -10 * (_mse(decoded.clamp(-127.5, 127.5), images) / 255**2).log10()
