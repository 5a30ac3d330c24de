"""The planes of the wavelet pyramid, by name."""

from __future__ import annotations

from dataclasses import dataclass

from qann_core.common.shapes import WAVELET_LEVELS
from qann_core.networks.wavelet import COLOURS, ORIENTATIONS

SCALE_NAMES = ("LL 1/16", "1/16", "1/8", "1/4", "1/2")
"""The bands, coarse to fine."""


@dataclass(frozen=True)
class Subband:
    """One plane of the pyramid.

    Attributes:
        band, channel: where it stands in the pyramid.
        orientation: LL, or HL (vertical edges), LH (horizontal edges), HH (diagonal detail).
        colour: Y, C1 or C2.
        scale: the plane is 1/scale of the image's width and height.
    """

    band: int
    channel: int
    orientation: str
    colour: str
    scale: int

    @property
    def name(self) -> str:
        """As it is called on the page."""
        return f"{self.orientation} 1/{self.scale} {self.colour}"

    @property
    def box(self) -> tuple[float, float, float]:
        """Where it is in the nested picture: left, top and side, as shares of it."""
        side = 1 / self.scale
        left = side if self.orientation in ("HL", "HH") else 0.0
        top = side if self.orientation in ("LH", "HH") else 0.0
        return left, top, side


def _subbands() -> tuple[Subband, ...]:
    found = [Subband(0, c, "LL", colour, 2**WAVELET_LEVELS) for c, colour in enumerate(COLOURS)]
    for band in range(1, WAVELET_LEVELS + 1):
        for channel in range(len(ORIENTATIONS) * len(COLOURS)):
            orientation, colour = divmod(channel, len(COLOURS))
            scale = 2 ** (WAVELET_LEVELS + 1 - band)
            names = ORIENTATIONS[orientation], COLOURS[colour]
            found.append(Subband(band, channel, *names, scale))
    return tuple(found)


SUBBANDS = _subbands()
"""All 39 planes, coarse to fine."""
