"""Entropy coder 1: symbols for Brotli (Alakuijala et al. 2018; RFC 7932).

Brotli by itself models neither space nor scale. So each coefficient's magnitude is *expected* from
coefficients that the decoder already has, then written in unary, and each bit goes to the group of
bits that are about as likely to be one. docs/format.md describes it.

    bands ─► LL: MED residuals ─► planes ─► four passes ─► magnitude s expected from what is known
                                                             │
             magnitude m ─► bits "m > 0?", "m > 1?" ... ─► eight groups by P(bit = 1 | s)
                                                             │
             signs ─► raw bits              groups ─► packed into bytes ─► Brotli ─► payload

Payload: plane flags (one bit a plane: 0 = all zero), the mean residual of each plane of the first
band that is not zero, then per group its number of bits and its packing, the number of escapes and
the length of the Brotli stream (all LEB128 varints), the Brotli stream, the signs.

Where the latents are one band, of another VAE, a bit a channel comes first: whether the median edge
predicts it. A wavelet's LL band always is.

All that decides how a file is read is integer arithmetic: the result is the same everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..common.errors import ParameterError
from ..common.limits import MAX_LEVELS
from ..common.shapes import integer_range
from .contexts import Contexts, code_plane
from .interface import Bands, Shapes
from .prediction import med_residual, med_restore
from .symbols import Reader, Source, Writer, damaged, varint


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
        for channel, plane in enumerate(band):
            if scale[channel]:
                expect = (
                    contexts.for_detail(channel, shape[1:]) if index
                    else contexts.for_residual(channel, scale)
                )  # fmt: skip
                code_plane(io.code, expect, bands[index][channel] if bands else None, plane)
                contexts.learn(channel, plane)
            yield index, channel, band
        contexts.next_band(shape[0])


@dataclass(frozen=True)
class BrotliCoder:
    """Context-grouped bits through Brotli."""

    id: int = 1
    name: str = "brotli"

    def encode(self, bands: Sequence[np.ndarray], levels: int) -> bytes:
        """See ``EntropyCoder``; ParameterError for magnitudes above MAX_LEVELS."""
        if max(max(int(b.max()), -int(b.min())) for b in bands) > MAX_LEVELS:
            raise ParameterError(f"Quantized latents must lie within +-{MAX_LEVELS}.")
        own = bands[0].astype(np.int32)
        first = np.stack([med_residual(plane) for plane in own])
        head = b""
        if len(bands) == 1:
            predicted = np.abs(first).sum((1, 2)) < np.abs(own).sum((1, 2))
            first = np.where(predicted[:, None, None], first, own)
            head = np.packbits(predicted).tobytes()
        planes = (first, *bands[1:])
        sums = np.abs(first).sum((1, 2), dtype=np.int64)
        means = (-(-16 * sums // first[0].size)).tolist()
        scales = [means, *([int(plane.any()) for plane in band] for band in bands[1:])]
        flags = np.packbits([s > 0 for scale in scales for s in scale])
        head += flags.tobytes() + b"".join(varint(mean) for mean in means if mean)
        if not flags.any():
            return head
        writer = Writer()
        for _ in _code_bands(writer, [band.shape for band in bands], scales, planes):
            pass
        return writer.payload(head)

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> Bands:
        """See ``EntropyCoder``."""
        low, high = integer_range(levels)
        (first, *details), predicted, _ = _read_bands(payload, shapes, levels)
        first[predicted] = med_restore(first[predicted])
        bands = (first, *details)
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

    def bytes_by_plane(
        self, payload: bytes, shapes: Shapes, levels: int = MAX_LEVELS
    ) -> tuple[tuple[float, ...], ...]:
        """The same for each channel of each array."""
        *_, bits = _read_bands(payload, shapes, levels)
        total = sum(map(sum, bits)) or 1.0
        return tuple(tuple(len(payload) * cost / total for cost in planes) for planes in bits)


def _read_bands(
    payload: bytes, shapes: Shapes, levels: int
) -> tuple[Bands, np.ndarray, list[list[float]]]:
    """All bands, which channels of the first are MED residuals, and every plane's bits by ideal
    code lengths."""
    source, channels = Source(payload), shapes[0][0]
    predicted = np.ones(channels, bool)
    if len(shapes) == 1:
        predicted = np.unpackbits(source.take(-(-channels // 8)), count=channels).astype(bool)
    planes = sum(shape[0] for shape in shapes)
    flags = iter(np.unpackbits(source.take(-(-planes // 8))).tolist())
    scales = [[next(flags) for _ in range(shape[0])] for shape in shapes]
    scales[0] = [_mean(source, levels) if scale else 0 for scale in scales[0]]
    bits: list[list[float]] = [[0.0] * shape[0] for shape in shapes]
    if not any(any(scale) for scale in scales):
        if source.position != source.data.size:
            raise damaged("symbols are left over after its last coefficient")
        return tuple(np.zeros(shape, np.int32) for shape in shapes), predicted, bits
    coefficients = sum(
        h * w * sum(map(bool, s)) for (_, h, w), s in zip(shapes, scales, strict=True)
    )
    reader = Reader(source, coefficients)
    bands: list[np.ndarray] = []
    for index, channel, band in _code_bands(reader, shapes, scales, ()):
        if np.abs(band[channel]).max() >= levels:
            raise damaged(f"an integer or a residual of {levels} or more, which N rules out")
        if channel == 0:
            bands.append(band)
        bits[index][channel] = reader.bits_since_last_call()
    reader.finish()
    return tuple(bands), predicted, bits


def _mean(source: Source, levels: int) -> int:
    """16 x the mean magnitude of a plane of residuals, which is less than N."""
    mean = source.varint()
    if not 0 < mean < 16 * levels:
        raise damaged(f"a mean of {mean} / 16 is out of range")
    return mean
