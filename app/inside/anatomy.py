"""What the stages of the tab "Inside the codec" share: one photo at one N, opened up part by part.

Each part is computed when a stage first asks for it and kept with the visit. All visits together
keep a bounded number of bytes: beyond it the parts that were not used for longest are made again.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from qann_core import Codec, ParameterError, read_header
from qann_core.bitstream import HEADER_BYTES
from qann_core.codec import Latents
from qann_core.coding.brotli_coder import BrotliCoder
from qann_core.common.shapes import pyramid_shapes
from qann_core.evaluation.points import kind_label
from qann_core.evaluation.quantizers import OTHER_QUANTIZERS
from qann_core.metrics import psnr, ssim
from qann_core.networks import wavelet
from qann_core.networks.wavelet import Pyramid
from qann_core.quantization import QuantizedLatents, step_for_levels

from ..choice import codec_of
from ..compress import Result
from ..matching import finest
from ..session import Photo, Visit
from .subbands import SUBBANDS, Subband

ROOM_BYTES = 384 * 1024 * 1024
"""Room for the parts of all visits together; one photo of 0.4 megapixels takes 12 MiB."""


@dataclass(frozen=True)
class Alternative:
    """One way to have fewer distinct values, on this photo.

    Attributes:
        label: for people.
        n_bytes: the length of its file.
        pixels: what it decodes to, uint8 (H, W, 3).
        psnr, ssim: against the photo.
    """

    label: str
    n_bytes: int
    pixels: np.ndarray
    psnr: float
    ssim: float


class Anatomy:
    """One photo at one N.

    Args:
        photo: the visitor's.
        levels: N.
    """

    PARTS = ("quantized", "data", "restored", "picture_quantized", "picture_restored", "bytes_of",
             "plain", "assumed", "alternatives")  # fmt: skip

    def __init__(self, photo: Photo, levels: int) -> None:
        self.photo, self.levels, self.model = photo, levels, photo.choice.model
        self.step = float(step_for_levels(levels))

    def take(self, result: Result) -> None:
        """Takes over the parts that the photo's result has, if it is of this N and model, rounded.

        They count as parts of their own, for they may outlive the result.
        """
        if (result.levels, result.choice.model, result.choice.effort) != (
            self.levels,
            self.model,
            0,
        ):
            return
        self.__dict__.setdefault("picture_quantized", result.quantized)
        self.__dict__.setdefault("picture_restored", result.restored)
        if read_header(result.data).coder == "brotli":
            self.__dict__.setdefault("data", result.data)

    @property
    def key(self) -> str:
        """Tells apart what a page shows: photo, N and model."""
        return f"{self.photo.key} {self.levels} {self.model}"

    @property
    def codec(self) -> Codec:
        """The codec of the model that the visitor chose.

        Raises:
            ParameterError: when its latents are one tensor, which these stages do not show.
        """
        codec = codec_of(self.model)
        if not isinstance(codec, Codec):
            raise ParameterError(
                f"This tab shows the latents of a wavelet VAE, and the model {self.model} has "
                "another kind; choose the model default under Codec settings on the first tab."
            )
        return codec

    @property
    def latents(self) -> Latents:
        """The photo's latents, from the pool that all tabs share."""
        return self.photo.latents(self.model)

    @cached_property
    def quantized(self) -> QuantizedLatents:
        """The integers q."""
        return self.codec.quantize(self.latents, self.levels)

    @cached_property
    def data(self) -> bytes:
        """The .qann file that Brotli makes, which stage 4 explains."""
        return self.codec.pack(self.latents, self.levels, coder="brotli")

    @cached_property
    def restored(self) -> Pyramid:
        """The latents after restoration."""
        return self.codec.restore(self.quantized)

    @cached_property
    def picture_quantized(self) -> np.ndarray:
        """Decoded without restoration, uint8 (H, W, 3)."""
        return self.paint(self.codec.dequantize(self.quantized))

    @cached_property
    def picture_restored(self) -> np.ndarray:
        """Decoded with restoration, uint8 (H, W, 3)."""
        return self.paint(self.restored)

    @cached_property
    def bytes_of(self) -> dict[Subband, float]:
        """What each subband costs in the file."""
        shapes = pyramid_shapes(*self.photo.pixels.shape[:2])
        planes = BrotliCoder().bytes_by_plane(self.data[HEADER_BYTES:], shapes)
        return {s: planes[s.band][s.channel] for s in SUBBANDS}

    @cached_property
    def plain(self) -> Pyramid:
        """The photo's wavelet coefficients without the learned residual."""
        return coefficients(self.photo.pixels)

    @cached_property
    def assumed(self) -> dict[int, float]:
        """PSNR in dB by the N that the network assumes, as far as it was asked."""
        return {self.levels: self.psnr(self.picture_restored)}

    @cached_property
    def alternatives(self) -> tuple[Alternative, ...]:
        """Uniform, uniform + QANN, and each other quantizer in at most as many bytes."""
        found = [
            ("Uniform", len(self.data), self.picture_quantized),
            ("Uniform + QANN", len(self.data), self.picture_restored),
        ]
        for quantizer in OTHER_QUANTIZERS:
            reduce = partial(quantizer.reduce, self.latents.pyramid)
            _, reduced = finest(quantizer.allowed, len(self.data), reduce, lambda r: r.n_bytes)
            label = kind_label(quantizer.name)
            found.append((label, reduced.n_bytes, self.paint(reduced.pyramid)))
        return tuple(
            Alternative(label, n_bytes, pixels, self.psnr(pixels), ssim(self.photo.pixels, pixels))
            for label, n_bytes, pixels in found
        )

    def coefficients(self, latents: Pyramid) -> Pyramid:
        """Latents without gains and companding, where the model has them: wavelet coefficients."""
        bands = getattr(self.codec.vae, "bands", None)  # other VAEs have none
        if bands is None:
            return latents
        with torch.inference_mode():
            expanded: Pyramid = bands.expand(latents)
            return expanded

    def paint(self, latents: Pyramid) -> np.ndarray:
        """Any latents of this photo's shape to pixels, by the VAE's decoder."""
        return self.codec.synthesize(latents, *self.photo.pixels.shape[:2])

    def psnr(self, pixels: np.ndarray) -> float:
        """Against the photo, in dB."""
        return psnr(self.photo.pixels, pixels)

    def psnr_assuming(self, levels: int) -> float:
        """PSNR in dB when the network assumes this N; computed once."""
        if levels not in self.assumed:
            restored = self.codec.restore(self.quantized, assumed_levels=levels)
            self.assumed[levels] = self.psnr(self.paint(restored))
        return self.assumed[levels]

    def true(self, subband: Subband) -> np.ndarray:
        """Latents of one subband before reduction, in steps, (h, w)."""
        return self.latents.pyramid[subband.band][0, subband.channel].numpy() / self.step

    def integers(self, subband: Subband) -> np.ndarray:
        """q of one subband, (h, w)."""
        return self.quantized.bands[subband.band][subband.channel]

    def repaired(self, subband: Subband) -> np.ndarray:
        """Latents of one subband after restoration, in steps, (h, w)."""
        return self.restored[subband.band][0, subband.channel].numpy() / self.step

    @property
    def n_bytes(self) -> int:
        """Bytes of the parts kept."""
        kept = [self.__dict__.get(name) for name in self.PARTS]
        return sum(_n_bytes(part) for part in kept)

    def clear(self) -> None:
        """Forgets all parts; they are made again when asked for."""
        for name in self.PARTS:
            self.__dict__.pop(name, None)


