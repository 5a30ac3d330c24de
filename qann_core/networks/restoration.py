"""QANN, the quantization-aware restoration network: a U-Net with N as an input.

It sees the quantized latents as integers q and N, and predicts what rounding took, in units of
the quantization step, the error's natural unit: restored = step * (q + correction).
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor
from torch.nn import functional as F

from ..common.errors import ParameterError
from .blocks import LevelEmbedding, UNet, group_bands, ungroup_bands
from .roles import Role
from .wavelet import Pyramid

CORRECTION_LIMIT = 0.75
"""Bound on a correction, in steps: the true value is within the bin or its rounded-down edge."""

_RANGE_GAIN = 8.0
"""Brings values relative to the full range to the scale of the other inputs."""


class QannUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Residual learning of quantization error on a pyramid of latents, or on one latent tensor.

    ::

        q, all bands --> [clamp(q, -2, 2), asinh(q)] --+
        first band   --> [8 * q * step / (R / 2)] -----+-> U-Net -> 0.75 tanh(. / 0.75) -> bands
        N --> sines and cosines of log2 N --> MLP --> FiLM in every block

    Args:
        band_channels: channels of every band, coarse to fine. ``(4,)`` for another VAE's one
            tensor of four channels.
        band_levels: the U-Net's level (0 is the finest) that each band belongs to.
        widths: features per U-Net level, finest first.
        blocks_down, blocks_up: residual blocks per level on the way down and on the way up.
        embedding_channels: width of the embedding of N; 0 leaves the network untold (ablation).
        attention_heads, attention_window: self-attention at the coarsest level, in windows of
            ``attention_window`` positions squared.
    """

    roles: ClassVar = {"embedding": Role.OUTER}

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        band_channels: Sequence[int] = (3, 9, 9, 9, 9),
        band_levels: Sequence[int] = (3, 3, 2, 1, 0),
        widths: Sequence[int] = (32, 64, 128, 192),
        blocks_down: int = 1,
        blocks_up: int = 2,
        embedding_channels: int = 128,
        attention_heads: int = 4,
        attention_window: int = 16,
    ) -> None:
        super().__init__()
        inputs, outputs = [0] * len(widths), [0] * len(widths)
        for index, (channels, level) in enumerate(zip(band_channels, band_levels, strict=True)):
            inputs[level] += channels * (3 if index == 0 else 2)
            outputs[level] += channels
        self.embedding = LevelEmbedding(embedding_channels) if embedding_channels else None
        self.unet = UNet(
            inputs,
            outputs,
            widths,
            blocks_down,
            blocks_up,
            embedding_channels,
            attention_heads,
            attention_window,
        )

    def forward(self, quantized: Pyramid, levels: Tensor) -> Pyramid:
        """Predicts the corrections.

        Args:
            quantized: the integers q as floats, bands (B, C, h, w) coarse to fine.
            levels: N of each image, (B,).

        Returns:
            Corrections in units of the step, the shapes of ``quantized``, within
            +-CORRECTION_LIMIT.
        """
        config = self.config
        outputs = self.unet(*self._inputs(quantized, levels))
        corrections = ungroup_bands(outputs, config.band_channels, config.band_levels)
        return tuple(
            CORRECTION_LIMIT
            * torch.tanh(correction.float() / CORRECTION_LIMIT)[..., : q.shape[-2], : q.shape[-1]]
            for correction, q in zip(corrections, quantized, strict=True)
        )

    def attention_weights(
        self, quantized: Pyramid, levels: Tensor, row: int, column: int
    ) -> Tensor:
        """Where one position of the coarsest level looks: ``WindowAttention.weights``.

        Args:
            quantized, levels: as for ``forward``, of one image.
            row, column: the position, at the coarsest level.

        Returns:
            (heads, h, w) at the coarsest level.

        Raises:
            ParameterError: when this network has no attention.
        """
        if self.unet.attention is None:
            raise ParameterError("This network has no self-attention; choose one that has.")
        features = self.unet.descend(*self._inputs(quantized, levels))[-1]
        return self.unet.attention.weights(features, row, column)

    def _inputs(
        self, quantized: Pyramid, levels: Tensor
    ) -> tuple[list[Tensor | None], Tensor | None]:
        """What the U-Net reads, finest level first, and the embedding of N."""
        config = self.config
        height, width = quantized[-1].shape[-2:]
        features = []
        for index, band in enumerate(quantized):
            parts = [band.clamp(-2, 2), torch.asinh(band)]
            if index == 0:
                relative = 2 * _RANGE_GAIN / (levels.to(band.dtype) - 1)
                parts.append(band * relative[:, None, None, None])
            features.append(torch.cat(parts, 1))
        if len(quantized) == 1:  # a pyramid's sizes are powers of two apart by construction
            multiple = 2 ** (len(config.widths) - 1)
            features[0] = F.pad(features[0], (0, -width % multiple, 0, -height % multiple))
        embedding = self.embedding(levels) if self.embedding is not None else None
        return group_bands(features, config.band_levels, len(config.widths)), embedding
