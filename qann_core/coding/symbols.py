"""Symbols of the Brotli coder: magnitudes to bits of like probability, bits to bytes.

A magnitude is written in unary, as the bits "m > 0?", "m > 1?" and so on. Each bit goes to one of
eight groups by its probability of being one, which follows from the expected magnitude; a group's
bits are then packed so that Brotli (RFC 7932), made for text, finds nearly stationary bytes.
"""

from __future__ import annotations

import brotli
import numpy as np

from ..common.errors import BitstreamError
from .contexts import UNIT

_GROUPS = 8
_UNARY = 20
"""Magnitudes from here on are escapes: a 16-bit number, lower byte first."""

_MAX_BITS_PER_BYTE = 4096
"""Coded bits per payload byte, at most: the encoder pads a rare, even sparser payload with zeros.

So a small hostile file can never make the decoder allocate, or work, much."""

_PACKINGS = ((3.0, 5.0), (1.5, 3.5), (1.5, 5.0), (10.0, 3.5))
"""Parameters of ``_code_bytes``, the best guess first."""

QUALITY = 10
"""Brotli's: with 11, which searches longer for repetitions, the bytes become no fewer and packing
takes 1.6 times as long (benchmarks/symbol_layout.py)."""

_TRIED_BYTES = 24_000
"""How much may come out of all the packings that are tried, since Brotli is slow; one always is."""

# Expected magnitudes at which bit j (a row each, the last for all later bits) passes into the next
# cell: eight cells by the probability of a one up to a half, and their mirror images beyond.
_THRESHOLDS = np.array(
    [
        [7, 17, 49, 99, 166, 279, 395, 609, 1024, 1722, 3158, 5793, 12634, 16384, 16384],
        [0, 23, 99, 235, 395, 558, 861, 1218, 1878, 3158, 5793, 10624, 16384, 16384, 16384],
        [0, 0, 0, 0, 181, 431, 861, 1328, 2048, 3444, 5793, 11585, 16384, 16384, 16384],
        [0, 0, 0, 0, 2, 2, 431, 1218, 2233, 3756, 6317, 11585, 16384, 16384, 16384],
    ],
    np.int32,
)  # fmt: skip


_CELLS = np.stack(
    [np.searchsorted(row, np.arange(16 * UNIT), "right") for row in _THRESHOLDS]
).astype(np.uint8)
"""Cell of bit j at expected magnitude s: (4, 16384); above 7 a one is likelier."""


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


def _code_bytes(bits: np.ndarray, code_cost: float, rarity: float) -> tuple[int, bytes]:
    """One group's bits to (packing, bytes for Brotli).

    While ones are rarer than one in ``rarity`` bits, a bit for each quartet says whether there are
    any in it, and only such quartets are kept: a Huffman code cannot spend less than a bit on a
    symbol. What remains goes n bits to a byte, with the n that costs least by its entropy and
    ``code_cost`` bits for each symbol in the table of the code.
    """
    kept, depth = [], 0
    while bits.size > 16 and rarity * np.count_nonzero(bits) < bits.size:
        quartets = _pack(bits, 4)
        bits = quartets > 0
        kept.append(quartets[bits] - 1)
        depth += 1
    candidates = [_pack(bits, size) for size in range(1, 9)]
    costs = [_estimated_bits(numbers, code_cost) for numbers in candidates]
    best = int(np.argmin(costs))
    return 8 * depth + best, b"".join(a.tobytes() for a in (candidates[best], *reversed(kept)))


def _estimated_bits(numbers: np.ndarray, code_cost: float) -> float:
    counts = np.bincount(numbers, minlength=1)
    counts = counts[counts > 0]
    entropy = -(counts * np.log2(counts / max(numbers.size, 1))).sum()
    return float(entropy + code_cost * counts.size)


def _smallest_stream(groups: list[np.ndarray], tail: bytes) -> tuple[list[int], bytes]:
    """Each group's packing and the Brotli stream of all, with ``tail`` at its end.

    The length of the Brotli stream cannot be predicted to a few per cent where there is little to
    pack, so there several packings are tried.
    """
    best: tuple[list[int], bytes] | None = None
    tried = 0
    for code_cost, rarity in _PACKINGS:
        coded = [_code_bytes(group, code_cost, rarity) for group in groups]
        symbols = b"".join(data for _, data in coded) + tail
        stream = brotli.compress(symbols, quality=QUALITY) if symbols else b""
        if best is None or len(stream) < len(best[1]):
            best = [packing for packing, _ in coded], stream
        tried += len(stream)
        if tried + len(stream) > _TRIED_BYTES:
            break
    assert best is not None
    return best


