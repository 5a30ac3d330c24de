"""The codec's pipeline, both ways: image -> latents -> integers -> file -> integers -> image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from . import bitstream, models
from .common.errors import ModelError, ParameterError
from .common.limits import (
    MAX_EFFORT,
    MAX_LEVELS,
    MAX_UNTRUSTED_PIXELS,
    MIN_LEVELS,
    check_effort,
    check_levels,
)
from .common.shapes import BLOCK, padded_size
from .images import check_pixels
from .networks import wavelet
from .networks.device import device_by_name
from .networks.precision import decoding_precision
from .networks.restoration import QannUNet
from .networks.samples import centred, pixels_of, rounded
from .networks.tiling import Box, cut, in_tiles, tiles
from .networks.vae import VAE, WaveletVAE
from .networks.wavelet import Pyramid
from .optimised_quantization import Optimiser, aim_for, factorised_rate, learned_rate
from .quantization import QuantizedLatents, dequantize, quantize

if TYPE_CHECKING:
    from .coding.weights import Prior


@dataclass(frozen=True)
class Latents:
    """An encoded image before quantization: what sliding N reuses.

    Attributes:
        pyramid: float32 bands (1, C, h, w), coarse to fine, on the codec's device.
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
        vae: in inference mode.
        qann: the restoration network for its latents, or None where there is none.
        model_id: 8 hexadecimal digits that name their weights.
        folder: the model folder that they came from, with its prior.
        coder: name of the entropy coder of the files that it makes by default.
        device: where the networks run: "cpu", "cuda" or "auto".

    Raises:
        ParameterError: when this machine has no such device.
    """

    min_levels, max_levels = MIN_LEVELS, MAX_LEVELS
    """The range of N."""

    def __init__(
        self,
        vae: VAE,
        qann: QannUNet | None,
        model_id: str,
        folder: Path | None = None,
        coder: str = "brotli",
        device: str = "cpu",
    ) -> None:
        self.device = device_by_name(device)
        self.vae: VAE = vae.to(self.device, memory_format=torch.channels_last)
        if qann is not None:
            qann = qann.to(self.device, memory_format=torch.channels_last)
        self.qann = qann
        self.model_id = model_id
        self.folder = folder
        self.coder = coder

    @classmethod
    def load(
        cls, model: str | Path = models.DEFAULT_MODEL, coder: str | None = None, device: str = "cpu"
    ) -> Codec:
        """Loads a model.

        Args:
            model: a bundled model's name, a model folder, a diffusers VAE's folder, or
                ``hub:OWNER/NAME``.
            coder: name of the entropy coder of the files that it makes, by default the first of
                the model's.
            device: where the networks run: "cpu", "cuda", or "auto" for CUDA where there is one.

        Raises:
            ModelError: when it is not there or cannot be used.
            ParameterError: when the model has no such coder, or this machine no such device.
        """
        folder = models.resolve_folder(model)
        coder = models.check_coder(folder, coder)
        device_by_name(device)
        return cls(*models.load_networks(folder), folder, coder, device)

    @property
    def coders(self) -> tuple[str, ...]:
        """Names of the entropy coders that can pack its latents, the default one first."""
        return models.coder_names(self.folder)

    @property
    def has_prior(self) -> bool:
        """Whether this model has a learned prior, which the coder "prior" needs."""
        return self.folder is not None and models.has_prior(self.folder)

    @property
    def aim(self) -> str:
        """What the model was trained for, which an effort minimises: see ``models.ModelInfo``."""
        return "psnr" if self.folder is None else models.model_aim(self.folder)

    @property
    def restores(self) -> bool:
        """Whether there is a restoration network."""
        return self.qann is not None

    @property
    def max_effort(self) -> int:
        """Most passes of optimised quantization; 0 where this model has none."""
        return MAX_EFFORT if self.vae.optimisable and self.restores else 0

    @property
    def prior(self) -> Prior:
        """The model's learned prior, loaded on first use.

        Raises:
            ModelError: when the model has none, or this machine cannot use it.
        """
        if self.folder is None or not self.has_prior:
            raise ModelError(f"Model {self.model_id} has no prior; use the coder brotli.")
        from .coding.weights import cached_prior

        return cached_prior(models.prior_folder(self.folder), self.device.type)

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> Latents:
        """Image, uint8 (H, W, 3) sRGB, to latents; the only call that runs the encoder.

        Raises:
            ImageError: when the array is not such an image or is too large.
            ModelError: when the VAE's latents of it are not finite.
        """
        pixels = check_pixels(pixels)

        def analysed(box: Box) -> Pyramid:
            top, bottom, left, right = box
            image = wavelet.pad(centred(pixels[None, top:bottom, left:right]), self.vae.block)
            return self.vae.analysis(image.to(self.device))

        rows, columns = padded_size(pixels.shape[0], pixels.shape[1], self.vae.block)
        pyramid = in_tiles(analysed, rows, columns, self.vae.tile)
        if not all(torch.isfinite(band).all() for band in pyramid):
            raise ModelError("The VAE's latents of this image are not finite; use another VAE.")
        return Latents(pyramid, pixels)

    def quantize(self, latents: Latents, levels: int, effort: int = 0) -> QuantizedLatents:
        """Reduces the latents to at most N = ``levels`` distinct values.

        Args:
            effort: passes of rate-distortion optimisation, up to ``max_effort``, each of about
                the time of five to eight decodings; 0 rounds.

        Raises:
            ParameterError: when N or the effort is out of range.
            ModelError: when this machine cannot use the model's prior, which an effort asks what
                integers cost.
        """
        levels, effort = check_levels(levels), check_effort(effort)
        if effort > self.max_effort:
            raise ParameterError("This model has no optimised quantization; use effort 0.")
        bands = (
            self._optimise(latents, levels, effort)
            if effort
            else quantize(latents.pyramid, levels, latent_range=self.vae.latent_range)
        )
        return QuantizedLatents(
            bands, levels, latents.height, latents.width, self.model_id, self.vae.latent_range
        )

    def _optimise(self, latents: Latents, levels: int, effort: int) -> tuple[np.ndarray, ...]:
        """As ``quantize``, with an effort above 0; of models whose VAE is optimisable."""
        vae, qann = cast(WaveletVAE, self.vae), cast(QannUNet, self.qann)
        rate = learned_rate(self.prior.network) if self.has_prior else factorised_rate(vae.prior)
        aim = aim_for(self.aim, latents.height, latents.width)
        optimiser = Optimiser(vae, qann, rate, latents.pyramid, latents.pixels, levels, aim)
        return optimiser.run(effort)

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
        prior = self.prior if coder == "prior" else None
        return bitstream.pack(quantized, coder, prior, self.vae.band_shapes)

    def unpack(self, data: bytes, max_pixels: int = MAX_UNTRUSTED_PIXELS) -> QuantizedLatents:
        """The bytes of a .qann file to quantized latents.

        Args:
            max_pixels: largest image, in pixels, to do any work for.

        Raises:
            BitstreamError: when it is not one, is damaged, too large, or needs a newer version.
            ModelError: when it was made with another model, needs a prior that is not here, or
                this machine cannot use it.
        """
        header = bitstream.read_header(data, max_pixels)
        self.check_model(header.model_id)
        prior = self.prior if header.coder == "prior" else None
        return bitstream.unpack(
            data, prior, max_pixels, self.vae.band_shapes, self.vae.latent_range
        )

    @torch.inference_mode()
    def decode(self, quantized: QuantizedLatents, restore: bool = True) -> np.ndarray:
        """Quantized latents to an image, uint8 (H, W, 3) sRGB.

        Args:
            restore: run the restoration network; without it, what plain dequantization gives.

        Raises:
            ModelError: when the latents were made by other weights, or there is no restoration
                network to run.
        """
        with decoding_precision(quantized.levels):
            latents = self.restore(quantized) if restore else self.dequantize(quantized)
            return self.synthesize(latents, quantized.height, quantized.width)

    @torch.inference_mode()
    def synthesize(self, latents: Pyramid, height: int, width: int) -> np.ndarray:
        """The VAE's decoder alone: latents of any origin to an image, uint8 (height, width, 3)."""
        rows, columns = padded_size(height, width, self.vae.block)

        def decoded(box: Box) -> Pyramid:
            tile = tuple(cut(band, box, rows).to(self.device) for band in latents)
            return (rounded(self.vae.synthesis(tile)),)

        (image,) = in_tiles(decoded, rows, columns, self.vae.tile)
        return pixels_of(image[0, :, :height, :width])

    def dequantize(self, quantized: QuantizedLatents) -> Pyramid:
        """Quantized latents at the values that the file keeps: q * step."""
        self.check_model(quantized.model_id)
        return dequantize(quantized.bands, quantized.levels, self.vae.latent_range)

    @torch.inference_mode()
    def restore(self, quantized: QuantizedLatents, assumed_levels: int | None = None) -> Pyramid:
        """Quantized latents with the network's correction: step * (q + correction).

        Args:
            assumed_levels: the N that the network is given instead of the true one, to see what
                it is worth to know it.

        Raises:
            ModelError: when there is no restoration network.
        """
        qann, levels = self._restoration(quantized, assumed_levels)

        def restored(box: Box) -> Pyramid:
            integers = self._integers(quantized, box)
            corrections = zip(integers, qann(integers, levels), strict=True)
            return tuple(change.add_(q).mul_(quantized.step) for q, change in corrections)

        height, width = quantized.bands[0].shape[-2:]
        with decoding_precision(quantized.levels):
            return in_tiles(restored, height * BLOCK, width * BLOCK)

    @torch.inference_mode()
    def attention(self, quantized: QuantizedLatents, row: int, column: int) -> np.ndarray:
        """Where the restoration network looks from one position at 1/16 of the image's size.

        Args:
            row, column: the position, within the coarsest band's height and width.

        Returns:
            float32 (heads, h, w): each head's weights, 0 outside of the position's window.

        Raises:
            ParameterError: when the position is outside of the picture.
            ModelError: when there is no restoration network.
        """
        qann, levels = self._restoration(quantized)
        height, width = quantized.bands[0].shape[-2:]
        whole = all(isinstance(place, (int, np.integer)) for place in (row, column))
        if not (whole and 0 <= row < height and 0 <= column < width):
            raise ParameterError(
                f"The position ({row}, {column}) is outside of the {height} x {width} grid."
            )
        weights = np.zeros((qann.config.attention_heads, height, width), np.float32)
        for box, (top, bottom, left, right) in tiles(height * BLOCK, width * BLOCK):
            if top <= row * BLOCK < bottom and left <= column * BLOCK < right:
                tile = self._integers(quantized, box)
                y, x = box[0] // BLOCK, box[2] // BLOCK
                with decoding_precision(quantized.levels):
                    seen = qann.attention_weights(tile, levels, row - y, column - x).cpu().numpy()
                weights[:, y : y + seen.shape[1], x : x + seen.shape[2]] = seen
        return weights

    def _restoration(
        self, quantized: QuantizedLatents, assumed_levels: int | None = None
    ) -> tuple[QannUNet, torch.Tensor]:
        """The network and the N that it is given, (1,)."""
        self.check_model(quantized.model_id)
        if self.qann is None:
            raise ModelError(
                "This model has no restoration network: decode without restoration (--no-restore), "
                "or train one with 'qann train --vae'."
            )
        levels = check_levels(quantized.levels if assumed_levels is None else assumed_levels)
        return self.qann, torch.tensor([float(levels)], device=self.device)

    def _integers(self, quantized: QuantizedLatents, box: Box) -> Pyramid:
        """What the restoration network is given of a box: integers as floats."""
        rows = quantized.bands[0].shape[-2] * BLOCK
        bands = (cut(torch.from_numpy(band)[None], box, rows) for band in quantized.bands)
        return tuple(
            band.to(self.device, torch.float32, memory_format=torch.channels_last) for band in bands
        )

    def check_model(self, model_id: str) -> None:
        """Raises ModelError unless ``model_id`` names this codec's weights."""
        if model_id != self.model_id:
            raise ModelError(
                f"The file was made with model {model_id}; this codec has model {self.model_id}."
            )


