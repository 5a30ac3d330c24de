"""Other codecs on equal terms: in as many bytes as a file, or at as high a PSNR as a picture."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np

from qann_core.evaluation.peers import Peer
from qann_core.metrics import psnr

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class PeerResult:
    """What a peer made of an image at the quality that a search chose.

    Attributes:
        name: the peer's name.
        quality: the integer quality chosen.
        data: the file's bytes.
        pixels: the decoded image, uint8 (H, W, 3).
        psnr: against the original, in dB.
        met: whether the target was met; if not, this is the nearest the peer can get.
    """

    name: str
    quality: int
    data: bytes
    pixels: np.ndarray
    psnr: float
    met: bool


def finest(
    settings: Sequence[int],
    n_bytes: float,
    make: Callable[[int], _Made],
    size: Callable[[_Made], int],
) -> tuple[int, _Made]:
    """The last setting that takes at most ``n_bytes``, and what it makes, by bisection.

    Where even the first takes more, that one.

    Args:
        settings: by increasing size of what they make.
    """
    made = cache(make)
    after = bisect_right(settings, n_bytes, lo=1, key=lambda setting: size(made(setting)))
    return settings[after - 1], made(settings[after - 1])


def at_bytes(peer: Peer, pixels: np.ndarray, target_bytes: int) -> PeerResult:
    """The best quality whose file is at most ``target_bytes`` long.

    When even the smallest file is longer, that file, with ``met`` false.
    """
    qualities = range(peer.min_quality, peer.max_quality + 1)
    quality, data = finest(qualities, target_bytes, lambda q: peer.encode(pixels, q), len)
    decoded, met = peer.decode(data), len(data) <= target_bytes
    return PeerResult(peer.name, quality, data, decoded, psnr(pixels, decoded), met)


Measured = dict[int, tuple[int, float]]
"""What a peer made of one image: quality -> (length of the file in bytes, PSNR in dB)."""


def bytes_at_psnr(
    peer: Peer, pixels: np.ndarray, target_psnr: float, measured: Measured | None = None
) -> float | None:
    """The file length, in bytes, at exactly ``target_psnr`` (in dB).

    Interpolated between the two neighbouring qualities, the logarithm of the length being linear
    in dB. None when the PSNR is out of the peer's reach, above or below.

    Args:
        measured: what earlier searches for the same image have found; it is used and added to.
    """
    measured = {} if measured is None else measured

    def reaches(quality: int) -> bool:
        if quality not in measured:
            data = peer.encode(pixels, quality)
            measured[quality] = len(data), psnr(pixels, peer.decode(data))
        return measured[quality][1] >= target_psnr

    lowest, highest = peer.min_quality, peer.max_quality
    if reaches(lowest):
        length, reached = measured[lowest]
        return float(length) if reached == target_psnr else None
    high = min((quality for quality in measured if reaches(quality)), default=highest + 1)
    low = max(quality for quality in measured if quality < high)
    between = range(low + 1, high)
    above = low + 1 + bisect_left(between, True, key=reaches)
    if above > highest:
        return None
    (shorter, short_of), (longer, reached) = measured[above - 1], measured[above]
    if math.isinf(reached):
        return float(longer)
    return shorter * math.pow(longer / shorter, (target_psnr - short_of) / (reached - short_of))
