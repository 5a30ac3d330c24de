"""Other quantizers of the same latents, to compare with: no restoration network follows them.

The VAE, its decoder and Brotli are the codec's; only what reduces the latents differs. They have
no files of their own: their price is what their symbols take, and a header as the codec's.
docs/notebook.md compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from ..bisection import bisect
from ..errors import ParameterError
from ..wavelet import Pyramid


@dataclass(frozen=True)
class Reduced:
    """Reduced latents and their price.

    Attributes:
        pyramid: float32 bands (1, C, h, w), coarse to fine.
        n_bytes: what a file of them would take.
    """

    pyramid: Pyramid
    n_bytes: int


class Quantizer(Protocol):
    """Another way to reduce latents to few distinct values."""

    @property
    def name(self) -> str:
        """How curves call it, see ``points.VARIANT_LABELS``."""

    @property
    def identity(self) -> str:
        """Names what it learned from data, where it did."""

    @property
    def settings(self) -> tuple[int, ...]:
        """Settings of a sweep, by increasing rate."""

    @property
    def allowed(self) -> Sequence[int]:
        """Every setting that ``reduce`` takes, by increasing rate."""

    def reduce(self, pyramid: Pyramid, setting: int) -> Reduced:
        """Latents as this quantizer keeps them at a setting.

        Raises:
            ParameterError: when the setting is not allowed.
        """


@cache
def quantizers() -> tuple[Quantizer, ...]:
    """All of them; what they need is loaded when it is first used."""
    from .daq import DistributionAware
    from .rq import ResidualQuantization

    return DistributionAware(), ResidualQuantization()


def quantizer_by_name(name: str) -> Quantizer:
    """The quantizer of this name; ParameterError, naming those there are, when there is none."""
    for quantizer in quantizers():
        if quantizer.name == name:
            return quantizer
    known = ", ".join(quantizer.name for quantizer in quantizers())
    raise ParameterError(f"There is no quantizer named {name!r}; there are: {known}.")


def at_bytes(quantizer: Quantizer, pyramid: Pyramid, n_bytes: int) -> Reduced:
    """The finest reduction of at most ``n_bytes``, found by bisection.

    Where even the lowest setting needs more, that one: its price tells.
    """
    allowed = quantizer.allowed
    tried = {0: quantizer.reduce(pyramid, allowed[0])}

    def fits(index: int) -> bool:
        tried[index] = quantizer.reduce(pyramid, allowed[index])
        return tried[index].n_bytes <= n_bytes

    best, _ = bisect(fits, 0, len(allowed))
    return tried[best]
