from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import expm

from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, ExposureGrid, LinearPharmacokinetics, exposure_grid, matrix_exponential

PK = LinearPharmacokinetics.three_compartment(
    k10=124.8, k12=25.44, k21=36.24, k13=30.24, k31=2.016, volume_l=7.4, molar_factor=0.808
)
K10 = 124.8
SCALE = 7.4 * 0.808

# Whole microseconds, as times come from clocks.
microdays = st.integers(0, 40 * 86_400_000_000).map(lambda ticks: ticks / 86_400_000_000)
doses = st.lists(
    st.builds(
        DoseEvent,
        start_day=microdays,
        amount_mg=st.floats(0.0, 300.0),
        infusion_days=st.one_of(st.just(0.0), st.floats(0.001, 2.0)),
    ),
    max_size=4,
)


@given(doses)
def test_total_exposure_is_dose_over_clearance(events: list[DoseEvent]) -> None:
    grid = exposure_grid(PK, events, [0.0, 90.0])
    total = sum(dose.amount_mg for dose in events)
    assert grid.steps[:, 1].sum() == pytest.approx(total / (K10 * SCALE), rel=1e-9, abs=1e-12)
    assert (grid.steps[:, 1] >= -1e-12).all()


@given(doses, st.floats(1.0, 50.0))
def test_drug_is_conserved(events: list[DoseEvent], end: float) -> None:
    grid = exposure_grid(PK, events, [0.0, end])
    last = grid.node_days[-1]
    given_mg = 0.0
    for dose in events:
        if dose.infusion_days == 0.0:
            given_mg += dose.amount_mg * (dose.start_day <= last)
        else:
            given_mg += dose.amount_mg * min(max((last - dose.start_day) / dose.infusion_days, 0.0), 1.0)
    eliminated = K10 * SCALE * grid.steps[:, 1].sum()
    assert grid.amounts_mg[-1].sum() + eliminated == pytest.approx(given_mg, rel=1e-6, abs=1e-5)


@given(doses, st.sampled_from([0.25, 0.1, 0.033, 0.7]))
def test_splitting_changes_no_exposure(events: list[DoseEvent], step: float) -> None:
    days = np.arange(0.0, 45.0, 3.0)
    coarse = exposure_grid(PK, events, days, max_step_days=5.0)
    fine = exposure_grid(PK, events, days, max_step_days=step)

    def cumulative(grid: ExposureGrid) -> NDArray[np.float64]:
        return np.asarray(np.concatenate(([0.0], np.cumsum(grid.steps[:, 1])))[grid.report])

    np.testing.assert_allclose(cumulative(coarse), cumulative(fine), rtol=1e-9, atol=1e-12)
    assert fine.steps[:, 0].max() <= step * (1 + 1e-12)
    assert (fine.steps[:, 0] > 0.0).all()


@given(doses, st.integers(-20_000, 20_000))
def test_moving_everything_in_time_changes_no_bit(events: list[DoseEvent], shift: int) -> None:
    days = np.arange(0.0, 50.0, 0.5)
    moved = [DoseEvent(dose.start_day + shift, dose.amount_mg, dose.infusion_days) for dose in events]
    here, there = exposure_grid(PK, events, days), exposure_grid(PK, moved, days + shift)
    np.testing.assert_array_equal(here.steps, there.steps)
    np.testing.assert_array_equal(here.report, there.report)


@given(doses)
def test_order_of_doses_does_not_matter(events: list[DoseEvent]) -> None:
    days = np.arange(0.0, 50.0)
    forward, backward = exposure_grid(PK, events, days), exposure_grid(PK, events[::-1], days)
    np.testing.assert_allclose(forward.steps, backward.steps, rtol=1e-12, atol=1e-15)


@given(doses)
def test_reported_nodes_are_the_requested_times(events: list[DoseEvent]) -> None:
    days = np.array([0.0, 0.1, 3.7, 20.0, 41.3])
    grid = exposure_grid(PK, events, days)
    np.testing.assert_allclose(grid.node_days[grid.report], days, atol=1e-11)


def test_doses_before_the_first_time_count_and_after_the_last_do_not() -> None:
    early = exposure_grid(PK, [DoseEvent(-5.0, 100.0), DoseEvent(11.0, 100.0)], [0.0, 10.0])
    assert early.node_days[0] == -5.0
    assert early.steps[:, 1].sum() == pytest.approx(100.0 / (K10 * SCALE), rel=1e-6)


def test_a_single_time_without_doses_has_no_steps() -> None:
    grid = exposure_grid(PK, [], [3.0])
    assert grid.steps.shape == (0, 2)
    assert grid.report.tolist() == [0]


def test_one_compartment_bolus_has_the_closed_form() -> None:
    pk = LinearPharmacokinetics(np.array([[-0.7]]), volume_l=10.0, molar_factor=0.5)
    grid = exposure_grid(pk, [DoseEvent(0.0, 50.0)], [0.0, 1.0, 4.0])
    expected = 10.0 * np.exp(-0.7 * np.array([0.0, 1.0, 4.0]))
    np.testing.assert_allclose(grid.concentration[grid.report], expected, rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 200.0))
def test_matrix_exponential_agrees_with_scipy(seed: int, size: float) -> None:
    # Compartment matrices: rates out on the diagonal, the same amounts in elsewhere.
    rates = size * np.random.default_rng(seed).random((4, 4))
    matrix = rates - np.diag(rates.sum(axis=0) + np.diag(rates))
    np.testing.assert_allclose(matrix_exponential(matrix[None])[0], expm(matrix), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("events", "days", "reason"),
    [
        ([], [], "times_invalid"),
        ([], [[0.0, 1.0]], "times_invalid"),
        ([], [0.0, math.nan], "times_not_finite"),
        ([], [1.0, 0.0], "times_unsorted"),
        ([], [1.0, 1.0], "times_unsorted"),
        ([], [0.0, 1e-13], "times_unsorted"),
        ([DoseEvent(0.0, -1.0)], [0.0, 1.0], "dose_negative"),
        ([DoseEvent(0.0, 1.0, -0.1)], [0.0, 1.0], "dose_negative"),
        ([DoseEvent(math.inf, 1.0)], [0.0, 1.0], "dose_not_finite"),
        ([DoseEvent(0.0, math.nan)], [0.0, 1.0], "dose_not_finite"),
    ],
)
def test_bad_input_is_refused(events: list[DoseEvent], days: list[float], reason: str) -> None:
    with pytest.raises(BundleError) as caught:
        exposure_grid(PK, events, days)
    assert caught.value.reason == reason


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf])
def test_bad_steps_are_refused(step: float) -> None:
    with pytest.raises(BundleError) as caught:
        exposure_grid(PK, [], [0.0, 1.0], max_step_days=step)
    assert caught.value.reason == "step_invalid"


@pytest.mark.parametrize(
    ("matrix", "volume", "factor"),
    [([[1.0, 2.0]], 1.0, 1.0), ([[math.nan]], 1.0, 1.0), ([[-1.0]], 0.0, 1.0), ([[-1.0]], 1.0, math.inf)],
)
def test_bad_pharmacokinetics_are_refused(matrix: list[list[float]], volume: float, factor: float) -> None:
    with pytest.raises(BundleError) as caught:
        LinearPharmacokinetics(np.array(matrix), volume, factor)
    assert caught.value.reason == "pharmacokinetics_invalid"
