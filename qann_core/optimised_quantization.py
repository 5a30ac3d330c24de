"""Rate-distortion optimised quantization through the decoder: slower encoding, smaller files.

Plain quantization rounds each latent by itself, as if the decoder took each integer for itself.
But its networks estimate every latent from the integers around it too. Here that is taken into
account. A *pass* moves all integers at once::

    q ─► QANN ─► synthesis ─► picture ─► D      dD/dq, backwards through all of it
                                                 │
    v ◄─ v + relaxation * (q - dD/dq / 2h - v) ◄─┘   v: the value that would serve best
    q ◄─ the one of q - 1, q, q + 1 with the least  h (q - v)^2 + bits(q)

D is what the model was trained for (``Aim``), with the training objective's own weight of
distortion against bits, so that N keeps its meaning. h is its curvature. v is a running mean, or
neighbours would all correct the same error at once. The file's format does not change, and any
decoder reads it.

For squared error D is k times the error in units of the step, and h nearly k, since the transform
is nearly orthonormal, and more at large N, where the network amplifies; after each pass it is
measured along the move made (a secant). For the eye D is ``perceptual.eye_cost``, which pools over
the picture and is far from quadratic: errors of neighbours add up. So h is larger and fixed, each
pass moves some of the integers, drawn at random, by limited steps, and the best pass is kept.

Gradient-based encoding for a fixed decoder: Campos et al. 2019, "Content adaptive optimization for
neural image compression"; Yang et al. 2020, "Improving inference for neural image compression".
Choosing integers by rate and distortion: Karczewicz et al. 2008 (RDOQ).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .coding.network import PriorNetwork
from .common.limits import SSIMULACRA2_MIN_SIDE
from .common.shapes import BLOCK, integer_range
from .networks.precision import decoding_precision
from .networks.restoration import QannUNet
from .networks.samples import centred
from .networks.tiling import Box, cut, tiles
from .networks.vae import LogisticMixturePrior, WaveletVAE
from .networks.wavelet import Pyramid
from .perceptual import eye_cost
from .quantization import DISTORTION_WEIGHT, as_floats, quantize, step_for_levels

TILE = 512
"""Side of the tiles, in pixels: backpropagation keeps every layer's features."""

_ERROR_WEIGHT = DISTORTION_WEIGHT / 3
"""k: bits that a squared error of step^2 in one sample is worth; a pixel has three."""

_CAUTION = 0.8
"""Of the curvature measured, which counts what neighbours do to each other."""


@dataclass(frozen=True)
class Aim:
    """What optimised quantization minimises besides bits.

    Attributes:
        distortion: decoded and original image, (1, 3, H, W), and the step to D: bits that the
            errors are worth, of each sample, (1, 3, H, W).
        curvature: N to h / k.
        rough: whether D is far from quadratic with one curvature for all bands.
    """

    distortion: Callable[[Tensor, Tensor, float], Tensor]
    curvature: Callable[[int], float]
    rough: bool


def _squared_error(image: Tensor, original: Tensor, step: float) -> Tensor:
    return (image - original).square() * (_ERROR_WEIGHT / step**2)


def _unlike_to_the_eye(image: Tensor, original: Tensor, step: float) -> Tensor:
    """The picture's cost, spread evenly."""
    cost = eye_cost(original, image, torch.tensor([step], device=image.device))
    return (cost / 3)[:, None, None, None].expand_as(image)


# Curvatures: for squared error what the first pass's secant finds on photos, all bundled models,
# within a fifth. For the eye secants say little; this is what lowers J most on photos.
_FOR_SQUARED_ERROR = Aim(_squared_error, lambda levels: 1.1 + levels / 350, rough=False)
_FOR_THE_EYE = Aim(_unlike_to_the_eye, lambda levels: 2.2 + levels / 140, rough=True)

_SHARE = 0.6
"""Of the integers that a pass may move, drawn anew each time, where D is rough."""

_REACH = 0.8
"""Longest Newton step there, in integers: slopes have kinks, where they predict little of what a
step of one does."""


def aim_for(name: str, height: int, width: int) -> Aim:
    """The aim of a model (``models.ModelInfo``) on a picture of this size in pixels.

    On pictures too small for SSIMULACRA 2 models for the eye lose little squared error instead,
    with the same caution, since the gains of their bands give each a curvature of its own.
    """
    if name != "eye":
        return _FOR_SQUARED_ERROR
    if min(height, width) < SSIMULACRA2_MIN_SIDE:
        return replace(_FOR_THE_EYE, distortion=_squared_error)
    return _FOR_THE_EYE


