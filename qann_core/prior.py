"""The learned prior: a network that tells, before each coefficient is read, what to expect there.

It goes down the pyramid from coarse to fine, and at each level in four passes::

    LL ─► stem ─► blocks ─► h ──► pass 0: luma on one colour of a checkerboard      given h
                   ▲        ├───► pass 1: luma on the other colour                  given pass 0
                 + bias     ├───► pass 2: C1                                        given luma
                   of N     ├───► pass 3: C2                                        given luma, C1
                            └─► absorb the level's coefficients ─► up ─► the next level's h

For every coefficient a pass writes three small integers (``Expected``). The decoder has everything
that a pass reads, so it computes the same ones, *provided that the arithmetic is exact*. So it is
on integers: weights are 8-bit integers times a power of two, activations are integers within
+-127, biases are integers, and what a layer yields is rounded to an integer. float32 carries such
numbers without error as long as every sum of products, counted in units of its power of two,
stays below 2^24: ``DyadicConv`` sees to it, in whatever order and with however many threads a sum
is taken. Training runs the same network with straight-through gradients (Bengio et al. 2013), as
quantization-aware training does (Jacob et al. 2018). Top-down priors: Minnen et al. 2018;
checkerboards: He et al. 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .limits import MAX_LEVELS, MIN_LEVELS
from .wavelet import Pyramid

LIMIT = 127
"""Activations are integers within +-LIMIT."""

UNIT = 16
"""An activation of UNIT stands for 1.0 in the initialisation of weights and biases."""

EXACT = 2**24
"""float32 holds every integer below this; sums in units of a layer's power of two stay below."""

PASSES = 4
COLOURS_OF_PASS = (0, 0, 1, 2)
"""Which colour each pass codes: luma twice, C1, C2."""

_MAX_SHIFT = 14
KNOTS_PER_OCTAVE = 2


class _RoundClip(torch.autograd.Function):
    """floor(x + 1/2) within bounds; the gradient passes where x is within them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return (x + 0.5).floor_().clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], x, *ctx.bounds), None, None


def round_clip(x: Tensor, low: float = -LIMIT, high: float = LIMIT) -> Tensor:
    """Rounds to integers (halves up) within [low, high]; straight-through gradient.

    In inference mode x itself becomes the result: fresh memory would cost more than the arithmetic.
    """
    if torch.is_inference_mode_enabled():
        return x.add_(0.5).floor_().clamp_(low, high)
    return cast(Tensor, _RoundClip.apply(x, low, high))


def dyadic(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rounds a layer to 8-bit weights and an integer bias in units of a power of two.

    Args:
        weight: (out, in, k, k); bias: (out,), both float.

    Returns:
        Integer weights within +-127 and integer biases, both in float32 and in units of
        2^-shift, and the shift of each output channel, (out,). The shift is the largest that
        keeps weights in range and every possible sum, with the half that rounding adds, below
        2^24.
    """
    rows = weight.detach().float().flatten(1).abs()
    reach = LIMIT * (rows.sum(1) + 1) + bias.detach().float().abs() + 1
    # Rounding the weights may add a half each: EXACT / 2 leaves room for that.
    shift = torch.minimum(
        torch.floor(torch.log2(LIMIT / rows.amax(1).clamp_min(1e-9))),
        torch.floor(torch.log2(EXACT / 2 / reach)),
    ).clamp_(0, _MAX_SHIFT)
    scale = torch.exp2(shift)
    integers = torch.floor(weight.float() * scale[:, None, None, None] + 0.5).clamp(-LIMIT, LIMIT)
    return integers, torch.floor(bias.float() * scale + 0.5), shift


class DyadicConv(nn.Conv2d):
    """A convolution whose weights and biases are small integers times a power of two.

    While it trains, its float weights are rounded on every call; once ``frozen`` they *are* such
    numbers and are used as they stand.

    Attributes:
        packed: the same convolution in eight-bit integers, see ``prior_int8``; None where there is
            none.
    """

    frozen = False
    packed: Callable[[Tensor], Tensor] | None = None

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        nn.init.normal_(self.weight, std=gain / math.sqrt(inputs * kernel * kernel))
        nn.init.zeros_(cast(Tensor, self.bias))

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Weights and biases on their grid, with straight-through gradients."""
        bias = cast(Tensor, self.bias) * UNIT
        integers, offsets, shift = dyadic(self.weight.detach(), bias.detach())
        scale = torch.exp2(-shift)
        on_grid = integers * scale[:, None, None, None]
        weight = self.weight + (on_grid - self.weight).detach()
        return weight, bias + (offsets * scale - bias).detach()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) integers within +-127 -> (B, out, h, w), not yet rounded."""
        if self.packed is not None and x.dtype == torch.float32 and torch.backends.mkldnn.enabled:
            return self.packed(x)
        weight, bias = (self.weight, self.bias) if self.frozen else self.rounded()
        return self._conv_forward(self.rectify(x), weight, bias)

    def rectify(self, x: Tensor) -> Tensor:
        """What the convolution makes of its input first: nothing."""
        return x


