"""Quantized latents (integers) to bytes and back: one small interface, a coder id in every file.

Coder 2, the learned prior, lies in ``prior_coder``. Coder 1, here, prepares symbols for Brotli
(Alakuijala et al. 2018; RFC 7932), which by itself knows neither space nor scale. Each
coefficient's magnitude is *expected* from coefficients that the decoder already has, then written
in unary, and each bit goes to the group of bits that are about as likely to be one.
docs/format.md tells how.

    bands ─► LL: MED residuals ─► planes ─► four passes ─► magnitude s expected from what is known
                                                             │
             magnitude m ─► bits "m > 0?", "m > 1?" ... ─► eight groups by P(bit = 1 | s)
                                                             │
             signs ─► raw bits              groups ─► packed into bytes ─► Brotli ─► payload

Payload: plane flags (one bit a plane: 0 = all zero), the mean residual of each LL plane that is
not zero, then per group its number of bits and its packing, the number of escapes and the length
of the Brotli stream (all LEB128 varints), the Brotli stream, the signs.

All that decides how a file is read is integer arithmetic: the result is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .contexts import CLIP, PASSES, Contexts, Expectation
from .errors import BitstreamError, ParameterError
from .limits import MAX_LEVELS
from .prediction import med_residual, med_restore
from .symbols import Reader, Source, Writer, damaged, varint

if TYPE_CHECKING:
    from .prior_weights import Prior

Bands = tuple[np.ndarray, ...]
Shapes = Sequence[tuple[int, int, int]]


class EntropyCoder(Protocol):
    """What a coder of quantized latents offers."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    def encode(self, bands: Sequence[np.ndarray], levels: int) -> bytes:
        """Integer arrays (C, H, W), coarse to fine, of N = ``levels`` to what ``decode`` reads."""
        ...

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> Bands:
        """The int32 arrays again; BitstreamError when the payload does not hold such arrays."""
        ...

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]:
        """What each array costs, in bytes; the sum is the payload's length."""
        ...