Bits = Callable[[Pyramid], list[Tensor]]
"""Integers of a pyramid (as floats) to the bits that each detail costs, by band."""


@dataclass(frozen=True)
class RateModel:
    """What coefficients cost.

    Attributes:
        around: integers and N to what other integers than these would cost, each alone.
        neighbours: bits that a magnitude larger by one adds to what the coefficients around it
            cost, about; negative where a coder that knows them gains by it.
    """

    around: Callable[[Pyramid, int], Bits]
    neighbours: float


def factorised_rate(prior: LogisticMixturePrior) -> RateModel:
    """By the VAE's own prior, one density a channel: for models without a learned one."""

    def around(known: Pyramid, levels: int) -> Bits:
        step = torch.tensor([step_for_levels(float(levels))], device=known[0].device)
        return lambda values: prior.bits_by_latent(tuple(b * step for b in values), step)[1:]

    return RateModel(around, neighbours=-0.5)


def learned_rate(network: PriorNetwork) -> RateModel:
    """By the learned prior, which expects of a coefficient what its neighbours suggest.

    Brotli's files, too, become smaller by it than by the factorised rate.
    """

    def around(known: Pyramid, levels: int) -> Bits:
        own, device = network.stem.weight.device, known[0].device  # may differ: see load_prior
        number = torch.tensor([float(levels)], device=own)
        expected = network(tuple(band.to(own) for band in known), number)

        def bits(values: Pyramid) -> list[Tensor]:
            lengths = network.code_lengths(expected, tuple(band.to(own) for band in values))
            return [band.to(device) for band in lengths]

        return bits

    return RateModel(around, neighbours=1.0)


@dataclass(frozen=True)
class _Tally:
    """What a pass found and did: D and bits before it, and of its moves the sums of slope and of
    square."""

    distortion: float
    bits: float
    slope: float
    squares: float


