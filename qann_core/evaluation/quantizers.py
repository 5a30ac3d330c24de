"""Other quantizers of the same latents, to compare with: no restoration network follows them.

The VAE, its decoder and Brotli are the codec's; only what reduces the latents differs. They have
no files of their own: their price is what their symbols take, and a header as the codec's.
docs/notebook.md compares them.

DAQ, after Hong et al. 2022, "DAQ: Channel-wise distribution-aware quantization for deep image
super-resolution networks"::

    subband y ─► (y - mean) / deviation ─► Lloyd-Max cell, counted from the middle ─► Brotli coder
        └──────► mean, deviation, density ─► side information ─► Brotli

RQ, after Lee et al. 2022, "Autoregressive image generation using residual quantization". The
channels of a position (of 2 x 2 positions in the finer bands) are one vector::

    band ─► vectors r0 ─► nearest code k1 ─► r1 = r0 - e(k1) ─► nearest code k2 ─► ...
                              │                                     │
    payload ◄─ Brotli ◄─ bytes of all k1, then of all k2, ...  ◄────┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import brotli
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional as F

from ..bitstream import HEADER_BYTES
from ..coding.registry import coder_by_name
from ..common.errors import ModelError, ParameterError
from ..common.shapes import pyramid_shapes
from ..models import models_folder
from ..networks.wavelet import Pyramid
from .lloyd_max import GAUSS, LAPLACE, LloydMax, lloyd_max

DENSITIES = (LAPLACE, GAUSS)

WORTH_CODING = 0.3
"""A subband gets one level where its deviation is below this share of the error that N levels
leave in the widest subband; fitted to training photos."""

_MEAN_UNIT = 0.25
_CODES_PER_OCTAVE = 8
_SMALLEST_DEVIATION = 0.25
_LARGEST_CODE = 127

CODEBOOKS_FILE = "codebooks.safetensors"

BLOCKS = (1, 1, 2, 2, 2)
"""Side, in positions, of the square that one vector of RQ covers in each band, coarse to fine."""

CODES = (256, 64, 64, 16, 16)
"""Codes in each codebook of each band."""

DEPTHS = (4, 6, 8, 8, 8)
"""Codebooks of each band, one a depth."""


@dataclass(frozen=True)
class Reduced:
    """Reduced latents and their price.

    Attributes:
        pyramid: float32 bands (1, C, h, w), coarse to fine.
        n_bytes: what a file of them would take.
    """

    pyramid: Pyramid
    n_bytes: int


@dataclass(frozen=True)
class Subband:
    """What the side information says of one subband, in three bytes.

    Attributes:
        mean: of its coefficients, in units of _MEAN_UNIT.
        code: of its deviation, logarithmic; 0 where all coefficients become the mean.
        density: number of its density in DENSITIES.
        levels: N, which is the same for all subbands and not part of the side information.
    """

    mean: int
    code: int
    density: int
    levels: int

    @property
    def deviation(self) -> float:
        """Of its coefficients; 0 where all become the mean."""
        return _SMALLEST_DEVIATION * 2 ** (self.code / _CODES_PER_OCTAVE) if self.code else 0.0

    @property
    def quantizer(self) -> LloydMax:
        """For the standardized coefficients."""
        return lloyd_max(DENSITIES[self.density], self.levels)

    def indices(self, values: np.ndarray) -> np.ndarray:
        """Coefficients to indices, int32, 0 the most likely."""
        if not self.code:
            return np.zeros(values.shape, np.int32)
        standardized = (values - _MEAN_UNIT * self.mean) / self.deviation
        return self.quantizer.indices(standardized)

    def reconstruct(self, indices: np.ndarray) -> np.ndarray:
        """Indices to coefficients, float64."""
        return _MEAN_UNIT * self.mean + self.deviation * self.quantizer.reconstruct(indices)

    def error(self, values: np.ndarray) -> float:
        """Sum of the squared errors that it leaves in coefficients."""
        return float(np.square(self.reconstruct(self.indices(values)) - values).sum())


class DistributionAware:
    """Each subband gets N levels, placed by its own distribution; the setting is N.

    N is odd, so that zero is a level.
    """

    name = "daq"
    identity = ""
    settings: tuple[int, ...] = (5, 9, 13, 17, 21, 25, 33, 41)
    allowed: Sequence[int] = range(3, 256, 2)

    def reduce(self, pyramid: Pyramid, setting: int) -> Reduced:
        """Latents as DAQ keeps them.

        Raises:
            ParameterError: when the setting is not allowed.
        """
        _check(setting, self.allowed, "number of levels", "odd and from 3 to 255")
        bands = [band[0].double().numpy() for band in pyramid]
        described = subbands(bands, setting)
        side = b"".join(
            bytes([128 * s.density + s.code]) + s.mean.to_bytes(2, "little", signed=True)
            for s in described
        )
        following, indices, reduced = iter(described), [], []
        for band in bands:
            own = [next(following) for _ in band]
            found = [s.indices(plane) for s, plane in zip(own, band, strict=True)]
            kept = [s.reconstruct(i) for s, i in zip(own, found, strict=True)]
            indices.append(np.stack(found))
            reduced.append(torch.from_numpy(np.stack(kept)).float()[None])
        payload = coder_by_name("brotli").encode(indices, setting)
        side_bytes = len(brotli.compress(side, quality=11))
        return Reduced(tuple(reduced), HEADER_BYTES + side_bytes + len(payload))


def subbands(bands: Sequence[np.ndarray], levels: int) -> list[Subband]:
    """What N = ``levels`` needs to know of each subband of bands (C, H, W), coarse to fine."""
    planes = [plane for band in bands for plane in band]
    deviations = [float(plane.std()) for plane in planes]
    threshold = WORTH_CODING * max(deviations) * lloyd_max(LAPLACE, levels).distortion ** 0.5
    described = []
    for plane, deviation in zip(planes, deviations, strict=True):
        mean = round(float(plane.mean()) / _MEAN_UNIT)
        if deviation <= max(threshold, _SMALLEST_DEVIATION):
            described.append(Subband(mean, 0, 0, levels))
            continue
        code = round(_CODES_PER_OCTAVE * np.log2(deviation / _SMALLEST_DEVIATION))
        code = min(max(code, 1), _LARGEST_CODE)
        candidates = [Subband(mean, code, d, levels) for d in range(len(DENSITIES))]
        described.append(min(candidates, key=lambda s: s.error(plane)))
    return described


@dataclass(frozen=True)
class Codebooks:
    """What k-means learned (benchmarks/rq_codebooks.py), and how depths are shared out.

    Attributes:
        books: per band, float32 (DEPTHS, CODES, dimensions); code 0 is the nearest to zero.
        schedule: (total, bands) int64: row s - 1 has each band's depth at total depth s.
        id: 8 hexadecimal digits of a digest of the file.
    """

    books: tuple[Tensor, ...]
    schedule: Tensor
    id: str

    @classmethod
    def load(cls, folder: Path) -> Codebooks:
        """Reads ``codebooks.safetensors``.

        Raises:
            ModelError: when it is missing or does not hold such codebooks.
        """
        path = folder / CODEBOOKS_FILE
        try:
            data = path.read_bytes()
            tensors = load(data)
            books = tuple(tensors[f"band{i}"].float() for i in range(len(BLOCKS)))
            schedule = tensors["schedule"]
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"The codebooks in {path} cannot be read: {error}") from error
        channels = [shape[0] for shape in pyramid_shapes(1, 1)]
        sizes = zip(DEPTHS, CODES, channels, BLOCKS, strict=True)
        wanted = [(depth, codes, c * block**2) for depth, codes, c, block in sizes]
        if [tuple(book.shape) for book in books] != wanted or not is_schedule(schedule):
            raise ModelError(f"The codebooks in {path} do not have the shapes that RQ needs.")
        return cls(books, schedule, hashlib.sha256(data).hexdigest()[:8])


def is_schedule(schedule: Tensor) -> bool:
    """Whether each total depth is the sum of what the bands get, none more than it has."""
    totals = torch.arange(1, sum(DEPTHS) + 1)
    return (
        schedule.shape == (len(totals), len(DEPTHS))
        and bool((schedule.sum(1) == totals).all())
        and bool((schedule >= 0).all() and (schedule <= torch.tensor(DEPTHS)).all())
    )


class ResidualQuantization:
    """Vectors become sums of codes, each depth refining the last; the setting is the total depth.

    Args:
        codebooks: those of the model psnr when not given, read when first needed.
    """

    name = "rq"
    settings: tuple[int, ...] = (4, 8, 12, 16, 20, 24, 28, 32)
    allowed: Sequence[int] = range(1, sum(DEPTHS) + 1)

    def __init__(self, codebooks: Codebooks | None = None) -> None:
        self._given = codebooks

    @cached_property
    def codebooks(self) -> Codebooks:
        """The codebooks in use."""
        return self._given or Codebooks.load(models_folder() / "psnr" / "rq")

    @property
    def identity(self) -> str:
        """Names what it learned from data."""
        return self.codebooks.id

    def reduce(self, pyramid: Pyramid, setting: int) -> Reduced:
        """Latents as RQ keeps them.

        Raises:
            ParameterError: when the setting is not allowed.
        """
        _check(setting, self.allowed, "total depth", f"from 1 to {self.allowed[-1]}")
        planes, reduced = [], []
        depths = self.codebooks.schedule[setting - 1].tolist()
        for band, book, block, depth in zip(
            pyramid, self.codebooks.books, BLOCKS, depths, strict=True
        ):
            vectors = to_vectors(band[0], block)
            total = torch.zeros_like(vectors)
            for codes, indices in zip(book, quantize(vectors, book[:depth]), strict=False):
                total += codes[indices]
                planes.append(_to_bytes(indices.numpy().astype(np.uint8), len(codes)))
            reduced.append(from_vectors(total, band.shape[1:], block)[None])
        n_bytes = HEADER_BYTES + len(brotli.compress(b"".join(planes), quality=11))
        return Reduced(tuple(reduced), n_bytes)


def to_vectors(band: Tensor, block: int) -> Tensor:
    """A band (C, h, w) as vectors (n, C * block * block), a row for each square of positions."""
    return F.pixel_unshuffle(band, block).flatten(1).T


def from_vectors(vectors: Tensor, shape: Sequence[int], block: int) -> Tensor:
    """The inverse of ``to_vectors``."""
    _, height, width = shape
    squares = vectors.T.unflatten(1, (height // block, width // block))
    return F.pixel_shuffle(squares, block)


def quantize(vectors: Tensor, book: Tensor) -> list[Tensor]:
    """Indices (n,) of the codes at every depth, each the nearest to what the last one left.

    Args:
        vectors: (n, dimensions).
        book: (depths, codes, dimensions).
    """
    indices = []
    for codes in book:
        nearest = nearest_codes(vectors, codes)
        vectors = vectors - codes[nearest]
        indices.append(nearest)
    return indices


def nearest_codes(vectors: Tensor, codes: Tensor) -> Tensor:
    """Index (n,) of the code nearest to each vector."""
    offsets = codes.square().sum(1) / 2
    return torch.cat(
        [(offsets - part @ codes.T).argmin(1) for part in torch.split(vectors, 1 << 16)]
    )


def _to_bytes(indices: np.ndarray, codes: int) -> bytes:
    """An index a byte, or two where there are 16 codes at the most."""
    if codes > 16:
        return indices.tobytes()
    padded = np.pad(indices, (0, indices.size % 2))
    return bytes((padded[::2] + 16 * padded[1::2]).astype(np.uint8))


def _check(setting: int, allowed: Sequence[int], what: str, words: str) -> None:
    if setting not in allowed:
        raise ParameterError(f"The {what} is {setting}; it must be {words}.")


Quantizer = DistributionAware | ResidualQuantization

OTHER_QUANTIZERS: tuple[Quantizer, ...] = (DistributionAware(), ResidualQuantization())
"""All of them; what they need is loaded when it is first used."""


def quantizer_by_name(name: str) -> Quantizer:
    """The quantizer of this name; ParameterError, naming those there are, when there is none."""
    for quantizer in OTHER_QUANTIZERS:
        if quantizer.name == name:
            return quantizer
    known = ", ".join(quantizer.name for quantizer in OTHER_QUANTIZERS)
    raise ParameterError(f"There is no quantizer named {name!r}; there are: {known}.")
