"""In which order the prior codes a level of the pyramid: pass by pass, each given those before.

A pass codes some of the coefficients of one colour, HL, LH and HH of a place together. *Phases*,
rows and columns modulo 2, name them: luma comes in quarters, C1 and C2 in halves::

    Y  0 2   C1  4 5   C2  6 7
       3 1       5 4       7 6

After checkerboards (He et al. 2021); the more passes, the more neighbours most coefficients have
that the decoder knows already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import torch
from torch import Tensor

from .likelihood import Expected

Phase = tuple[int, int]

_EVEN: tuple[Phase, ...] = ((0, 0), (1, 1))
_ODD: tuple[Phase, ...] = ((0, 1), (1, 0))

COLOURS = 3
ORIENTATIONS = 3


@dataclass(frozen=True)
class Pass:
    """What one pass codes.

    Attributes:
        colour: 0 for luma, 1 and 2 for C1 and C2.
        phases: rows and columns, modulo 2, of the coefficients.
        known_planes: of how many planes (three a colour) it knows something of this level.
    """

    colour: int
    phases: tuple[Phase, ...]
    known_planes: int

    def mask_like(self, planes: Tensor) -> Tensor:
        """Ones where in planes (..., h, w) the pass codes and zeros elsewhere, (h, w)."""
        where = planes.new_zeros(planes.shape[-2:])
        for y, x in self.phases:
            where[y::2, x::2] = 1
        return where

    @lru_cache(maxsize=64)  # noqa: B019  there are eight passes in all, and they live forever
    def places(self, height: int, width: int) -> np.ndarray:
        """The same as positions in the plane's rows laid end to end, in order."""
        return np.flatnonzero(self.mask_like(torch.empty(height, width)).numpy())

    @lru_cache(maxsize=64)  # noqa: B019
    def sorting(self, height: int, width: int) -> np.ndarray:
        """Which of its coefficients, phase after phase, stands at each of ``places``."""
        plane = np.arange(height * width).reshape(height, width)
        return np.argsort(np.concatenate([plane[y::2, x::2].ravel() for y, x in self.phases]))


LEVEL_PASSES = (
    Pass(0, _EVEN[:1], 0),
    Pass(0, _EVEN[1:], 3),
    Pass(0, _ODD[:1], 3),
    Pass(0, _ODD[1:], 3),
    Pass(1, _EVEN, 3),
    Pass(1, _ODD, 6),
    Pass(2, _EVEN, 6),
    Pass(2, _ODD, 9),
)
"""The passes of every level."""

ORDER = "quarters"
"""The name of this order in a stored prior's configuration."""


def seen_before(number: int, values: Tensor) -> Tensor:
    """Values (B, 9, h, w), colour by colour, with zeros where pass ``number`` knows nothing."""
    colour = LEVEL_PASSES[number].colour
    own = slice(ORIENTATIONS * colour, ORIENTATIONS * (colour + 1))
    seen = torch.zeros_like(values)
    seen[:, : own.start] = values[:, : own.start]
    for earlier in LEVEL_PASSES[:number]:
        if earlier.colour == colour:
            for y, x in earlier.phases:
                seen[:, own, y::2, x::2] = values[:, own, y::2, x::2]
    return seen


def by_colour(passes: Sequence[Expected]) -> list[Expected]:
    """What is expected of each colour, (B, 3, h, w), from what each pass expects."""
    steps = list(zip(LEVEL_PASSES, passes, strict=True))
    found = []
    for colour in range(COLOURS):
        own = [
            [part * step.mask_like(part) for part in expected]
            for step, expected in steps
            if step.colour == colour
        ]
        found.append(Expected(*(reduce(torch.add, parts) for parts in zip(*own, strict=True))))
    return found


def colour_by_colour(band: Tensor) -> Tensor:
    """(B, 9, h, w), colours within orientations as bands have them, to orientations in colours."""
    return _swapped(band, ORIENTATIONS, COLOURS)


def band_by_band(values: Tensor) -> Tensor:
    """The inverse of ``colour_by_colour``."""
    return _swapped(values, COLOURS, ORIENTATIONS)


def _swapped(planes: Tensor, outer: int, inner: int) -> Tensor:
    batch, _, height, width = planes.shape
    return planes.reshape(batch, outer, inner, height, width).transpose(1, 2).flatten(1, 2)