class Optimiser:
    """Quantizes one image's latents for one decoder at one N.

    Args:
        vae, qann: the decoder's networks.
        rate: what integers cost.
        latents: the encoder's, (1, C, h, w), coarse to fine.
        pixels: the image, uint8 (H, W, 3).
        levels: N.
        aim: what to minimise besides bits.
    """

    def __init__(
        self,
        vae: WaveletVAE,
        qann: QannUNet,
        rate: RateModel,
        latents: Pyramid,
        pixels: np.ndarray,
        levels: int,
        aim: Aim,
    ) -> None:
        self._aim = aim
        self._vae, self._qann, self._rate = vae, qann, rate
        self._pixels, self._levels = pixels, levels
        self._step, self._bounds = step_for_levels(levels), integer_range(levels)
        self._wanted = tuple(band / self._step for band in latents)
        self._device = latents[0].device
        self._integers = as_floats(quantize(latents, levels), self._device)
        self._curvature = aim.curvature(levels)
        self._random = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def run(self, passes: int) -> tuple[np.ndarray, ...]:
        """The integers after so many passes, int32 (C, H, W) each; 0 is plain quantization."""
        last = 0.05 + 0.6 / max(passes, 2)
        before: _Tally | None = None
        best, least = self._integers, math.inf
        # Where the best is kept, one more evaluation measures the last pass.
        for number in range(passes + (self._aim.rough and passes > 0)):
            known = self._integers
            share = number / max(passes - 1, 1)
            before = self._pass(0.5 + (last - 0.5) * share, before)
            if before.distortion + before.bits < least:
                best, least = known, before.distortion + before.bits
        chosen = best if self._aim.rough else self._integers
        return tuple(band[0].to(torch.int32).cpu().numpy() for band in chosen)

    def _pass(self, relaxation: float, before: _Tally | None) -> _Tally:
        """Moves integers once; ``before`` is the tally of the pass before."""
        rows, columns = (size * BLOCK for size in self._integers[0].shape[-2:])
        places = list(tiles(rows, columns, TILE))
        found = [self._gradient(box, core, rows) for box, core in places]
        distortion = sum(d for d, _ in found)
        if before is not None and before.squares and not self._aim.rough:
            rise = distortion - before.distortion - before.slope
            measured = rise / (_ERROR_WEIGHT * before.squares)
            self._curvature = min(max(measured, 0.8), 8.0)
        moved = tuple(band.clone() for band in self._integers)
        bits = slope = squares = 0.0
        for (box, core), (_, gradient) in zip(places, found, strict=True):
            cost, moves = self._move(box, core, rows, gradient, moved, relaxation)
            bits += cost
            for old, new, g in moves:
                slope += float(((new - old) * g).sum())
                squares += float((new - old).square().sum())
        self._integers = moved
        return _Tally(distortion, bits, slope, squares)

    def _gradient(self, box: Box, core: Box, rows: int) -> tuple[float, Pyramid]:
        """D of a tile's core, and dD/dq there, of all that the tile sees."""
        height, width = self._pixels.shape[:2]
        bottom, right = min(box[1], height), min(box[3], width)
        target = centred(self._pixels[None, box[0] : bottom, box[2] : right]).to(self._device)
        number = torch.tensor([float(self._levels)], device=self._device)
        with torch.inference_mode(False), torch.enable_grad():
            q = tuple(
                cut(band, box, rows).clone(memory_format=torch.channels_last).requires_grad_()
                for band in self._integers
            )
            with decoding_precision(self._levels):
                corrections = self._qann(q, number.clone())
                latents = tuple((a + b) * self._step for a, b in zip(q, corrections, strict=True))
                image = self._vae.synthesis(latents)
            image = image[..., : target.shape[-2], : target.shape[-1]]
            error = self._aim.distortion(image, target.clone(), self._step)
            gradient = torch.autograd.grad(error.sum(), q)
        top, left = core[0] - box[0], core[2] - box[2]
        own = error.detach()[..., top : core[1] - box[0], left : core[3] - box[2]]
        return float(own.sum()), gradient

    def _move(
        self, box: Box, core: Box, rows: int, gradient: Pyramid, moved: Pyramid, relaxation: float
    ) -> tuple[float, list[tuple[Tensor, Tensor, Tensor]]]:
        """Moves the integers of a tile's core, in ``moved``; what the details cost before, in
        bits, and for each band old integers, new ones and dD/dq."""
        known = tuple(cut(band, box, rows) for band in self._integers)
        bits = self._rate.around(known, self._levels)
        here, above, below = (bits(tuple(b + by for b in known)) for by in (0, 1, -1))
        weight = _ERROR_WEIGHT * self._curvature * _CAUTION
        low, high = self._bounds
        spent, moves = 0.0, []
        for index, wanted in enumerate(self._wanted):
            inner = _within(core, box, rows, wanted.shape[-2])
            old, g = known[index][inner], gradient[index][inner]
            mine = cut(wanted, core, rows)
            step = g / (2 * weight)
            if self._aim.rough:
                step = step.clamp(-_REACH, _REACH)
            mine += relaxation * (old - step - mine)
            if index == 0:  # the LL band is rounded plainly, as without optimisation
                new = mine.round()
            else:
                cost, up, down = (part[index - 1][inner] for part in (here, above, below))
                spent += float(cost.sum())
                ahead, magnitude = 2 * weight * (old - mine), old.abs()
                rise = weight + ahead + up - cost
                rise += self._rate.neighbours * ((old + 1).abs() - magnitude)
                fall = weight - ahead + down - cost
                fall += self._rate.neighbours * ((old - 1).abs() - magnitude)
                climbs = (rise < 0) & (rise < fall)
                new = old + climbs.float() - ((fall < 0) & ~climbs).float()
            if self._aim.rough:
                turn = torch.rand(new.shape, generator=self._random) < _SHARE
                new = torch.where(turn.to(old.device), new, old)
            new = new.clamp(low, high)
            cut(moved[index], core, rows).copy_(new)
            moves.append((old, new, g))
        return spent, moves


def _within(core: Box, box: Box, rows: int, size: int) -> tuple[Any, ...]:
    """Where a tile's core is in a band's cut of that tile; the band has ``size`` rows in all."""
    scale = rows // size
    top, left = (core[0] - box[0]) // scale, (core[2] - box[2]) // scale
    height, width = (core[1] - core[0]) // scale, (core[3] - core[2]) // scale
    return ..., slice(top, top + height), slice(left, left + width)