def _decode_bytes(count: int, packing: int, source: Source) -> np.ndarray:
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


class Writer:
    """Collects the symbols of one image, in the order in which ``Reader`` asks for them."""

    def __init__(self) -> None:
        self.groups: list[list[np.ndarray]] = [[] for _ in range(_GROUPS)]
        self.escapes: list[np.ndarray] = []
        self.signs: list[np.ndarray] = []

    def code(self, expected: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Writes integers (n,) with their expected magnitudes (n,); returns them."""
        assert values is not None
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
        escapes = np.concatenate(self.escapes).astype("<u2")
        packings, stream = _smallest_stream(groups, escapes.tobytes())
        for group, packing in zip(groups, packings, strict=True):
            head += varint(group.size) + (varint(packing) if group.size else b"")
        head += varint(escapes.size) + varint(len(stream))
        payload = head + stream + np.packbits(np.concatenate(self.signs)).tobytes()
        least = -(-sum(group.size for group in groups) // _MAX_BITS_PER_BYTE)
        return payload.ljust(least, b"\0")


class Source:
    """Bytes read from the front; asking for more than there are is a BitstreamError."""

    def __init__(self, data: bytes) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.position = 0

    def take(self, count: int) -> np.ndarray:
        if count > self.data.size - self.position:
            raise damaged(f"{count} bytes are wanted at {self.position} of {self.data.size}")
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = int(self.take(1)[0])
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise damaged("a number in it has more than 35 bits")


class Reader:
    """Gives back the symbols of one image, in the order in which they were written."""

    def __init__(self, source: Source, coefficients: int) -> None:
        heads = []
        for _ in range(_GROUPS):
            count = source.varint()
            heads.append((count, source.varint() if count else 0))
        escapes, bits = source.varint(), sum(count for count, _ in heads)
        most = min(_MAX_BITS_PER_BYTE * source.data.size, _UNARY * coefficients)
        if not coefficients <= bits <= most or escapes * _UNARY > bits:
            raise damaged(f"{bits} bits and {escapes} escapes cannot be {coefficients} integers")
        if max(packing for _, packing in heads) >= 8 * 16:
            raise damaged("its bits are packed in an unknown way")
        stream = source.take(source.varint()).tobytes()
        symbols = Source(decompress(stream, 2 * bits + 128 + 2 * escapes) if stream else b"")
        self.groups = [_decode_bytes(count, packing, symbols) for count, packing in heads]
        self.escapes = symbols.take(2 * escapes).view("<u2")
        if symbols.position != symbols.data.size:
            raise damaged("its Brotli stream holds more symbols than are announced")
        self.signs, self.bits = source.take(source.data.size - source.position), bits
        self.used = [0] * (_GROUPS + 2)
        self.priced = list(self.used)

    def _next(self, index: int, count: int, available: int) -> slice:
        start = self.used[index]
        if start + count > available:
            raise damaged("it ends before all its coefficients are known")
        self.used[index] = start + count
        return slice(start, start + count)

    def code(self, expected: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Reads integers (n,) with these expected magnitudes (n,)."""
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
            raise damaged("symbols are left over after its last coefficient")


def damaged(why: str) -> BitstreamError:
    return BitstreamError(f"The file's payload is not valid: {why}.")


def varint(value: int) -> bytes:
    """Unsigned LEB128."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def decompress(stream: bytes, limit: int) -> bytes:
    """Brotli, but never much more than ``limit`` bytes are made."""
    decoder = brotli.Decompressor()
    try:
        data: bytes = decoder.process(stream, output_buffer_limit=limit + 1)
    except brotli.error as error:
        raise damaged("its Brotli stream cannot be read") from error
    if len(data) > limit or not decoder.is_finished():
        raise damaged(f"its Brotli stream is cut short or is longer than {limit} bytes")
    return data
