"""Streams of random numbers do not repeat one another, nor the perturbations of the assimilation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_twin.randomness import Stream, generator


@pytest.mark.parametrize("seed", [0, 1, 31])
def test_no_two_uses_draw_the_same_numbers(seed: int) -> None:
    uses = [generator(seed, stream) for stream in Stream]
    perturbations = [np.random.default_rng([seed, counts]) for counts in range(1, 60)]
    draws = [source.standard_normal(200) for source in (*uses, *perturbations, np.random.default_rng(seed))]
    for one, other in itertools.combinations(draws, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.4  # 5.6 standard deviations of independent draws


def test_a_stream_comes_back_for_its_seed() -> None:
    first, again, other = (generator(seed, Stream.RESIDUAL).random(4).tolist() for seed in (5, 5, 6))
    assert first == again
    assert first != other
