"""The codec's pipeline, both ways: image -> latents -> integers -> file -> integers -> image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from . import bitstream, wavelet
from .errors import ModelError
from .images import check_pixels
from .limits import MAX_LEVELS, MIN_LEVELS
from .models import DEFAULT_MODEL, load_networks, model_by_id, resolve_folder, vae_class
from .quantization import (
    QuantizedLatents,
    check_levels,
    dequantize,
    quantize,
    step_for_levels,
)
from .restoration import QannUNet
from .tensor_codec import TensorCodec
from .vae import WaveletVAE
from .wavelet import Pyramid

TILE = 1536
HALO = 128
"""Networks see large images in tiles of TILE pixels with HALO pixels of context on each side."""


@dataclass(frozen=True)
class Latents:
    """An encoded image before quantization: what sliding N reuses.

    Attributes:
        pyramid: float32 bands (1, C, h, w), coarse to fine.
        height, width: the image's size in pixels, before padding.
    """

    pyramid: Pyramid
    height: int
    width: int


class Codec:
    """The codec with one set of trained weights; safe to share between threads.

    Args:
        vae, qann: the networks, in inference mode.
        model_id: 8 hexadecimal digits that name their weights.
    """

    min_levels, max_levels = MIN_LEVELS, MAX_LEVELS
    """The range of N."""

    def __init__(self, vae: WaveletVAE, qann: QannUNet, model_id: str) -> None:
        self.vae = vae.to(memory_format=torch.channels_last)
        self.qann = qann.to(memory_format=torch.channels_last)
        self.model_id = model_id

    @classmethod
    def load(cls, model: str | Path = DEFAULT_MODEL) -> Codec:
        """Loads a bundled model by name, or a model folder.

        Raises:
            ModelError: when it is not there, cannot be used, or has another kind of VAE.
        """
        return cls(*load_networks(resolve_folder(model)))

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> Latents:
        """Image, uint8 (H, W, 3) sRGB, to latents; the only call that runs the encoder.

        Raises:
            ImageError: when the array is not such an image or is too large.
        """
        pixels = check_pixels(pixels)
        height, width = pixels.shape[:2]
        image = torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None] - 127.5
        plain = wavelet.forward(wavelet.pad(image))
        residual = _in_tiles(self.vae.encoder, plain)
        return Latents(_add(plain, residual), height, width)

    def quantize(self, latents: Latents, levels: int) -> QuantizedLatents:
        """Reduces the latents to at most N = ``levels`` distinct values.

        Raises:
            ParameterError: when N is out of range.
        """
        bands = quantize(latents.pyramid, check_levels(levels))
        return QuantizedLatents(bands, int(levels), latents.height, latents.width, self.model_id)

    def pack(self, latents: Latents, levels: int) -> bytes:
        """Latents to the bytes of a .qann file at N = ``levels``.

        Raises:
            ParameterError: when N is out of range.
        """
        return bitstream.pack(self.quantize(latents, levels))

    def unpack(self, data: bytes) -> QuantizedLatents:
        """The bytes of a .qann file to quantized latents.

        Raises:
            BitstreamError: when it is not one, is damaged, or needs a newer version.
            ModelError: when it was made with a VAE of one latent tensor.
        """
        quantized = bitstream.unpack(data)
        if not isinstance(quantized, QuantizedLatents):
            raise self._wrong_model(quantized.model_id)
        return quantized

    @torch.inference_mode()
    def decode(self, quantized: QuantizedLatents, restore: bool = True) -> np.ndarray:
        """Quantized latents to an image, uint8 (H, W, 3) sRGB.

        Args:
            restore: run the restoration network; without it, what plain dequantization gives.

        Raises:
            ModelError: when the latents were made by other weights.
        """
        latents = self.restore(quantized) if restore else self.dequantize(quantized)
        with _decoding_precision():
            residual = _in_tiles(self.vae.decoder, latents)
        image = wavelet.inverse(_add(latents, residual))[0]
        image = image[:, : quantized.height, : quantized.width]
        pixels = image.add(127.5).round_().clamp_(0, 255).to(torch.uint8)
        return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())

    def dequantize(self, quantized: QuantizedLatents) -> Pyramid:
        """Quantized latents at the values that the file keeps: q * step."""
        self._check_model(quantized)
        return dequantize(quantized.bands, quantized.levels)

    @torch.inference_mode()
    def restore(self, quantized: QuantizedLatents, told_levels: int | None = None) -> Pyramid:
        """Quantized latents with the network's correction: step * (q + correction).

        Args:
            told_levels: the N to tell the network instead of the true one, to see what it is
                worth to know it.
        """
        self._check_model(quantized)
        integers = tuple(torch.from_numpy(band)[None].float() for band in quantized.bands)
        told = torch.tensor([float(told_levels or quantized.levels)])
        with _decoding_precision():
            corrections = _in_tiles(lambda bands: self.qann(bands, told), integers)
        step = step_for_levels(quantized.levels)
        return tuple(band * step for band in _add(integers, corrections))

    def _check_model(self, quantized: QuantizedLatents) -> None:
        if quantized.model_id != self.model_id:
            raise self._wrong_model(quantized.model_id)

    def _wrong_model(self, made_with: str) -> ModelError:
        return ModelError(
            f"The file was made with model {made_with}; this codec has model {self.model_id}."
        )


class AnyCodec(Protocol):
    """What ``Codec`` and ``TensorCodec`` both offer; each has latents of its own kind."""

    min_levels: int
    max_levels: int
    model_id: str

    def encode(self, pixels: np.ndarray) -> Any:
        """Image, uint8 (H, W, 3), to latents, which have a ``height`` and a ``width``."""

    def quantize(self, latents: Any, levels: int) -> Any:
        """Latents to integers, at most N = ``levels`` distinct ones."""

    def pack(self, latents: Any, levels: int) -> bytes:
        """Latents to the bytes of a .qann file."""

    def unpack(self, data: bytes) -> Any:
        """The bytes of a .qann file to integers."""

    def decode(self, quantized: Any, restore: bool = True) -> np.ndarray:
        """Integers to an image, uint8 (H, W, 3)."""


def load_codec(model: str | Path = DEFAULT_MODEL) -> AnyCodec:
    """The codec of any model: the class of its VAE tells which.

    Args:
        model: a bundled model's name, a model folder, a VAE's folder, or ``hub:OWNER/NAME``.

    Raises:
        ModelError: when it is not there or cannot be used.
    """
    folder = resolve_folder(model)
    return Codec.load(folder) if vae_class(folder) == "WaveletVAE" else TensorCodec.load(folder)


def compress(pixels: np.ndarray, levels: int = 96) -> bytes:
    """Image, uint8 (H, W, 3), to the bytes of a .qann file, with the default model.

    Raises:
        ImageError, ParameterError: as ``Codec.encode`` and ``Codec.quantize``.
    """
    codec = _cached(DEFAULT_MODEL)
    return codec.pack(codec.encode(pixels), levels)


def decompress(data: bytes, restore: bool = True) -> np.ndarray:
    """The bytes of a .qann file to an image, uint8 (H, W, 3), with the model that made it.

    Raises:
        BitstreamError: when it is not a .qann file, is damaged, or needs a newer version.
        ModelError: when the model that made it is not installed.
    """
    quantized = bitstream.unpack(data)
    return _cached(model_by_id(quantized.model_id).name).decode(quantized, restore)


@lru_cache(maxsize=2)
def _cached(model: str) -> AnyCodec:
    return load_codec(model)


@cache
def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively, about twice as fast as float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def _decoding_precision() -> torch.autocast:
    """bfloat16 products in the decoding networks where they are fast.

    The weights were trained so; pictures differ by a grey level at the most, but for a few
    samples in 100,000. Symbols are integers and do not depend on it.
    """
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=_has_bfloat16())


def _add(a: Pyramid, b: Pyramid) -> Pyramid:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _in_tiles(network: Callable[[Pyramid], Pyramid], pyramid: Pyramid) -> Pyramid:
    """Runs a network over a pyramid, in tiles when it is large, so that memory stays bounded.

    Tiles overlap by HALO on each side, of which only the core is kept.
    """
    rows, columns = (size * wavelet.BLOCK for size in pyramid[0].shape[-2:])
    if rows <= TILE + 2 * HALO and columns <= TILE + 2 * HALO:
        return network(tuple(_channels_last(band) for band in pyramid))
    out = tuple(torch.empty_like(band) for band in pyramid)
    for top in range(0, rows, TILE):
        for left in range(0, columns, TILE):
            box = (max(0, top - HALO), min(rows, top + TILE + HALO),
                   max(0, left - HALO), min(columns, left + TILE + HALO))  # fmt: skip
            core = (top, min(rows, top + TILE), left, min(columns, left + TILE))
            tile = network(tuple(_channels_last(_cut(band, box, rows)) for band in pyramid))
            inner = (core[0] - box[0], core[1] - box[0], core[2] - box[2], core[3] - box[2])
            for target, band in zip(out, tile, strict=True):
                scale = rows // target.shape[-2]
                top_, bottom_, left_, right_ = (edge // scale for edge in inner)
                _cut(target, core, rows).copy_(band[..., top_:bottom_, left_:right_])
    return out


def _cut(band: Tensor, box: tuple[int, int, int, int], rows: int) -> Tensor:
    """A view of a band within a box (top, bottom, left, right) given in pixels."""
    scale = rows // band.shape[-2]
    top, bottom, left, right = (edge // scale for edge in box)
    return band[..., top:bottom, left:right]


def _channels_last(band: Tensor) -> Tensor:
    return band.contiguous(memory_format=torch.channels_last)
