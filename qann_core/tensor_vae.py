"""The diffusers VAEs whose latents are one tensor, behind four functions.

``AutoencoderKL`` (Rombach et al. 2022) describes a normal posterior, of which its mean is taken;
``AutoencoderTiny`` returns latents directly. Pixels are within +-1 for the one and the other.
"""

from __future__ import annotations

from typing import TypeAlias

from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

TensorVAE: TypeAlias = AutoencoderKL | AutoencoderTiny

TENSOR_VAES = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
"""By the name in ``config.json``, ``_class_name``."""

HALF_RANGE = 127.5
"""Grey levels per unit of a diffusers VAE's pixels."""


def analysis(vae: TensorVAE, images: Tensor) -> Tensor:
    """Centred images (B, 3, H, W), +-127.5, to float32 latents (B, C, H / f, W / f).

    H and W are multiples of the downsampling factor f.
    """
    encoded = vae.encode(images / HALF_RANGE)
    if isinstance(vae, AutoencoderKL):
        return encoded.latent_dist.mean.float()
    return encoded.latents.float()


def synthesis(vae: TensorVAE, latents: Tensor) -> Tensor:
    """Latents to centred float32 images, not clipped; the inverse of ``analysis``, lossily."""
    return vae.decode(latents).sample.float() * HALF_RANGE


def latent_channels(vae: TensorVAE) -> int:
    """Channels C of the latents."""
    return int(vae.config.latent_channels)


def downsampling_factor(vae: TensorVAE) -> int:
    """Pixels per latent position along each side, f: every block but the last halves the size."""
    if isinstance(vae, AutoencoderKL):
        return 2 ** (len(vae.config.block_out_channels) - 1)
    return 2 ** (len(vae.config.encoder_block_out_channels) - 1)
