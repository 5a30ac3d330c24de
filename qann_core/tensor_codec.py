"""The codec on another VAE's latents: one tensor, mapped to its own range, N distinct values.

The idea in its original form. Any ``AutoencoderKL`` or ``AutoencoderTiny`` of diffusers serves,
with or without a restoration network trained for it; the interface is that of ``Codec``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import bitstream, wavelet
from .errors import ModelError, ParameterError
from .images import check_pixels
from .limits import MAX_TENSOR_LEVELS, MIN_TENSOR_LEVELS
from .models import load_tensor_networks, resolve_folder, wrong_model
from .quantization import check_levels
from .restoration import QannUNet
from .samples import centred, pixels_of
from .tensor_coder import NAME, TensorPayload
from .tensor_quantization import (
    QuantizedTensor,
    centred_integers,
    dequantize_tensor,
    quantize_tensor,
    value_grid,
)
from .tensor_vae import TensorVAE, analysis, downsampling_factor, synthesis

TILE = 1024
HALO = 64
"""Larger images are coded in tiles of TILE pixels that overlap by HALO on each side."""


@dataclass(frozen=True)
class TensorLatents:
    """An encoded image before quantization: what sliding N reuses.

    Attributes:
        tensor: float32 (1, C, h, w).
        height, width: the image's size in pixels, before padding.
    """

    tensor: Tensor
    height: int
    width: int

    @property
    def pyramid(self) -> tuple[Tensor, ...]:
        """The tensor as a pyramid of one band."""
        return (self.tensor,)


class TensorCodec:
    """The codec with a diffusers VAE; safe to share between threads.

    Args:
        vae: in inference mode.
        qann: the restoration network for its latents, or None where there is none.
        model_id: 8 hexadecimal digits that name their weights.
    """

    min_levels, max_levels = MIN_TENSOR_LEVELS, MAX_TENSOR_LEVELS
    """The range of N."""

    max_effort = 0
    """There is no optimised quantization of one tensor."""

    def __init__(self, vae: TensorVAE, qann: QannUNet | None, model_id: str) -> None:
        self.vae, self.qann, self.model_id = vae, qann, model_id
        self.factor = downsampling_factor(vae)

    @classmethod
    def load(cls, model: str | Path) -> TensorCodec:
        """Loads a bundled model by name, a model folder, a VAE's folder or ``hub:OWNER/NAME``.

        Raises:
            ModelError: when it is not there or cannot be used.
        """
        return cls(*load_tensor_networks(resolve_folder(model)))

    @property
    def restores(self) -> bool:
        """Whether there is a restoration network."""
        return self.qann is not None

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> TensorLatents:
        """Image, uint8 (H, W, 3) sRGB, to latents; the only call that runs the encoder.

        Raises:
            ImageError: when the array is not such an image or is too large.
            ModelError: when the VAE's latents of it are not finite.
        """
        pixels = check_pixels(pixels)
        height, width = pixels.shape[:2]
        image = wavelet.pad(centred(pixels[None]), self.factor)
        tensor = _in_tiles(
            lambda part: analysis(self.vae, part), image, TILE, HALO, 1 / self.factor
        )
        if not torch.isfinite(tensor).all():
            raise ModelError("The VAE's latents of this image are not finite; use another VAE.")
        return TensorLatents(tensor, height, width)

    @torch.inference_mode()
    def quantize(self, latents: TensorLatents, levels: int, effort: int = 0) -> QuantizedTensor:
        """Reduces the latents to at most N = ``levels`` distinct values over their full range.

        Args:
            effort: must be 0.

        Raises:
            ParameterError: when N is out of range, or an effort is asked for.
        """
        if effort:
            raise ParameterError(
                "Optimised quantization needs a wavelet VAE; use effort 0 with this model."
            )
        levels = check_levels(levels, self.min_levels, self.max_levels)
        told = torch.tensor([float(levels)])
        low, step = value_grid(latents.tensor, told)
        integers = quantize_tensor(latents.tensor, low, step, told)[0].to(torch.int32).numpy()
        payload = TensorPayload(integers, low.item(), step.item(), self.factor)
        return QuantizedTensor(payload, levels, latents.height, latents.width, self.model_id)

    @property
    def coders(self) -> tuple[str, ...]:
        """Names of the entropy coders that can pack its latents: there is one."""
        return (NAME,)

    def pack(
        self, latents: TensorLatents, levels: int, coder: str | None = None, effort: int = 0
    ) -> bytes:
        """Latents to the bytes of a .qann file at N = ``levels``.

        Args:
            coder: one of ``coders``.
            effort: as for ``quantize``.

        Raises:
            ParameterError: when N or the effort is out of range or there is no such coder.
        """
        return self.pack_integers(self.quantize(latents, levels, effort), coder)

    def pack_integers(self, quantized: QuantizedTensor, coder: str | None = None) -> bytes:
        """What ``quantize`` gave to the bytes of a .qann file; arguments and errors as ``pack``."""
        if coder not in (None, NAME):
            raise ParameterError(f"This model has no coder {coder!r}; it has: {NAME}.")
        return bitstream.pack_tensor(quantized)

    def unpack(self, data: bytes) -> QuantizedTensor:
        """The bytes of a .qann file to quantized latents.

        Raises:
            BitstreamError: when it is not one, is damaged, or needs a newer version.
            ModelError: when it was made with a VAE of another kind.
        """
        quantized = bitstream.unpack(data)
        if not isinstance(quantized, QuantizedTensor):
            raise wrong_model(quantized.model_id, self.model_id)
        return quantized

    @torch.inference_mode()
    def decode(self, quantized: QuantizedTensor, restore: bool = True) -> np.ndarray:
        """Quantized latents to an image, uint8 (H, W, 3) sRGB.

        Args:
            restore: run the restoration network; without it, what plain dequantization gives.

        Raises:
            ModelError: when the latents were made by other weights, or there is no restoration
                network to run.
        """
        latents = self.restore(quantized) if restore else self.dequantize(quantized)
        tile, halo = TILE // self.factor, HALO // self.factor
        image = _in_tiles(
            lambda part: synthesis(self.vae, part), latents.tensor, tile, halo, self.factor
        )[0]
        return pixels_of(image[:, : latents.height, : latents.width])

    def dequantize(self, quantized: QuantizedTensor) -> TensorLatents:
        """Quantized latents at the values that the file keeps: low + step * q."""
        integers, low, step = self._checked(quantized)
        tensor = dequantize_tensor(integers, low, step)
        return TensorLatents(tensor, quantized.height, quantized.width)

    @torch.inference_mode()
    def restore(self, quantized: QuantizedTensor, told_levels: int | None = None) -> TensorLatents:
        """Quantized latents with the network's correction: low + step * (q + correction).

        Args:
            told_levels: the N to tell the network instead of the true one, to see what it is
                worth to know it.

        Raises:
            ModelError: when there is no restoration network.
        """
        if self.qann is None:
            raise ModelError(
                "This model has no restoration network: decode without restoration (--no-restore), "
                "or train one with 'qann train --vae'."
            )
        integers, low, step = self._checked(quantized)
        told = torch.tensor([float(told_levels or quantized.levels)])
        (correction,) = self.qann((centred_integers(integers, low, step),), told)
        tensor = dequantize_tensor(integers + correction, low, step)
        return TensorLatents(tensor, quantized.height, quantized.width)

    def _checked(self, quantized: QuantizedTensor) -> tuple[Tensor, Tensor, Tensor]:
        """Integers (1, C, h, w) as floats, low and step (1,), once they are known to be ours."""
        if quantized.model_id != self.model_id:
            raise wrong_model(quantized.model_id, self.model_id)
        payload = quantized.payload
        if (
            payload.factor != self.factor
            or len(payload.integers) != self.vae.config.latent_channels
        ):
            raise ParameterError(
                f"The latents have {len(payload.integers)} channels at 1/{payload.factor} of the "
                "image's size; this model's are others."
            )
        integers = torch.from_numpy(payload.integers)[None].float()
        return integers, torch.tensor([payload.low]), torch.tensor([payload.step])


def _in_tiles(
    network: Callable[[Tensor], Tensor], x: Tensor, tile: int, halo: int, scale: float
) -> Tensor:
    """Runs a network over (1, C, h, w), in tiles when it is large, so that memory stays bounded.

    Diffusers' VAEs normalise over the image they see, so tiles differ in tone a little; where two
    overlap, by ``halo`` on each side of their common edge, they are blended linearly.

    Args:
        scale: size of the network's output relative to its input, a power of two.
    """
    height, width = x.shape[-2:]
    if height <= tile and width <= tile:
        return network(x)
    out = None
    for top, bottom, rows in _spans(height, tile, halo, scale):
        for left, right, columns in _spans(width, tile, halo, scale):
            part = network(x[..., top:bottom, left:right]) * rows[:, None] * columns
            if out is None:
                out = part.new_zeros(1, part.shape[1], int(height * scale), int(width * scale))
            row, column = int(top * scale), int(left * scale)
            out[..., row : row + len(rows), column : column + len(columns)] += part
    assert out is not None
    return out


def _spans(size: int, tile: int, halo: int, scale: float) -> Iterator[tuple[int, int, Tensor]]:
    """Start, stop and blending weights of each tile along one side; the weights sum to one.

    Tiles are about equal, at most ``tile`` and their edges are multiples of ``halo``.
    """
    count = -(-size // tile)
    edges = [*(round(size * i / count / halo) * halo for i in range(count)), size]
    for index, (first, last) in enumerate(pairwise(edges)):
        start, stop = max(0, first - halo), min(size, last + halo)
        position = start + (torch.arange(int((stop - start) * scale)) + 0.5) / scale
        weights = torch.ones_like(position)
        if index > 0:
            weights *= ((position - first + halo) / (2 * halo)).clamp(0, 1)
        if index < count - 1:
            weights *= ((last + halo - position) / (2 * halo)).clamp(0, 1)
        yield start, stop, weights
