"""Rate and distortion of decoded 8-bit sRGB images: bits per pixel, PSNR, SSIM, MS-SSIM and others.

Images are uint8 arrays (H, W, 3), ``a`` the original and ``b`` the decoded one; every measure but
SSIMULACRA 2 is symmetric in them. SSIM and MS-SSIM are means over the three channels R, G, B,
computed by NumPy in one thread: SSIM about six times as fast as scikit-image, MS-SSIM 1.7 times as
fast as pytorch-msssim. The tests hold them to both libraries. pytorch-msssim does not serve here at
run time because it needs torch, which would fill every process that measures other codecs, and
because it pads odd sides with black. Only SSIMULACRA 2 uses torch, imported when it is called.
"""

import math
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from .common.errors import ImageError, ParameterError, QannError

SSIM_WINDOW = 11
"""Side of SSIM's Gaussian window, in pixels (standard deviation 1.5)."""

MS_SSIM_MIN_SIDE = 161
"""Shorter images are undefined: at the fifth scale, 1/16, the 11-pixel window must fit."""

BUTTERAUGLI = "butteraugli_main"
"""The program that ``butteraugli`` runs, found on the PATH."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""SSIM's constants, which keep its two ratios defined where an image is black or flat."""

_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

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
    K2 = 0.03, L = 255, averaged where the window is inside the image. It equals scikit-image's
    ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`` to
    about 1e-6. A side shorter than the window is first extended to 11 pixels by reflection.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
    """
    _check_pair(a, b)
    a, b = _extend(a), _extend(b)
    channels = range(a.shape[2])
    return float(np.mean([_similarity(a[..., c], b[..., c])[0] for c in channels]))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003), five scales, from 0 to 1.

    Contrast and structure at every scale, luminance at the coarsest; between scales, means of
    2 x 2 pixels. A negative mean, which has no fractional power, counts as 0.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
        ParameterError: when a side is shorter than MS_SSIM_MIN_SIDE.
    """
    _check_pair(a, b)
    if min(a.shape[:2]) < MS_SSIM_MIN_SIDE:
        raise ParameterError(
            f"MS-SSIM needs images of at least {MS_SSIM_MIN_SIDE} pixels a side,"
            f" not {a.shape[1]} x {a.shape[0]}."
        )
    return float(np.mean([_ms_ssim_channel(a[..., c], b[..., c]) for c in range(a.shape[2])]))


def ssimulacra2(reference: np.ndarray, picture: np.ndarray) -> float:
    """SSIMULACRA 2 (Sneyers, Cloudinary 2022, version 2.1): 100 for equal images, 90 where the
    eye sees no difference, 70 high quality, 50 medium, 30 low; it can be negative.

    The score is that of ``perceptual.ssimulacra2``, which models of the aim "eye" are trained for.
    It is within a hundredth of the Python package ``ssimulacra2``. Scores of the authors' program
    can differ by a few points, since it treats borders otherwise: compare scores of one program.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
        ParameterError: when a side is shorter than SSIMULACRA2_MIN_SIDE.
    """
    _check_pair(reference, picture)
    import torch

    from .networks.samples import centred
    from .perceptual import ssimulacra2 as scores

    with torch.inference_mode():
        return float(scores(centred(reference[None]), centred(picture[None])))


def butteraugli(a: np.ndarray, b: np.ndarray) -> float:
    """Butteraugli's 3-norm (Alakuijala et al., Google 2016): 0 for equal images, about 1 where a
    difference begins to be seen; more is worse.

    Computed by libjxl's own program BUTTERAUGLI at its default of 80 nits.

    Raises:
        ImageError: when the images are not uint8 (H, W, 3) of the same shape.
        ParameterError: when the program is not on the PATH, or refuses the images.
    """
    _check_pair(a, b)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("a.png", "b.png")]
        for image, file in zip((a, b), files, strict=True):
            Image.fromarray(image).save(file, compress_level=1)
        try:
            output = subprocess.run(
                [BUTTERAUGLI, *files], check=True, capture_output=True, text=True
            ).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise ParameterError(f"The program {BUTTERAUGLI} failed: {error}") from error
    found = re.search(r"^3-norm: (\S+)$", output, re.MULTILINE)
    if found is None:
        raise ParameterError(f"The program {BUTTERAUGLI} did not print a 3-norm.")
    return float(found[1])


