"""The prior's frequency tables: how often each value came in each class on training photos.

Counts of rare classes are few, so the parametric likelihood that the network was trained with is
added as a prior of ``SMOOTHING`` observations (a Dirichlet prior, in the words of statistics).
"""

from collections.abc import Iterable

import numpy as np
import torch

from ..coding.contexts import code_first_band
from ..coding.likelihood import CENTRE_RANGE, SCALE_RANGE, TAIL_RANGE, Expected, code_length
from ..coding.network import PriorNetwork
from ..coding.passes import by_colour
from ..coding.prediction import med_residual
from ..coding.prior_coder import quantized_means
from ..coding.range_coder import (
    CENTRE_STEP,
    CENTRES,
    CLASSES,
    DETAIL_CLASSES,
    ESCAPE,
    LL_EDGES,
    REACH,
    SCALE_STEP,
    SCALES,
    SYMBOLS,
    TAIL_STEP,
    TAILS,
    TOTAL,
    detail_classes,
    residual_classes,
)
from ..networks.wavelet import Pyramid

SMOOTHING = 40.0


def fit_tables(
    network: PriorNetwork, samples: Iterable[tuple[Pyramid, torch.Tensor]]
) -> np.ndarray:
    """Frequency tables, int32 (CLASSES, SYMBOLS).

    Args:
        network: the exact one, as loaded, so that classes are those that will code.
        samples: batches of integers (as floats), and the N of each of its images, (B,).
    """
    counts = np.zeros((CLASSES, SYMBOLS))
    for quantized, levels in samples:
        with torch.inference_mode():
            expected = network(quantized, levels)
        for image in range(len(levels)):
            bands = [band[image].numpy().astype(np.int32) for band in quantized]
            _count_residuals(counts, bands[0])
            for passes, band in zip(expected, bands[1:], strict=True):
                for colour, one in enumerate(by_colour(passes)):
                    of_image = Expected(*(part[image : image + 1] for part in one))
                    classes, signs = detail_classes(of_image)
                    _add(counts, classes, band[colour::3] * signs)
    probabilities = np.concatenate((_detail_probabilities(), _residual_probabilities()))
    return _integers(counts + SMOOTHING * probabilities)


def _add(counts: np.ndarray, classes: np.ndarray, values: np.ndarray) -> None:
    symbols = np.where(np.abs(values) > REACH, ESCAPE, values + REACH)
    flat = classes.astype(np.int64).ravel() * SYMBOLS + symbols.ravel()
    counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)


def _count_residuals(counts: np.ndarray, low: np.ndarray) -> None:
    residuals = np.stack([med_residual(plane) for plane in low])
    means, known = quantized_means(residuals)[1], np.zeros_like(residuals)

    def count(expected: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        assert values is not None
        _add(counts, residual_classes(expected), values)
        return values

    code_first_band(count, means, residuals, known)


def _detail_probabilities() -> np.ndarray:
    """What the likelihood says of each class's middle: (DETAIL_CLASSES, SYMBOLS)."""
    grid = np.indices((SCALES, TAILS, CENTRES)).reshape(3, -1, 1).astype(np.float32)
    middle = Expected(
        torch.from_numpy(grid[0] * SCALE_STEP + SCALE_RANGE[0]),
        torch.from_numpy(grid[1] * TAIL_STEP + TAIL_RANGE[0]),
        torch.from_numpy(grid[2] * CENTRE_STEP).clamp(max=CENTRE_RANGE[1]),
    )
    values = torch.arange(-REACH, REACH + 1).float().expand(DETAIL_CLASSES, -1)
    return _with_escape(torch.exp2(-code_length(middle, values)).numpy())


def _residual_probabilities() -> np.ndarray:
    """Two-sided geometric distributions of each LL class's expected magnitude."""
    edges = np.concatenate(([LL_EDGES[0] / 2], LL_EDGES)) * 1.2 / 1024
    magnitudes = np.abs(np.arange(-REACH, REACH + 1))
    ratio = (edges / (1 + edges))[:, None]
    return _with_escape((1 - ratio) * np.where(magnitudes, 0.5, 1.0) * ratio**magnitudes)


def _with_escape(probabilities: np.ndarray) -> np.ndarray:
    probabilities = probabilities / np.maximum(1, probabilities.sum(1, keepdims=True))
    return np.concatenate((probabilities, 1 - probabilities.sum(1, keepdims=True)), 1).clip(0)


def _integers(weights: np.ndarray) -> np.ndarray:
    """Rows of weights to positive integers that add up to TOTAL."""
    shares = weights / weights.sum(1, keepdims=True)
    frequencies: np.ndarray = 1 + np.floor(shares * (TOTAL - SYMBOLS)).astype(np.int64)
    rows = np.arange(len(frequencies))
    frequencies[rows, frequencies.argmax(1)] += TOTAL - frequencies.sum(1)
    return frequencies.astype(np.int32)
