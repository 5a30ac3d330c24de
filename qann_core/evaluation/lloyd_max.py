"""Lloyd-Max quantizers: the N levels of least squared error for a density (Lloyd 1957, Max 1960).

The squared error is least when every threshold is midway between two levels and every level is
the centroid of its cell. For log-concave densities, as here, one quantizer alone meets both
(Trushkin 1982).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import root
from scipy.special import ndtr, ndtri

from ..common.errors import ParameterError


@dataclass(frozen=True)
class Density:
    """A symmetric density of variance one, by what a quantizer needs of its right half.

    Attributes:
        tail: the mass beyond x >= 0.
        tail_moment: the integral of u f(u) beyond x.
        spread: where, on the right half, a share p of many optimal levels is below: quantiles of
            the cube root of f (Panter and Dite 1951).
    """

    tail: Callable[[np.ndarray], np.ndarray]
    tail_moment: Callable[[np.ndarray], np.ndarray]
    spread: Callable[[np.ndarray], np.ndarray]


_B = 0.5**0.5  # the scale at which a Laplace density has variance one

LAPLACE = Density(
    tail=lambda x: np.exp(-x / _B) / 2,
    tail_moment=lambda x: np.exp(-x / _B) * (x + _B) / 2,
    spread=lambda p: -3 * _B * np.log1p(-p),
)
GAUSS = Density(
    tail=lambda x: ndtr(-x),
    tail_moment=lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    spread=lambda p: 3**0.5 * ndtri((1 + p) / 2),
)


@dataclass(frozen=True)
class LloydMax:
    """N values, ascending and symmetric about zero, and the N - 1 thresholds between them.

    Attributes:
        distortion: mean squared error at the density, whose variance is one.
    """

    values: np.ndarray
    thresholds: np.ndarray
    distortion: float

    def indices(self, standardized: np.ndarray) -> np.ndarray:
        """Cells of real numbers, counted from the middle: int32, 0 is the most likely."""
        cells = np.searchsorted(self.thresholds, standardized, "right")
        return cells.astype(np.int32) - len(self.values) // 2

    def reconstruct(self, indices: np.ndarray) -> np.ndarray:
        """What ``indices`` stand for, float64."""
        return np.asarray(self.values[indices + len(self.values) // 2])


@cache
def lloyd_max(density: Density, levels: int) -> LloydMax:
    """The optimal quantizer with N = ``levels`` values.

    Raises:
        ParameterError: when there is no such number.
    """
    if levels < 1:
        raise ParameterError(f"A quantizer needs at least one level, not {levels}.")
    odd, count = levels % 2, (levels - 1) // 2
    thresholds = density.spread((np.arange(count) + (1 if odd else 2) / 2) / (levels / 2))

    def off_middle(edges: np.ndarray) -> np.ndarray:
        """How far each threshold is from the middle of its two levels."""
        centroids, _ = _centroids(density, edges, odd)
        return np.asarray(edges - (centroids[:-1] + centroids[1:]) / 2)

    if count:  # a threshold moves its two neighbours alone: the Jacobian has three diagonals
        thresholds = root(off_middle, thresholds, options={"band": (1, 1)}).x
    right, mass = _centroids(density, thresholds, odd)
    values = np.concatenate((-right[odd:][::-1], right))
    inner = np.zeros(1 - odd if levels > 1 else 0)
    everything = np.concatenate((-thresholds[::-1], inner, thresholds))
    return LloydMax(values, everything, float(1 - 2 * (mass * right**2).sum()))


def _centroids(density: Density, thresholds: np.ndarray, odd: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each cell on the right: centroid and mass.

    With an odd number of levels the first cell is half of the middle one, whose centroid is 0.
    """
    edges = np.concatenate(([0.0], thresholds))
    mass = density.tail(edges)
    moment = density.tail_moment(edges)
    mass[:-1] -= mass[1:]
    moment[:-1] -= moment[1:]
    centroids = moment / mass
    if odd:
        centroids[0] = 0.0
    return centroids, mass
