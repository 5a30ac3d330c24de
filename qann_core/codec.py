"""The codec's pipeline, both ways: image -> latents -> integers -> file -> integers -> image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from . import bitstream, wavelet
from .errors import ModelError, ParameterError
from .images import check_pixels
from .limits import MAX_EFFORT, MAX_LEVELS, MIN_LEVELS
from .models import (
    DEFAULT_MODEL,
    WAVELET_VAE,
    coder_names,
    has_prior,
    load_networks,
    model_by_id,
    prior_folder,
    resolve_folder,
    vae_class,
    wrong_model,
)
from .optimised_quantization import FactorisedRate, LearnedRate, Optimiser, check_effort
from .precision import decoding_precision
from .quantization import QuantizedLatents, check_levels, dequantize, quantize, step_for_levels
from .restoration import QannUNet
from .samples import centred, pixels_of
from .tensor_codec import TensorCodec
from .tiling import cut, in_tiles, tiles
from .vae import WaveletVAE
from .wavelet import Pyramid

if TYPE_CHECKING:
    from .coding.weights import Prior


@dataclass(frozen=True)
class Latents:
    """An encoded image before quantization: what sliding N reuses.

    Attributes:
        pyramid: float32 bands (1, C, h, w), coarse to fine.
        pixels: the image itself, uint8 (H, W, 3): what optimised quantization aims at.
    """

    pyramid: Pyramid
    pixels: np.ndarray

    @property
    def height(self) -> int:
        """Of the image in pixels, before padding."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Of the image in pixels, before padding."""
        return int(self.pixels.shape[1])


