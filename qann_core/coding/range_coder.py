"""From what the prior expects to bits: classes, their frequency tables, and the range coder.

What is expected of a coefficient falls into one of ``CLASSES`` classes. Each has one fixed table of
integer frequencies (a total of 2^24) over the values -REACH to REACH and an escape, stored with the
weights; classes that expect the opposite sign share a table, read backwards. Coefficients of one
class are coded in one call of the range coder (Martin 1979; constriction, Bamler 2022), so that
the number of calls is that of the classes and not that of the coefficients.
"""

from collections.abc import Sequence

import constriction
import numpy as np

from ..common.errors import BitstreamError, ModelError
from .likelihood import CENTRE_RANGE, SCALE_RANGE, TAIL_RANGE, Expected

REACH = 31
"""Largest magnitude with an entry of its own in the tables."""

SYMBOLS = 2 * REACH + 2
ESCAPE = SYMBOLS - 1
TOTAL = 1 << 24
"""What each table's frequencies add up to: constriction's precision."""

SCALE_STEP, TAIL_STEP, CENTRE_STEP = 4, 4, 8
SCALES = (SCALE_RANGE[1] - SCALE_RANGE[0]) // SCALE_STEP + 1
TAILS = (TAIL_RANGE[1] - TAIL_RANGE[0]) // TAIL_STEP + 1
CENTRES = CENTRE_RANGE[1] // CENTRE_STEP + 1
DETAIL_CLASSES = SCALES * TAILS * CENTRES

LL_EDGES = np.array([base << k for k in range(12) for base in (32, 45)], np.int32)
"""Expected magnitudes of LL residuals (1/1024 step) at which the next class begins."""

CLASSES = DETAIL_CLASSES + len(LL_EDGES) + 1

_ESCAPE_BITS = 10
"""Bits of the largest escape: residuals of the LL band stay below 2^10."""

_Coin = constriction.stream.model.Uniform(2)


