"""Rate-distortion optimised quantization through the decoder: what an encoder may do with time.

Plain quantization rounds each latent by itself, as if the decoder put back what the file says. But
the decoder's networks make more of it: each integer also tells about its neighbours. Here they are
asked. A *pass* moves all integers at once::

    q ─► QANN ─► synthesis ─► picture ─► D      dD/dq, backwards through all of it
                                                 │
    v ◄─ v + relaxation * (q - dD/dq / 2h - v) ◄─┘   v: the value that would serve best
    q ◄─ the one of q - 1, q, q + 1 with the least  h (q - v)^2 + bits(q)

D is k times the squared error in units of the step, with the training objective's own weight of
distortion against bits, so that N keeps its meaning. h is its curvature: nearly k, since the
transform is nearly orthonormal, and more at large N, where the network amplifies; after each pass
it is measured along the move made (a secant). v is a running mean, or neighbours would all make up
for the same error at once. The file's format knows nothing of this, and any decoder reads it.

Gradient-based encoding for a fixed decoder: Campos et al. 2019, "Content adaptive optimization for
neural image compression"; Yang et al. 2020, "Improving inference for neural image compression".
Choosing integers by rate and distortion: Karczewicz et al. 2008 (RDOQ).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .coding.network import PriorNetwork
from .limits import MAX_EFFORT
from .precision import decoding_precision
from .quantization import (
    DISTORTION_WEIGHT,
    as_floats,
    check_whole,
    quantize,
    step_for_levels,
)
from .restoration import QannUNet
from .samples import centred
from .shapes import BLOCK, integer_range
from .tiling import Box, cut, tiles
from .vae import LogisticMixturePrior, WaveletVAE
from .wavelet import Pyramid

TILE = 512
"""Side of the tiles, in pixels: backpropagation keeps every layer's features."""

_ERROR_WEIGHT = DISTORTION_WEIGHT / 3
"""k: bits that a squared error of step^2 in one sample is worth; a pixel has three."""

_CAUTION = 0.8
"""Of the curvature measured, which counts what neighbours do to each other."""

Bits = Callable[[Pyramid], list[Tensor]]
"""Integers of a pyramid (as floats) to the bits that each detail costs, by band."""


class RateModel(Protocol):
    """What coefficients cost."""

    @property
    def neighbours(self) -> float:
        """Bits that a magnitude larger by one adds to what the coefficients around it cost, about;
        negative where a coder that knows them gains by it."""
        ...

    def around(self, known: Pyramid, levels: int) -> Bits:
        """What other integers than ``known`` would cost, each alone."""
        ...


@dataclass(frozen=True)
class FactorisedRate:
    """By the VAE's own prior, one density a channel: for models without a learned one."""

    prior: LogisticMixturePrior
    neighbours: float = -0.5

    def around(self, known: Pyramid, levels: int) -> Bits:
        """See ``RateModel``; this one does not depend on what is known."""
        step = torch.tensor([step_for_levels(float(levels))], device=known[0].device)
        return lambda values: self.prior.bits_by_latent(tuple(b * step for b in values), step)[1:]


@dataclass(frozen=True)
class LearnedRate:
    """By the learned prior, which expects of a coefficient what its neighbours suggest.

    Brotli's files, too, become smaller by it than by the factorised rate.
    """

    network: PriorNetwork
    neighbours: float = 1.0

    def around(self, known: Pyramid, levels: int) -> Bits:
        """See ``RateModel``."""
        own, device = self.network.stem.weight.device, known[0].device  # may differ: see load_prior
        told = torch.tensor([float(levels)], device=own)
        expected = self.network(tuple(band.to(own) for band in known), told)

        def bits(values: Pyramid) -> list[Tensor]:
            lengths = self.network.code_lengths(expected, tuple(band.to(own) for band in values))
            return [band.to(device) for band in lengths]

        return bits


@dataclass(frozen=True)
class _Tally:
    """What a pass found and did: D before it, and of its moves the sums of slope and of square."""

    distortion: float
    slope: float
    squares: float


def check_effort(effort: int) -> int:
    """Returns the number of passes as an int.

    Raises:
        ParameterError: when it is not a whole number from 0 to MAX_EFFORT.
    """
    return check_whole("effort", effort, 0, MAX_EFFORT)


