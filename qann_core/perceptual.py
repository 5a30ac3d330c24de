"""SSIMULACRA 2 in PyTorch: how much worse a picture looks than its reference, differentiable.

Sneyers 2022 (Cloudinary), version 2.1. Both pictures go to linear light and to XYB, the colours of
JPEG XL, at six scales, each half of the one before. Per scale and channel there are three maps::

    SSIM       1 - structural similarity, without the luminance's denominator
    artifacts  where the picture has stronger edges than the reference
    detail     where the reference has stronger edges than the picture

and of each map two means, the 1-norm and the 4-norm. The 108 means, weighted as the authors fitted
them to opinions, are summed, and a published polynomial makes a score of the sum.

The Gaussian blur is two products with a banded matrix, which is fast on any device. Nothing waits
for the host, and the constants are on the device after the first call, so that a CUDA graph can
hold it. At its borders a picture goes on as a mirror image above and below, and as zero on the left
and on the right: so the Python package ``ssimulacra2`` has it, which the scores equal.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .common.errors import ParameterError
from .common.limits import SSIMULACRA2_MIN_SIDE
from .quantization import DISTORTION_WEIGHT

SCALES = 6

# On images smaller than SSIMULACRA2_MIN_SIDE the authors' program leaves scales out, and its
# weights then meet other means than those that they were fitted to: such scores mean nothing.

SQUARED_ERROR_SHARE = 0.3
"""w in the cost of models made for the eye, see ``eye_cost``."""

_EYE_WEIGHT = 7.44
"""Along the model psnr's own curve, from N = 24 to 350, a unit of 7.44 / step^1.5 * S is worth as
many bits as a unit of 32 / step^2 * MSE, within 30 %: w moves the aim, not the rate."""

_RADIUS, _SIGMA = 5, 1.5
"""Of the Gaussian window, in pixels."""

_BLOCK = 64
"""Samples that one product with the banded matrix makes, along one axis."""

_C2 = 0.0009
"""SSIM's constant, which keeps its ratio defined where both images are flat."""

_ABSORBANCE = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098662095536),
)
"""Linear RGB to what the three kinds of cones absorb, about."""

_BIAS = 0.0037930732552754493

_OPPONENT = ((7.0, -7.0, 0.0), (0.5, 0.5, 0.0), (-0.5, -0.5, 1.0))
"""Cube roots of the absorbances to X (stretched 14 times), Y and B - Y."""

_OFFSETS = (0.42, 0.01, 0.55)
"""They make X, Y and B - Y positive."""

_WEIGHTS = (
    # SSIM, artifacts, detail in the 1-norm; the same in the 4-norm. A row a scale, finest first.
    # X
    (0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0),
    (0.0, 0.0004371155730107379, 0.0, 1.1041726426657346, 0.00066284834129271,
     0.00015231632783718752),
    (0.0, 0.0016406437456599754, 0.0, 1.8422455520539298, 11.441172603757666, 0.0),
    (0.0007989109436015163, 0.000176816438078653, 0.0, 1.8787594979546387, 10.94906990605142, 0.0),
    (0.0007289346991508072, 0.9677937080626833, 0.0, 0.00014003424285435884, 0.9981766977854967,
     0.00031949755934435053),
    (0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0, 0.0),
    # Y
    (0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262),
    (0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296,
     1.027889937768264),
    (225.20515300849274, 0.0, 0.0, 19.213238186143016, 0.0011401524586618361,
     0.001237755635509985),
    (176.39317598450694, 0.0, 0.0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408),
    (0.0, 0.0, 0.0, 34.77906344483772, 44.835625328877896, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    # B - Y
    (0.0, 0.0008680556573291698, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0004179171803251336, 0.0017290828234722833, 0.0),
    (0.0020827005846636437, 0.0, 0.0, 8.826982764996862, 23.19243343998926, 0.0),
    (95.1080498811086, 0.9863978034400682, 0.9834382792465353, 0.0012286405048278493,
     171.2667255897307, 0.9807858872435379),
    (0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537),
)  # fmt: skip

_SCALE = 0.9562382616834844
_POLYNOMIAL = (2.326765642916932, -0.020884521182843837, 6.248496625763138e-05)
"""Coefficients of the first, second and third power."""

_EXPONENT = 0.6276336467831387

_TINY = 1e-24
"""Added below roots, and taken off again, so that their slopes stay finite at zero."""


class _Constants(NamedTuple):
    absorbance: Tensor
    opponent: Tensor
    offsets: Tensor
    weights: Tensor
    window: Tensor


def ssimulacra2(reference: Tensor, picture: Tensor) -> Tensor:
    """SSIMULACRA 2 of each picture: 100 for equal ones, 90 where the eye sees no difference,
    70 high quality, 50 medium, 30 low; it can be negative.

    Args:
        reference, picture: (B, 3, H, W) float, centred sRGB (pixel - 127.5), of one shape, on one
            device. Values beyond those of 8 bits are clipped, and have no gradient.

    Returns:
        (B,) scores, float32.

    Raises:
        ParameterError: when the shapes differ, or a side is shorter than ``SSIMULACRA2_MIN_SIDE``.
    """
    _check(reference, picture)
    constants = _constants(reference.device)
    with torch.autocast(reference.device.type, enabled=False):
        first, second = _linear(reference.float()), _linear(picture.float())
        means = []
        for scale in range(SCALES):
            if scale:
                first, second = _halve(first), _halve(second)
            means.append(_means(_xyb(first, constants), _xyb(second, constants), constants.window))
        # (B, 3 channels, 6 scales, 6 means)
        total = (torch.stack(means, 2) * constants.weights).sum((1, 2, 3)) * _SCALE
        one, two, three = _POLYNOMIAL
        fitted = total * (one + total * (two + total * three))
        return 100 - 10 * _root(fitted.clamp_min(0), _EXPONENT, 1e-8)


def eye_cost(
    reference: Tensor, picture: Tensor, step: Tensor, share: float = SQUARED_ERROR_SHARE
) -> Tensor:
    """What errors cost a model made for the eye, in bits per pixel::

        w 32 / step^2 MSE + (1 - w) 7.44 / step^1.5 (100 - SSIMULACRA 2)

    Args:
        reference, picture: as for ``ssimulacra2``.
        step: quantization step of each image, (B,).
        share: w, from 0 to 1.

    Returns:
        (B,) costs.

    Raises:
        ParameterError: as ``ssimulacra2``.
    """
    mse = (picture - reference).square().mean((1, 2, 3))
    unlike = 100 - ssimulacra2(reference, picture)
    squared = share * DISTORTION_WEIGHT / step**2 * mse
    return squared + (1 - share) * _EYE_WEIGHT / step**1.5 * unlike


def _check(reference: Tensor, picture: Tensor) -> None:
    if reference.shape != picture.shape or reference.ndim != 4 or reference.shape[1] != 3:
        raise ParameterError(
            f"Pictures of shapes {tuple(reference.shape)} and {tuple(picture.shape)} cannot be"
            " compared; both must be (B, 3, H, W)."
        )
    height, width = reference.shape[-2:]
    if min(height, width) < SSIMULACRA2_MIN_SIDE:
        raise ParameterError(
            f"SSIMULACRA 2 needs images of at least {SSIMULACRA2_MIN_SIDE} pixels a side,"
            f" not {width} x {height}."
        )


@lru_cache
def _constants(device: torch.device) -> _Constants:
    """Made outside of inference mode, so that training may use those of an earlier measurement."""
    with torch.inference_mode(False):
        offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float64)
        kernel = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
        kernel = (kernel / kernel.sum()).float()
        window = torch.zeros(_BLOCK + 2 * _RADIUS, _BLOCK)
        for i in range(_BLOCK):
            window[i : i + len(kernel), i] = kernel
        tables = (
            torch.tensor(_ABSORBANCE),
            torch.tensor(_OPPONENT),
            torch.tensor(_OFFSETS)[:, None, None],
            torch.tensor(_WEIGHTS).view(3, SCALES, 6),
            window,
        )
        return _Constants(*(table.to(device) for table in tables))


