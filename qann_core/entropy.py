"""Quantized latents to bytes and back: one small interface, a coder id in every file. (INTERIM)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import brotli
import numpy as np

from .errors import BitstreamError, ParameterError

Shapes = Sequence[tuple[int, int, int]]


class EntropyCoder(Protocol):
    """What a coder of quantized latents offers."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    def encode(self, bands: Sequence[np.ndarray]) -> bytes: ...

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[np.ndarray, ...]: ...

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class BrotliCoder:
    id: int = 1
    name: str = "brotli"

    def encode(self, bands: Sequence[np.ndarray]) -> bytes:
        flat = np.concatenate([band.ravel() for band in bands]).astype("<i2")
        raw = flat.view(np.uint8).reshape(-1, 2).T.tobytes()
        return brotli.compress(raw, quality=5)

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[np.ndarray, ...]:
        count = sum(c * h * w for c, h, w in shapes)
        try:
            raw = brotli.decompress(payload)
        except brotli.error as error:
            raise BitstreamError("The payload is damaged.") from error
        if len(raw) != 2 * count:
            raise BitstreamError("The payload has the wrong length.")
        flat = np.frombuffer(raw, np.uint8).reshape(2, -1).T.copy().view("<i2").ravel()
        bands, start = [], 0
        for shape in shapes:
            stop = start + int(np.prod(shape))
            bands.append(flat[start:stop].reshape(shape).astype(np.int32))
            start = stop
        return tuple(bands)

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]:
        total = sum(c * h * w for c, h, w in shapes)
        return tuple(len(payload) * c * h * w / total for c, h, w in shapes)


CODERS: tuple[EntropyCoder, ...] = (BrotliCoder(),)


def integer_range(levels: int) -> tuple[int, int]:
    """Smallest and largest integer that N levels allow (``quantization.levels_range``)."""
    return -(levels // 2), levels - 1 - levels // 2


def coder_by_id(identifier: int) -> EntropyCoder:
    for coder in CODERS:
        if coder.id == identifier:
            return coder
    raise BitstreamError(f"The file needs entropy coder {identifier}, which is unknown here.")


def coder_by_name(name: str) -> EntropyCoder:
    for coder in CODERS:
        if coder.name == name:
            return coder
    raise ParameterError(f"There is no entropy coder named {name!r}.")