_FUNCTIONS = {f.__name__: f for f in (psnr, ssim, ms_ssim, ssimulacra2, butteraugli)}


def measured(names: Iterable[str], a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    """Measures of a decoded image, by the names of their functions.

    None where a measure is not defined, as for very small images.
    """
    values: dict[str, float | None] = {}
    for name in names:
        try:
            value = _FUNCTIONS[name](a, b)
        except QannError:
            value = math.nan
        values[name] = None if math.isnan(value) else value
    return values


def _ms_ssim_channel(a: np.ndarray, b: np.ndarray) -> float:
    product = 1.0
    for weight in _MS_SSIM_WEIGHTS[:-1]:
        product *= max(0.0, _similarity(a, b)[1]) ** weight
        a, b = _halve(a), _halve(b)
    return float(product * max(0.0, _similarity(a, b)[0]) ** _MS_SSIM_WEIGHTS[-1])


def _check_pair(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ImageError(f"Images of shapes {a.shape} and {b.shape} cannot be compared.")
    if a.dtype != np.uint8 or b.dtype != np.uint8 or a.ndim != 3 or a.shape[2] != 3 or not a.size:
        raise ImageError("Images to compare must be non-empty uint8 arrays (H, W, 3).")


def _extend(image: np.ndarray) -> np.ndarray:
    """The image with both sides at least as long as SSIM's window, by reflection at the end."""
    missing = [(0, max(0, SSIM_WINDOW - side)) for side in image.shape[:2]]
    return np.pad(image, [*missing, (0, 0)], mode="symmetric")


def _similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Means of SSIM, and of its contrast-structure factor alone, for one channel (H, W)."""
    border = SSIM_WINDOW - 1
    rows, columns = a.shape[0] - border, a.shape[1] - border
    total = total_contrast = 0.0
    for top in range(0, rows, _STRIP):
        strip = slice(top, min(top + _STRIP, rows) + border)
        # Variances do not depend on the origin, and float32 is more exact around zero.
        x, y = (image[strip].astype(np.float32) - np.float32(127.5) for image in (a, b))
        mean_x, mean_y = _blur(x), _blur(y)
        variances = _blur(x * x + y * y) - (mean_x * mean_x + mean_y * mean_y)
        covariance = _blur(x * y) - mean_x * mean_y
        contrast = (2 * covariance + _C2) / (variances + _C2)
        mean_x += 127.5
        mean_y += 127.5
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
        total_contrast += float(contrast.sum(dtype=np.float64))
        total += float((luminance * contrast).sum(dtype=np.float64))
    return total / (rows * columns), total_contrast / (rows * columns)


def _blur(image: np.ndarray) -> np.ndarray:
    """SSIM's Gaussian window over (H, W) float32, where it is inside: (H - 10, W - 10)."""
    half = SSIM_WINDOW // 2
    kernel = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * 1.5**2))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for _ in range(2):  # along the rows, then, transposed, along the columns
        length = image.shape[0] - 2 * half
        blurred = kernel[half] * image[half : half + length]
        for i in range(half):  # the window is symmetric: two rows share a weight
            mirrored = SSIM_WINDOW - 1 - i
            blurred += kernel[i] * (image[i : i + length] + image[mirrored : mirrored + length])
        image = blurred.T
    return image


def _halve(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels of (H, W); an odd side's last pixels are counted twice."""
    height, width = image.shape
    even = np.pad(image.astype(np.float32), ((0, height % 2), (0, width % 2)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
