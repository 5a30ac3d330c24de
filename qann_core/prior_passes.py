"""In which order the prior codes a level of the pyramid: pass by pass, each given those before.

A pass codes some of the coefficients of one colour, HL, LH and HH of a place together. *Phases*,
rows and columns modulo 2, tell which. The more passes, the more neighbours most coefficients have
that the decoder knows already::

    checkerboard   Y  0 1   C1  2 2   C2  3 3        quarters   Y  0 2   C1  4 5   C2  6 7
                      1 0       2 2       3 3                      3 1       5 4       6 7  ...

Checkerboards: He et al. 2021. Quarters: as the Brotli coder's passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .prior_likelihood import Expected

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
    """

    colour: int
    phases: tuple[Phase, ...]

    def mask_like(self, planes: Tensor) -> Tensor:
        """Ones where in planes (..., h, w) the pass codes and zeros elsewhere, (h, w)."""
        where = planes.new_zeros(planes.shape[-2:])
        for y, x in self.phases:
            where[y::2, x::2] = 1
        return where

    @lru_cache(maxsize=64)  # noqa: B019  there are a dozen passes in all, and they live forever
    def places(self, height: int, width: int) -> np.ndarray:
        """The same as positions in the plane's rows laid end to end, in order."""
        return np.flatnonzero(self.mask_like(torch.empty(height, width)).numpy())

    @lru_cache(maxsize=64)  # noqa: B019
    def sorting(self, height: int, width: int) -> np.ndarray:
        """Which of its coefficients, phase after phase, stands at each of ``places``."""
        plane = np.arange(height * width).reshape(height, width)
        return np.argsort(np.concatenate([plane[y::2, x::2].ravel() for y, x in self.phases]))


@dataclass(frozen=True)
class Order:
    """The passes of a level.

    Attributes:
        strided: whether a pass computes only what it codes. Else it computes all of the plane, of
            which only what it codes is used: the known answers of priors of that order are so.
    """

    passes: tuple[Pass, ...]
    strided: bool

    def known_planes(self, number: int) -> int:
        """Of how many planes (three a colour) pass ``number`` knows something of this level."""
        colour = self.passes[number].colour
        begun = any(earlier.colour == colour for earlier in self.passes[:number])
        return ORIENTATIONS * (colour + begun)

    def seen_before(self, number: int, values: Tensor) -> Tensor:
        """Values (B, 9, h, w), colour by colour, with zeros where pass ``number`` knows nothing."""
        colour = self.passes[number].colour
        own = slice(ORIENTATIONS * colour, ORIENTATIONS * (colour + 1))
        seen = torch.zeros_like(values)
        seen[:, : own.start] = values[:, : own.start]
        for earlier in self.passes[:number]:
            if earlier.colour == colour:
                for y, x in earlier.phases:
                    seen[:, own, y::2, x::2] = values[:, own, y::2, x::2]
        return seen

    def by_colour(self, passes: Sequence[Expected]) -> list[Expected]:
        """What is expected of each colour, (B, 3, h, w), from what each pass expects."""
        found: list[Expected | None] = [None] * COLOURS
        for step, expected in zip(self.passes, passes, strict=True):
            kept = expected.times(step.mask_like(expected.scale))
            before = found[step.colour]
            found[step.colour] = kept if before is None else before.plus(kept)
        return [expected for expected in found if expected is not None]


ORDERS = {
    "checkerboard": Order(
        (Pass(0, _EVEN), Pass(0, _ODD), Pass(1, _EVEN + _ODD), Pass(2, _EVEN + _ODD)), False
    ),
    "quarters": Order(
        (
            *(Pass(0, (phase,)) for phase in _EVEN + _ODD),
            *(Pass(colour, half) for colour in (1, 2) for half in (_EVEN, _ODD)),
        ),
        True,
    ),
}
"""By the name that a stored prior has in its configuration."""

FIRST_ORDER = "checkerboard"
"""What a prior whose configuration names no order has."""


def colour_by_colour(band: Tensor) -> Tensor:
    """(B, 9, h, w), colours within orientations as bands have them, to orientations in colours."""
    return band.unflatten(1, (ORIENTATIONS, COLOURS)).transpose(1, 2).flatten(1, 2)


def band_by_band(values: Tensor) -> Tensor:
    """The inverse of ``colour_by_colour``."""
    return values.unflatten(1, (COLOURS, ORIENTATIONS)).transpose(1, 2).flatten(1, 2)
