from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.quantiles import median_and_interval


@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.floats(0.5, 0.99))
def test_within_one_order_statistic_of_numpy(members: int, seed: int, level: float) -> None:
    ensemble = np.random.default_rng(seed).standard_normal((3, members))
    median, lower, upper = median_and_interval(ensemble, level)
    ordered = np.sort(ensemble, axis=1)
    np.testing.assert_allclose(median, np.median(ensemble, axis=1))
    for bound, share in ((lower, 0.5 * (1 - level)), (upper, 0.5 * (1 + level))):
        expected = np.percentile(ensemble, 100 * share, axis=1)
        for row in range(3):
            rank = int(np.searchsorted(ordered[row], bound[row]))
            near = ordered[row, max(rank - 1, 0) : rank + 2]
            assert near.min() - 1e-12 <= expected[row] <= near.max() + 1e-12


def test_a_thousand_members_take_sorted_24_and_975() -> None:
    ensemble = np.random.default_rng(1).permutation(1000).astype(float)[None, :]
    median, lower, upper = median_and_interval(ensemble)
    assert (median[0], lower[0], upper[0]) == (499.5, 24.0, 975.0)


def test_input_is_not_changed() -> None:
    ensemble = np.array([[3.0, 1.0, 2.0]])
    median_and_interval(ensemble)
    assert ensemble.tolist() == [[3.0, 1.0, 2.0]]


@pytest.mark.parametrize(("shape", "level"), [((3, 0), 0.95), ((3,), 0.95), ((3, 4), 1.0), ((3, 4), 0.0)])
def test_bad_input_is_refused(shape: tuple[int, ...], level: float) -> None:
    with pytest.raises(ValueError, match="ensemble"):
        median_and_interval(np.zeros(shape), level)
