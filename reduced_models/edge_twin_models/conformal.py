"""Split-conformal bands: a quantile of errors on runs that training has not seen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def simultaneous_score(student: Floats, teacher: Floats, floor: float) -> Floats:
    """[n] largest |Δ ln(relative count + floor)| over the days of each curve [n, t]."""
    return np.asarray(np.abs(np.log(student + floor) - np.log(teacher + floor)).max(axis=1))


def conformal_quantile(scores: Floats, level: float = 0.95) -> float:
    """The ceil((n + 1)·level)-th smallest score: a new one stays below it with probability ``level``.

    Raises:
        ValueError: too few scores for the level.
    """
    rank = math.ceil((len(scores) + 1) * level)
    if rank > len(scores):
        raise ValueError(f"{len(scores)} scores cannot carry a level of {level}")
    return float(np.sort(scores)[rank - 1])
