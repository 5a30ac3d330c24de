"""Bjontegaard deltas: the difference in rate, or in quality, of two rate-distortion curves.

SSIM and MS-SSIM crowd towards 1, where halving the error hardly moves them, so their deltas are
taken in decibels, -10 log10(1 - m), as is usual for learned codecs (Balle et al. 2018).
"""

import math
from collections.abc import Sequence

import numpy as np

MIN_OVERLAP = 0.5
"""Bjontegaard deltas need this share of the shorter curve's range in common."""

Axes = tuple[Sequence[float], Sequence[float]]
"""A curve's rates, in a unit that two curves share, and qualities, such as PSNR in dB."""

_OPTIONS = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}


def decibels(similarity: float) -> float:
    """A similarity of at most 1 (SSIM, MS-SSIM) in dB: -10 log10(1 - m); infinity at 1."""
    return math.inf if similarity >= 1 else -10 * math.log10(1 - similarity)


def bd_rate(anchor: Axes, curve: Axes) -> float | None:
    """Bjontegaard delta rate of a curve against the anchor, in per cent; negative: it is better.

    The mean difference of log-rate at equal quality over the common range of quality, with
    piecewise cubic interpolation (PCHIP) by the ``bjontegaard`` package (Herglotz et al. 2022,
    after Bjontegaard, VCEG-M33, 2001). Points may come in any order; one that costs more than
    another without being better is dropped, and so is one that is not finite.

    Returns:
        Per cent; None where there is none, see ``problem``.
    """
    return _delta("bd_rate", anchor, curve, over_rate=False)


def bd_quality(anchor: Axes, curve: Axes) -> float | None:
    """Bjontegaard delta quality (BD-PSNR) against the anchor; positive: the curve is better.

    The mean difference of quality, in its unit, at equal rate over the common range of log-rate;
    otherwise as ``bd_rate``.
    """
    return _delta("bd_psnr", anchor, curve, over_rate=True)


def _delta(function: str, anchor: Axes, curve: Axes, over_rate: bool) -> float | None:
    if problem(anchor, curve, over_rate) is not None:
        return None
    import bjontegaard  # imported here because it imports matplotlib

    delta = getattr(bjontegaard, function)
    return float(delta(*_increasing(*anchor), *_increasing(*curve), **_OPTIONS))


def problem(anchor: Axes, curve: Axes, over_rate: bool = False) -> str | None:
    """Why two curves have no Bjontegaard delta, in a few words; None where they have one.

    Args:
        over_rate: whether the delta is of quality, taken over the range of rate.
    """
    a, b = _increasing(*anchor), _increasing(*curve)
    if min(len(a[0]), len(b[0])) < 2:
        return "a curve has fewer than two points that are finite, of positive rate and improving"
    x, y = (np.log(a[0]), np.log(b[0])) if over_rate else (a[1], b[1])
    common = min(x.max(), y.max()) - max(x.min(), y.min())
    if common < MIN_OVERLAP * min(np.ptp(x), np.ptp(y)):
        what = "rate" if over_rate else "quality"
        return f"the curves share less than half of the shorter one's range of {what}"
    return None


def spread(values: Sequence[float | None]) -> dict[str, float] | None:
    """How a delta varies from image to image, over the values that are known; None without any.

    Returns:
        ``images`` (how many), ``mean``, ``least``, ``most`` and ``deviation``, the population's.
    """
    known = np.array([value for value in values if value is not None])
    if not known.size:
        return None
    parts = {"mean": known.mean(), "least": known.min(), "most": known.max()}
    parts = {name: float(part) for name, part in (parts | {"deviation": known.std()}).items()}
    return {"images": known.size, **parts}


def _increasing(rate: Sequence[float], metric: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The points by increasing rate, without those that cost more but are no better."""
    pairs = zip(rate, metric, strict=True)
    sound = [(r, m) for r, m in pairs if math.isfinite(r) and math.isfinite(m) and r > 0]
    kept: list[tuple[float, float]] = []
    # At equal rate the better point comes first, so that the others are dropped.
    for r, m in sorted(sound, key=lambda point: (point[0], -point[1])):
        if not kept or m > kept[-1][1]:
            kept.append((r, m))
    columns = np.array(kept, dtype=float).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
