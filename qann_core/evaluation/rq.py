"""Residual quantization: vectors of latents as sums of codes, each depth refining the last.

After Lee et al. 2022, "Autoregressive image generation using residual quantization", the quantizer
of RQ-VAE. The channels of a position (of 2 x 2 positions in the finer bands) are one vector; the
nearest code of the first codebook is taken, then the nearest to what remains, and so on. A setting
is a total depth; the codebooks say how it is shared out among the bands.

    band ─► vectors r0 ─► nearest code k1 ─► r1 = r0 - e(k1) ─► nearest code k2 ─► ...
                              │                                     │
    payload ◄─ Brotli ◄─ bytes of all k1, then of all k2, ...  ◄────┘

In the Brotli stream, every band and depth in turn: an index a byte, or two where there are 16 codes
at the most.
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
from torch import Tensor

from ..bitstream import HEADER_BYTES
from ..errors import ModelError, ParameterError
from ..models import models_folder
from ..shapes import pyramid_shapes
from ..wavelet import Pyramid
from .quantizers import Reduced

CODEBOOKS_FILE = "codebooks.safetensors"

BLOCKS = (1, 1, 2, 2, 2)
"""Side, in positions, of the square that one vector covers in each band, coarse to fine."""

CODES = (256, 64, 64, 16, 16)
"""Codes in each codebook of each band."""

DEPTHS = (4, 6, 8, 8, 8)
"""Codebooks of each band, one a depth."""


@dataclass(frozen=True)
class Codebooks:
    """What k-means learned (``training.codebooks``), and how depths are shared out.

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
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = folder / CODEBOOKS_FILE
        try:
            data = path.read_bytes()
            tensors = load(data)
            books = tuple(tensors[f"band{i}"].float() for i in range(len(BLOCKS)))
            schedule = tensors["schedule"]
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"The codebooks in {path} cannot be read: {error}") from error
        wanted = [
            (depth, codes, shape[0] * block**2)
            for depth, codes, shape, block in zip(
                DEPTHS, CODES, pyramid_shapes(1, 1), BLOCKS, strict=True
            )
        ]
        if [tuple(book.shape) for book in books] != wanted or not _is_schedule(schedule):
            raise ModelError(f"The codebooks in {path} do not have the shapes that RQ needs.")
        return cls(books, schedule, hashlib.sha256(data).hexdigest()[:8])


def _is_schedule(schedule: Tensor) -> bool:
    totals = torch.arange(1, sum(DEPTHS) + 1)
    return (
        schedule.shape == (len(totals), len(DEPTHS))
        and bool((schedule.sum(1) == totals).all())
        and bool((schedule >= 0).all() and (schedule <= torch.tensor(DEPTHS)).all())
    )


class ResidualQuantization:
    """The quantizer; its setting is the total depth.

    Args:
        codebooks: those of the default model when not given, read when first needed.
    """

    name: str = "rq"
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
        """See ``Quantizer``."""
        return self.codebooks.id

    def reduce(self, pyramid: Pyramid, setting: int) -> Reduced:
        """See ``Quantizer``."""
        if setting not in self.allowed:
            raise ParameterError(
                f"The total depth is {setting}; it must be from 1 to {self.allowed[-1]}."
            )
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
    channels, height, width = band.shape
    squares = band.reshape(channels, height // block, block, width // block, block)
    return squares.permute(1, 3, 0, 2, 4).reshape(-1, channels * block**2)


def from_vectors(vectors: Tensor, shape: Sequence[int], block: int) -> Tensor:
    """The inverse of ``to_vectors``."""
    channels, height, width = shape
    squares = vectors.reshape(height // block, width // block, channels, block, block)
    return squares.permute(2, 0, 3, 1, 4).reshape(shape)


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
    if codes > 16:
        return indices.tobytes()
    padded = np.pad(indices, (0, indices.size % 2))
    return bytes((padded[::2] + 16 * padded[1::2]).astype(np.uint8))
