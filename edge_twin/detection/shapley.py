"""Exact Shapley values: who moved a number, and by how much.

Interventional values (Lundberg & Lee 2017; Janzing et al. 2020): phi_i is the mean, over the orders in which the
inputs may become known, of what input i adds: the sum over sets S without i of
|S|! (n - |S| - 1)! / n! * [v(S + i) - v(S)]. They add up to v(all) - v(none).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import DetectionError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Score = Callable[[Matrix], Vector]

LARGEST_COUNT = 12  # 2**12 sets; more inputs are grouped


@lru_cache(maxsize=LARGEST_COUNT + 1)
def coalitions(count: int) -> Matrix:
    """[2**count, count] every set of inputs, 1 where the input is in; row r holds the bits of r.

    Raises:
        DetectionError: ``too_many_inputs`` above ``LARGEST_COUNT``.
    """
    if count > LARGEST_COUNT:
        raise DetectionError(f"{count} inputs: group them to at most {LARGEST_COUNT}", reason="too_many_inputs")
    rows = np.arange(2**count)
    return _kept(np.asarray((rows[:, None] >> np.arange(count)) & 1, dtype=np.float64))


@lru_cache(maxsize=LARGEST_COUNT + 1)
def _weights(count: int) -> Matrix:
    """[count, 2**count] signed weight of v(S) in each Shapley value."""
    present = coalitions(count)
    size = present.sum(axis=1).astype(int)
    ways = [math.factorial(k) * math.factorial(count - k - 1) / math.factorial(count) for k in range(count)]
    with_it, without_it = np.array([0.0, *ways])[size], np.array([*ways, 0.0])[size]
    return _kept(np.where(present == 1.0, with_it[:, None], -without_it[:, None]).T)


def _kept(table: Matrix) -> Matrix:
    """The table, which is cached and must not be written to."""
    table.flags.writeable = False
    return table


def shapley_of_sets(values: Vector) -> Vector:
    """[n] Shapley values of a game.

    Args:
        values: [2**n] worth of each set, in the order of ``coalitions``.
    """
    count = len(values).bit_length() - 1
    coalitions(count)
    return np.asarray(_weights(count) @ values, dtype=np.float64)


def shapley_of_score(score: Score, inputs: Vector, background: Matrix, groups: Sequence[Sequence[int]] = ()) -> Vector:
    """[n] exact interventional Shapley values of a score at one row of inputs.

    Args:
        score: from [rows, inputs] to [rows]; called once.
        inputs: [inputs] the row to explain.
        background: [rows, inputs] what an unknown input is drawn from, rows taken whole.
        groups: inputs that are known together, such as those of one stream; without groups each input by itself.

    Returns:
        One value for each group, in order.

    Raises:
        DetectionError: ``too_many_inputs`` above ``LARGEST_COUNT`` groups; ``bad_groups`` when the groups are
            no partition of the inputs.
    """
    parts = [list(group) for group in groups] or [[column] for column in range(len(inputs))]
    if sorted(column for part in parts for column in part) != list(range(len(inputs))):
        raise DetectionError("the groups must hold each input once", reason="bad_groups")
    known = coalitions(len(parts)) @ _membership(parts, len(inputs))
    rows = np.where(known[:, None, :] > 0.0, inputs, background)
    values = score(rows.reshape(-1, len(inputs))).reshape(len(known), len(background)).mean(axis=1)
    return shapley_of_sets(np.asarray(values, dtype=np.float64))


def shapley_of_sum(terms: Vector, background_terms: Matrix) -> Vector:
    """[n] Shapley values of an additive score: each term less its mean over the background.

    Args:
        terms: [n] terms of the row to explain.
        background_terms: [rows, n] terms of the background.
    """
    return np.asarray(terms - background_terms.mean(axis=0), dtype=np.float64)


def _membership(parts: Sequence[Sequence[int]], inputs: int) -> Matrix:
    """[groups, inputs] 1 where the group holds the input."""
    table = np.zeros((len(parts), inputs))
    for row, part in enumerate(parts):
        table[row, list(part)] = 1.0
    return table