def _linear(image: Tensor) -> Tensor:
    """Centred sRGB to linear light, 0 to 1 (IEC 61966-2-1)."""
    encoded = ((image + 127.5) / 255).clamp(0, 1)
    curve = ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, curve)


def _halve(image: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; an odd side's last ones count twice."""
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        image = F.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    return F.avg_pool2d(image, 2)


def _xyb(linear: Tensor, constants: _Constants) -> Tensor:
    """Linear RGB to X, Y, B - Y, scaled and shifted as SSIMULACRA 2 wants them."""
    shape = linear.shape
    absorbed: Tensor = constants.absorbance @ linear.flatten(2) + _BIAS
    roots: Tensor = absorbed ** (1 / 3) - _BIAS ** (1 / 3)
    return (constants.opponent @ roots).view(shape) + constants.offsets


def _means(a: Tensor, b: Tensor, window: Tensor) -> Tensor:
    """The six means of each channel at one scale, (B, 3, 6), in the order of ``_WEIGHTS``."""
    blurred = _blur(torch.cat((a, b, a * a + b * b, (a - b) ** 2)), window)
    mean_a, mean_b, squares, difference = blurred.chunk(4)
    error = (mean_a - mean_b) ** 2
    # With the variance of the difference in place of the covariance, nothing cancels in float32.
    variances = squares - mean_a**2 - mean_b**2 + _C2
    unlike = difference - error
    ssim = ((unlike + error * (variances - unlike)) / variances).clamp_min(0)
    edges = (1 + (b - mean_b).abs()) / (1 + (a - mean_a).abs()) - 1
    maps = torch.stack((ssim, edges.clamp_min(0), (-edges).clamp_min(0)), 2)
    first = maps.mean((-2, -1))
    fourth = _root(maps.square().square().mean((-2, -1)), 0.25, _TINY)
    return torch.cat((first, fourth), -1)


def _root(value: Tensor, exponent: float, tiny: float) -> Tensor:
    """value ** exponent, exactly 0 at 0 and with a finite slope there."""
    root: Tensor = (value + tiny) ** exponent - tiny**exponent
    return root


def _blur(image: Tensor, window: Tensor) -> Tensor:
    """The Gaussian window over (B, C, H, W); mirrored above and below, zero beside."""
    height, width = image.shape[-2:]
    length = len(window)
    down, right = -height % _BLOCK, -width % _BLOCK + _RADIUS
    above, below = image[..., :_RADIUS, :].flip(-2), image[..., -_RADIUS:, :].flip(-2)
    rows = F.pad(torch.cat((above, image, below), -2), (0, 0, 0, down))
    rows = rows.unfold(-2, length, _BLOCK).transpose(-2, -1).contiguous()
    image = (window.T @ rows).flatten(-3, -2)[..., :height, :]
    columns = F.pad(image, (_RADIUS, right)).unfold(-1, length, _BLOCK).contiguous()
    return (columns @ window).flatten(-2)[..., :width]
