"""Rate and distortion of decoded 8-bit sRGB images: bits per pixel, PSNR, SSIM, MS-SSIM.

Images are uint8 arrays (H, W, 3), ``a`` the original and ``b`` the decoded one; every measure is
symmetric in them. SSIM and MS-SSIM are means over the three channels R, G, B.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .errors import ImageError, ParameterError

if TYPE_CHECKING:
    from torch import Tensor

SSIM_WINDOW = 11
"""Side of SSIM's Gaussian window, in pixels (standard deviation 1.5)."""

MS_SSIM_MIN_SIDE = 161
"""Shorter images are undefined: at the fifth scale, 1/16, the 11-pixel window must fit."""

_STRIP = 128
"""Rows measured at once: bounds the memory, and stays in the processor's caches."""


def bits_per_pixel(n_bytes: int, height: int, width: int) -> float:
    """Rate of a file of ``n_bytes`` for an image of ``height`` x ``width`` pixels."""
    return 8 * n_bytes / (height * width)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all RGB samples together: 10 log10(255^2 / MSE).

    Returns:
        dB; infinity for equal images.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
    """
    _check_pair(a, b)
    squared = 0.0
    for top in range(0, a.shape[0], _STRIP):
        rows = slice(top, top + _STRIP)
        difference = np.subtract(a[rows], b[rows], dtype=np.float64).ravel()
        squared += float(difference @ difference)  # whole numbers, so the sum is exact
    return math.inf if squared == 0 else 10 * math.log10(255**2 * a.size / squared)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), at most 1.

    With the paper's parameters: an 11 x 11 Gaussian window of standard deviation 1.5, K1 = 0.01,
    K2 = 0.03, L = 255, averaged where the window lies inside the image. It equals scikit-image's
    ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`` to
    about 1e-5. A side shorter than the window is first extended to 11 pixels by reflection.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
    """
    import torch
    from pytorch_msssim import ssim as torch_ssim

    _check_pair(a, b)
    a, b = _extend(a), _extend(b)
    border = SSIM_WINDOW - 1
    rows = a.shape[0] - border
    total = 0.0
    with torch.inference_mode():
        for top in range(0, rows, _STRIP):
            count = min(_STRIP, rows - top)
            strip = slice(top, top + count + border)
            total += count * float(torch_ssim(_tensor(a[strip]), _tensor(b[strip])))
    return total / rows


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003), five scales, at most 1.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
        ParameterError: when a side is shorter than MS_SSIM_MIN_SIDE.
    """
    import torch
    from pytorch_msssim import ms_ssim as torch_ms_ssim

    _check_pair(a, b)
    if min(a.shape[:2]) < MS_SSIM_MIN_SIDE:
        raise ParameterError(
            f"MS-SSIM needs images of at least {MS_SSIM_MIN_SIDE} pixels a side,"
            f" not {a.shape[1]} x {a.shape[0]}."
        )
    with torch.inference_mode():
        return float(torch_ms_ssim(_tensor(a), _tensor(b)))


def _check_pair(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ImageError(f"Images of shapes {a.shape} and {b.shape} cannot be compared.")
    if a.dtype != np.uint8 or b.dtype != np.uint8 or a.ndim != 3 or a.shape[2] != 3 or not a.size:
        raise ImageError("Images to compare must be non-empty uint8 arrays (H, W, 3).")


def _extend(image: np.ndarray) -> np.ndarray:
    """The image with both sides at least as long as SSIM's window, by reflection at the end."""
    missing = [(0, max(0, SSIM_WINDOW - side)) for side in image.shape[:2]]
    return np.pad(image, [*missing, (0, 0)], mode="symmetric")


def _tensor(image: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) to float32 (1, 3, H, W)."""
    import torch

    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
