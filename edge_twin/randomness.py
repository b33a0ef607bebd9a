"""Independent streams of random numbers from one seed.

Two uses of one stream would be the same numbers: a laboratory's error drawn as the perturbation of a count, say,
pulls every interval in one direction. So each use has a stream of its own.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are drawn for; a number is never used twice."""

    RESIDUAL = 2  # a measured count about the state
    IMPORTANCE = 3  # resampling
    INNOVATION = 4  # counts that virtual patients show
    SCORING = 5  # measured counts of an evaluation
    DISCREPANCY = 6  # the next occasion
    SURROGATE = 7  # a student about its teacher


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """The generator of one use.

    Args:
        seed: of the patient's virtual population.
        stream: what for. The assimilation draws from ``[seed, number of counts]``; the zero keeps apart from that.
    """
    return np.random.default_rng([seed, 0, stream])
