"""Pixel-range diversity: N bounds the number of distinct values, and errors stay in the bin."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qann_core.common.errors import ParameterError
from qann_core.common.limits import MAX_LEVELS, MIN_LEVELS, check_levels
from qann_core.common.shapes import integer_range
from qann_core.networks.wavelet import LL_RANGE
from qann_core.quantization import (
    ROUNDING_OFFSET,
    dead_zone_round,
    dequantize,
    quantize,
    step_for_levels,
)

LEVELS = st.integers(MIN_LEVELS, MAX_LEVELS)


def full_range_pyramid() -> tuple[torch.Tensor, ...]:
    return (torch.linspace(-0.6 * LL_RANGE, 0.6 * LL_RANGE, 3 * 64 * 64).view(1, 3, 64, 64),)


@given(LEVELS)
@settings(max_examples=40, deadline=None)
def test_exactly_n_values_over_the_full_range(levels: int) -> None:
    (band,) = quantize(full_range_pyramid(), levels)
    assert band.dtype == np.int32
    assert len(np.unique(band)) == levels
    assert (band.min(), band.max()) == integer_range(levels)


@given(LEVELS)
@settings(max_examples=40, deadline=None)
def test_the_range_ends_are_within_half_a_step(levels: int) -> None:
    ends = torch.tensor([-LL_RANGE / 2, LL_RANGE / 2]).view(1, 1, 1, 2)
    (back,) = dequantize(quantize((ends,), levels), levels)
    assert (back - ends).abs().max() <= step_for_levels(levels) / 2 * 1.0001


def test_dead_zone() -> None:
    edge = 1 - ROUNDING_OFFSET
    values = torch.tensor([0.0, edge - 0.01, edge + 0.01, -edge + 0.01, -edge - 0.01, 2.7, -2.7])
    assert dead_zone_round(values).tolist() == [0, 0, 1, 0, -1, 3, -3]


def test_details_have_the_dead_zone_and_the_ll_band_has_not() -> None:
    step = step_for_levels(100)
    value = torch.full((1, 1, 1, 1), 0.55 * step)
    ll, detail = quantize((value, value), 100)
    assert (ll.item(), detail.item()) == (1, 0)


@pytest.mark.parametrize("levels", [0, -3, MIN_LEVELS - 1, MAX_LEVELS + 1, 10**9, 32.5, True])
def test_levels_out_of_range_are_refused(levels: float) -> None:
    with pytest.raises(ParameterError, match="whole number"):
        check_levels(levels)  # type: ignore[arg-type]
