"""Measures of quality by name: what they are called, how they are drawn, and where they exist.

``metrics`` has a function of each name.
"""

import operator
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .. import metrics
from ..common.errors import ParameterError
from .deltas import decibels


@dataclass(frozen=True)
class Measure:
    """A measure of a decoded image's quality.

    Attributes:
        name: as an option and in results.
        label: for people.
        axis: what a chart's axis says.
        decimals: how many of them a table shows.
        scale: value to what is drawn and what Bjontegaard deltas are taken of; more is better.
        program: what must be on the PATH to take it, if anything.
    """

    name: str
    label: str
    axis: str
    decimals: int
    scale: Callable[[float], float]
    program: str | None = None


_ALL = (
    Measure("psnr", "PSNR", "PSNR, dB, RGB", 2, float),
    Measure("ssim", "SSIM", "SSIM, dB, RGB", 4, decibels),
    Measure("ms_ssim", "MS-SSIM", "MS-SSIM, dB, RGB", 4, decibels),
    Measure("ssimulacra2", "SSIMULACRA 2", "SSIMULACRA 2", 2, float),
    Measure("butteraugli", "Butteraugli",
            "Butteraugli, 3-norm of the distance, negated", 3, operator.neg, metrics.BUTTERAUGLI),
)  # fmt: skip

MEASURES = {measure.name: measure for measure in _ALL}
"""All measures by name. SSIM and MS-SSIM count as -10 log10(1 - m), see ``deltas``."""

OWN_MEASURES = tuple(name for name, measure in MEASURES.items() if measure.program is None)
"""Names of those that need no other program."""


def check_measures(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        ParameterError: when there is no such measure, or what computes it is not installed.
    """
    chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in MEASURES:
            raise ParameterError(
                f"There is no measure {name!r}; choose from {', '.join(MEASURES)}."
            )
        program = MEASURES[name].program
        if program is not None and shutil.which(program) is None:
            raise ParameterError(
                f"The measure {name} is not available here: it needs the program {program} of"
                " libjxl (Debian: libjxl-devtools)."
            )
    return chosen
