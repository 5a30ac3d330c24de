"""What every entropy coder of quantized latents offers."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..common.shapes import Shape

Bands = tuple[np.ndarray, ...]
"""Integer arrays (C, H, W), coarse to fine."""

Shapes = Sequence[Shape]


class EntropyCoder(Protocol):
    """A coder; ``id`` is its number in a file."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    def encode(self, bands: Sequence[np.ndarray], levels: int) -> bytes:
        """Integer arrays (C, H, W), coarse to fine, of N = ``levels`` to what ``decode`` reads.

        Raises:
            ParameterError: for integers that N does not allow.
        """
        ...

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> Bands:
        """The int32 arrays again.

        Raises:
            BitstreamError: when the payload does not hold such arrays.
        """
        ...

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]:
        """What each array costs, in bytes; the sum is the payload's length.

        Where all integers are zero it may be 0: no array takes part in the payload.
        """
        ...
