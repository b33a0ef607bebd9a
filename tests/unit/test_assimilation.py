"""Assimilation: three methods that agree where they must, bounds that hold, counts below a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.assimilation import Assimilation, Counts, Method, ObservationOperator, assimilate, importance_sample
from edge_twin.assimilation.box import BoxTransform
from edge_twin.assimilation.importance import log_normal_cdf
from edge_twin.assimilation.kalman import Evidence, below_limit, kalman_update
from edge_twin.calibration import NOMINAL_MISS, aimed_miss, widening
from edge_twin.contract import Coverage
from edge_twin.exposure import DoseEvent
from edge_twin.innovation import innovations
from edge_twin.reduced_model import ReducedModel

DOSES = (DoseEvent(0.0, 180.0, 1 / 24),)
COUNTS = Counts(np.array([0.0, 5.0, 7.0]), np.array([5.0, 1.1, 0.35]))


def test_the_update_of_a_linear_gaussian_state_is_the_exact_one() -> None:
    states = np.random.default_rng(1).standard_normal((1, 200_000))
    evidence = Evidence(
        np.array([2.0]), np.array([0.5]), np.array([False]), np.random.default_rng(2).standard_normal((1, 200_000))
    )
    after = kalman_update(states, states.copy(), evidence)
    assert after.mean() == pytest.approx(2.0 / 1.5, abs=0.01)
    assert after.var() == pytest.approx(0.5 / 1.5, abs=0.01)


def test_the_censored_update_agrees_with_the_exact_posterior() -> None:
    """x ~ N(0, 1), y = x + e with variance 0.5, only y < -0.5 is known."""
    generator = np.random.default_rng(3)
    states, noise = generator.standard_normal((1, 200_000)), generator.standard_normal((1, 200_000))
    after = kalman_update(states, states.copy(), Evidence(np.array([-0.5]), np.array([0.5]), np.array([True]), noise))
    x = np.linspace(-8.0, 8.0, 20_001)
    density = np.exp(-0.5 * x**2 + log_normal_cdf((-0.5 - x) / math.sqrt(0.5)))
    density /= density.sum()
    mean = float((density * x).sum())
    assert after.mean() == pytest.approx(mean, abs=0.01)
    assert after.var() == pytest.approx(float((density * (x - mean) ** 2).sum()), abs=0.02)


def test_far_below_everything_the_normal_tail_is_used() -> None:
    wanted = below_limit(np.random.default_rng(4).standard_normal(1000), -6.0)
    assert (wanted <= -6.0).all()
    assert wanted.mean() == pytest.approx(-6.0 - 1.0 / 6.0, abs=0.05)


@given(st.floats(-30.0, 8.0))
def test_the_log_of_the_normal_distribution(value: float) -> None:
    (got,) = log_normal_cdf(np.array([value]))
    expected = math.log(0.5 * math.erfc(-value / math.sqrt(2.0)))
    assert got == pytest.approx(expected, rel=2e-4, abs=1e-12)


@given(st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=2))
def test_the_box_holds_and_the_way_back_is_exact(point: list[float]) -> None:
    box = BoxTransform(np.array([-1.0, 0.0]), np.array([1.0, 3.0]))
    back = box.log_parameters(np.array([point]))
    assert ((back >= box.low) & (back <= box.high)).all()
    inside = np.array([[0.3, 2.0]])
    assert np.allclose(box.log_parameters(box.unbounded(inside)), inside, atol=1e-12)


@pytest.mark.parametrize("method", list(Method))
def test_every_method_stays_in_the_envelope_and_follows_the_counts(model: ReducedModel, method: Method) -> None:
    operator = ObservationOperator(0.15)
    after = assimilate(model, DOSES, COUNTS, 500, 1, Assimilation(method, operator=operator, draws=4000))
    low, high = model.log_box
    assert ((after >= low - 1e-12) & (after <= high + 1e-12)).all()
    prior = model.simulate(model.prior_sample(500, 1), DOSES, COUNTS.days)
    gaps = [np.abs(np.median(np.log(c), axis=1) - np.log(COUNTS.values)).sum()
            for c in (model.simulate(after, DOSES, COUNTS.days), prior)]  # fmt: skip
    assert gaps[0] < gaps[1]


def test_a_count_below_a_limit_lowers_the_forecast_no_more_than_the_number_itself(model: ReducedModel) -> None:
    day = np.array([7.0])

    def nadir(counts: Counts) -> float:
        after = assimilate(model, DOSES, counts, 500, 1)
        return float(np.median(model.simulate(after, DOSES, np.arange(0.0, 21.0, 0.5)).min(axis=0)))

    nothing = nadir(Counts(np.empty(0), np.empty(0)))
    below = nadir(Counts(day, np.array([0.1]), np.array([True])))
    assert below < nothing


def test_zero_is_censored_and_proportional_error_is_log_normal() -> None:
    operator = ObservationOperator.proportional(0.3, surrogate_log_sd=0.1)
    counts = Counts(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 0.5]), np.array([False, False, True]))
    assert operator.censored(counts).tolist() == [True, False, True]
    assert operator.log_variances(counts)[1] == pytest.approx(math.log1p(0.09) + 0.01)


def test_weights_concentrate_on_what_fits(model: ReducedModel) -> None:
    sample = importance_sample(model, DOSES, COUNTS, ObservationOperator(0.15), draws=2000, seed=1)
    assert sample.weights.sum() == pytest.approx(1.0)
    assert 1.0 < sample.effective_size < 2000


def test_false_alarms_of_the_innovation_monitor_keep_their_rate(model: ReducedModel) -> None:
    curves = model.simulate(model.clip(model.prior_sample(300, 8)), DOSES, COUNTS.days)
    measured = curves * np.exp(0.15 * np.random.default_rng(9).standard_normal(curves.shape))
    choices = Assimilation(operator=ObservationOperator(0.15))
    p = [innovations(model, DOSES, Counts(COUNTS.days, column), members=300, seed=1, choices=choices).p_mismatch
         for column in measured.T]  # fmt: skip
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.10


def test_impossible_counts_are_a_mismatch(model: ReducedModel) -> None:
    counts = Counts(COUNTS.days, np.array([0.5, 9.0, 14.0]))
    found = innovations(
        model, DOSES, counts, members=300, seed=1, choices=Assimilation(operator=ObservationOperator(0.15))
    )
    assert found.p_mismatch < 0.01
    assert found.birge_ratio > 1.5


@given(seen=st.integers(0, 200), share=st.floats(0.0, 1.0))
def test_widening_never_narrows_and_grows_with_the_misses(seen: int, share: float) -> None:
    inside = round(share * seen)
    assert widening(Coverage(seen, inside)) >= 1.0
    assert 0.0 < aimed_miss(Coverage(seen, inside)) <= NOMINAL_MISS
    if inside:
        assert widening(Coverage(seen, inside - 1)) >= widening(Coverage(seen, inside))