class RectifiedConv(DyadicConv):
    """A ``DyadicConv`` with a ReLU in front."""

    def rectify(self, x: Tensor) -> Tensor:
        """The ReLU."""
        return F.relu(x)


@dataclass(frozen=True)
class Expected:
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


class PriorLevel(nn.Module):
    """One level of the pyramid: blocks, four passes, and the way up to the next level.

    Args:
        channels, next_channels: of this level and of the next finer one (0: there is none).
        blocks: convolutions before the passes.
    """

    def __init__(self, channels: int, next_channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            RectifiedConv(channels, channels, 3, 0.3) for _ in range(blocks)
        )
        self.contexts = nn.ModuleList(DyadicConv(inputs, channels, 3, 0.5) for inputs in (6, 6, 12))
        self.hidden = nn.ModuleList(
            RectifiedConv(channels, channels, 1, 0.3) for _ in range(PASSES)
        )
        self.heads = nn.ModuleList(RectifiedConv(channels, 9, 1, 0.02) for _ in range(PASSES))
        for head in self.heads:
            # Starts at a wide guess: half of all coefficients zero, and a tail of one octave.
            bias = cast(Tensor, head.bias)
            bias.data[:3], bias.data[3:6] = -0.3, 8 / UNIT
        self.absorb = DyadicConv(18, channels, 3, 0.5) if next_channels else None
        self.up = RectifiedConv(channels, 4 * next_channels, 1) if next_channels else None

    def trunk(self, h: Tensor) -> Tensor:
        """(B, C, h, w) -> the same: residual blocks with the activation in front."""
        for block in self.blocks:
            h = round_clip(_sum(h, block(h)))
        return h

    def expect(self, h: Tensor, number: int, known: Tensor | None) -> Expected:
        """What pass ``number`` expects.

        Args:
            h: the level's features from ``trunk``.
            known: features (B, 6 or 12, h, w) of this level's coefficients so far, from
                ``coefficient_features``; None in pass 0.
        """
        if known is not None:
            h = round_clip(_sum(h, self.contexts[number - 1](known)))
        h = round_clip(_sum(h, self.hidden[number](h)))
        scale, tail, centre = self.heads[number](h).chunk(3, 1)
        return Expected(
            round_clip(scale, *SCALE_RANGE),
            round_clip(tail, *TAIL_RANGE),
            round_clip(centre, *CENTRE_RANGE),
        )

    def ascend(self, h: Tensor, features: Tensor) -> Tensor:
        """Features for the next level, (B, next, 2h, 2w), from this one's and all of its
        coefficients' features (B, 18, h, w)."""
        assert self.absorb is not None and self.up is not None
        h = round_clip(_sum(h, self.absorb(features)))
        return F.pixel_shuffle(round_clip(self.up(h)), 2)


