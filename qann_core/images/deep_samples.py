"""Samples of more than 8 bits, signed or floating, to 8 bits."""

from typing import Any

import numpy as np

_WHITES: dict[str, tuple[float, ...]] = {
    "u1": (255,), "u2": (65535,), "u4": (255, 65535, 2**32 - 1),
    "i1": (127,), "i2": (255, 32767), "i4": (255, 65535),
    "f2": (1, 255, 65535), "f4": (1, 255, 65535), "f8": (1, 255, 65535),
}  # fmt: skip
"""What white may be, by type: the first that no sample exceeds."""

_STRAY_SHARE = 0.1
"""A smaller share of floating-point samples outside of black to white is clipped."""


def to_8_bits(samples: np.ndarray, notices: list[str]) -> tuple[np.ndarray, float]:
    """Any integers or floats to uint8 of the same shape.

    Unsigned samples of 8 and 16 bits span their type. The others do not say where white is:
    integers within 0..255 or 0..65535 and floats within 0..1, 0..255 or 0..65535, but for a few,
    are taken to mean that range, and unsigned integers of 32 bits their whole range where they
    use at least 1/256 of it. Otherwise white is the largest value and black the smallest.

    Args:
        notices: gets a sentence on what was done.

    Returns:
        The 8-bit samples, and the value that became 255.
    """
    kind = samples.dtype.kind + str(samples.dtype.itemsize)
    if kind == "u1":
        return samples, 255.0
    if kind == "u2":
        notices.append("16-bit samples were scaled to 8 bits.")
        scaled = (samples.astype(np.uint32) + 128) // 257
        return scaled.astype(np.uint8), 65535.0
    floating = samples.dtype.kind == "f"
    if floating:
        wide = np.float32 if samples.dtype.itemsize < 8 else np.float64
        samples = np.nan_to_num(samples.astype(wide), posinf=0.0, neginf=0.0)
    black, white = _range(samples, kind)
    if (black, white) == (0.0, 65535.0) and not floating:
        notices.append("16-bit samples were scaled to 8 bits.")
    elif floating and black == 0 and white in _WHITES[kind]:
        notices.append("Floating-point samples were scaled to 8 bits.")
    elif white != 255:
        stretched = white not in _WHITES[kind] or black < 0
        notices.append(
            "Samples beyond 16 bits were stretched from black to white."
            if stretched
            else f"{8 * samples.dtype.itemsize}-bit samples were scaled to 8 bits."
        )
    return _scaled(samples, black, white), white


def _range(samples: np.ndarray, kind: str) -> tuple[float, float]:
    """Where black and white are."""
    lowest, highest = float(samples.min()), float(samples.max())
    whites = _WHITES[kind]
    if samples.dtype.kind == "f":
        if np.mean(samples < 0) <= _STRAY_SHARE:
            for white in whites:
                if np.mean(samples > white) <= _STRAY_SHARE:
                    return 0.0, float(white)
        return lowest, highest
    if lowest < 0 or highest > whites[-1]:
        return lowest, highest
    white = next(w for w in whites if highest <= w)
    if kind == "u4" and white == whites[-1] and highest < 2**24:
        return lowest, highest
    return 0.0, float(white)


def _scaled(samples: np.ndarray, black: float, white: float) -> np.ndarray:
    out = np.empty(samples.shape, np.uint8)
    span = max(white - black, 1e-30)
    for row in range(samples.shape[0]):  # row by row: double precision of the whole would be large
        values: Any = 255 * (samples[row].astype(np.float64) - black) / span
        out[row] = np.rint(np.clip(values, 0, 255))
    return out