def compress(pixels: np.ndarray, levels: int = 96) -> bytes:
    """Image, uint8 (H, W, 3), to the bytes of a .qann file, with the default model.

    Raises:
        ImageError, ParameterError: as ``Codec.encode`` and ``Codec.quantize``.
    """
    levels = check_levels(levels)
    codec = cached_codec(models.DEFAULT_MODEL)
    return codec.pack(codec.encode(pixels), levels)


def decompress(
    data: bytes, restore: bool = True, max_pixels: int = MAX_UNTRUSTED_PIXELS
) -> np.ndarray:
    """The bytes of a .qann file to an image, uint8 (H, W, 3), with the model that made it.

    Args:
        max_pixels: largest image, in pixels, to do any work for.

    Raises:
        BitstreamError: when it is not a .qann file, is damaged, too large, or needs a newer
            version.
        ModelError: when the model that made it, or the prior that it needs, is not installed.
    """
    header = bitstream.read_header(data, max_pixels)
    codec = cached_codec(models.model_by_id(header.model_id).name)
    return codec.decode(codec.unpack(data, max_pixels), restore)


@lru_cache(maxsize=2)
def cached_codec(model: str, coder: str | None = None, device: str = "cpu") -> Codec:
    """``Codec.load``, once in each process."""
    return Codec.load(model, coder, device)
