"""What is minimised: the rate-distortion cost of the whole codec, per image and in logarithm."""

import torch
from torch import Tensor, nn

from .. import wavelet
from ..coding.network import PriorNetwork
from ..quantization import DISTORTION_WEIGHT, ROUNDING_OFFSET, dead_zone_round, step_for_levels
from ..restoration import QannUNet
from ..vae import WaveletVAE
from ..wavelet import Pyramid

LEARNED_SHARE = 0.5
"""What the learned prior counts of the rate, where there is one; the factorised prior counts the
rest, so that the encoder goes on serving the Brotli coder, which does without a network."""

STAGES = ("skeleton", "joint", "finish")
"""Restoration on the plain wavelet; everything; restoration on the final encoder's latents."""


class Objective(nn.Module):
    """Holds the networks and computes the loss of a batch in its forward pass.

    One module, so that one wrapper serves distributed training.

    Args:
        vae, qann: the codec's networks.
        context: a learned prior that joins the rate and trains along, or None.
    """

    def __init__(
        self, vae: WaveletVAE, qann: QannUNet, context: PriorNetwork | None = None
    ) -> None:
        super().__init__()
        self.vae, self.qann, self.context = vae, qann, context

    def forward(self, images: Tensor, levels: Tensor, stage: str) -> tuple[Tensor, Tensor]:
        """Loss and figures of a batch.

        Args:
            images: (B, 3, H, W) centred RGB, sides multiples of 16.
            levels: N of each image, (B,) float.
            stage: one of STAGES.

        Returns:
            The loss, and (3,) detached means: bits per pixel (0 where the stage has no rate),
            MSE quantized (0 in the joint stage, which does not need it) and MSE restored.
        """
        step = step_for_levels(levels)
        if stage == "joint":
            return self._joint(images, levels, step)
        with torch.no_grad():
            latents = wavelet.forward(images) if stage == "skeleton" else self.vae.analysis(images)
            quantized = quantize_batch(latents, step)
            plain = wavelet.inverse if stage == "skeleton" else self.vae.synthesis
            mse_quantized = _mse(plain(scale(quantized, step)), images)
        restored = plain(self._restore(quantized, levels, step))
        mse = _mse(restored, images)
        # Every N and every image weighs the same: the ratio, not the error, is averaged.
        loss = (mse / (mse_quantized + 1)).mean()
        return loss, torch.stack((mse.new_zeros(()), mse_quantized.mean(), mse.mean())).detach()

    def _joint(self, images: Tensor, levels: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        latents = self.vae.analysis(images)
        width = step[:, None, None, None]
        noisy = tuple(band + (torch.rand_like(band) - 0.5) * width for band in latents)
        pixels = images.shape[-2] * images.shape[-1]
        with torch.no_grad():
            quantized = quantize_batch(latents, step)
        bits_per_pixel = self.rate(quantized, noisy, levels, step) / pixels
        corrections = self.qann(quantized, levels)
        # Straight-through: the rounding error is a constant to the encoder.
        restored = tuple(
            band + ((q + correction) * width - band.detach())
            for band, q, correction in zip(latents, quantized, corrections, strict=True)
        )
        mse = _mse(self.vae.synthesis(restored), images)
        cost = bits_per_pixel + DISTORTION_WEIGHT / step**2 * mse
        # The logarithm weighs every image and N alike and keeps one odd image from ruling a step.
        loss = cost.log().mean()
        figures = torch.stack((bits_per_pixel.mean(), mse.new_zeros(()), mse.mean()))
        return loss, figures.detach()

    def rate(self, quantized: Pyramid, values: Pyramid, levels: Tensor, step: Tensor) -> Tensor:
        """Estimated bits of each image, (B,).

        Args:
            quantized: the integers, as floats: what a learned prior knows when it comes to the
                next; no gradient goes there.
            values: latents with uniform noise, to learn from, or as they are dequantized.
            levels, step: N and the quantization step of each image, (B,).
        """
        if self.context is None:
            return self.vae.rate(values, step)
        by_band = self.vae.prior.bits_by_band(values, step)
        factorised = sum(by_band[1:], by_band[0])
        in_steps = scale(values, 1 / step)
        learned = by_band[0] + self.context.bits(quantized, in_steps, levels)
        return torch.lerp(factorised, learned, LEARNED_SHARE)

    def _restore(self, quantized: Pyramid, levels: Tensor, step: Tensor) -> Pyramid:
        corrections = self.qann(quantized, levels)
        return scale(tuple(q + c for q, c in zip(quantized, corrections, strict=True)), step)


def quantize_batch(latents: Pyramid, step: Tensor) -> Pyramid:
    """Latents to integers (as floats) with one step per image; unclipped, unlike ``quantize``."""
    width = step[:, None, None, None]
    return tuple(
        dead_zone_round(band / width, 0.5 if index == 0 else ROUNDING_OFFSET)
        for index, band in enumerate(latents)
    )


def scale(quantized: Pyramid, step: Tensor) -> Pyramid:
    """Integers to latents with one step per image."""
    return tuple(band * step[:, None, None, None] for band in quantized)


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean((1, 2, 3))
