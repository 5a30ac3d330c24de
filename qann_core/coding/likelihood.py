"""What the prior expects of a coefficient, in three small integers, and what coding it costs."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Expected(NamedTuple):
    """What to expect of coefficients: small integers, each (B, 3, h, w) for HL, LH and HH.

    The probability of zero is that of a logistic distribution of scale s = 1 / (2 softplus(-x / 8))
    within (-1/2, 1/2), in quantization steps; the others' is that of one whose scale is 2^(t / 8)
    times s.

    Attributes:
        scale: x, from -72 (almost surely zero) to 44 (magnitudes around a hundred).
        tail: t, from 0 to 20.
        centre: where the distribution is centred, from -32 to 32, in 1/16 of its scale.
    """

    scale: Tensor
    tail: Tensor
    centre: Tensor


SCALE_RANGE, TAIL_RANGE, CENTRE_RANGE = (-72, 44), (0, 20), (-32, 32)


def code_length(expected: Expected, values: Tensor) -> Tensor:
    """Bits of values (in steps, integers or noisy) under what was expected; same shape."""
    scale = 0.5 / F.softplus(-expected.scale.float() / 8)
    wide = scale * torch.exp2(expected.tail.float() / 8)
    centre = expected.centre.float() / 16 * wide
    zero = _box(-centre, scale)
    share = _box(-centre, wide)
    spike = ((zero - share) / (1 - share)).clamp(0, 1)
    # The spike is a box of one step around zero with edges just soft enough for a gradient.
    at_zero = torch.sigmoid((0.5 - values.abs()) * 20)
    probability = spike * at_zero + (1 - spike) * _box(values - centre, wide)
    return -torch.log2(probability.clamp_min(1e-9))


def _box(x: Tensor, scale: Tensor) -> Tensor:
    """Probability of the step around x under a logistic distribution centred at zero."""
    x = x.abs()
    return torch.sigmoid((0.5 - x) / scale) - torch.sigmoid((-0.5 - x) / scale)
