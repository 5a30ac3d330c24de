"""Contexts: which magnitude to expect at a coefficient, from what is known.

Coefficients are coded plane by plane, coarse to fine, each plane in four interleaved passes. What
the decoder already has (the parent band, the other colours and orientations of the same band, and
the neighbours of earlier passes) gives an *expected magnitude*, a weighted sum of known magnitudes.
The weights were fitted to training photos by least squares (benchmarks/symbol_layout.py measures
what they save). All arithmetic is on integers: the result is the same on every machine. The Brotli
coder uses them for all bands, the prior coder for the first.
"""

from collections.abc import Callable, Sequence

import numpy as np

Expectation = Callable[[np.ndarray, int], np.ndarray]
"""(magnitudes known so far of a plane, zero-padded (H + 2, W + 2); pass) to what to expect."""

Code = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Writes or reads: (expected magnitudes (n,); the integers (n,), or None where they are to be read)
to the integers (n,)."""

UNIT = 1024
"""Expected magnitudes are integers in units of 1/UNIT quantization step."""

PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column (modulo 2) of each pass: the last two passes know all four nearest neighbours."""

CLIP = 63
"""Magnitudes are clipped to this where they serve as context."""

_FLOOR = 2
"""The least to expect, so that no context is taken for certain."""

# A row for each of 9 channels x 4 passes; columns: the parent and its ring, one and two colours
# before and theirs, one and two orientations before and theirs, left + right, above + below,
# diagonals; in 1/UNIT.
_WEIGHTS = np.array(
    [
        [123, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [67, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 134],
        [41, 5, 0, 0, 0, 0, 0, 0, 0, 0, 136, 235, 0],
        [24, 3, 0, 0, 0, 0, 0, 0, 0, 0, 118, 221, 43],
        [52, 10, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [28, 4, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 120],
        [14, 2, 13, 0, 0, 0, 0, 0, 0, 0, 127, 241, 0],
        [8, 1, 12, 0, 0, 0, 0, 0, 0, 0, 109, 223, 34],
        [27, 5, 149, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        [14, 3, 116, 1, 4, 0, 0, 0, 0, 0, 0, 0, 71],
        [13, 2, 81, 0, 2, 0, 0, 0, 0, 0, 86, 169, 0],
        [7, 1, 81, 0, 2, 0, 0, 0, 0, 0, 71, 161, 20],
        [110, 22, 0, 0, 0, 0, 27, 16, 0, 0, 0, 0, 0],
        [65, 10, 0, 0, 0, 0, 24, 7, 0, 0, 0, 0, 129],
        [29, 5, 0, 0, 0, 0, 12, 5, 0, 0, 239, 127, 0],
        [36, 3, 0, 0, 0, 0, 9, 3, 0, 0, 214, 107, 41],
        [42, 8, 26, 0, 0, 0, 35, 18, 0, 0, 0, 0, 0],
        [24, 3, 18, 0, 0, 0, 17, 9, 0, 0, 0, 0, 117],
        [9, 2, 12, 0, 0, 0, 15, 6, 0, 0, 233, 114, 0],
        [11, 1, 12, 0, 0, 0, 5, 3, 0, 0, 204, 107, 36],
        [25, 3, 149, 3, 3, 0, 23, 11, 0, 0, 0, 0, 0],
        [13, 2, 127, 0, 4, 0, 13, 7, 0, 0, 0, 0, 61],
        [7, 1, 84, 0, 3, 0, 13, 7, 0, 0, 175, 73, 0],
        [7, 1, 84, 0, 2, 0, 9, 4, 0, 0, 169, 60, 21],
        [42, 4, 0, 0, 0, 0, 52, 12, 60, 13, 0, 0, 0],
        [29, 2, 0, 0, 0, 0, 43, 6, 47, 5, 0, 0, 115],
        [23, 2, 0, 0, 0, 0, 26, 4, 30, 4, 148, 151, 0],
        [15, 1, 0, 0, 0, 0, 27, 2, 24, 2, 118, 127, 59],
        [10, 2, 20, 0, 0, 0, 41, 9, 44, 5, 0, 0, 0],
        [8, 0, 14, 0, 0, 0, 28, 5, 31, 3, 0, 0, 99],
        [5, 1, 13, 0, 0, 0, 18, 4, 20, 1, 130, 120, 0],
        [6, 0, 11, 0, 0, 0, 15, 2, 20, 1, 111, 113, 51],
        [5, 1, 124, 2, 3, 0, 24, 7, 21, 6, 0, 0, 0],
        [5, 0, 119, 0, 2, 0, 18, 4, 18, 4, 0, 0, 62],
        [3, 0, 101, 0, 3, 0, 13, 2, 19, 3, 89, 73, 0],
        [2, 0, 113, 0, 2, 0, 23, 2, 13, 1, 77, 58, 27],
    ],
    np.int32,
)  # fmt: skip

# The same for the LL band's residuals, a row a pass: the plane's mean, the channel before, the
# nearest neighbours, the diagonal ones.
_LL_WEIGHTS = np.array(
    [
        [241, 92, 0, 0],
        [81, 47, 0, 123],
        [68, 33, 175, 0],
        [53, 18, 150, 61],
    ],
    np.int32,
)  # fmt: skip


def _ring(plane: np.ndarray) -> np.ndarray:
    """Sum of the eight neighbours, zero outside; (H, W) to (H, W)."""
    rows = plane.copy()
    rows[:, 1:] += plane[:, :-1]
    rows[:, :-1] += plane[:, 1:]
    total: np.ndarray = rows - plane
    total[1:] += rows[:-1]
    total[:-1] += rows[1:]
    return total


class Contexts:
    """Magnitudes known so far, and the magnitude that they let expect at each coefficient."""

    def __init__(self) -> None:
        self.finer: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.coarser: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.coarser_channels = 0

    def next_band(self, channels: int) -> None:
        """What was the current band, of so many channels, becomes the parent."""
        self.coarser, self.finer = self.finer, {}
        self.coarser_channels = channels

    def learn(self, channel: int, plane: np.ndarray) -> None:
        """Adds a plane (H, W) that is known in full. All-zero planes need not."""
        magnitudes = np.minimum(np.abs(plane), CLIP).astype(np.int16)
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
            own, ring = self.finer[channel - 1]
            previous = own + ring, means[channel - 1]
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


def code_plane(
    code: Code, expect: Expectation, values: np.ndarray | None, plane: np.ndarray
) -> None:
    """Fills ``plane`` (H, W) pass by pass with what ``code`` writes of ``values``, or reads."""
    padded = np.zeros((plane.shape[0] + 2, plane.shape[1] + 2), np.int16)
    for number, (y, x) in enumerate(PASSES):
        target = plane[y::2, x::2]
        if target.size:
            expected = expect(padded, number).ravel()
            given = None if values is None else values[y::2, x::2].ravel()
            target[:] = code(expected, given).reshape(target.shape)
            padded[1 + y : -1 : 2, 1 + x : -1 : 2] = np.minimum(np.abs(target), CLIP)


def code_first_band(
    code: Code, means: Sequence[int], values: np.ndarray | None, band: np.ndarray
) -> None:
    """Fills ``band`` (C, H, W), whose residuals have these means (16 x the mean magnitude)."""
    contexts = Contexts()
    for channel, plane in enumerate(band):
        given = None if values is None else values[channel]
        code_plane(code, contexts.for_residual(channel, means), given, plane)
        if means[channel]:
            contexts.learn(channel, plane)


def _pass_shape(padded: np.ndarray, number: int) -> tuple[int, int]:
    y, x = PASSES[number]
    return (padded.shape[0] - y - 1) // 2, (padded.shape[1] - x - 1) // 2


def _neighbours(padded: np.ndarray, number: int) -> list[np.ndarray]:
    """Sums of the left and right, upper and lower, and diagonal neighbours; still unknown = 0."""
    y, x = PASSES[number]
    h, w = _pass_shape(padded, number)

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
    y, x = PASSES[number]
    terms = [(weights[i], plane[y::2, x::2]) for i, plane in references]
    if number:
        terms += zip(weights[10:], _neighbours(padded, number), strict=True)
    shape = _pass_shape(padded, number)
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
    y, x = PASSES[number]
    own, other, nearest, diagonal = (int(w) for w in _LL_WEIGHTS[number])
    sides, ends, corners = _neighbours(padded, number)
    total: np.ndarray = np.multiply(sides + ends, nearest, dtype=np.int32) + mean * own // 16
    total += np.multiply(corners, diagonal, dtype=np.int32)
    if previous is not None:
        plane, scale = previous
        total += plane[y::2, x::2].astype(np.int32) * (other * mean // scale)
    return total