def detail_classes(expected: Expected) -> tuple[np.ndarray, np.ndarray]:
    """Classes of details, and +1 or -1 by which values are to be multiplied; (3, h, w) each.

    Args:
        expected: of one image (batch size 1).
    """
    scale, tail, centre = (part[0].cpu().numpy().astype(np.int32) for part in expected)
    rows = (scale - SCALE_RANGE[0] + SCALE_STEP // 2) // SCALE_STEP
    columns = (tail + TAIL_STEP // 2) // TAIL_STEP
    offsets = (np.abs(centre) + CENTRE_STEP // 2) // CENTRE_STEP
    classes = ((rows * TAILS + columns) * CENTRES + offsets).astype(np.int16)
    return classes, np.where(centre < 0, -1, 1).astype(np.int32)


def residual_classes(expected: np.ndarray) -> np.ndarray:
    """Classes of LL residuals from their expected magnitudes in 1/1024 step."""
    return (DETAIL_CLASSES + np.searchsorted(LL_EDGES, expected, "right")).astype(np.int16)


class Tables:
    """Frequency tables, one a class, as the range coder's models and as code lengths.

    Args:
        frequencies: integers (CLASSES, SYMBOLS), each at least 1, rows adding up to TOTAL.

    Raises:
        ModelError: when they are not.
    """

    def __init__(self, frequencies: np.ndarray) -> None:
        valid = frequencies.shape == (CLASSES, SYMBOLS) and frequencies.min() >= 1
        if not valid or (frequencies.sum(1, dtype=np.int64) != TOTAL).any():
            raise ModelError(
                f"The prior's tables must be {CLASSES} x {SYMBOLS} positive integers whose rows "
                f"add up to {TOTAL}."
            )
        # constriction gives each of n symbols one unit and shares the other TOTAL - n in proportion
        # to the floats it is given. These are integers that add up to TOTAL - n, so that the factor
        # is exactly 1, all sums are exact, and its fixed-point table is ours: no rounding at all.
        self.models = [
            constriction.stream.model.Categorical(row.astype(np.float64) - 1, perfect=False)
            for row in frequencies
        ]
        self.frequencies = frequencies
        self.bits = np.log2(TOTAL / frequencies)


def _stretches(classes: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """An order that sorts by class, and for each class in use (class, start, end)."""
    counts = np.bincount(classes, minlength=CLASSES)
    ends = np.cumsum(counts)
    used = np.flatnonzero(counts)
    stretches = [(int(c), int(ends[c] - counts[c]), int(ends[c])) for c in used]
    return np.argsort(classes, kind="stable"), stretches


class RangeWriter:
    """Collects symbols; ``payload`` is what they become."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._coder = constriction.stream.queue.RangeEncoder()

    def uniform(self, values: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Writes values of 0 to size - 1 (a power of two), all as likely; returns them."""
        array = np.asarray(values, np.int32)
        if size > 1 and array.size:
            model = _Coin if size == 2 else constriction.stream.model.Uniform(size)
            self._coder.encode(array, model)
        return array

    def code(self, classes: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Writes integers (n,), each with its class's table; returns them."""
        order, stretches = _stretches(classes)
        symbols = np.where(np.abs(values) > REACH, ESCAPE, values + REACH).astype(np.int32)[order]
        for number, start, end in stretches:
            self._coder.encode(symbols[start:end], self._tables.models[number])
        escaped = values[order][symbols == ESCAPE]
        if escaped.size:
            self._escape(escaped)
        return values

    def _escape(self, values: np.ndarray) -> None:
        """Elias gamma codes (Elias 1975) of what exceeds REACH, and signs."""
        excess = np.abs(values) - REACH
        lengths = np.frexp(excess.astype(np.float64))[1] - 1
        self.uniform(values < 0, 2)
        self.uniform(lengths, 16)
        for length in range(1, _ESCAPE_BITS):
            self.uniform(excess[lengths == length] - (1 << length), 1 << length)

    def payload(self) -> bytes:
        """The range coder's words, little-endian."""
        words: np.ndarray = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class RangeReader:
    """Gives back what a RangeWriter wrote, asked in the same order.

    Args:
        payload: whole 32-bit words.
        priced: whether to count ``bits``, which takes a while.

    Attributes:
        bits: ideal code length of all symbols read so far.
    """

    def __init__(self, tables: Tables, payload: bytes, priced: bool = False) -> None:
        self._tables, self._priced = tables, priced
        self._coder = constriction.stream.queue.RangeDecoder(
            np.frombuffer(payload, "<u4").astype(np.uint32)
        )
        self.bits = 0.0

    def uniform(self, count: int, size: int) -> np.ndarray:
        """Reads ``count`` values of 0 to size - 1."""
        if size < 2 or not count:
            return np.zeros(count, np.int32)
        self.bits += count * float(np.log2(size))
        return self._read(constriction.stream.model.Uniform(size), count)

    def code(self, classes: np.ndarray) -> np.ndarray:
        """Reads integers, int32 (n,), one for each class given."""
        order, stretches = _stretches(classes)
        symbols = np.empty(classes.size, np.int32)
        for number, start, end in stretches:
            symbols[start:end] = self._read(self._tables.models[number], end - start)
        if self._priced:
            self.bits += float(self._tables.bits[classes[order], symbols].sum())
        values = symbols - REACH
        escapes = np.flatnonzero(symbols == ESCAPE)
        if escapes.size:
            values[escapes] = self._escapes(escapes.size)
        out = np.empty_like(values)
        out[order] = values
        return out

    def _escapes(self, count: int) -> np.ndarray:
        signs = 1 - 2 * self.uniform(count, 2)
        lengths = self.uniform(count, 16)
        if lengths.max() >= _ESCAPE_BITS:
            raise BitstreamError("The file is damaged: an escape is out of range.")
        excess = np.int32(1) << lengths
        for length in range(1, _ESCAPE_BITS):
            chosen = lengths == length
            excess[chosen] += self.uniform(int(chosen.sum()), 1 << length)
        values: np.ndarray = signs * (excess + REACH)
        return values

    def _read(self, model: constriction.stream.model.Model, count: int) -> np.ndarray:
        try:
            values: np.ndarray = self._coder.decode(model, count)
        except (AssertionError, ValueError) as error:
            raise BitstreamError("The file is damaged: its range code is not valid.") from error
        return values

    def finish(self) -> None:
        """Raises BitstreamError when there is more than was read."""
        if not self._coder.maybe_exhausted():
            raise BitstreamError("The file is damaged: data is left over after its last symbol.")
