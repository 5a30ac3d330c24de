"""Finding the number of levels N for a wanted rate or quality; the image is encoded once.

How it is searched. Nine values of N, spread geometrically over the range, are tried first. On
photos file length and quality grow with N along them; then one bisection between two of the nine
finds where the target is crossed, and a few neighbours are tried, since file lengths waver by some
bytes: some 20 packings for a rate, and some 20 packings and decodings for a quality. On stripes,
checks, dithers and some text both leap up and down as N decides whether a contrast falls on a
multiple of the step. Where the tries show that, every N is packed, and those whose file may be the
answer are decoded, shortest first (for a rate: all that fit), so that the result is the best there
is. That costs up to 497 packings and decodings; on images of more than about 0.13 megapixels only
as many N as make 64 megapixels are tried, spread geometrically and at least 48, and a refusal then
says that not all were tried.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .codec import Codec, Latents
from .common.errors import ParameterError
from .common.limits import MAX_PIXELS, SSIMULACRA2_MIN_SIDE, check_positive
from .metrics import bits_per_pixel, psnr, ssimulacra2

_FIRST = 9
"""Values of N tried first."""

_NEIGHBOURS = 3
"""Values of N tried on each side of a crossing."""

_SCANNED_PIXELS = 64_000_000
_LEAST_SCANNED = 48
"""Where all depends on N: pixels of all files tried together, and the fewest files."""

_LENGTH_TOLERANCE = 0.03
"""A file shorter by more than this share than one of fewer levels shows such content."""


@dataclass(frozen=True)
class _Measure:
    """A measure of quality that a target is given in.

    Attributes:
        name, unit: for messages; the unit with a space before it.
        function: of the original and the decoded image, uint8 (H, W, 3).
        tolerance: a loss by more than this with more levels shows content on which all depends
            on N.
        highest: its largest value.
        min_side: of images that it is defined for, in pixels.
    """

    name: str
    unit: str
    function: Callable[[np.ndarray, np.ndarray], float]
    tolerance: float
    highest: float = math.inf
    min_side: int = 1


_MEASURES = {
    "psnr": _Measure("PSNR", " dB", psnr, 0.3),
    "ssimulacra2": _Measure("SSIMULACRA 2 score", "", ssimulacra2, 1.5, 100, SSIMULACRA2_MIN_SIDE),
}


def levels_for_bpp(
    codec: Codec, latents: Latents, target: float, effort: int = 0
) -> tuple[bytes, int]:
    """The best file of at most ``target`` bits per pixel.

    The best is that of most levels, and where quality does not grow with N, of the highest PSNR.

    Args:
        effort: as for ``Codec.quantize``.

    Returns:
        The file's bytes and N.

    Raises:
        ParameterError: when no N tried makes a file that small, or the target is no rate.
    """
    check_positive("The rate in bits per pixel", target)
    tries = _Tries(codec, latents, _MEASURES["psnr"], effort)
    budget = target * latents.height * latents.width / 8

    def fits(levels: int) -> bool:
        return tries.length(levels) <= budget

    first = tries.first()
    if not tries.is_rough(first, [levels for levels in first if fits(levels)][-4:]):
        for levels in tries.around_crossing(first, lambda n: not fits(n)):
            tries.length(levels)
        best = max((n for n in tries.lengths if fits(n)), default=0)
        if best:
            return tries.file(best), best
        if min(tries.lengths.values()) > (1 + _LENGTH_TOLERANCE) * budget:
            raise _too_low(target, tries)
    fitting = [levels for levels in tries.scanned() if fits(levels)]
    if not fitting:
        raise _too_low(target, tries)
    best = max(fitting, key=tries.quality)
    return tries.file(best), best


def _too_low(target: float, tries: _Tries) -> ParameterError:
    latents = tries.latents
    least = bits_per_pixel(min(tries.lengths.values()), latents.height, latents.width)
    return ParameterError(f"{target:g} bits per pixel {tries.refusal()} at least {least:.3f}.")


def levels_for_quality(
    codec: Codec, latents: Latents, measure: str, target: float, effort: int = 0
) -> tuple[bytes, int]:
    """The smallest file whose decoded image has at least the quality ``target``.

    Args:
        measure: "psnr", with the target in dB, or "ssimulacra2".
        effort: as for ``Codec.quantize``.

    Returns:
        The file's bytes and N.

    Raises:
        ParameterError: when no N tried reaches it, the target is no value of the measure, or the
            image is too small for it.
    """
    wanted = _MEASURES[measure]
    check_positive(f"The {wanted.name}", target, wanted.highest)
    if min(latents.height, latents.width) < wanted.min_side:
        raise ParameterError(
            f"SSIMULACRA 2 needs sides of {wanted.min_side} pixels or more; name a PSNR or a rate."
        )
    tries = _Tries(codec, latents, wanted, effort)

    def reaches(levels: int) -> bool:
        return tries.quality(levels) >= target

    first = tries.first()
    if not tries.is_rough(first, first):
        for levels in tries.around_crossing(first, reaches):
            tries.quality(levels)
        reaching = [levels for levels in tries.qualities if reaches(levels)]
        if reaching:
            best = min(reaching, key=tries.length)
            return tries.file(best), best
        if max(tries.qualities.values()) + wanted.tolerance < target:
            raise _too_high(target, tries)
    for levels in sorted(tries.scanned(), key=tries.length):  # the first to reach it is smallest
        if reaches(levels):
            return tries.file(levels), levels
    raise _too_high(target, tries)


def _too_high(target: float, tries: _Tries) -> ParameterError:
    measure, best = tries.measure, max(tries.qualities, key=tries.quality)
    return ParameterError(
        f"A {measure.name} of {target:g}{measure.unit} {tries.refusal()} at most "
        f"{tries.quality(best):.2f}{measure.unit}, at N = {best}."
    )


class _Tries:
    """What was found out about each N: the file's length, and the quality of the decoded image."""

    def __init__(self, codec: Codec, latents: Latents, measure: _Measure, effort: int) -> None:
        self._codec, self._effort = codec, effort
        self.latents, self.measure = latents, measure
        self.range = codec.min_levels, codec.max_levels
        self._files: dict[int, bytes] = {}
        self._is_partial = False
        self._last: tuple[int, Any] = (0, None)
        self.lengths: dict[int, int] = {}
        self.qualities: dict[int, float] = {}

    def first(self) -> list[int]:
        """The values of N that are tried first, ascending."""
        return _spread(*self.range, _FIRST)

    def scanned(self) -> list[int]:
        """The values of N that are tried where all depends on N, ascending."""
        low, high = self.range
        area = self.latents.height * self.latents.width
        count = max(_SCANNED_PIXELS // area, _LEAST_SCANNED)
        self._is_partial = count < high - low + 1
        return sorted({*_spread(low, high, count), *self.lengths})

    def length(self, levels: int) -> int:
        """The length of the file in bytes."""
        if levels not in self.lengths:
            self._files[levels] = self._codec.pack_integers(self._integers(levels))
            self.lengths[levels] = len(self._files[levels])
        return self.lengths[levels]

    def quality(self, levels: int) -> float:
        """Of the decoded image."""
        if levels not in self.qualities:
            decoded = self._codec.decode(self._integers(levels))
            self.qualities[levels] = self.measure.function(self.latents.pixels, decoded)
        return self.qualities[levels]

    def file(self, levels: int) -> bytes:
        """The file's bytes."""
        self.length(levels)
        return self._files[levels]

    def _integers(self, levels: int) -> Any:
        if self._last[0] != levels:
            if self._effort and levels in self._files:  # unpacking is faster than optimising again
                integers = self._codec.unpack(self._files[levels], MAX_PIXELS)
            else:
                integers = self._codec.quantize(self.latents, levels, self._effort)
            self._last = levels, integers
        return self._last[1]

    def is_rough(self, packed: list[int], decoded: list[int]) -> bool:
        """Whether length or quality fall where N grows, by more than they waver on photos."""
        lengths = np.array([self.length(levels) for levels in packed], float)
        shorter = lengths < np.maximum.accumulate(lengths) * (1 - _LENGTH_TOLERANCE)
        if shorter.any():
            return True
        qualities = np.nan_to_num([self.quality(levels) for levels in decoded], posinf=1e9)
        losses = np.maximum.accumulate(qualities) - qualities
        return bool((losses > self.measure.tolerance).any())

    def around_crossing(self, first: list[int], is_beyond: Callable[[int], bool]) -> list[int]:
        """The values of N around the first for which something holds that holds for all above.

        Args:
            first: ascending values of N with the crossing between two of them.
        """
        low, high = self.range
        after = bisect_left(first, True, key=is_beyond)
        start = first[after - 1] if after else low
        stop = first[after] if after < len(first) else high
        inside = range(start, stop)
        crossing = start + bisect_left(inside, True, key=is_beyond)
        return [
            n for n in range(crossing - _NEIGHBOURS, crossing + _NEIGHBOURS) if low <= n <= high
        ]

    def refusal(self) -> str:
        """How a refusal goes on: whether all was tried that could have helped."""
        low, high = self.range
        if self._is_partial:
            n = len(self.lengths)
            return f"was not reached; {n} of {high - low + 1} values of N were tried, which give"
        return "cannot be reached; this image gets"


def _spread(low: int, high: int, count: int) -> list[int]:
    """Whole numbers from low to high, ascending and spread geometrically, ``count`` at least."""
    if count > high - low:
        return list(range(low, high + 1))
    points = count
    while len(numbers := {round(v) for v in np.geomspace(low, high, points)}) < count:
        points += count - len(numbers)  # small numbers coincide
    return sorted(numbers)
