"""Distribution-aware quantization: every subband gets N levels, placed by its own distribution.

After Hong et al. 2022, "DAQ: Channel-wise distribution-aware quantization for deep image
super-resolution networks": channels differ in spread, so each is standardized by its own mean and
deviation before a quantizer that is optimal for the standard density. docs/comparators.md tells
what was kept and what was changed.

    subband y ─► (y - mean) / deviation ─► Lloyd-Max cell, counted from the middle ─► Brotli coder
        └──────► mean, deviation, density ─► side information ─► Brotli

Payload: length of the side information (LEB128), the side information (Brotli), the indices as the
codec's entropy coder writes them. Side information: a byte a subband (bit 7: the density; bits 0
to 6: the deviation's code, 0 where one level is enough), then each mean as a zigzag LEB128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import brotli
import numpy as np
import torch

from ..codec import Latents
from ..coding.registry import coder_by_name
from ..coding.symbols import Source, damaged, decompress, varint
from ..errors import BitstreamError, ParameterError
from ..shapes import pyramid_shapes
from . import container
from .interface import ReducedLatents
from .lloyd_max import GAUSS, LAPLACE, Quantizer, lloyd_max

NAME = "daq"
DENSITIES = (LAPLACE, GAUSS)

WORTH_CODING = 0.3
"""A subband gets one level where its deviation is below this share of the error that N levels
leave in the widest subband; fitted to training photos (docs/comparators.md)."""

_MEAN_UNIT = 0.25
_CODES_PER_OCTAVE = 8
_SMALLEST_DEVIATION = 0.25
_LARGEST_CODE = 127
_MAX_SIDE_BYTES = 39 * 6


@dataclass(frozen=True)
class Subband:
    """What the side information says of one subband.

    Attributes:
        mean: of its coefficients.
        deviation: of its coefficients; 0 where all become the mean.
        quantizer: for the standardized coefficients.
    """

    mean: float
    deviation: float
    quantizer: Quantizer

    def indices(self, values: np.ndarray) -> np.ndarray:
        """Coefficients to indices, int32, 0 the most likely."""
        if not self.deviation:
            return np.zeros(values.shape, np.int32)
        return self.quantizer.indices((values - self.mean) / self.deviation)

    def reconstruct(self, indices: np.ndarray) -> np.ndarray:
        """Indices to coefficients, float64."""
        return self.mean + self.deviation * self.quantizer.reconstruct(indices)


@dataclass(frozen=True)
class DistributionAware:
    """The comparator; its setting is N, odd, so that zero is a level."""

    name: str = NAME
    label: str = "DAQ, by distribution"
    settings: tuple[int, ...] = (5, 9, 13, 17, 21, 25, 33, 41)
    allowed: Sequence[int] = range(3, 256, 2)

    def pack(self, latents: Latents, setting: int, model_id: str) -> bytes:
        """See ``Comparator``."""
        if setting not in self.allowed:
            raise ParameterError(
                f"The number of levels is {setting}; it must be odd and from 3 to 255."
            )
        bands = [band[0].double().numpy() for band in latents.pyramid]
        side = side_information(bands, setting)
        described = iter(subbands(side, setting))
        indices = [np.stack([next(described).indices(plane) for plane in band]) for band in bands]
        stream = brotli.compress(side, quality=11)
        payload = varint(len(stream)) + stream + coder_by_name("brotli").encode(indices, setting)
        header = container.Header(setting, latents.width, latents.height, model_id)
        return container.pack(NAME, header, payload)

    def unpack(self, data: bytes) -> ReducedLatents:
        """See ``Comparator``."""
        header, payload = container.unpack(NAME, data)
        if header.setting not in self.allowed:
            raise BitstreamError(
                f"The file claims {header.setting} levels; DAQ has an odd number from 3 to 255."
            )
        shapes = pyramid_shapes(header.height, header.width)
        source = Source(payload)
        side = decompress(source.take(source.varint()).tobytes(), _MAX_SIDE_BYTES)
        indices = coder_by_name("brotli").decode(payload[source.position :], shapes, header.setting)
        described = iter(subbands(side, header.setting))
        pyramid = tuple(
            torch.from_numpy(
                np.stack([next(described).reconstruct(plane) for plane in band]).astype(np.float32)
            )[None]
            for band in indices
        )
        return ReducedLatents(pyramid, header.height, header.width, header.setting, header.model_id)


def subbands(side: bytes, levels: int) -> list[Subband]:
    """All subbands, coarse to fine, from the side information of a file with N = ``levels``.

    Raises:
        BitstreamError: when it does not describe the 39 subbands.
    """
    count = sum(channels for channels, _, _ in pyramid_shapes(1, 1))
    source = Source(side)
    described = []
    codes = source.take(count).tolist()
    for code in codes:
        zigzag = source.varint()
        mean = _MEAN_UNIT * ((zigzag >> 1) ^ -(zigzag & 1))
        quantizer = lloyd_max(DENSITIES[code >> 7], levels)
        described.append(Subband(mean, _deviation(code & 127), quantizer))
    if source.position != source.data.size:
        raise damaged("its side information is longer than its subbands need")
    return described


def side_information(bands: Sequence[np.ndarray], levels: int) -> bytes:
    """What N = ``levels`` needs to know of each subband of bands (C, H, W)."""
    planes = [plane for band in bands for plane in band]
    deviations = [float(plane.std()) for plane in planes]
    threshold = WORTH_CODING * max(deviations) * lloyd_max(LAPLACE, levels).distortion ** 0.5
    codes, means = bytearray(), b""
    for plane, deviation in zip(planes, deviations, strict=True):
        quarters = round(float(plane.mean()) / _MEAN_UNIT)
        means += varint(2 * quarters if quarters >= 0 else -2 * quarters - 1)
        if deviation <= max(threshold, _SMALLEST_DEVIATION):
            codes.append(0)
            continue
        code = round(_CODES_PER_OCTAVE * np.log2(deviation / _SMALLEST_DEVIATION))
        code = min(max(code, 1), _LARGEST_CODE)
        codes.append(128 * _fitting_density(plane, quarters * _MEAN_UNIT, code, levels) + code)
    return bytes(codes) + means


def _fitting_density(plane: np.ndarray, mean: float, code: int, levels: int) -> int:
    """Number of the density whose quantizer leaves the smaller error."""
    errors = []
    for density in DENSITIES:
        subband = Subband(mean, _deviation(code), lloyd_max(density, levels))
        errors.append(np.square(subband.reconstruct(subband.indices(plane)) - plane).sum())
    return int(np.argmin(errors))


def _deviation(code: int) -> float:
    return _SMALLEST_DEVIATION * 2 ** (code / _CODES_PER_OCTAVE) if code else 0.0