class Codec:
    """The codec with one set of trained weights; safe to share between threads.

    Args:
        vae, qann: the networks, in inference mode.
        model_id: 8 hexadecimal digits that name their weights.
        folder: the model folder that they came from, where its prior lies.
        coder: name of the entropy coder of the files that it makes, unless told otherwise.
    """

    min_levels, max_levels = MIN_LEVELS, MAX_LEVELS
    """The range of N."""

    max_effort = MAX_EFFORT
    """Most passes of optimised quantization."""

    def __init__(
        self,
        vae: WaveletVAE,
        qann: QannUNet,
        model_id: str,
        folder: Path | None = None,
        coder: str = "brotli",
    ) -> None:
        self.vae = vae.to(memory_format=torch.channels_last)
        self.qann = qann.to(memory_format=torch.channels_last)
        self.model_id = model_id
        self.folder = folder
        self.coder = coder

    @classmethod
    def load(cls, model: str | Path = DEFAULT_MODEL, coder: str = "brotli") -> Codec:
        """Loads a bundled model by name, or a model folder; ``coder`` as above.

        Raises:
            ModelError: when it is not there, cannot be used, or has another kind of VAE.
        """
        folder = resolve_folder(model)
        return cls(*load_networks(folder), folder, coder)

    @property
    def coders(self) -> tuple[str, ...]:
        """Names of the entropy coders that can pack its latents, the default one first."""
        return ("brotli",) if self.folder is None else coder_names(self.folder)

    @property
    def has_prior(self) -> bool:
        """Whether this model has a learned prior, which the coder "prior" needs."""
        return self.folder is not None and has_prior(self.folder)

    @property
    def prior(self) -> Prior:
        """The model's learned prior, loaded on first use.

        Raises:
            ModelError: when the model has none, or this machine cannot use it.
        """
        if self.folder is None or not self.has_prior:
            raise ModelError(f"Model {self.model_id} has no prior; use the coder brotli.")
        from .coding.weights import cached_prior

        return cached_prior(prior_folder(self.folder))

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> Latents:
        """Image, uint8 (H, W, 3) sRGB, to latents; the only call that runs the encoder.

        Raises:
            ImageError: when the array is not such an image or is too large.
        """
        pixels = check_pixels(pixels)
        return Latents(self.vae.analysis(wavelet.pad(centred(pixels[None]))), pixels)

    def quantize(self, latents: Latents, levels: int, effort: int = 0) -> QuantizedLatents:
        """Reduces the latents to at most N = ``levels`` distinct values.

        Args:
            effort: passes of rate-distortion optimisation, up to ``max_effort``, each of about
                the time of three or four decodings; 0 rounds.

        Raises:
            ParameterError: when N or the effort is out of range.
            ModelError: when this machine cannot use the model's prior, which an effort asks what
                integers cost.
        """
        levels, effort = check_levels(levels), check_effort(effort)
        if effort:
            learned = self.has_prior
            rate = LearnedRate(self.prior.network) if learned else FactorisedRate(self.vae.prior)
            bands = Optimiser(
                self.vae, self.qann, rate, latents.pyramid, latents.pixels, levels
            ).run(effort)
        else:
            bands = quantize(latents.pyramid, levels)
        return QuantizedLatents(bands, levels, latents.height, latents.width, self.model_id)

    def pack(
        self, latents: Latents, levels: int, coder: str | None = None, effort: int = 0
    ) -> bytes:
        """Latents to the bytes of a .qann file at N = ``levels``.

        Args:
            coder: "brotli", or "prior" for the learned prior; by default the codec's own.
            effort: as for ``quantize``.

        Raises:
            ParameterError: when N or the effort is out of range or there is no such coder.
            ModelError: when the model has no prior, or this machine cannot use it.
        """
        return self.pack_integers(self.quantize(latents, levels, effort), coder)

    def pack_integers(self, quantized: QuantizedLatents, coder: str | None = None) -> bytes:
        """What ``quantize`` gave to the bytes of a .qann file; arguments and errors as ``pack``."""
        coder = coder or self.coder
        return bitstream.pack(quantized, coder, self.prior if coder == "prior" else None)

    def unpack(self, data: bytes) -> QuantizedLatents:
        """The bytes of a .qann file to quantized latents.

        Raises:
            BitstreamError: when it is not one, is damaged, or needs a newer version.
            ModelError: when it needs a prior that is not here, this machine cannot use it, or it
                was made with a VAE of one latent tensor.
        """
        uses_prior = bitstream.read_header(data).coder == "prior"
        prior = self.prior if uses_prior and self.has_prior else None
        quantized = bitstream.unpack(data, prior)
        if not isinstance(quantized, QuantizedLatents):
            raise wrong_model(quantized.model_id, self.model_id)
        return quantized

    @torch.inference_mode()
    def decode(self, quantized: QuantizedLatents, restore: bool = True) -> np.ndarray:
        """Quantized latents to an image, uint8 (H, W, 3) sRGB.

        Args:
            restore: run the restoration network; without it, what plain dequantization gives.

        Raises:
            ModelError: when the latents were made by other weights.
        """
        with decoding_precision(quantized.levels):
            latents = self.restore(quantized) if restore else self.dequantize(quantized)
            return self.synthesize(latents, quantized.height, quantized.width)

    @torch.inference_mode()
    def synthesize(self, latents: Pyramid, height: int, width: int) -> np.ndarray:
        """The VAE's decoder alone: latents of any origin to an image, uint8 (height, width, 3)."""
        return pixels_of(self.vae.synthesis(latents)[0, :, :height, :width])

    def dequantize(self, quantized: QuantizedLatents) -> Pyramid:
        """Quantized latents at the values that the file keeps: q * step."""
        self.check_model(quantized.model_id)
        return dequantize(quantized.bands, quantized.levels)

    @torch.inference_mode()
    def restore(self, quantized: QuantizedLatents, told_levels: int | None = None) -> Pyramid:
        """Quantized latents with the network's correction: step * (q + correction).

        Args:
            told_levels: the N to tell the network instead of the true one, to see what it is
                worth to know it.
        """
        self.check_model(quantized.model_id)
        integers = tuple(torch.from_numpy(band)[None].float() for band in quantized.bands)
        told = torch.tensor([float(told_levels or quantized.levels)])
        with decoding_precision(quantized.levels):
            corrections = in_tiles(lambda bands: self.qann(bands, told), integers)
        step = step_for_levels(quantized.levels)
        return tuple(band * step for band in _add(integers, corrections))

    @torch.inference_mode()
    def attention(self, quantized: QuantizedLatents, row: int, column: int) -> np.ndarray:
        """Where the restoration network looks from one position at 1/16 of the image's size.

        Args:
            row, column: the position, within the LL band's height and width.

        Returns:
            float32 (heads, h, w): each head's weights, 0 outside of the position's window.

        Raises:
            ParameterError: when the position lies outside of the picture.
        """
        self.check_model(quantized.model_id)
        height, width = quantized.bands[0].shape[-2:]
        if not (0 <= row < height and 0 <= column < width):
            raise ParameterError(
                f"The position ({row}, {column}) is outside of the {height} x {width} grid."
            )
        integers = tuple(torch.from_numpy(band)[None].float() for band in quantized.bands)
        told = torch.tensor([float(quantized.levels)])
        weights = np.zeros((self.qann.config.attention_heads, height, width), np.float32)
        block = wavelet.BLOCK
        for box, (top, bottom, left, right) in tiles(height * block, width * block):
            if top <= row * block < bottom and left <= column * block < right:
                tile = tuple(cut(band, box, height * block) for band in integers)
                y, x = box[0] // block, box[2] // block
                with decoding_precision(quantized.levels):
                    seen = self.qann.attention_weights(tile, told, row - y, column - x).numpy()
                weights[:, y : y + seen.shape[1], x : x + seen.shape[2]] = seen
        return weights

    def check_model(self, model_id: str) -> None:
        """Raises ModelError unless ``model_id`` names this codec's weights."""
        if model_id != self.model_id:
            raise wrong_model(model_id, self.model_id)


