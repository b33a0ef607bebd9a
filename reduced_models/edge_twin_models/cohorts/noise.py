"""Random series that both generators are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def autoregressive(
    rng: np.random.Generator, length: int, correlation: float, innovations: Floats | None = None
) -> Floats:
    """Stationary AR(1) of unit variance [length] with this correlation from one day to the next.

    ``innovations`` [length] of unit variance may have heavy tails; standard normal without them.
    """
    shocks = rng.standard_normal(length) if innovations is None else innovations
    series = np.empty(length)
    value = float(shocks[0])
    scale = float(np.sqrt(1 - correlation**2))
    for day, shock in enumerate(shocks.tolist()):
        value = value if day == 0 else correlation * value + scale * shock
        series[day] = value
    return series


def heavy_tailed(rng: np.random.Generator, length: int, freedom: float) -> Floats:
    """Student t of unit variance [length]; ``freedom`` > 2."""
    series: Floats = rng.standard_t(freedom, length) * np.sqrt((freedom - 2) / freedom)
    return series


def gaps(rng: np.random.Generator, length: int, share: float, mean_length: float) -> Flags:
    """Days [length] in gaps: a two-state Markov chain with this share of days in gaps of this mean length."""
    end = 1 / max(mean_length, 1.0)
    start = min(1.0, end * share / max(1 - share, 1e-9))
    inside = np.empty(length, dtype=np.bool_)
    state = rng.random() < share
    for day, draw in enumerate(rng.random(length).tolist()):
        inside[day] = state
        state = draw >= end if state else draw < start
    return inside


def lognormal(rng: np.random.Generator, median: float, log_sd: float) -> float:
    """One draw."""
    return float(median * np.exp(log_sd * rng.standard_normal()))


def saturated(value: float, limit: float) -> float:
    """Close to the value where it is small, never beyond the limit."""
    return float(limit * np.tanh(value / limit))
