"""Pixel-range diversity: the number N of distinct values that the latents may take.

N values cover the full dynamic range R of the latents, both ends included, so the quantization
step is R / (N - 1). Latents become integers by a dead-zone quantizer (Sullivan 1996): magnitudes
are rounded down a little more often than up, because for a peaked density small magnitudes are
likelier than large ones within each bin. The LL band is flat, not peaked, and is rounded plainly.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .common.shapes import integer_range
from .networks.wavelet import LL_RANGE, Pyramid

ROUNDING_OFFSET = 0.42
"""Dead zone: a magnitude m (in steps) becomes floor(m + offset); 0.5 would be plain rounding."""


DISTORTION_WEIGHT = 32.0
"""c in J = bits per pixel + c / step^2 * MSE, which training and optimised quantization minimise;
the wavelet's own slope gives 30 to 48."""


@dataclass(frozen=True)
class QuantizedLatents:
    """An image as integers: all that a .qann file stores.

    Attributes:
        bands: int32 arrays (C, H, W), coarse to fine; the shapes of the VAE's ``band_shapes``.
        levels: N, the number of distinct values allowed; ``integer_range`` bounds the integers.
        height, width: size in pixels of the image, before padding.
        model_id: 8 hexadecimal digits naming the weights that made the latents.
        latent_range: full range of the latents, which N values cover; the VAE's.
    """

    bands: tuple[np.ndarray, ...]
    levels: int
    height: int
    width: int
    model_id: str
    latent_range: float = LL_RANGE

    @property
    def step(self) -> float:
        """The quantization step, in the latents' own unit."""
        return step_for_levels(float(self.levels), self.latent_range)


_Number = TypeVar("_Number", float, Tensor)


def step_for_levels(levels: _Number, latent_range: float = LL_RANGE) -> _Number:
    """The quantization step for N values over the latents' full range: R / (N - 1)."""
    return latent_range / (levels - 1)


def dead_zone_round(scaled: Tensor, offset: float = ROUNDING_OFFSET) -> Tensor:
    """Rounds latents already divided by the step: sign(v) * floor(|v| + offset)."""
    return torch.sign(scaled) * torch.floor(scaled.abs() + offset)


def quantize(
    pyramid: Pyramid, levels: int, offset: float = ROUNDING_OFFSET, latent_range: float = LL_RANGE
) -> tuple[np.ndarray, ...]:
    """Latents of one image (batch size 1) to int32 arrays (C, H, W) with at most N values.

    ``offset`` is the details' rounding offset; a decoder need not know it.
    """
    step = step_for_levels(levels, latent_range)
    low, high = integer_range(levels)
    bands = tuple(np.empty(band.shape[1:], np.int32) for band in pyramid)
    for index, (band, integers) in enumerate(zip(pyramid, bands, strict=True)):
        for plane, target in zip(band[0], integers, strict=True):  # one by one, to save memory
            scaled = dead_zone_round(plane / step, 0.5 if index == 0 else offset)
            target[:] = scaled.clamp_(low, high).to(torch.int32).cpu().numpy()
    return bands


def dequantize(
    bands: tuple[np.ndarray, ...], levels: int, latent_range: float = LL_RANGE
) -> Pyramid:
    """Integers to latents (1, C, H, W) float32, at the values that the encoder kept."""
    step = step_for_levels(levels, latent_range)
    return tuple(band * step for band in as_floats(bands))


def as_floats(bands: tuple[np.ndarray, ...], device: torch.device | str = "cpu") -> Pyramid:
    """Integers (C, H, W) as the networks have them, float32 (1, C, H, W)."""
    return tuple(torch.from_numpy(band).to(device, torch.float32)[None] for band in bands)
