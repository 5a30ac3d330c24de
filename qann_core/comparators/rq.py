"""Residual quantization: vectors of latents as sums of codes, each depth refining the last.

After Lee et al. 2022, "Autoregressive image generation using residual quantization", the quantizer
of RQ-VAE. The channels of a position (of 2 x 2 positions in the finer bands) are one vector; the
nearest code of the first codebook is taken, then the nearest to what remains, and so on. A setting
is a total depth; the codebooks say how it is shared out among the bands. docs/comparators.md tells
what was kept and what was changed.

    band ─► vectors r0 ─► nearest code k1 ─► r1 = r0 - e(k1) ─► nearest code k2 ─► ...
                              │                                     │
    payload ◄─ Brotli ◄─ bytes of all k1, then of all k2, ...  ◄────┘

Payload: codebooks' id (4 bytes), length of the Brotli stream (LEB128), the stream, zeros where it
would be shorter than _MAX_CODES_PER_BYTE allows. In the stream, every band and depth in turn: an
index a byte, or two where there are 16 codes at the most.
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

from ..codec import Latents
from ..coding.symbols import Source, damaged, decompress, varint
from ..errors import ModelError, ParameterError
from ..models import models_folder
from ..shapes import pyramid_shapes
from . import container
from .interface import ReducedLatents

NAME = "rq"
CODEBOOKS_FILE = "codebooks.safetensors"

BLOCKS = (1, 1, 2, 2, 2)
"""Side, in positions, of the square that one vector covers in each band, coarse to fine."""

CODES = (256, 64, 64, 16, 16)
"""Codes in each codebook of each band."""

DEPTHS = (4, 6, 8, 8, 8)
"""Codebooks of each band, one a depth."""

_MAX_CODES_PER_BYTE = 1024
"""So that a small hostile file can never make the decoder allocate, or work, much."""


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
    """The comparator; its setting is the total depth.

    Args:
        codebooks: those of the default model when not given, read when first needed.
    """

    name: str = NAME
    label: str = "RQ, residual codes"
    settings: tuple[int, ...] = (4, 8, 12, 16, 20, 24, 28, 32)
    allowed: Sequence[int] = range(1, sum(DEPTHS) + 1)

    def __init__(self, codebooks: Codebooks | None = None) -> None:
        self._given = codebooks

    @cached_property
    def codebooks(self) -> Codebooks:
        """The codebooks in use."""
        return self._given or Codebooks.load(models_folder() / "psnr" / "rq")

    def pack(self, latents: Latents, setting: int, model_id: str) -> bytes:
        """See ``Comparator``."""
        if setting not in self.allowed:
            raise ParameterError(
                f"The total depth is {setting}; it must be from 1 to {self.allowed[-1]}."
            )
        planes = []
        for band, book, block, depth in self._by_band(latents.pyramid, setting):
            for indices in quantize(to_vectors(band[0], block), book[:depth]):
                planes.append(_to_bytes(indices.numpy().astype(np.uint8), len(book[0])))
        stream = brotli.compress(b"".join(planes), quality=11)
        payload = bytes.fromhex(self.codebooks.id) + varint(len(stream)) + stream
        codes = sum(self._codes(latents.height, latents.width, setting))
        payload = payload.ljust(-(-codes // _MAX_CODES_PER_BYTE), b"\0")
        header = container.Header(setting, latents.width, latents.height, model_id)
        return container.pack(NAME, header, payload)

    def unpack(self, data: bytes) -> ReducedLatents:
        """See ``Comparator``; ModelError when other codebooks made the file."""
        header, payload = container.unpack(NAME, data)
        if header.setting not in self.allowed:
            raise damaged(f"its total depth is {header.setting}")
        source = Source(payload)
        identifier = source.take(4).tobytes().hex()
        if identifier != self.codebooks.id:
            raise ModelError(
                f"The file was made with RQ codebooks {identifier}; installed are "
                f"{self.codebooks.id}."
            )
        shapes = pyramid_shapes(header.height, header.width)
        counts = self._codes(header.height, header.width, header.setting)
        if sum(counts) > _MAX_CODES_PER_BYTE * len(payload):
            raise damaged(f"{len(payload)} bytes cannot be {sum(counts)} codes")
        stream = source.take(source.varint()).tobytes()
        if source.take(source.data.size - source.position).any():
            raise damaged("something follows its Brotli stream")
        most = sum(counts) + sum(DEPTHS)
        symbols = Source(decompress(stream, most))
        pyramid = []
        for shape, book, block, depth in self._by_band(shapes, header.setting):
            count, codes = shape[1] * shape[2] // block**2, book.shape[1]
            vectors = torch.zeros(count, book.shape[2])
            for level in book[:depth]:
                vectors += level[torch.from_numpy(_from_bytes(symbols, count, codes))]
            pyramid.append(from_vectors(vectors, shape, block)[None])
        if symbols.position != symbols.data.size:
            raise damaged("codes are left over after its last band")
        return ReducedLatents(
            tuple(pyramid), header.height, header.width, header.setting, header.model_id
        )

    def _by_band(self, bands: Sequence, setting: int) -> zip:
        """Each band with its codebooks, its vectors' side and its depth at this setting."""
        depths = self.codebooks.schedule[setting - 1].tolist()
        return zip(bands, self.codebooks.books, BLOCKS, depths, strict=True)

    def _codes(self, height: int, width: int, setting: int) -> list[int]:
        """How many codes each band has."""
        shapes = pyramid_shapes(height, width)
        return [
            depth * h * w // block**2
            for (_, h, w), _, block, depth in self._by_band(shapes, setting)
        ]


def to_vectors(band: Tensor, block: int) -> Tensor:
    """A band (C, h, w) as vectors (n, C * block * block), a row for each square of positions."""
    channels, height, width = band.shape
    squares = band.reshape(channels, height // block, block, width // block, block)
    return squares.permute(1, 3, 0, 2, 4).reshape(-1, channels * block**2)


def from_vectors(vectors: Tensor, shape: tuple[int, int, int], block: int) -> Tensor:
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
    return torch.cat([(offsets - part @ codes.T).argmin(1) for part in vectors.split(1 << 16)])


def _to_bytes(indices: np.ndarray, codes: int) -> bytes:
    if codes > 16:
        return indices.tobytes()
    padded = np.pad(indices, (0, indices.size % 2))
    return (padded[::2] + 16 * padded[1::2]).astype(np.uint8).tobytes()


def _from_bytes(source: Source, count: int, codes: int) -> np.ndarray:
    """The inverse of ``_to_bytes``: ``count`` indices as int64, each below ``codes``."""
    if codes > 16:
        indices = source.take(count)
    else:
        pairs = source.take(-(-count // 2))
        indices = np.stack((pairs & 15, pairs >> 4), 1).ravel()[:count]
    if indices.max(initial=0) >= codes:
        raise damaged(f"code {indices.max()} of {codes}")
    return indices.astype(np.int64)
