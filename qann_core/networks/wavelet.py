"""The codec's skeleton: an orthonormal colour rotation and the CDF 9/7 wavelet, as a pyramid.

The wavelet is the irreversible filter of JPEG 2000 (ISO/IEC 15444-1, Annex F) in lifting form
(Daubechies and Sweldens 1998), scaled so that low and high band both have gain sqrt(2) and the
transform is nearly orthonormal: one quantization step then serves every subband.

A *pyramid* is a tuple of tensors, coarse to fine: the LL band with 3 channels, then one tensor
of details with 9 channels per level, at 1/16, 1/16, 1/8, 1/4 and 1/2 of the image's size for
four levels. The 9 channels are (HL, LH, HH) x (Y, C1, C2), orientation-major.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..common.shapes import BLOCK, WAVELET_LEVELS, padded_size

Pyramid = tuple[Tensor, ...]

LL_RANGE = 2 * 127.5 * math.sqrt(3) * BLOCK
"""Full dynamic range R of the LL band (and so of the latents): about 7067."""

ORIENTATIONS = ("HL", "LH", "HH")
COLOURS = ("Y", "C1", "C2")

_ALPHA, _BETA, _GAMMA, _DELTA = -1.586134342, -0.052980119, 0.882911076, 0.443506852
_K = 1.149604398

COLOUR_ROTATION = (
    (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3)),
    (-1 / math.sqrt(2), 0.0, 1 / math.sqrt(2)),
    (1 / math.sqrt(6), -2 / math.sqrt(6), 1 / math.sqrt(6)),
)


def _rotation(like: Tensor) -> Tensor:
    # Filled where it is needed: a tensor made on the host could not be part of a CUDA graph.
    entries = [like.new_full((), entry) for row in COLOUR_ROTATION for entry in row]
    return torch.stack(entries).view(3, 3)


def _next(x: Tensor, dim: int) -> Tensor:
    """x[n + 1] with the last sample repeated: symmetric extension of an even-length signal."""
    n = x.shape[dim]
    return torch.cat((x.narrow(dim, 1, n - 1), x.narrow(dim, n - 1, 1)), dim)


def _previous(x: Tensor, dim: int) -> Tensor:
    """x[n - 1] with the first sample repeated."""
    return torch.cat((x.narrow(dim, 0, 1), x.narrow(dim, 0, x.shape[dim] - 1)), dim)


def _split(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """One lifting analysis step along ``dim`` (even length): (low, high)."""
    low, high = (x[..., 0::2], x[..., 1::2]) if dim == -1 else (x[..., 0::2, :], x[..., 1::2, :])
    high = high + _ALPHA * (low + _next(low, dim))
    low = low + _BETA * (high + _previous(high, dim))
    high = high + _GAMMA * (low + _next(low, dim))
    low = low + _DELTA * (high + _previous(high, dim))
    return low * _K, high / _K


def _merge(low: Tensor, high: Tensor, dim: int) -> Tensor:
    """The inverse of ``_split``."""
    low, high = low / _K, high * _K
    low = low - _DELTA * (high + _previous(high, dim))
    high = high - _GAMMA * (low + _next(low, dim))
    low = low - _BETA * (high + _previous(high, dim))
    high = high - _ALPHA * (low + _next(low, dim))
    return (
        torch.stack((low, high), dim).flatten(-2)
        if dim == -1
        else torch.stack((low, high), -2).flatten(-3, -2)
    )


def forward(image: Tensor) -> Pyramid:
    """Image to pyramid.

    Args:
        image: (B, 3, H, W) float, centred RGB (pixel - 127.5); H and W multiples of ``BLOCK``.

    Returns:
        The pyramid, coarse to fine, in the image's dtype.
    """
    low = torch.einsum("ij,bjhw->bihw", _rotation(image), image)
    details = []
    for _ in range(WAVELET_LEVELS):
        left, right = _split(low, -1)
        low, lh = _split(left, -2)
        hl, hh = _split(right, -2)
        details.append(torch.cat((hl, lh, hh), 1))
    return (low, *reversed(details))


def inverse(pyramid: Pyramid) -> Tensor:
    """Pyramid to image: the exact inverse of ``forward`` up to rounding."""
    low = pyramid[0]
    for detail in pyramid[1:]:
        hl, lh, hh = detail.chunk(3, 1)
        low = _merge(_merge(low, lh, -2), _merge(hl, hh, -2), -1)
    return torch.einsum("ij,bihw->bjhw", _rotation(low), low)


def pad(image: Tensor, multiple: int = BLOCK) -> Tensor:
    """Pads (B, C, H, W) at the right and bottom to ``padded_size``.

    By reflection, so that no edge is invented; by replication where the side is too small.
    """
    height, width = image.shape[-2:]
    new_height, new_width = padded_size(height, width, multiple)
    for dim, extra, size in ((-1, new_width - width, width), (-2, new_height - height, height)):
        if extra:
            amounts = (0, extra, 0, 0) if dim == -1 else (0, 0, 0, extra)
            image = F.pad(image, amounts, mode="reflect" if extra < size else "replicate")
    return image