class Optimiser:
    """Quantizes one image's latents for one decoder at one N.

    Args:
        vae, qann: the decoder's networks.
        rate: what integers cost.
        latents: the encoder's, (1, C, h, w), coarse to fine.
        pixels: the image, uint8 (H, W, 3).
        levels: N.
    """

    def __init__(
        self,
        vae: WaveletVAE,
        qann: QannUNet,
        rate: RateModel,
        latents: Pyramid,
        pixels: np.ndarray,
        levels: int,
    ) -> None:
        self._vae, self._qann, self._rate = vae, qann, rate
        self._pixels, self._levels = pixels, levels
        self._step, self._bounds = step_for_levels(levels), integer_range(levels)
        self._wanted = tuple(band / self._step for band in latents)
        self._device = latents[0].device
        self._integers = as_floats(quantize(latents, levels), self._device)
        # What the first pass's secant finds on photos, all bundled models, within a fifth.
        self._curvature = 1.1 + levels / 350

    @torch.inference_mode()
    def run(self, passes: int) -> tuple[np.ndarray, ...]:
        """The integers after so many passes, int32 (C, H, W) each; 0 is plain quantization."""
        last = 0.05 + 0.6 / max(passes, 2)
        before: _Tally | None = None
        for number in range(passes):
            share = number / max(passes - 1, 1)
            before = self._pass(0.5 + (last - 0.5) * share, before)
        return tuple(band[0].to(torch.int32).cpu().numpy() for band in self._integers)

    def _pass(self, relaxation: float, before: _Tally | None) -> _Tally:
        """Moves all integers once; ``before`` is what the pass before told of itself."""
        rows, columns = (size * BLOCK for size in self._integers[0].shape[-2:])
        places = list(tiles(rows, columns, TILE))
        found = [self._gradient(box, core, rows) for box, core in places]
        distortion = sum(d for d, _ in found)
        if before is not None and before.squares:
            rise = distortion - before.distortion - before.slope
            measured = rise / (_ERROR_WEIGHT * before.squares)
            self._curvature = min(max(measured, 0.8), 8.0)
        moved = tuple(band.clone() for band in self._integers)
        slope = squares = 0.0
        for (box, core), (_, gradient) in zip(places, found, strict=True):
            for old, new, g in self._move(box, core, rows, gradient, moved, relaxation):
                slope += float(((new - old) * g).sum())
                squares += float((new - old).square().sum())
        self._integers = moved
        return _Tally(distortion, slope, squares)

    def _gradient(self, box: Box, core: Box, rows: int) -> tuple[float, Pyramid]:
        """D of a tile's core, and dD/dq there, of all that the tile sees."""
        height, width = self._pixels.shape[:2]
        bottom, right = min(box[1], height), min(box[3], width)
        target = centred(self._pixels[None, box[0] : bottom, box[2] : right]).to(self._device)
        told = torch.tensor([float(self._levels)], device=self._device)
        with torch.inference_mode(False), torch.enable_grad():
            q = tuple(_leaf(cut(band, box, rows)) for band in self._integers)
            with decoding_precision(self._levels):
                corrections = self._qann(q, told.clone())
                latents = tuple((a + b) * self._step for a, b in zip(q, corrections, strict=True))
                image = self._vae.synthesis(latents)
            image = image[..., : target.shape[-2], : target.shape[-1]]
            error = (image - target.clone()).square() * (_ERROR_WEIGHT / self._step**2)
            gradient = torch.autograd.grad(error.sum(), q)
        top, left = core[0] - box[0], core[2] - box[2]
        own = error.detach()[..., top : core[1] - box[0], left : core[3] - box[2]]
        return float(own.sum()), gradient

    def _move(
        self,
        box: Box,
        core: Box,
        rows: int,
        gradient: Pyramid,
        moved: Pyramid,
        relaxation: float,
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Moves the integers of a tile's core, in ``moved``; old ones, new ones and dD/dq there."""
        known = tuple(cut(band, box, rows) for band in self._integers)
        bits = self._rate.around(known, self._levels)
        here, above, below = (bits(tuple(b + by for b in known)) for by in (0, 1, -1))
        weight = _ERROR_WEIGHT * self._curvature * _CAUTION
        low, high = self._bounds
        moves = []
        for index, wanted in enumerate(self._wanted):
            inner = _within(core, box, rows, wanted.shape[-2])
            old, g = known[index][inner], gradient[index][inner]
            mine = cut(wanted, core, rows)
            mine += relaxation * (old - g / (2 * weight) - mine)
            if index == 0:  # the LL band is rounded plainly, as without optimisation
                new = mine.round()
            else:
                cost, up, down = (part[index - 1][inner] for part in (here, above, below))
                ahead, magnitude = 2 * weight * (old - mine), old.abs()
                rise = weight + ahead + up - cost
                rise += self._rate.neighbours * ((old + 1).abs() - magnitude)
                fall = weight - ahead + down - cost
                fall += self._rate.neighbours * ((old - 1).abs() - magnitude)
                climbs = (rise < 0) & (rise < fall)
                new = old + climbs.float() - ((fall < 0) & ~climbs).float()
            new = new.clamp(low, high)
            cut(moved[index], core, rows).copy_(new)
            moves.append((old, new, g))
        return moves


def _leaf(band: Tensor) -> Tensor:
    return band.clone(memory_format=torch.channels_last).requires_grad_(True)


def _within(core: Box, box: Box, rows: int, size: int) -> tuple[Any, ...]:
    """Where a tile's core lies in a band's cut of that tile; the band has ``size`` rows in all."""
    scale = rows // size
    top, left = (core[0] - box[0]) // scale, (core[2] - box[2]) // scale
    height, width = (core[1] - core[0]) // scale, (core[3] - core[2]) // scale
    return ..., slice(top, top + height), slice(left, left + width)
