"""Colour that a file describes by numbers (CICP) instead of an ICC profile, converted to sRGB.

The numbers are those of ITU-T H.273 (cICP in PNG, nclx in AVIF and HEIF), or the exponent and
chromaticities of PNG's gAMA and cHRM. What they come to is what Chromium shows; its BT.709 curve
is a power of 2.4 in PNG and sRGB's own in AVIF.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of red, green, blue and white."""

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)

BT709: Chromaticities = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)

PRIMARIES: dict[int, Chromaticities] = {
    1: BT709,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
"""H.273, table 2: 9 is BT.2020, 11 DCI-P3, 12 Display P3."""

SRGB_CURVE, PQ, HLG = 13, 16, 18
"""Transfer characteristics of H.273, table 3."""

_REFERENCE_WHITE = 203.0
"""Luminance in cd/m2 that is shown as SDR white (BT.2408)."""

_PEAK = 1000.0 / _REFERENCE_WHITE
"""Brightest HDR light that is distinguished, in units of reference white: 1000 cd/m2."""

_BRADFORD = np.array(
    ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
)

_STRIP_SAMPLES = 1 << 22
"""Samples converted at once."""


def _pq(v: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, in units of reference white."""
    e = v ** (32 / 2523)
    light = np.maximum(e - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * e)
    return 10000 / _REFERENCE_WHITE * light ** (8192 / 1305)


def _hlg(v: np.ndarray) -> np.ndarray:
    """ARIB STD-B67: the scene's light, 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(v <= 0.5, v**2 / 3, (np.exp((v - c) / a) + b) / 12)


_CURVES: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys((1, 6, 11, 14, 15), lambda v: v**2.4),
    4: lambda v: v**2.2,
    5: lambda v: v**2.8,
    7: lambda v: np.where(v < 0.0913, v / 4, ((v + 0.1115) / 1.1115) ** (1 / 0.45)),  # SMPTE 240
    8: lambda v: v,
    SRGB_CURVE: lambda v: np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4),
    PQ: _pq,
    17: lambda v: v**2.6 * 52.37 / 48,  # SMPTE 428
    HLG: _hlg,
}
"""From samples, 0 to 1, to light, by H.273's number."""


@dataclass(frozen=True)
class ColourCoding:
    """What RGB samples mean.

    Attributes:
        primaries: chromaticities of the primaries and of white.
        transfer: H.273's number of the curve, or 0 for a power.
        exponent: the power, where ``transfer`` is 0: light = sample ** exponent.
    """

    primaries: Chromaticities
    transfer: int
    exponent: float = 1.0

    @classmethod
    def from_numbers(cls, primaries: int, transfer: int, is_video: bool) -> ColourCoding | None:
        """By H.273's numbers; None where they say nothing that can be shown.

        Args:
            is_video: the image is a frame of a video codec (AVIF, HEIF), where BT.709's curve and
                an unspecified one are taken as sRGB's.
        """
        if is_video and transfer in (1, 2, 6, 14, 15):
            transfer = SRGB_CURVE
        if primaries not in PRIMARIES or transfer not in _CURVES:
            return None
        return cls(PRIMARIES[primaries], transfer)

    @property
    def is_srgb(self) -> bool:
        """Whether nothing needs converting."""
        return self.primaries == BT709 and self.transfer == SRGB_CURVE

    @property
    def is_hdr(self) -> bool:
        """Whether light brighter than SDR's white is coded."""
        return self.transfer in (PQ, HLG)


def coded_to_srgb(image: Image.Image, coding: ColourCoding, notices: list[str]) -> Image.Image:
    """An RGB image coded in some way to sRGB; HDR is tone-mapped.

    Colours outside of sRGB are clipped channel by channel.

    Args:
        notices: gets a sentence on what was done.
    """
    if coding.is_srgb:
        return image
    if coding.is_hdr:
        name = "PQ" if coding.transfer == PQ else "HLG"
        notices.append(f"High dynamic range ({name}) was tone-mapped to sRGB.")
    else:
        notices.append("Colours were converted to sRGB from the image's own colour space.")
    samples = np.arange(256, dtype=np.float64) / 255
    coded = coding.transfer
    light = _CURVES[coded](samples) if coded else samples**coding.exponent
    light = light.astype(np.float32)
    working = PRIMARIES[9] if coding.is_hdr else coding.primaries
    to_working = (_from_xyz(working) @ _to_xyz(coding.primaries)).astype(np.float32)
    to_output = (_from_xyz(BT709) @ _to_xyz(working)).astype(np.float32)
    pixels = np.array(image)
    strip = max(1, _STRIP_SAMPLES // (3 * pixels.shape[1]))
    for top in range(0, len(pixels), strip):
        rows = pixels[top : top + strip]
        linear = light[rows]
        if coding.is_hdr:
            linear = _tone_mapped(linear @ to_working.T, coding.transfer)
        rows[:] = _encoded(linear @ to_output.T)
    return Image.fromarray(pixels)


def _encoded(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB's 8-bit samples."""
    v = np.clip(linear, 0, 1)
    v = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** np.float32(1 / 2.4) - 0.055)
    samples: np.ndarray = np.rint(255 * v).astype(np.uint8)
    return samples


def _tone_mapped(light: np.ndarray, transfer: int) -> np.ndarray:
    """HDR light in BT.2020 (HLG: the scene's) to SDR, 0 to 1; hues stay, white is halved.

    One gain for the three channels, by the largest: half up to reference white, then a quadratic
    Bézier curve from (1, 1/2) by (1.65, 0.825) to (peak, 1). It is the curve that ST 2094-50 gives
    for a display without headroom.
    """
    if transfer == HLG:  # BT.2100's OOTF for a display of 1000 cd/m2
        luminance = light @ np.array((0.2627, 0.6780, 0.0593), np.float32)
        light = light * (_PEAK * np.maximum(luminance, 1e-9) ** np.float32(0.2))[..., None]
    t = np.linspace(0, 1, 256)
    x = (1 - t) ** 2 + 2 * t * (1 - t) * 1.65 + t**2 * _PEAK
    y = (1 - t) ** 2 * 0.5 + 2 * t * (1 - t) * 0.825 + t**2
    largest = np.maximum(light.max(-1), 1e-9)
    mapped = np.interp(largest, np.concatenate(([0.0], x)), np.concatenate(([0.0], y)))
    shown: np.ndarray = light * (mapped / largest).astype(np.float32)[..., None]
    return shown


def _to_xyz(chromaticities: Chromaticities) -> np.ndarray:
    """The matrix from linear RGB to XYZ adapted to D65."""
    x, y = np.array(chromaticities).reshape(4, 2).T
    y = np.where(y == 0, 1e-9, y)
    columns = np.stack((x / y, np.ones(4), (1 - x - y) / y))
    white, primaries = columns[:, 3], columns[:, :3]
    matrix = primaries * np.linalg.solve(primaries, white)
    target = np.array((_D65[0] / _D65[1], 1.0, (1 - sum(_D65)) / _D65[1]))
    ratio = (_BRADFORD @ target) / (_BRADFORD @ white)
    adapted: np.ndarray = np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD @ matrix
    return adapted


def _from_xyz(chromaticities: Chromaticities) -> np.ndarray:
    return np.linalg.inv(_to_xyz(chromaticities))
