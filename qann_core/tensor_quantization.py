"""Pixel-range diversity for one latent tensor: its own full range, mapped to N distinct values.

A foreign VAE's latents have no range known in advance, so that the range is measured and travels
with the file: N values from the smallest latent to the largest, step = range / (N - 1). Where the
range contains zero the values are shifted by at most half a step so that zero is one of them:
latents of trained VAEs are peaked there, and a bin's edge on the peak would cost bits for nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .tensor_coder import TensorPayload

_SMALLEST_STEP = 1e-12
"""Keeps the step of constant latents positive."""


@dataclass(frozen=True)
class QuantizedTensor:
    """An image as one tensor of integers: all that a .qann file of a tensor codec stores.

    Attributes:
        payload: the integers, 0 to N - 1, and the values that they stand for.
        levels: N, the number of distinct values allowed.
        height, width: size in pixels of the image, before padding.
        model_id: 8 hexadecimal digits naming the weights that made the latents.
    """

    payload: TensorPayload
    levels: int
    height: int
    width: int
    model_id: str

    @property
    def bands(self) -> tuple[np.ndarray, ...]:
        """The integers as a pyramid of one band, int32 (C, h, w)."""
        return (self.payload.integers,)

    @property
    def step(self) -> float:
        """The quantization step, in the latents' own unit."""
        return self.payload.step


def value_grid(latents: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """The N values that latents may take: low, low + step, ..., low + (N - 1) step.

    Args:
        latents: (B, C, h, w), finite.
        levels: N of each image, (B,), at least 2.

    Returns:
        low and step, each (B,).
    """
    low, high = latents.amin((1, 2, 3)), latents.amax((1, 2, 3))
    step = ((high - low) / (levels - 1)).clamp_min(_SMALLEST_STEP)
    on_zero = torch.round(low / step) * step
    return torch.where((low <= 0) & (high >= 0), on_zero, low), step


def quantize_tensor(latents: Tensor, low: Tensor, step: Tensor, levels: Tensor) -> Tensor:
    """Latents (B, C, h, w) to the nearest of the N values: integers 0 to N - 1, as floats."""
    low, step, levels = (value[:, None, None, None] for value in (low, step, levels))
    return torch.round((latents - low) / step).clamp(torch.zeros_like(levels), levels - 1)


def dequantize_tensor(integers: Tensor, low: Tensor, step: Tensor) -> Tensor:
    """Integers (B, C, h, w), as floats, to the values that they stand for."""
    return low[:, None, None, None] + integers * step[:, None, None, None]


def centred_integers(integers: Tensor, low: Tensor, step: Tensor) -> Tensor:
    """Latents in units of the step, (B, C, h, w): what the restoration network sees."""
    return integers + (low / step)[:, None, None, None]