class PriorNetwork(nn.Module):
    """The whole prior; see the module's text.

    Args:
        channels: of the levels, coarse to fine. blocks: convolutions of each.
    """

    magnitudes: Tensor
    rows: list[Tensor]

    def __init__(
        self,
        channels: Sequence[int] = (128, 96, 64, 32),
        blocks: Sequence[int] = (3, 2, 2, 1),
    ) -> None:
        super().__init__()
        self.channels, self.block_counts = tuple(channels), tuple(blocks)
        self.stem = DyadicConv(21, channels[0], 3, 0.5)
        following = (*channels[1:], 0)
        self.levels = nn.ModuleList(
            PriorLevel(*sizes) for sizes in zip(channels, following, blocks, strict=True)
        )
        knots = round(math.log2(MAX_LEVELS / MIN_LEVELS)) * KNOTS_PER_OCTAVE + 1
        self.embeddings = nn.ParameterList(torch.zeros(knots, width) for width in channels)
        reach = torch.arange(2 * MAX_LEVELS + 1)
        self.rows = []
        self.register_buffer("magnitudes", torch.round(UNIT * torch.asinh(reach.double())).float())

    def level_biases(self, levels: Tensor) -> list[Tensor]:
        """N of each image, (B,), to the integers that it adds at each level, (B, C, 1, 1).

        Between knots at every half octave of N they are linear; a loaded prior has them in a table.
        """
        if self.rows:
            index = levels.long() - MIN_LEVELS
            return [rows[index][:, :, None, None] for rows in self.rows]
        position = torch.log2(levels.float() / MIN_LEVELS) * KNOTS_PER_OCTAVE
        knots = torch.arange(self.embeddings[0].shape[0], device=levels.device)
        weights = (1 - (position[:, None] - knots).abs()).clamp_min(0)
        return [round_clip(UNIT * (weights @ table))[:, :, None, None] for table in self.embeddings]

    def compress(self, values: Tensor) -> Tensor:
        """Integers within +-2 MAX_LEVELS to integers within +-127: 16 asinh(q), from a table."""
        index = values.abs().clamp(max=self.magnitudes.numel() - 1).long()
        return self.magnitudes[index] * values.sign()

    def coefficient_features(self, values: Tensor) -> Tensor:
        """Integers (B, C, h, w) -> (B, 2C, h, w): compressed, with and without sign."""
        compressed = self.compress(values)
        return torch.cat((compressed, compressed.abs()), 1)

    def start(self, low: Tensor, bias: Tensor) -> Tensor:
        """Features of the coarsest level from the LL band, (B, 3, h, w) integers."""
        padded = F.pad(low, (1, 1, 1, 1), mode="replicate")
        across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        curve = 2 * low - padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        features = self.coefficient_features(torch.cat((across, down, curve), 1))
        return round_clip(self.stem(torch.cat((features, self.compress(low)), 1)) + bias)

    def forward(self, quantized: Pyramid, levels: Tensor) -> list[list[Expected]]:
        """What to expect of all details, given the true ones wherever the decoder has them.

        Args:
            quantized: integers (as floats), coarse to fine, (B, C, h, w); levels: N, (B,).

        Returns:
            For each level of details, the four passes' expectations.
        """
        biases = self.level_biases(levels)
        h = self.start(quantized[0], biases[0])
        expected = []
        for index, (level, band) in enumerate(zip(self.levels, quantized[1:], strict=True)):
            level = cast(PriorLevel, level)
            if index:
                h = round_clip(h + biases[index])
            h = level.trunk(h)
            first, luma, c1 = checkerboard(band[:, 0::3]), band[:, 0::3], band[:, 1::3]
            known = [
                None,
                self.coefficient_features(first),
                self.coefficient_features(luma),
                self.coefficient_features(torch.cat((luma, c1), 1)),
            ]
            expected.append([level.expect(h, number, known[number]) for number in range(PASSES)])
            if level.up is not None:
                h = level.ascend(h, self.coefficient_features(band))
        return expected

    def bits(self, context: Pyramid, values: Pyramid, levels: Tensor) -> Tensor:
        """Code length of the details by the parametric likelihood; the rate term of training.

        Args:
            context: the integers that the decoder will have, as floats.
            values: what is coded, in steps: the same integers, or latents with uniform noise,
                in which the result is differentiable.
            levels: N of each image, (B,).

        Returns:
            Bits of each image, (B,), without those of the LL band.
        """
        total = torch.zeros_like(levels, dtype=torch.float32)
        for passes, band in zip(self.forward(context, levels), values[1:], strict=True):
            luma, c1, c2 = (band[:, colour::3].float() for colour in range(3))
            mask = checkerboard(torch.ones_like(luma[:1, :1]))
            bits = [code_length(e, v) for e, v in zip(passes, (luma, luma, c1, c2), strict=True)]
            total = total + (bits[0] * mask + bits[1] * (1 - mask) + bits[2] + bits[3]).sum(
                (1, 2, 3)
            )
        return total


def _sum(h: Tensor, fresh: Tensor) -> Tensor:
    """h + fresh, in fresh's memory in inference mode."""
    return fresh.add_(h) if torch.is_inference_mode_enabled() else h + fresh


def checkerboard(band: Tensor) -> Tensor:
    """The band (B, C, h, w) with zeros where row + column is odd."""
    rows = torch.arange(band.shape[-2], device=band.device)[:, None]
    columns = torch.arange(band.shape[-1], device=band.device)
    return band * ((rows + columns) % 2 == 0).to(band.dtype)


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
