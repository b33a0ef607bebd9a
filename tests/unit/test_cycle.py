"""The run time of the cycle operator: pieces, refusals, interpolation, damaged weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin.bundle import load_bundle, prior_sample
from edge_twin.cycle import CycleOperator
from edge_twin.cycle_weights import FRIBERG_LAYOUT, Weights
from edge_twin.engines.numpy_friberg import NumpyFriberg
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin_models import bundle_path

BUNDLE = load_bundle(bundle_path("neutropenia-cycle"))
OPERATOR = CycleOperator(BUNDLE)
WEIGHTS = BUNDLE.files["weights.npz"]


def test_a_long_interval_continues_without_a_dose() -> None:
    pieces = OPERATOR.pieces([DoseEvent(0.0, 100.0), DoseEvent(42.0, 80.0)], 50.0)
    assert [(piece.start_day, piece.days, piece.amount_mg) for piece in pieces] == [
        (0.0, 21.0, 100.0),
        (21.0, 21.0, 0.0),
        (42.0, 8.0, 80.0),
    ]


def test_before_the_first_dose_everyone_is_at_the_baseline() -> None:
    members = prior_sample(BUNDLE, 6, 1)
    found = OPERATOR.roll_out(members, [DoseEvent(10.0, 100.0)], np.arange(0.0, 10.0))
    np.testing.assert_allclose(found.counts, np.exp(members[:, 0])[None, :].repeat(10, axis=0))


def test_moving_the_whole_schedule_changes_nothing() -> None:
    members, times = prior_sample(BUNDLE, 6, 1), np.arange(0.0, 43.0)
    here = OPERATOR.roll_out(members, [DoseEvent(1.0, 100.0), DoseEvent(22.0, 90.0)], times)
    there = OPERATOR.roll_out(members, [DoseEvent(65.0, 100.0), DoseEvent(86.0, 90.0)], times + 64.0)
    np.testing.assert_allclose(here.counts, there.counts, rtol=1e-5)


def test_interpolation_is_exact_for_cubics() -> None:
    curve = ((FRIBERG_LAYOUT.times / 12.0) ** 3 - FRIBERG_LAYOUT.times / 12.0).astype(np.float32)[None, :]
    scaled = np.array([[0.0], [0.05], [5.31], [11.99]], dtype=np.float32)
    np.testing.assert_allclose(
        OPERATOR.curves.between(curve, scaled, 0), (scaled / 12.0) ** 3 - scaled / 12.0, atol=2e-6
    )


@pytest.mark.parametrize("times", [[], [0.0, 0.0], [0.0, float("nan")]])
def test_malformed_times_are_refused(times: list[float]) -> None:
    with pytest.raises(BundleError):
        OPERATOR.roll_out(prior_sample(BUNDLE, 2, 1), [], np.array(times))


def test_another_kind_of_bundle_is_refused() -> None:
    with pytest.raises(BundleError) as refusal:
        CycleOperator(load_bundle(bundle_path("neutropenia")))
    assert refusal.value.reason == "engine_kind_unknown"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(WEIGHTS) - 1))
def test_cut_weights_are_refused(length: int) -> None:
    with pytest.raises(BundleError) as refusal:
        Weights.from_npz(WEIGHTS[:length])
    assert refusal.value.reason == "malformed"


def test_a_trajectory_continues_where_another_ended() -> None:
    members = prior_sample(BUNDLE, 5, 2)
    steps = np.column_stack((np.full(80, 0.25), np.where(np.arange(80) == 4, 0.2, 0.0)))
    start = np.concatenate((np.zeros((1, 5)), np.ones((4, 5))))
    whole = NumpyFriberg().trajectory(members, steps, start)
    first = NumpyFriberg().trajectory(members, steps[:30], start)
    rest = NumpyFriberg().trajectory(members, steps[30:], first[-1])
    np.testing.assert_array_equal(np.concatenate((first, rest[1:])), whole)
    np.testing.assert_allclose(whole[:, 4] * np.exp(members[:, 0]), NumpyFriberg().simulate(members, steps))
