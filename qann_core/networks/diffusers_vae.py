"""Any diffusers VAE of one latent tensor as a VAE of this codec: a pyramid of one band.

``AutoencoderKL`` (Rombach et al. 2022) describes a normal posterior, of which the mean is taken;
``AutoencoderTiny`` returns latents directly. Pixels are within +-1 for the one and the other.

The latents' range is fixed by the VAE's configuration, so that files need not carry it: such VAEs
state the factor that brings their latents to a variance of about one, and the N values cover
``DEVIATIONS`` standard deviations in all, around the mean that they state. What is beyond is
clipped.
"""

import math

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn

from ..common.errors import ModelError
from ..common.limits import MAX_LATENT_CHANNELS, MAX_LATENT_FACTOR, MAX_SIDE
from ..common.shapes import Shape, padded_size
from .wavelet import Pyramid

DIFFUSERS_VAES = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
"""By the name in ``config.json``, ``_class_name``."""

DEVIATIONS = 10.0
"""Standard deviations of the latents that the N values cover in all."""

TILE = 1024
"""Larger images go through an AutoencoderKL in tiles of so many pixels, blended where they meet."""

HALF_RANGE = 127.5
"""Grey levels per unit of a diffusers VAE's pixels."""


class DiffusersVAE(nn.Module):
    """A diffusers VAE behind the interface of ``vae.VAE``.

    Args:
        network: the VAE.

    Raises:
        ModelError: when its configuration does not describe latents that the format allows.
    """

    optimisable = False
    tile = MAX_SIDE  # an AutoencoderKL has tiles of its own

    def __init__(self, network: AutoencoderKL | AutoencoderTiny) -> None:
        super().__init__()
        self.network = network
        config = network.config
        blocks = config.get("block_out_channels") or config.get("encoder_block_out_channels")
        self.block, self.channels = 2 ** (len(blocks) - 1), int(config.latent_channels)
        scale, shift = config.get("scaling_factor") or 0.0, config.get("shift_factor") or 0.0
        if not (math.isfinite(scale) and scale > 0 and math.isfinite(shift)):
            raise ModelError(
                f"The VAE's scaling_factor is {scale} and its shift_factor {shift}; both must be "
                "finite numbers and the first positive."
            )
        most = min(MAX_LATENT_CHANNELS, 3 * self.block**2)
        if not (1 <= self.channels <= most and self.block <= MAX_LATENT_FACTOR):
            raise ModelError(
                f"The VAE has {self.channels} latent channels at 1/{self.block} of the image's "
                f"size; there may be 1 to {MAX_LATENT_CHANNELS}, no more numbers than the image "
                f"has, at 1/{MAX_LATENT_FACTOR} at the least."
            )
        self.latent_range, self.shift = DEVIATIONS / scale, float(shift)
        if isinstance(network, AutoencoderKL):
            network.enable_tiling()
            network.tile_sample_min_size, network.tile_latent_min_size = TILE, TILE // self.block

    def band_shapes(self, height: int, width: int) -> tuple[Shape, ...]:
        """Shape (C, h, w) of the one band for an image of this size in pixels."""
        rows, columns = padded_size(height, width, self.block)
        return ((self.channels, rows // self.block, columns // self.block),)

    def analysis(self, image: Tensor) -> Pyramid:
        """Centred images (B, 3, H, W), +-127.5, to one band (B, C, H / block, W / block), float32.

        H and W are multiples of ``block``.
        """
        encoded = self.network.encode(image / HALF_RANGE)
        tiny = isinstance(self.network, AutoencoderTiny)
        latents = encoded.latents if tiny else encoded.latent_dist.mean
        return (latents.float() - self.shift,)

    def synthesis(self, latents: Pyramid) -> Tensor:
        """Latents to centred float32 images, not clipped; the inverse of ``analysis``, lossily."""
        with torch.autocast(latents[0].device.type, enabled=False):
            decoded: Tensor = self.network.decode(latents[0] + self.shift).sample
        return decoded.float() * HALF_RANGE
