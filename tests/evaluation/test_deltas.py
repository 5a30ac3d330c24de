"""Bjontegaard deltas: known values, and what has none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from qann_core.evaluation.deltas import bd_quality, bd_rate, decibels, problem, spread

RATES = [0.1, 0.2, 0.4, 0.8, 1.6]
DECIBELS = [26.0, 28.5, 31.0, 34.0, 37.0]


class TestBdRate:
    def test_known_values(self):
        assert bd_rate((RATES, DECIBELS), (RATES, DECIBELS)) == pytest.approx(0, abs=1e-9)
        halved = [rate / 2 for rate in RATES]
        assert bd_rate((RATES, DECIBELS), (halved, DECIBELS)) == pytest.approx(-50)
        assert bd_rate((halved, DECIBELS), (RATES, DECIBELS)) == pytest.approx(100)
        better = [value + 0.7 for value in DECIBELS]
        assert bd_quality((RATES, DECIBELS), (RATES, better)) == pytest.approx(0.7)
        assert bd_quality((RATES, better), (RATES, DECIBELS)) == pytest.approx(-0.7)

    def test_equals_the_integral_of_pchip(self):
        rates, values = [0.12, 0.3, 0.55, 1.2], [27.5, 31.0, 33.5, 37.5]
        low, high = 27.5, 37.0
        areas = [
            PchipInterpolator(m, np.log(r)).integrate(low, high)
            for r, m in ((RATES, DECIBELS), (rates, values))
        ]
        expected = 100 * (math.exp((areas[1] - areas[0]) / (high - low)) - 1)
        assert bd_rate((RATES, DECIBELS), (rates, values)) == pytest.approx(expected, rel=1e-6)

    @given(st.permutations(range(5)), st.floats(0.2, 5))
    @settings(max_examples=30, deadline=None)
    def test_order_does_not_matter(self, order, factor):
        rates = [RATES[i] * factor for i in order]
        values = [DECIBELS[i] for i in order]
        assert bd_rate((RATES, DECIBELS), (rates, values)) == pytest.approx(100 * (factor - 1))

    def test_duplicates_dominated_and_lossless_points_are_dropped(self):
        rates = [*RATES, 0.4, 0.4, 0.9, 5.0]
        values = [*DECIBELS, 31.0, 29.5, 30.5, math.inf]
        assert bd_rate((RATES, DECIBELS), (rates, values)) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize(
        ("rates", "values"),
        [
            ([], []),
            ([0.4], [31.0]),
            ([0.4, 0.5], [31.0, 31.0]),
            (RATES, [v + 20 for v in DECIBELS]),
            (RATES, [v + 8 for v in DECIBELS]),
        ],
    )
    def test_none_when_the_ranges_barely_meet(self, rates, values):
        assert bd_rate((RATES, DECIBELS), (rates, values)) is None
        assert bd_rate((rates, values), (RATES, DECIBELS)) is None

    def test_similarities_in_decibels(self):
        assert [decibels(m) for m in (0, 0.9, 0.99)] == pytest.approx([0, 10, 20])
        assert decibels(1) == math.inf
        similarity = [1 - 10 ** (-value / 10) for value in DECIBELS]
        recovered = [decibels(m) for m in similarity]
        assert bd_rate((RATES, DECIBELS), (RATES, recovered)) == pytest.approx(0, abs=1e-6)

    def test_spread(self):
        found = spread([-10.0, None, -30.0])
        assert found == {"images": 2, "mean": -20, "least": -30, "most": -10, "deviation": 10}
        assert spread([None]) is None and spread([]) is None

    def test_bd_quality_needs_common_rates(self):
        assert bd_quality((RATES, DECIBELS), ([100 * r for r in RATES], DECIBELS)) is None

    @pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
    def test_rates_that_are_none_are_left_out(self, bad):
        assert bd_rate(([bad, *RATES], [20.0, *DECIBELS]), (RATES, DECIBELS)) == pytest.approx(0)
        assert bd_rate(([bad] * 5, DECIBELS), (RATES, DECIBELS)) is None
        assert "fewer than two points" in problem(([bad] * 5, DECIBELS), (RATES, DECIBELS))

    def test_qualities_that_are_not_numbers_are_left_out(self):
        assert bd_rate((RATES, [math.nan, *DECIBELS[1:]]), (RATES, DECIBELS)) is not None
        assert bd_rate((RATES, [math.nan] * 5), (RATES, DECIBELS)) is None

    def test_the_reason_says_what_the_curves_lack(self):
        far = [value + 20 for value in DECIBELS]
        assert "range of quality" in problem((RATES, DECIBELS), (RATES, far))
        wide = [100 * rate for rate in RATES]
        assert "range of rate" in problem((RATES, DECIBELS), (wide, DECIBELS), over_rate=True)
        assert problem((RATES, DECIBELS), (RATES, DECIBELS)) is None
