"""What every entropy coder of the registry must do."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qann_core.coding.registry import CODER_NAMES, coder_by_name, coder_name
from qann_core.coding.weights import cached_prior
from qann_core.common.errors import BitstreamError, ParameterError
from qann_core.common.shapes import integer_range, pyramid_shapes

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny-quarters"
"""The folder of a tiny prior."""


@pytest.mark.parametrize("number", CODER_NAMES)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(16, 512), st.integers(0, 10**6),
    st.sampled_from([0.0, 0.01, 0.2, 1.0]), st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_round_trip_of_random_pyramids(
    number: int, height: int, width: int, levels: int, seed: int, density: float, small: bool
) -> None:
    random = np.random.default_rng(seed)
    low, high = (-1, 1) if small else integer_range(levels)
    shapes = pyramid_shapes(height, width)
    bands = tuple(
        np.where(random.random(s) < density, random.integers(low, high + 1, s), 0).astype(np.int32)
        for s in shapes
    )
    coder = coder_by_name(CODER_NAMES[number], cached_prior(TINY))
    payload = coder.encode(bands, levels)
    decoded = coder.decode(payload, shapes, levels)
    assert coder.id == number and coder.name == CODER_NAMES[number]
    for band, again in zip(bands, decoded, strict=True):
        assert again.dtype == np.int32 and np.array_equal(again, band)
    if any(band.any() for band in bands):
        costs = coder.bytes_by_band(payload, shapes, levels)
        assert sum(costs) == pytest.approx(len(payload))


def test_unknown_coders() -> None:
    with pytest.raises(BitstreamError, match="77"):
        coder_name(77)
    with pytest.raises(ParameterError, match="zip"):
        coder_by_name("zip")