def integer_range(levels: int) -> tuple[int, int]:
    """Smallest and largest integer that N levels allow, as ``quantization.levels_range``."""
    return -(levels // 2), levels - 1 - levels // 2


def _code_bands(
    io: Writer | Reader, shapes: Shapes, scales: list[list[int]], bands: Sequence[np.ndarray]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Writes ``bands`` (the first as MED residuals), or reads where there are none.

    Yields, after each plane, its band's number, its channel and the band (C, H, W) so far.

    ``scales``: per band and channel, 0 where the plane is all zero; the first band's also say
    how large its residuals are (16 x mean magnitude).
    """
    contexts = Contexts()
    for index, (shape, scale) in enumerate(zip(shapes, scales, strict=True)):
        band = np.zeros(shape, np.int32)
        for channel in range(shape[0]):
            if scale[channel]:
                if index:
                    expect = contexts.for_detail(channel, shape[1:])
                else:
                    expect = contexts.for_residual(channel, scale)
                code_plane(io, expect, bands[index][channel] if bands else None, band[channel])
                contexts.learn(channel, np.minimum(np.abs(band[channel]), CLIP).astype(np.int16))
            yield index, channel, band
        contexts.next_band(shape[0])


def code_plane(
    io: Writer | Reader, expect: Expectation, values: np.ndarray | None, plane: np.ndarray
) -> None:
    """Fills ``plane`` (H, W) pass by pass with what ``io`` writes or reads."""
    padded = np.zeros((plane.shape[0] + 2, plane.shape[1] + 2), np.int16)
    for number, (y, x) in enumerate(PASSES):
        target = plane[y::2, x::2]
        if target.size:
            expected = expect(padded, number).ravel()
            given = None if values is None else values[y::2, x::2].ravel()
            target[:] = io.code(expected, given).reshape(target.shape)
            padded[1 + y : -1 : 2, 1 + x : -1 : 2] = np.minimum(np.abs(target), CLIP)


@dataclass(frozen=True)
class BrotliCoder:
    """Context-grouped bits through Brotli."""

    id: int = 1
    name: str = "brotli"

    def encode(self, bands: Sequence[np.ndarray], levels: int) -> bytes:
        """See ``EntropyCoder``; ParameterError for magnitudes above MAX_LEVELS."""
        if max(max(int(b.max()), -int(b.min())) for b in bands) > MAX_LEVELS:
            raise ParameterError(f"Quantized latents must lie within +-{MAX_LEVELS}.")
        first = np.stack([med_residual(plane) for plane in bands[0].astype(np.int32)])
        planes = (first, *bands[1:])
        sums = np.abs(first).sum((1, 2), dtype=np.int64)
        means = (-(-16 * sums // first[0].size)).tolist()
        scales = [means, *([int(plane.any()) for plane in band] for band in bands[1:])]
        flags = np.packbits([s > 0 for scale in scales for s in scale])
        head = flags.tobytes() + b"".join(varint(mean) for mean in means if mean)
        if not flags.any():
            return head
        writer = Writer()
        for _ in _code_bands(writer, [band.shape for band in bands], scales, planes):
            pass
        return writer.payload(head)

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> Bands:
        """See ``EntropyCoder``."""
        low, high = integer_range(levels)
        (residuals, *details), _ = _read_bands(payload, shapes)
        bands = (med_restore(residuals), *details)
        for band in bands:
            if band.min() < low or band.max() > high:
                raise damaged(
                    f"integers from {band.min()} to {band.max()} where {low} to {high} are allowed"
                )
        return bands

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]:
        """See ``EntropyCoder``. The groups mix bands, so a band's share is that of the ideal
        code lengths of its bits, each with its group's frequency of ones, and of its signs."""
        return tuple(sum(planes) for planes in self.bytes_by_plane(payload, shapes))

    def bytes_by_plane(self, payload: bytes, shapes: Shapes) -> tuple[tuple[float, ...], ...]:
        """The same for each channel of each array."""
        _, bits = _read_bands(payload, shapes)
        total = sum(map(sum, bits)) or 1.0
        return tuple(tuple(len(payload) * cost / total for cost in planes) for planes in bits)


def _read_bands(payload: bytes, shapes: Shapes) -> tuple[Bands, list[list[float]]]:
    """All bands (the first as MED residuals), and every plane's bits by ideal code lengths."""
    source = Source(payload)
    planes = sum(shape[0] for shape in shapes)
    flags = iter(np.unpackbits(source.take(-(-planes // 8))).tolist())
    scales = [[next(flags) for _ in range(shape[0])] for shape in shapes]
    scales[0] = [source.varint() if scale else 0 for scale in scales[0]]
    bits: list[list[float]] = [[0.0] * shape[0] for shape in shapes]
    if not any(any(scale) for scale in scales):
        if source.position != source.data.size:
            raise damaged("symbols are left over after its last coefficient")
        return tuple(np.zeros(shape, np.int32) for shape in shapes), bits
    if not 0 < max(scales[0], default=1) < 16 * 65536 and any(scales[0]):
        raise damaged("a mean is out of range")
    coefficients = sum(
        h * w * sum(map(bool, s)) for (_, h, w), s in zip(shapes, scales, strict=True)
    )
    reader = Reader(source, coefficients)
    bands: list[np.ndarray] = []
    for index, channel, band in _code_bands(reader, shapes, scales, ()):
        if channel == 0:
            bands.append(band)
        bits[index][channel] = reader.bits_since_last_call()
    reader.finish()
    return tuple(bands), bits


CODER_NAMES = {1: "brotli", 2: "prior", 3: "brotli-tensor"}
"""Every entropy coder's id in the file, and its name."""


def coder_name(identifier: int) -> str:
    """The name of the coder that a file names; BitstreamError when it is unknown here."""
    if identifier not in CODER_NAMES:
        raise BitstreamError(f"The file needs entropy coder {identifier}, which is unknown here.")
    return CODER_NAMES[identifier]


def coder_by_name(name: str, prior: Prior | None = None) -> EntropyCoder:
    """The coder of this name; ParameterError, naming those there are, when there is none.

    Args:
        prior: what the prior coder is to encode with. Without it, it decodes only, with the
            bundled prior that a file names.
    """
    if name == "brotli":
        return BrotliCoder()
    if name == "prior":
        from .prior_coder import PriorCoder  # torch comes with it

        return PriorCoder(prior)
    names = ", ".join(CODER_NAMES.values())
    raise ParameterError(f"There is no entropy coder named {name!r}; there are: {names}.")


def coder_by_id(identifier: int, prior: Prior | None = None) -> EntropyCoder:
    """The coder that a file names; BitstreamError when this program does not know it."""
    return coder_by_name(coder_name(identifier), prior)