def coefficients(pixels: np.ndarray) -> Pyramid:
    """Plain 9/7 wavelet coefficients of a picture, uint8 (H, W, 3)."""
    image = torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None] - 127.5
    return wavelet.forward(wavelet.pad(image))


def _n_bytes(part: Any) -> int:
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, QuantizedLatents):
        return sum(band.nbytes for band in part.bands)
    if isinstance(part, tuple) and part and isinstance(part[0], Alternative):
        return sum(each.pixels.nbytes for each in part)
    if isinstance(part, tuple):
        return sum(band.numel() * band.element_size() for band in part)
    return len(part) if isinstance(part, bytes) else 0


_recent: list[weakref.ref[Anatomy]] = []
_lock = threading.Lock()


def anatomy(visit: Visit, levels: int) -> Anatomy:
    """The visit's photo at this N, kept with the visit until its photo or N changes.

    It begins with what the visit's result has already, where that is of this N.

    Raises:
        ParameterError: when the visit was forgotten.
    """
    photo, result = visit.present()
    known = visit.anatomy
    wanted = (levels, photo.choice.model)
    if (
        not isinstance(known, Anatomy)
        or known.photo is not photo
        or (known.levels, known.model) != wanted
    ):
        known = visit.anatomy = Anatomy(photo, levels)
    known.take(result)
    _keep(known)
    return known


def _keep(used: Anatomy) -> None:
    """Makes this one the most recent, and clears the oldest where the room is used up."""
    with _lock:
        alive = [a for ref in _recent if (a := ref()) is not None and a is not used]
        room = ROOM_BYTES - used.n_bytes
        for other in reversed(alive):
            room -= other.n_bytes
            if room < 0:
                other.clear()
        _recent[:] = [weakref.ref(a) for a in (*alive, used)]
