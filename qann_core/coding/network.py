"""The learned prior: a network that predicts the distribution of each coefficient.

It goes down the pyramid from coarse to fine, and at each level pass by pass (``passes``)::

    LL ─► stem ─► blocks ─► h ──► pass 0: a quarter of the luma                   given h
                   ▲        ├───► passes 1 to 3: the other quarters               given those before
                 + bias     ├───► passes 4 and 5: C1, half by half                given luma
                   of N     ├───► passes 6 and 7: C2, half by half                given luma, C1
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

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..common.limits import MAX_LEVELS, MIN_LEVELS
from ..networks.roles import Role
from ..networks.wavelet import Pyramid
from .likelihood import CENTRE_RANGE, SCALE_RANGE, TAIL_RANGE, Expected, code_length
from .passes import LEVEL_PASSES, Phase, band_by_band, by_colour, colour_by_colour, seen_before

LIMIT = 127
"""Activations are integers within +-LIMIT."""

UNIT = 16
"""An activation of UNIT stands for 1.0 in the initialisation of weights and biases."""

EXACT = 2**24
"""float32 holds every integer below this; sums in units of a layer's power of two stay below."""

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
    return cast(Tensor, _RoundClip.apply(x, low, high))  # type: ignore[no-untyped-call]


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

    Args:
        relu: whether its input passes a ReLU first.
    """

    frozen = False

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        gain: float = 1.0,
        stride: int = 1,
        relu: bool = False,
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding)
        nn.init.normal_(self.weight, std=gain / math.sqrt(inputs * kernel * kernel))
        nn.init.zeros_(cast(Tensor, self.bias))
        self.relu = relu

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
        weight, bias = (self.weight, self.bias) if self.frozen else self.rounded()
        return cast(Tensor, self._conv_forward(F.relu(x) if self.relu else x, weight, bias))


class PriorLevel(nn.Module):
    """One level of the pyramid: blocks, passes, and the way up to the next level.

    Args:
        channels, next_channels: of this level and of the next finer one (0: there is none).
        blocks: convolutions before the passes.
    """

    roles: ClassVar = {"heads": Role.PRIOR_HEAD}

    def __init__(self, channels: int, next_channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            DyadicConv(channels, channels, 3, 0.3, relu=True) for _ in range(blocks)
        )
        self.contexts = nn.ModuleList(
            DyadicConv(2 * step.known_planes, channels, 3, 0.5, stride=2)
            for step in LEVEL_PASSES[1:]
        )
        self.hidden = nn.ModuleList(
            DyadicConv(channels, channels, 1, 0.3, relu=True) for _ in LEVEL_PASSES
        )
        self.heads = nn.ModuleList(
            DyadicConv(channels, 9, 1, 0.02, relu=True) for _ in LEVEL_PASSES
        )
        for head in self.heads:
            # Starts at a wide guess: half of all coefficients zero, and a tail of one octave.
            bias = cast(Tensor, head.bias)
            bias.data[:3], bias.data[3:6] = -0.3, 8 / UNIT
        self.absorb = DyadicConv(18, channels, 3, 0.5) if next_channels else None
        self.up = DyadicConv(channels, 4 * next_channels, 1, relu=True) if next_channels else None

    def trunk(self, h: Tensor) -> Tensor:
        """(B, C, h, w) -> the same: residual blocks with the activation in front."""
        for block in self.blocks:
            h = round_clip(_sum(h, block(h)))
        return h

    def expect(self, h: Tensor, number: int, seen: Tensor) -> Expected:
        """What pass ``number`` expects; whatever it does not code is to be ignored.

        Args:
            h: the level's features from ``trunk``.
            seen: the level's coefficients so far, compressed, (B, 9, h, w) colour by colour, with
                zeros where the pass knows nothing.
        """
        raw = h.new_zeros(len(h), 9, *h.shape[-2:])
        for (y, x), part in self._expect_phases(h, number, seen):
            raw[..., y::2, x::2] = part.to(raw.dtype)
        return _rounded(raw)

    def expect_coded(self, h: Tensor, number: int, seen: Tensor) -> Expected:
        """The same of what the pass codes alone: (B, 3, n), in the order of ``Pass.places``."""
        parts = [part.flatten(2) for _, part in self._expect_phases(h, number, seen)]
        if len(parts) == 1:  # a phase's rows are in order
            return _rounded(parts[0])
        sorting = LEVEL_PASSES[number].sorting(h.shape[-2], h.shape[-1])
        return _rounded(torch.cat(parts, 2)[..., torch.from_numpy(sorting).to(h.device)])

    def _expect_phases(
        self, h: Tensor, number: int, seen: Tensor
    ) -> Iterator[tuple[Phase, Tensor]]:
        """Each phase that the pass codes, and its heads, (B, 9, rows, columns)."""
        known = seen[:, : LEVEL_PASSES[number].known_planes]
        padded = F.pad(torch.cat((known, known.abs()), 1), (1, 1, 1, 1))
        for y, x in LEVEL_PASSES[number].phases:
            part = h[..., y::2, x::2]
            if part.numel():
                yield (y, x), self._expect_part(part, number, padded[..., y:, x:])

    def _expect_part(self, h: Tensor, number: int, known: Tensor) -> Tensor:
        if number:
            h = round_clip(_sum(h, self.contexts[number - 1](known)))
        h = round_clip(_sum(h, self.hidden[number](h)))
        return cast(Tensor, self.heads[number](h))

    def ascend(self, h: Tensor, seen: Tensor) -> Tensor:
        """Features for the next level, (B, next, 2h, 2w), from this one's and from all of its
        coefficients, compressed, (B, 9, h, w) colour by colour."""
        assert self.absorb is not None and self.up is not None
        values = band_by_band(seen)
        h = round_clip(_sum(h, self.absorb(torch.cat((values, values.abs()), 1))))
        return F.pixel_shuffle(round_clip(self.up(h)), 2)


class PriorNetwork(nn.Module):
    """The whole prior; see the module's text.

    Args:
        channels: of the levels, coarse to fine. blocks: convolutions of each.
    """

    roles: ClassVar = {"embeddings": Role.OUTER}
    magnitudes: Tensor
    rows: list[Tensor]

    def __init__(
        self, channels: Sequence[int] = (128, 96, 64, 32), blocks: Sequence[int] = (3, 2, 2, 1)
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
            index = levels.long().cpu() - MIN_LEVELS
            return [rows[index][:, :, None, None].to(levels.device) for rows in self.rows]
        position = torch.log2(levels.float() / MIN_LEVELS) * KNOTS_PER_OCTAVE
        knots = torch.arange(self.embeddings[0].shape[0], device=levels.device)
        weights = (1 - (position[:, None] - knots).abs()).clamp_min(0)
        return [round_clip(UNIT * (weights @ table))[:, :, None, None] for table in self.embeddings]

    def compress(self, values: Tensor) -> Tensor:
        """Integers within +-2 MAX_LEVELS to integers within +-127: 16 asinh(q), from a table."""
        index = values.abs().clamp(max=self.magnitudes.numel() - 1).long()
        return self.magnitudes[index] * values.sign()

    def start(self, low: Tensor, bias: Tensor) -> Tensor:
        """Features of the coarsest level from the LL band, (B, 3, h, w) integers."""
        padded = F.pad(low, (1, 1, 1, 1), mode="replicate")
        across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        curve = 2 * low - padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        slopes = self.compress(torch.cat((across, down, curve), 1))
        features = torch.cat((slopes, slopes.abs(), self.compress(low)), 1)
        return round_clip(self.stem(features) + bias)

    def forward(self, quantized: Pyramid, levels: Tensor) -> list[list[Expected]]:
        """What to expect of all details, given the true ones wherever the decoder has them.

        Args:
            quantized: integers (as floats), coarse to fine, (B, C, h, w); levels: N, (B,).

        Returns:
            For each level of details, the passes' expectations.
        """
        biases = self.level_biases(levels)
        h = self.start(quantized[0], biases[0])
        expected = []
        for index, (level, band) in enumerate(zip(self.levels, quantized[1:], strict=True)):
            level = cast(PriorLevel, level)
            if index:
                h = round_clip(h + biases[index])
            h = level.trunk(h)
            values = self.compress(colour_by_colour(band))
            expected.append(
                [
                    level.expect(h, number, seen_before(number, values))
                    for number in range(len(LEVEL_PASSES))
                ]
            )
            if level.up is not None:
                h = level.ascend(h, values)
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
        lengths = self.code_lengths(self.forward(context, levels), values)
        return sum(
            (bits.sum((1, 2, 3)) for bits in lengths), torch.zeros_like(levels, dtype=torch.float32)
        )

    def code_lengths(self, expected: list[list[Expected]], values: Pyramid) -> list[Tensor]:
        """Bits of each single detail in ``values``, by band, where so much was expected."""
        lengths = []
        for passes, band in zip(expected, values[1:], strict=True):
            bits = [
                code_length(one, band[:, colour::3].float())
                for colour, one in enumerate(by_colour(passes))
            ]
            # Colours were taken apart within each orientation.
            lengths.append(torch.stack(bits, 2).flatten(1, 2))
        return lengths


def _rounded(raw: Tensor) -> Expected:
    """Heads (B, 9, ...) to what they mean."""
    scale, tail, centre = raw.chunk(3, 1)
    return Expected(
        round_clip(scale, *SCALE_RANGE),
        round_clip(tail, *TAIL_RANGE),
        round_clip(centre, *CENTRE_RANGE),
    )


def _sum(h: Tensor, fresh: Tensor) -> Tensor:
    """h + fresh, in fresh's memory in inference mode."""
    return fresh.add_(h) if torch.is_inference_mode_enabled() else h + fresh
