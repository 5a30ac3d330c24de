"""Quantized latents (integers) to bytes and back: one small interface, a coder id in every file.

The first coder prepares symbols for Brotli (Alakuijala et al. 2018; RFC 7932), which by itself
knows neither space nor scale. Each coefficient's magnitude is *expected* from coefficients that
the decoder already has, then written in unary, and each bit goes to the group of bits that are
about as likely to be one. docs/symbol-layout.md tells how, and what it saves.

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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import brotli
import numpy as np

from .errors import BitstreamError, ParameterError
from .limits import MAX_LEVELS

Bands = tuple[np.ndarray, ...]
Shapes = Sequence[tuple[int, int, int]]
Expectation = Callable[[np.ndarray, int], np.ndarray]
"""(magnitudes known so far of a plane, zero-padded (H + 2, W + 2); pass) to what to expect."""

UNIT = 1024
"""Expected magnitudes are integers in units of 1/UNIT quantization step."""

_GROUPS = 8
_UNARY = 20
"""Magnitudes from here on are escapes: a 16-bit number, lower byte first."""

_MAX_BITS_PER_BYTE = 4096
"""Coded bits per payload byte, at most: the encoder pads a rare, even sparser payload with zeros.

So a small hostile file can never make the decoder allocate, or work, much."""

_PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column (modulo 2) of each pass: the last two passes know all four nearest neighbours."""

_CLIP = 63
"""Magnitudes are clipped to this where they serve as context."""

_FLOOR = 2
_WEIGHTS = np.zeros((36, 13), np.int32)
_LL_WEIGHTS = np.zeros((4, 4), np.int32)
_THRESHOLDS = np.ones((4, 15), np.int32)


