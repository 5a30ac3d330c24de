"""What the one training loop needs to know of what it trains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ..networks.wavelet import Pyramid

Batch = Tensor | Pyramid
Figures = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """A part of a run.

    Attributes:
        name: for the log, and what the objective's forward pass is given.
        share: of the run's budget.
        rate: factor on the learning rates, by the progress within the stage, 0 to 1.
    """

    name: str
    share: float
    rate: Callable[[float], float]


class Objective(nn.Module):
    """Holds the networks, says what a step minimises and what a validation reports.

    One module, so that one wrapper serves distributed training. Nothing in ``prepare`` and
    ``forward`` may wait for the device or read from the host: a step becomes a CUDA graph.

    Attributes:
        columns: names of all figures, for the log, besides the loss.
        stages: see ``Stage``; their shares add up to 1.
        validation_levels: the N to validate at.
        validation_side: side of the validation crops in pixels; None: that of the training crops.
        validation_photos: at most so many are validated with.
        updates: of the weights, each at other N, with one batch of crops.
        partial: whether some stages leave some parameters without a gradient.
        settings: its own options, to be saved with the run's options.
    """

    columns: tuple[str, ...]
    stages: tuple[Stage, ...]
    validation_levels: tuple[int, ...] = (40, 88, 196)
    validation_side: int | None = None
    validation_photos: int = 10**9
    updates: int = 1
    partial: bool = False
    settings: Mapping[str, Any] = MappingProxyType({})

    def prepare(self, images: Tensor) -> Batch:
        """What the batch's updates share; images: (B, 3, H, W) centred RGB."""
        return images

    def forward(self, batch: Any, levels: Tensor, stage: str) -> tuple[Tensor, Figures]:
        """Loss, and detached figures of a batch, each () and by its column.

        Args:
            batch: what ``prepare`` made of the images.
            levels: N of each image, (B,) float.
            stage: the name of one of ``stages``.
        """
        raise NotImplementedError

    def figures(self, images: Tensor, levels: Tensor) -> Figures:
        """What a validation reports of each image, (B,) by column, with rounding for real."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Writes the networks into a model folder; the objective is a copy on the processor."""
        raise NotImplementedError


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared error of each image, (B,)."""
    return (a - b).square().mean((1, 2, 3))


def psnr_of(error: Tensor) -> Tensor:
    """Mean squared errors to PSNR in dB."""
    return -10 * (error / 255**2).log10()


def psnr(decoded: Tensor, images: Tensor) -> Tensor:
    """PSNR of each image in dB, (B,), after clipping to the range of pixels."""
    return psnr_of(mse(decoded.clamp(-127.5, 127.5), images))


def long_decay(progress: float) -> float:
    """Flat at 0.7 of the full rate, then linear to zero: for the longest stage."""
    return min(0.7, 0.98 * (1 - progress) + 0.002)


def stage_at(share: float, stages: tuple[Stage, ...]) -> tuple[Stage, float]:
    """The stage and the progress within it, 0 to 1, at ``share`` of the whole budget."""
    begin = 0.0
    for stage in stages:
        end = begin + stage.share
        if share < end or stage is stages[-1]:
            return stage, min(1.0, (share - begin) / stage.share) if stage.share else 1.0
        begin = end
    raise ValueError("there are no stages")


def detached(**figures: Tensor) -> Figures:
    """The figures without their history."""
    return {name: figure.detach() for name, figure in figures.items()}


def levels_like(images: Tensor, levels: int) -> Tensor:
    """One N for each of a batch's images, (B,) float."""
    return torch.full((len(images),), float(levels), device=images.device)
