"""RHRAD (Mishra et al., Nat Biomed Eng 2020;4:1208) in daily form: distance from a robust Gaussian of 31 rows.

The robust Gaussian is the one-dimensional minimum covariance determinant (Rousseeuw and Van Driessen, Technometrics
1999;41:212) with its consistency factors and one refit; scikit-learn's ``EllipticEnvelope`` gives the same numbers.
"""

from __future__ import annotations

import math
from collections import deque
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.evaluation.rules import section

Floats = NDArray[np.float64]

_FLAT = 1e-12  # variance of standardised values that is rounding and no spread


class RestingHeartRateAnomaly:
    """Squared robust distance of today beyond the 90th percentile of its baseline, 0 at or below the baseline."""

    def __init__(self) -> None:
        self._rule = section("rhrad")
        self._rows: deque[float] = deque(maxlen=self._rule["window"])

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day; 0 with too short or too flat a baseline."""
        del day, log_steps
        complete = len(self._rows) == self._rule["window"]
        baseline = np.array([row for row in self._rows if not math.isnan(row)])
        self._rows.append(rate)
        if math.isnan(rate) or not complete or baseline.size < self._rule["minimum_valid"]:
            return 0.0
        return self._score(baseline, rate)

    def _score(self, baseline: Floats, rate: float) -> float:
        mean, sd = baseline.mean(), baseline.std()
        if sd == 0.0 or rate <= mean:
            return 0.0
        scores = (baseline - mean) / sd
        location, variance = robust_gaussian(scores)
        if variance <= 0.0:  # the central values of the baseline are one value
            return 0.0
        limit = np.quantile((scores - location) ** 2 / variance, 1.0 - self._rule["contamination"])
        return float(((rate - mean) / sd - location) ** 2 / variance - limit)


def robust_gaussian(values: Floats) -> tuple[float, float]:
    """Location and variance of the one-dimensional minimum covariance determinant with one reweighting.

    The two ends of the shortest interval are equally far from its middle, so rounding decides which of them counts: the
    order of operations is that of scikit-learn.

    Args:
        values: [n], at least two; support and quantile of the refit are those of ``protocol.toml``.

    Returns:
        Location and variance; variance 0 when the central values are equal.
    """
    rule = section("rhrad")
    size = int(rule["support"] * values.size)
    location = _middle_of_shortest(np.sort(values), size)
    central = values[np.argsort(np.abs(values - location))[:size]]
    raw = float(central.var()) * consistency(size / values.size)
    if raw <= _FLAT:
        return location, 0.0
    kept = values[(values - location) ** 2 / raw < _chi_square_quantile(rule["reweighting"])]
    return float(kept.mean()), float(kept.var()) * consistency(rule["reweighting"])


def _middle_of_shortest(ordered: Floats, size: int) -> float:
    """Mean of the midpoints of the shortest intervals from a value to the one ``size`` places on."""
    low, high = ordered[: ordered.size - size], ordered[size:]
    shortest = np.flatnonzero(high - low == np.min(high - low))
    return float(0.5 * (high[shortest] + low[shortest]).mean())


@cache
def consistency(share: float) -> float:
    """Factor that makes the variance of the central ``share`` of a Gaussian the variance of all of it.

    share / F3(q) where q is the ``share`` quantile of chi-square with one degree of freedom and F3 the distribution
    function with three (Croux and Haesbroeck, J Multivar Anal 1999;71:161).
    """
    quantile = _chi_square_quantile(share)
    three = math.erf(math.sqrt(quantile / 2.0)) - math.sqrt(2.0 * quantile / math.pi) * math.exp(-quantile / 2.0)
    return share / three


@cache
def _chi_square_quantile(share: float) -> float:
    return NormalDist().inv_cdf((1.0 + share) / 2.0) ** 2
