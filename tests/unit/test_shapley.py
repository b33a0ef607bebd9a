"""Exact Shapley values: axioms, an independent oracle, and refusals."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin.detection.shapley import LARGEST_COUNT, coalitions, shapley_of_score, shapley_of_sets, shapley_of_sum
from edge_twin.errors import DetectionError

Vector = NDArray[np.float64]


def network(seed: int, inputs: int) -> Callable[[Vector], Vector]:
    """A small network with 16 tanh units."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(inputs, 16)), rng.normal(size=16)
    return lambda rows: np.asarray(np.tanh(rows @ first) @ second)


def by_orders(values: Vector, count: int) -> Vector:
    """The definition itself: the mean over all orders of what each input adds."""
    total = np.zeros(count)
    for order in itertools.permutations(range(count)):
        known = 0
        for player in order:
            total[player] += values[known | 1 << player] - values[known]
            known |= 1 << player
    return total / math.factorial(count)


@given(st.lists(st.floats(-5, 5), min_size=16, max_size=16))
def test_values_of_a_game_are_the_mean_over_all_orders(worth: list[float]) -> None:
    values = np.array(worth)
    found = shapley_of_sets(values)
    np.testing.assert_allclose(found, by_orders(values, 4), atol=1e-12)
    assert math.isclose(found.sum(), worth[-1] - worth[0], abs_tol=1e-12)  # efficiency


def test_an_input_that_changes_nothing_has_value_0_and_equal_inputs_have_equal_values() -> None:
    background = np.random.default_rng(2).normal(size=(20, 4))
    background[:, 1] = background[:, 0]
    inputs = np.array([1.3, 1.3, -0.4, 7.0])
    found = shapley_of_score(lambda x: np.tanh(x[:, 0] + x[:, 1]) * x[:, 2], inputs, background)
    assert found[3] == 0.0
    assert math.isclose(found[0], found[1], abs_tol=1e-14)


@pytest.mark.parametrize("inputs", [1, 3, 8])
def test_values_add_up_to_score_less_mean_score(inputs: int) -> None:
    rng, score = np.random.default_rng(inputs), network(1, inputs)
    row, background = rng.normal(size=inputs), rng.normal(size=(20, inputs))
    found = shapley_of_score(score, row, background)
    assert abs(found.sum() - (score(row[None])[0] - score(background).mean())) < 1e-12


def test_agrees_with_the_exact_explainer_of_shap() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap and its dependencies warn at import
        shap = pytest.importorskip("shap")
        rng, score = np.random.default_rng(5), network(6, 6)
        rows, background = rng.normal(size=(3, 6)), rng.normal(size=(12, 6))
        oracle = shap.explainers.Exact(score, shap.maskers.Independent(background, max_samples=12))(rows).values
    found = np.array([shapley_of_score(score, row, background) for row in rows])
    assert np.abs(found - oracle).max() < 1e-10


def test_groups_are_known_together_and_add_up() -> None:
    rng, score = np.random.default_rng(7), network(8, 14)
    row, background = rng.normal(size=14), rng.normal(size=(5, 14))
    groups = [range(6), range(6, 11), range(11, 14)]
    found = shapley_of_score(score, row, background, groups)
    assert found.shape == (3,)
    assert abs(found.sum() - (score(row[None])[0] - score(background).mean())) < 1e-12


def test_an_additive_score_needs_no_sets() -> None:
    rng = np.random.default_rng(9)
    row, background = rng.normal(size=5), rng.normal(size=(8, 5))
    by_sets = shapley_of_score(lambda x: (x**3).sum(axis=1), row, background)
    np.testing.assert_allclose(shapley_of_sum(row**3, background**3), by_sets, atol=1e-12)


def test_too_many_inputs_and_groups_that_are_no_partition_are_refused() -> None:
    with pytest.raises(DetectionError) as refused:
        coalitions(LARGEST_COUNT + 1)
    assert refused.value.reason == "too_many_inputs"
    with pytest.raises(DetectionError) as refused:
        shapley_of_score(lambda x: x.sum(axis=1), np.zeros(3), np.zeros((2, 3)), [[0, 1], [1, 2]])
    assert refused.value.reason == "bad_groups"


def test_the_cached_tables_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        coalitions(3)[0, 0] = 1.0
