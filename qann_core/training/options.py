"""Options of a training run, and the refusal of those that make no sense."""

from dataclasses import dataclass

from ..common.errors import ParameterError
from ..common.limits import MAX_LEVELS, check_positive, check_whole

_MOST = 10**9
"""Bound on whole numbers that have no other."""


@dataclass(frozen=True)
class RunOptions:
    """Options that every run has; saved beside its checkpoints.

    Attributes:
        minutes: budget over all stages, resumed time included; or
        steps: the budget as a number of optimizer steps instead (0: use minutes).
        batch: crops per step and process; crop: their side in pixels.
        min_levels, max_levels: N is drawn log-uniformly between them, per image.
        ema_decay: of the weights' average, which is what is validated and saved (0: no average);
            less at first, (1 + step) / (10 + step), so that it does not lag behind a young run.
        rate: factor on all learning rates; below one to train trained weights further.
        seed: of crops, N and noise.
        checkpoint_minutes, validation_minutes: from one to the next.

    Raises:
        ParameterError: when one of them is out of range; names it.
    """

    minutes: float = 60.0
    steps: int = 0
    batch: int = 6
    crop: int = 256
    min_levels: int = 18
    max_levels: int = 480
    ema_decay: float = 0.0
    rate: float = 1.0
    seed: int = 0
    checkpoint_minutes: float = 4.0
    validation_minutes: float = 6.0

    def __post_init__(self) -> None:
        for name in ("minutes", "rate", "checkpoint_minutes", "validation_minutes"):
            check_positive(name, getattr(self, name))
        for name, lowest, highest in (
            ("steps", 0, _MOST), ("batch", 1, 4096), ("crop", 1, 8192), ("seed", 0, _MOST),
            ("min_levels", 2, MAX_LEVELS), ("max_levels", self.min_levels, MAX_LEVELS),
        ):  # fmt: skip
            check_whole(name, getattr(self, name), lowest, highest)
        check_share("ema_decay", self.ema_decay)


def check_share(name: str, value: float) -> None:
    """Raises ParameterError where ``value`` does not lie between 0 and 1."""
    if not 0 <= value <= 1:
        raise ParameterError(f"{name} is {value}; it must lie between 0 and 1.")


def check_crop(crop: int, factor: int, smallest: int = 0) -> None:
    """Raises ParameterError where a crop's side is no multiple of ``factor``, or is too small."""
    least = max(2 * factor, -(-smallest // factor) * factor)
    if crop % factor or crop < least:
        raise ParameterError(
            f"The crop is {crop} pixels; it must be a multiple of {factor}, and at least {least}."
        )
