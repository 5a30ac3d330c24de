"""Distribution-aware quantization: every subband gets N levels, placed by its own distribution.

After Hong et al. 2022, "DAQ: Channel-wise distribution-aware quantization for deep image
super-resolution networks": channels differ in spread, so each is standardized by its own mean and
deviation before a quantizer that is optimal for the standard density.

    subband y ─► (y - mean) / deviation ─► Lloyd-Max cell, counted from the middle ─► Brotli coder
        └──────► mean, deviation, density ─► side information ─► Brotli

Side information: a byte a subband (bit 7: the density; bits 0 to 6: the deviation's code, 0 where
one level is enough), and each mean in 16 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import brotli
import numpy as np
import torch

from ..bitstream import HEADER_BYTES
from ..coding.registry import coder_by_name
from ..errors import ParameterError
from ..wavelet import Pyramid
from .lloyd_max import GAUSS, LAPLACE, LloydMax, lloyd_max
from .quantizers import Reduced

DENSITIES = (LAPLACE, GAUSS)

WORTH_CODING = 0.3
"""A subband gets one level where its deviation is below this share of the error that N levels
leave in the widest subband; fitted to training photos."""

_MEAN_UNIT = 0.25
_CODES_PER_OCTAVE = 8
_SMALLEST_DEVIATION = 0.25
_LARGEST_CODE = 127


@dataclass(frozen=True)
class Subband:
    """What the side information says of one subband.

    Attributes:
        mean: of its coefficients, in units of _MEAN_UNIT.
        code: of its deviation; 0 where all coefficients become the mean.
        density: number of its density in DENSITIES.
    """

    mean: int
    code: int
    density: int

    @property
    def deviation(self) -> float:
        """Of its coefficients; 0 where all become the mean."""
        return _SMALLEST_DEVIATION * 2 ** (self.code / _CODES_PER_OCTAVE) if self.code else 0.0

    def quantizer(self, levels: int) -> LloydMax:
        """For the standardized coefficients."""
        return lloyd_max(DENSITIES[self.density], levels)

    def indices(self, values: np.ndarray, levels: int) -> np.ndarray:
        """Coefficients to indices, int32, 0 the most likely."""
        if not self.code:
            return np.zeros(values.shape, np.int32)
        standardized = (values - _MEAN_UNIT * self.mean) / self.deviation
        return self.quantizer(levels).indices(standardized)

    def reconstruct(self, indices: np.ndarray, levels: int) -> np.ndarray:
        """Indices to coefficients, float64."""
        return _MEAN_UNIT * self.mean + self.deviation * self.quantizer(levels).reconstruct(indices)


@dataclass(frozen=True)
class DistributionAware:
    """The quantizer; its setting is N, odd, so that zero is a level."""

    name: str = "daq"
    identity: str = ""
    settings: tuple[int, ...] = (5, 9, 13, 17, 21, 25, 33, 41)
    allowed: Sequence[int] = range(3, 256, 2)

    def reduce(self, pyramid: Pyramid, setting: int) -> Reduced:
        """See ``Quantizer``."""
        if setting not in self.allowed:
            raise ParameterError(
                f"The number of levels is {setting}; it must be odd and from 3 to 255."
            )
        bands = [band[0].double().numpy() for band in pyramid]
        described = subbands(bands, setting)
        side = b"".join(
            bytes([128 * s.density + s.code]) + s.mean.to_bytes(2, "little", signed=True)
            for s in described
        )
        following = iter(described)
        pairs = [[(next(following), plane) for plane in band] for band in bands]
        indices = [np.stack([s.indices(plane, setting) for s, plane in band]) for band in pairs]
        payload = coder_by_name("brotli").encode(indices, setting)
        following = iter(described)
        reduced = tuple(
            torch.from_numpy(np.stack([next(following).reconstruct(p, setting) for p in band]))
            .float()[None]
            for band in indices
        )  # fmt: skip
        side_bytes = len(brotli.compress(side, quality=11))
        return Reduced(reduced, HEADER_BYTES + side_bytes + len(payload))


def subbands(bands: Sequence[np.ndarray], levels: int) -> list[Subband]:
    """What N = ``levels`` needs to know of each subband of bands (C, H, W), coarse to fine."""
    planes = [plane for band in bands for plane in band]
    deviations = [float(plane.std()) for plane in planes]
    threshold = WORTH_CODING * max(deviations) * lloyd_max(LAPLACE, levels).distortion ** 0.5
    described = []
    for plane, deviation in zip(planes, deviations, strict=True):
        mean = round(float(plane.mean()) / _MEAN_UNIT)
        if deviation <= max(threshold, _SMALLEST_DEVIATION):
            described.append(Subband(mean, 0, 0))
            continue
        code = round(_CODES_PER_OCTAVE * np.log2(deviation / _SMALLEST_DEVIATION))
        code = min(max(code, 1), _LARGEST_CODE)
        candidates = [Subband(mean, code, density) for density in range(len(DENSITIES))]
        described.append(min(candidates, key=lambda s: _error(s, plane, levels)))
    return described


def _error(subband: Subband, plane: np.ndarray, levels: int) -> float:
    reconstructed = subband.reconstruct(subband.indices(plane, levels), levels)
    return float(np.square(reconstructed - plane).sum())
