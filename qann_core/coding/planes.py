"""Planes of integers in four interleaved passes: the order in which both coders go over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .contexts import CLIP, PASSES, Contexts, Expectation

Code = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Writes or reads: (expected magnitudes (n,); the integers (n,), or None where they are to be read)
to the integers (n,)."""


def code_plane(
    code: Code, expect: Expectation, values: np.ndarray | None, plane: np.ndarray
) -> None:
    """Fills ``plane`` (H, W) pass by pass with what ``code`` writes of ``values``, or reads."""
    padded = np.zeros((plane.shape[0] + 2, plane.shape[1] + 2), np.int16)
    for number, (y, x) in enumerate(PASSES):
        target = plane[y::2, x::2]
        if target.size:
            expected = expect(padded, number).ravel()
            given = None if values is None else values[y::2, x::2].ravel()
            target[:] = code(expected, given).reshape(target.shape)
            padded[1 + y : -1 : 2, 1 + x : -1 : 2] = np.minimum(np.abs(target), CLIP)


def code_first_band(
    code: Code,
    contexts: Contexts,
    means: Sequence[int],
    values: np.ndarray | None,
    band: np.ndarray,
    skip_zeros: bool,
) -> Iterator[int]:
    """Fills ``band`` (C, H, W), whose residuals have these means; yields each channel once done.

    Args:
        means: 16 x the mean magnitude of each channel, 0 where it is all zero.
        skip_zeros: whether such channels are not coded at all.
    """
    for channel, plane in enumerate(band):
        if means[channel] or not skip_zeros:
            expect = contexts.for_residual(channel, means)
            code_plane(code, expect, None if values is None else values[channel], plane)
        if means[channel]:
            contexts.learn(channel, clipped(plane))
        yield channel


def clipped(plane: np.ndarray) -> np.ndarray:
    """Magnitudes (H, W) as contexts have them, int16."""
    magnitudes: np.ndarray = np.minimum(np.abs(plane), CLIP).astype(np.int16)
    return magnitudes