class EncodedCodec(Codec):
    """A codec with the encoder's work on one image done already, for many sweeps of that image."""

    def __init__(self, codec: Codec, latents: Latents) -> None:
        super().__init__(codec.vae, codec.qann, codec.model_id)
        self._latents = latents

    def encode(self, pixels: np.ndarray) -> Latents:
        """The latents given; ``pixels`` are those of their image."""
        return self._latents


class AnyCodec(Protocol):
    """What ``Codec`` and ``TensorCodec`` both offer; each has latents of its own kind."""

    min_levels: int
    max_levels: int
    max_effort: int
    model_id: str

    @property
    def coders(self) -> tuple[str, ...]:
        """Names of the entropy coders that can pack its latents, the default one first."""

    def encode(self, pixels: np.ndarray) -> Any:
        """Image, uint8 (H, W, 3), to latents, which have a ``height`` and a ``width``."""

    def quantize(self, latents: Any, levels: int, effort: int = 0) -> Any:
        """Latents to integers, at most N = ``levels`` distinct ones."""

    def pack(self, latents: Any, levels: int, coder: str | None = None, effort: int = 0) -> bytes:
        """Latents to the bytes of a .qann file, with one of ``coders``."""

    def pack_integers(self, quantized: Any, coder: str | None = None) -> bytes:
        """Integers to the bytes of a .qann file, with one of ``coders``."""

    def unpack(self, data: bytes) -> Any:
        """The bytes of a .qann file to integers."""

    def decode(self, quantized: Any, restore: bool = True) -> np.ndarray:
        """Integers to an image, uint8 (H, W, 3)."""


def load_codec(model: str | Path = DEFAULT_MODEL, coder: str | None = None) -> AnyCodec:
    """The codec of any model: the class of its VAE tells which.

    Args:
        model: a bundled model's name, a model folder, a VAE's folder, or ``hub:OWNER/NAME``.
        coder: name of the entropy coder of the files that it makes, by default the model's first.

    Raises:
        ModelError: when it is not there or cannot be used.
        ParameterError: when the model has no such coder.
    """
    folder = resolve_folder(model)
    names = coder_names(folder)
    if coder is not None and coder not in names:
        raise ParameterError(
            f"Model {folder.name} has no coder {coder!r}; it has: {', '.join(names)}."
        )
    if vae_class(folder) == WAVELET_VAE:
        return Codec.load(folder, coder or names[0])
    return TensorCodec.load(folder)


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
        ModelError: when the model that made it, or the prior that it needs, is not installed.
    """
    quantized = bitstream.unpack(data)
    return _cached(model_by_id(quantized.model_id).name).decode(quantized, restore)


@lru_cache(maxsize=2)
def _cached(model: str) -> AnyCodec:
    return load_codec(model)


def _add(a: Pyramid, b: Pyramid) -> Pyramid:
    return tuple(x + y for x, y in zip(a, b, strict=True))
