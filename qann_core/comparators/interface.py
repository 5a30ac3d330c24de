"""What every comparator offers, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..codec import Latents
from ..wavelet import Pyramid


@dataclass(frozen=True)
class ReducedLatents:
    """Latents as a comparator's file keeps them.

    Attributes:
        pyramid: float32 bands (1, C, h, w), coarse to fine.
        height, width: size in pixels of the image, before padding.
        setting: the comparator's knob.
        model_id: 8 hexadecimal digits naming the weights that made the latents.
    """

    pyramid: Pyramid
    height: int
    width: int
    setting: int
    model_id: str


class Comparator(Protocol):
    """Another way to reduce the latents: a quantizer with a file format of its own."""

    @property
    def name(self) -> str:
        """How commands and points call it."""

    @property
    def label(self) -> str:
        """How charts call it."""

    @property
    def settings(self) -> tuple[int, ...]:
        """Settings of a sweep, by increasing rate."""

    @property
    def allowed(self) -> Sequence[int]:
        """Every setting that ``pack`` takes, by increasing rate."""

    def pack(self, latents: Latents, setting: int, model_id: str) -> bytes:
        """Latents to a file; everything that ``unpack`` needs is in it or part of the model.

        Raises:
            ParameterError: when the setting or the model id is not allowed.
        """

    def unpack(self, data: bytes) -> ReducedLatents:
        """A file to reduced latents.

        Raises:
            BitstreamError: when it is not a file of this comparator, or is damaged.
        """