class EntropyCoder(Protocol):
    """What a coder of quantized latents offers."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    def encode(self, bands: Sequence[np.ndarray]) -> bytes:
        """Integer arrays (C, H, W), coarse to fine, to a payload that ``decode`` reads."""
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


# Contexts: which magnitude to expect where, from what the decoder already knows.


def _ring(plane: np.ndarray) -> np.ndarray:
    """Sum of the eight neighbours, zero outside; (H, W) to (H, W)."""
    rows = plane.copy()
    rows[:, 1:] += plane[:, :-1]
    rows[:, :-1] += plane[:, 1:]
    total = rows - plane
    total[1:] += rows[:-1]
    total[:-1] += rows[1:]
    return total


class _Contexts:
    """Magnitudes known so far, and the magnitude that they let expect at each coefficient."""

    def __init__(self) -> None:
        self.finer: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.coarser: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.coarser_channels = 0

    def next_band(self, channels: int) -> None:
        """What was the current band, of so many channels, becomes the parent."""
        self.coarser, self.finer = self.finer, {}
        self.coarser_channels = channels

    def learn(self, channel: int, magnitudes: np.ndarray) -> None:
        """Adds a plane that is known in full; (H, W) clipped int16. All-zero planes need not."""
        self.finer[channel] = magnitudes, _ring(magnitudes)

    def for_detail(self, channel: int, shape: tuple[int, int]) -> Expectation:
        """What to expect of a plane of details, from everything that is known."""
        references = self._references(channel, shape)
        rows = _WEIGHTS[4 * (channel % 9) :]
        return lambda padded, number: _expect_detail(references, rows[number], padded, number)

    def for_residual(self, channel: int, means: Sequence[int]) -> Expectation:
        """The same for a plane of the first band, whose 16 x mean magnitude is known."""
        previous = None
        if channel - 1 in self.finer:
            previous = sum(self.finer[channel - 1]), means[channel - 1]
        mean = means[channel]
        return lambda padded, number: _expect_residual(mean, previous, padded, number)

    def _references(self, channel: int, shape: tuple[int, int]) -> list[tuple[int, np.ndarray]]:
        """The (column of the weights, plane (H, W)) pairs that say something about a channel."""
        found = []
        parent = self.coarser.get(channel % self.coarser_channels)
        if parent is not None:
            rows, columns = (
                np.arange(n) * m // n for n, m in zip(shape, parent[0].shape, strict=True)
            )
            found += [(i, p.take(rows, 0).take(columns, 1)) for i, p in enumerate(parent)]
        orientation, colour = divmod(channel % 9, 3)
        distances = (1, 2)[:colour] + (3, 6)[:orientation]
        for column, distance in ((2, 1), (4, 2), (6, 3), (8, 6)):
            known = self.finer.get(channel - distance) if distance in distances else None
            if known is not None:
                found += [(column + i, plane) for i, plane in enumerate(known)]
        return found


def _pass_shape(shape: tuple[int, int], number: int) -> tuple[int, int]:
    y, x = _PASSES[number]
    return (shape[0] - y + 1) // 2, (shape[1] - x + 1) // 2


def _neighbours(padded: np.ndarray, number: int) -> list[np.ndarray]:
    """Sums of the left and right, upper and lower, and diagonal neighbours; still unknown = 0."""
    y, x = _PASSES[number]
    h, w = _pass_shape((padded.shape[0] - 2, padded.shape[1] - 2), number)

    def at(dy: int, dx: int) -> np.ndarray:
        top, left = 1 + y + dy, 1 + x + dx
        return padded[top : top + 2 * h - 1 : 2, left : left + 2 * w - 1 : 2]

    return [
        at(0, -1) + at(0, 1),
        at(-1, 0) + at(1, 0),
        at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1),
    ]


def _expect_detail(
    references: list[tuple[int, np.ndarray]], weights: np.ndarray, padded: np.ndarray, number: int
) -> np.ndarray:
    """Expected magnitudes (h, w) int32 of one pass over a plane of details, in 1/UNIT."""
    y, x = _PASSES[number]
    terms = [(weights[i], plane[y::2, x::2]) for i, plane in references]
    if number:
        terms += zip(weights[10:], _neighbours(padded, number), strict=True)
    shape = _pass_shape((padded.shape[0] - 2, padded.shape[1] - 2), number)
    total = np.full(shape, _FLOOR, np.int32)
    for weight, term in terms:
        if weight:
            total += np.multiply(term, weight, dtype=np.int32)
    return total


def _expect_residual(
    mean: int, previous: tuple[np.ndarray, int] | None, padded: np.ndarray, number: int
) -> np.ndarray:
    """The same for the MED residuals of an LL plane whose mean magnitude is ``mean`` / 16.

    ``previous``: sums over 3 x 3 of the channel before and its mean, where that is not zero.
    """
    y, x = _PASSES[number]
    own, other, nearest, diagonal = (int(w) for w in _LL_WEIGHTS[number])
    sides, ends, corners = _neighbours(padded, number)
    total = np.multiply(sides + ends, nearest, dtype=np.int32) + mean * own // 16
    total += np.multiply(corners, diagonal, dtype=np.int32)
    if previous is not None:
        plane, scale = previous
        total += plane[y::2, x::2].astype(np.int32) * (other * mean // scale)
    return total


def _med_residual(plane: np.ndarray) -> np.ndarray:
    """Median-edge prediction error (LOCO-I, Weinberger et al. 2000) of (H, W); zero outside."""
    padded = np.pad(plane, ((1, 0), (1, 0)))
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    return plane - _median_edge(left, above, corner)


def _median_edge(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    low, high = np.minimum(left, above), np.maximum(left, above)
    return np.clip(left + above - corner, low, high)


def _med_restore(residuals: np.ndarray) -> np.ndarray:
    """The inverse of ``_med_residual`` for all channels (C, H, W), one anti-diagonal at a time."""
    channels, height, width = residuals.shape
    if height > width:  # so that the skewed array is at most twice the picture
        return _med_restore(residuals.transpose(0, 2, 1)).transpose(0, 2, 1)
    skewed = np.zeros((height + width + 1, channels, height + 1), np.int32)  # [x + y + 2, c, y + 1]
    rows, columns = np.mgrid[:height, :width]
    skewed[rows + columns + 2, :, rows + 1] = residuals.transpose(1, 2, 0)
    for t in range(2, height + width + 1):
        first, last = max(1, t - width), min(height, t - 1)
        left, above = skewed[t - 1, :, first : last + 1], skewed[t - 1, :, first - 1 : last]
        corner = skewed[t - 2, :, first - 1 : last]
        skewed[t, :, first : last + 1] += _median_edge(left, above, corner)
    return np.ascontiguousarray(skewed[rows + columns + 2, :, rows + 1].transpose(2, 0, 1))


# Symbols: magnitudes to bits in groups of like probability, bits to bytes.


def _cell_tables() -> np.ndarray:
    """Cell of bit j at expected magnitude s: (4, 16384) uint8; above 7 a one is likelier."""
    expected = np.arange(16 * UNIT)
    return np.stack([np.searchsorted(t, expected, "right") for t in _THRESHOLDS]).astype(np.uint8)


_CELLS = _cell_tables()


def _sort_by_cell(expected: np.ndarray, j: int) -> tuple[np.ndarray, list[tuple[int, bool, int]]]:
    """An order of the coefficients, and its stretches (group, inverted?, length)."""
    cells = _CELLS[min(j, 3)][np.minimum(expected, 16 * UNIT - 1)]
    counts = np.bincount(cells, minlength=2 * _GROUPS).tolist()
    stretches = [
        (min(cell, 2 * _GROUPS - 1 - cell), cell >= _GROUPS, count)
        for cell, count in enumerate(counts)
        if count
    ]
    return np.argsort(cells, kind="stable"), stretches


def _pack(bits: np.ndarray, size: int) -> np.ndarray:
    """Bits to numbers of ``size`` bits, lowest first, zeros at the end."""
    padded = np.zeros((-(-bits.size // size), size), np.uint8)
    padded.reshape(-1)[: bits.size] = bits
    return np.packbits(padded, axis=1, bitorder="little")[:, 0]


def _unpack(numbers: np.ndarray, size: int, count: int) -> np.ndarray:
    """The inverse of ``_pack``: ``count`` bits as uint8."""
    bits = np.unpackbits(numbers[:, None], axis=1, count=size, bitorder="little")
    return bits.reshape(-1)[:count]


def _code_bytes(bits: np.ndarray) -> tuple[int, bytes]:
    """One group's bits to (packing, bytes for Brotli).

    While most quartets are zero, a bit for each says whether it is, and only the others are kept:
    a Huffman code cannot spend less than a bit on a symbol. What remains goes n bits to a byte,
    with the n that costs least by its entropy and an estimate of its code table.
    """
    kept, depth = [], 0
    while bits.size > 16 and 5 * np.count_nonzero(bits) < bits.size:
        quartets = _pack(bits, 4)
        bits = quartets > 0
        kept.append(quartets[bits] - 1)
        depth += 1
    candidates = [_pack(bits, size) for size in range(1, 9)]
    costs = [_estimated_bits(numbers) for numbers in candidates]
    best = int(np.argmin(costs))
    return 8 * depth + best, b"".join(a.tobytes() for a in (candidates[best], *reversed(kept)))


def _estimated_bits(numbers: np.ndarray) -> float:
    counts = np.bincount(numbers, minlength=1)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / max(numbers.size, 1))).sum() + 3 * counts.size)


def _decode_bytes(count: int, packing: int, source: _Source) -> np.ndarray:
    """The inverse of ``_code_bytes``: ``count`` bits as uint8."""
    depth, size = packing // 8, packing % 8 + 1
    sizes = [count]
    for _ in range(depth):
        sizes.append(-(-sizes[-1] // 4))
    bits = _unpack(source.take(-(-sizes[-1] // size)), size, sizes[-1])
    for count in reversed(sizes[:-1]):
        quartets = np.zeros(bits.size, np.uint8)
        quartets[bits > 0] = source.take(int(np.count_nonzero(bits))) + 1
        bits = _unpack(quartets, 4, count)
    return bits


class _Writer:
    """Collects the symbols of one image, in the order in which ``_Reader`` asks for them."""

    def __init__(self) -> None:
        self.groups: list[list[np.ndarray]] = [[] for _ in range(_GROUPS)]
        self.escapes: list[np.ndarray] = []
        self.signs: list[np.ndarray] = []

    def code(self, expected: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Writes integers (n,) whose magnitudes ``expected`` (n,) foretells; returns them."""
        magnitudes = np.abs(values)
        self.signs.append(values[magnitudes > 0] < 0)
        for j in range(_UNARY):
            if not magnitudes.size:
                break
            order, stretches = _sort_by_cell(expected, j)
            more = magnitudes > j
            ordered, start = more[order], 0
            for group, inverted, count in stretches:
                self.groups[group].append(ordered[start : start + count] ^ inverted)
                start += count
            magnitudes, expected = magnitudes[more], expected[more]
        self.escapes.append(magnitudes - _UNARY)
        return values

    def payload(self, head: bytes) -> bytes:
        """All of it, after ``head``."""
        groups = [np.concatenate([np.zeros(0, bool), *group]) for group in self.groups]
        coded = [_code_bytes(group) for group in groups]
        escapes = np.concatenate(self.escapes).astype("<u2")
        symbols = b"".join(data for _, data in coded) + escapes.tobytes()
        stream = brotli.compress(symbols, quality=11) if symbols else b""
        for group, (packing, _) in zip(groups, coded, strict=True):
            head += _varint(group.size) + (_varint(packing) if group.size else b"")
        head += _varint(escapes.size) + _varint(len(stream))
        payload = head + stream + np.packbits(np.concatenate(self.signs)).tobytes()
        least = -(-sum(group.size for group in groups) // _MAX_BITS_PER_BYTE)
        return payload.ljust(least, b"\0")


class _Source:
    """Bytes read from the front; asking for more than there are is a BitstreamError."""

    def __init__(self, data: bytes) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.position = 0

    def take(self, count: int) -> np.ndarray:
        if count > self.data.size - self.position:
            raise _damaged(f"{count} bytes are wanted at {self.position} of {self.data.size}")
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = int(self.take(1)[0])
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise _damaged("a number in it has more than 35 bits")


class _Reader:
    """Gives back the symbols of one image, in the order in which they were written."""

    def __init__(self, source: _Source, coefficients: int) -> None:
        heads = []
        for _ in range(_GROUPS):
            count = source.varint()
            heads.append((count, source.varint() if count else 0))
        escapes, bits = source.varint(), sum(count for count, _ in heads)
        most = min(_MAX_BITS_PER_BYTE * source.data.size, _UNARY * coefficients)
        if not coefficients <= bits <= most or escapes * _UNARY > bits:
            raise _damaged(f"{bits} bits and {escapes} escapes cannot be {coefficients} integers")
        if max(packing for _, packing in heads) >= 8 * 16:
            raise _damaged("its bits are packed in an unknown way")
        stream = source.take(source.varint()).tobytes()
        symbols = _Source(_decompress(stream, 2 * bits + 128 + 2 * escapes) if stream else b"")
        self.groups = [_decode_bytes(count, packing, symbols) for count, packing in heads]
        self.escapes = symbols.take(2 * escapes).view("<u2")
        if symbols.position != symbols.data.size:
            raise _damaged("its Brotli stream holds more symbols than are announced")
        self.signs, self.bits = source.take(source.data.size - source.position), bits
        self.used = [0] * (_GROUPS + 2)
        self.priced = list(self.used)

    def _next(self, index: int, count: int, available: int) -> slice:
        start = self.used[index]
        if start + count > available:
            raise _damaged("it ends before all its coefficients are known")
        self.used[index] = start + count
        return slice(start, start + count)

    def code(self, expected: np.ndarray, values: None = None) -> np.ndarray:
        """The integers (n,) whose magnitudes ``expected`` (n,) foretells."""
        magnitudes = np.zeros(expected.size, np.int32)
        active = np.arange(expected.size)
        for j in range(_UNARY):
            if not active.size:
                break
            order, stretches = _sort_by_cell(expected[active], j)
            more = np.empty(active.size, bool)
            more[order] = np.concatenate(
                [self.groups[g][self._next(g, n, self.groups[g].size)] ^ i for g, i, n in stretches]
            )
            active = active[more]
            magnitudes[active] += 1
        magnitudes[active] += self.escapes[self._next(-2, active.size, self.escapes.size)]
        nonzero = np.flatnonzero(magnitudes)
        signs = self._next(-1, nonzero.size, 8 * self.signs.size)
        first = signs.start // 8
        bits = np.unpackbits(self.signs[first : -(-signs.stop // 8)])[signs.start - 8 * first :]
        magnitudes[nonzero[bits[: nonzero.size] > 0]] *= -1
        return magnitudes

    def bits_since_last_call(self) -> float:
        """Bits of what was read since: ideal code lengths by each group's frequency of ones."""
        total = float(self.used[-1] - self.priced[-1] + 16 * (self.used[-2] - self.priced[-2]))
        for group, start, stop in zip(self.groups, self.priced, self.used[:_GROUPS], strict=False):
            count, ones = stop - start, np.count_nonzero(group[start:stop])
            if count:
                p = min(max(np.count_nonzero(group) / group.size, 1e-6), 1 - 1e-6)
                total -= ones * np.log2(p) + (count - ones) * np.log2(1 - p)
        self.priced = list(self.used)
        return total

    def finish(self) -> None:
        """Raises BitstreamError when symbols are left over."""
        sizes = [*(group.size for group in self.groups), self.escapes.size]
        rest = self.signs[-(-self.used[-1] // 8) :]
        if self.used[:-1] != sizes or rest.any():
            raise _damaged("symbols are left over after its last coefficient")


def _damaged(why: str) -> BitstreamError:
    return BitstreamError(f"The file's payload is not valid: {why}.")


def _varint(value: int) -> bytes:
    """Unsigned LEB128."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _decompress(stream: bytes, limit: int) -> bytes:
    """Brotli, but never much more than ``limit`` bytes are made."""
    decoder = brotli.Decompressor()
    try:
        data = decoder.process(stream, output_buffer_limit=limit + 1)
    except brotli.error as error:
        raise _damaged("its Brotli stream cannot be read") from error
    if len(data) > limit or not decoder.is_finished():
        raise _damaged(f"its Brotli stream is cut short or is longer than {limit} bytes")
    return data


# The coder: every plane, coarse to fine, in four passes.


def _code_bands(
    io: _Writer | _Reader, shapes: Shapes, scales: list[list[int]], bands: Sequence[np.ndarray]
) -> Iterator[np.ndarray]:
    """Writes ``bands`` (the first as MED residuals), or reads where there are none; yields each.

    ``scales``: per band and channel, 0 where the plane is all zero; the first band's also say
    how large its residuals are (16 x mean magnitude).
    """
    contexts = _Contexts()
    for index, (shape, scale) in enumerate(zip(shapes, scales, strict=True)):
        band = np.zeros(shape, np.int32)
        for channel in (c for c in range(shape[0]) if scale[c]):
            if index:
                expect = contexts.for_detail(channel, shape[1:])
            else:
                expect = contexts.for_residual(channel, scale)
            _code_plane(io, expect, bands[index][channel] if bands else None, band[channel])
            contexts.learn(channel, np.minimum(np.abs(band[channel]), _CLIP).astype(np.int16))
        yield band
        contexts.next_band(shape[0])


def _code_plane(
    io: _Writer | _Reader, expect: Expectation, values: np.ndarray | None, plane: np.ndarray
) -> None:
    """Fills ``plane`` (H, W) pass by pass with what ``io`` writes or reads."""
    padded = np.zeros((plane.shape[0] + 2, plane.shape[1] + 2), np.int16)
    for number, (y, x) in enumerate(_PASSES):
        target = plane[y::2, x::2]
        if target.size:
            expected = expect(padded, number).ravel()
            given = None if values is None else values[y::2, x::2].ravel()
            target[:] = io.code(expected, given).reshape(target.shape)
            padded[1 + y : -1 : 2, 1 + x : -1 : 2] = np.minimum(np.abs(target), _CLIP)


@dataclass(frozen=True)
class BrotliCoder:
    """Context-grouped bits through Brotli."""

    id: int = 1
    name: str = "brotli"

    def encode(self, bands: Sequence[np.ndarray]) -> bytes:
        """See ``EntropyCoder``; ParameterError for magnitudes above MAX_LEVELS."""
        if max(max(int(b.max()), -int(b.min())) for b in bands) > MAX_LEVELS:
            raise ParameterError(f"Quantized latents must lie within +-{MAX_LEVELS}.")
        first = np.stack([_med_residual(plane) for plane in bands[0].astype(np.int32)])
        planes = (first, *bands[1:])
        sums = np.abs(first).sum((1, 2), dtype=np.int64)
        means = (-(-16 * sums // first[0].size)).tolist()
        scales = [means, *([int(plane.any()) for plane in band] for band in bands[1:])]
        flags = np.packbits([s > 0 for scale in scales for s in scale])
        head = flags.tobytes() + b"".join(_varint(mean) for mean in means if mean)
        if not flags.any():
            return head
        writer = _Writer()
        for _ in _code_bands(writer, [band.shape for band in bands], scales, planes):
            pass
        return writer.payload(head)

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> Bands:
        """See ``EntropyCoder``."""
        low, high = integer_range(levels)
        residuals, *details = (band for band, _ in _read_bands(payload, shapes))
        bands = (_med_restore(residuals), *details)
        for band in bands:
            if band.min() < low or band.max() > high:
                raise _damaged(
                    f"integers from {band.min()} to {band.max()} where {low} to {high} are allowed"
                )
        return bands

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]:
        """See ``EntropyCoder``. The groups mix bands, so a band's share is that of the ideal
        code lengths of its bits, each with its group's frequency of ones, and of its signs."""
        costs = [cost for _, cost in _read_bands(payload, shapes)]
        total = sum(costs) or 1.0
        return tuple(len(payload) * cost / total for cost in costs)


def _read_bands(payload: bytes, shapes: Shapes) -> Iterator[tuple[np.ndarray, float]]:
    """Yields every band (the first as MED residuals) and its bits by ideal code lengths."""
    source = _Source(payload)
    planes = sum(shape[0] for shape in shapes)
    flags = iter(np.unpackbits(source.take(-(-planes // 8))).tolist())
    scales = [[next(flags) for _ in range(shape[0])] for shape in shapes]
    scales[0] = [source.varint() if scale else 0 for scale in scales[0]]
    if not any(any(scale) for scale in scales):
        if source.position != source.data.size:
            raise _damaged("symbols are left over after its last coefficient")
        yield from ((np.zeros(shape, np.int32), 0.0) for shape in shapes)
        return
    if not 0 < max(scales[0], default=1) < 16 * 65536 and any(scales[0]):
        raise _damaged("a mean is out of range")
    coefficients = sum(h * w * sum(map(bool, s)) for (_, h, w), s in zip(shapes, scales, strict=True))
    reader = _Reader(source, coefficients)
    for band in _code_bands(reader, shapes, scales, ()):
        yield band, reader.bits_since_last_call()
    reader.finish()


_CODERS: tuple[EntropyCoder, ...] = (BrotliCoder(),)


def coder_by_id(identifier: int) -> EntropyCoder:
    """The coder that a file names; BitstreamError when this program does not know it."""
    for coder in _CODERS:
        if coder.id == identifier:
            return coder
    raise BitstreamError(f"The file needs entropy coder {identifier}, which is unknown here.")


def coder_by_name(name: str) -> EntropyCoder:
    """The coder of this name; ParameterError, naming those there are, when there is none."""
    for coder in _CODERS:
        if coder.name == name:
            return coder
    names = ", ".join(coder.name for coder in _CODERS)
    raise ParameterError(f"There is no entropy coder named {name!r}; there is: {names}.")
