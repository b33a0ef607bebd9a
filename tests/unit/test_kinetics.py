"""Doubling times against numpy and scipy, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edge_twin.errors import KineticsError
from edge_twin.kinetics import Growth, growth, t_97_5


@pytest.mark.parametrize("degrees", [*range(1, 61), 100, 1000])
def test_students_quantile(degrees: int) -> None:
    assert t_97_5(degrees) == pytest.approx(float(stats.t.ppf(0.975, degrees)), abs=1e-4)


@given(
    st.lists(st.floats(0.01, 1e4), min_size=3, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_slope_and_interval_are_those_of_least_squares(values: list[float], seed: int) -> None:
    days = np.cumsum(np.random.default_rng(seed).uniform(1.0, 60.0, len(values)))
    found = growth(days.tolist(), values, values_needed=3, span_needed_days=0.0)
    logs = np.log(values)
    slope, intercept = np.polyfit(days, logs, 1)
    variance = np.sum((logs - intercept - slope * days) ** 2) / (len(values) - 2)
    margin = stats.t.ppf(0.975, len(values) - 2) * np.sqrt(variance / np.sum((days - days.mean()) ** 2))
    assert found.slope_per_day == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert found.high - found.low == pytest.approx(2 * margin, rel=1e-4, abs=1e-6)


def test_a_marker_that_doubles_every_30_days() -> None:
    found = growth([0.0, 30.0, 60.0, 90.0], [1.0, 2.0, 4.0, 8.0], values_needed=3, span_needed_days=90.0)
    assert found.doubling_days == pytest.approx(30.0)
    assert found.shortest_days == pytest.approx(30.0)
    assert (found.values, found.span_days) == (4, 90.0)


def test_a_fall_and_a_standstill_never_double() -> None:
    assert math.isinf(growth([0, 30, 60], [4, 2, 1], values_needed=3, span_needed_days=0).doubling_days)
    unsure = Growth(0.001, -0.001, 0.003, 3, 60.0)
    assert math.isinf(unsure.longest_days)
    assert unsure.shortest_days < unsure.doubling_days < math.inf


@pytest.mark.parametrize(
    ("days", "values", "reason"),
    [
        ([0.0, 90.0], [1.0, 2.0], "too_few_values"),
        ([], [], "too_few_values"),
        ([0.0, 45.0, 89.9], [1.0, 2.0, 4.0], "too_short_a_span"),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 4.0], "too_short_a_span"),
        ([0.0, 45.0, 90.0], [0.0, 2.0, 4.0], "value_not_positive"),
    ],
)
def test_what_is_refused(days: list[float], values: list[float], reason: str) -> None:
    with pytest.raises(KineticsError) as caught:
        growth(days, values, values_needed=3, span_needed_days=90.0)
    assert caught.value.reason == reason
