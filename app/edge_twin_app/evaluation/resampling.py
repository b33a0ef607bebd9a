"""Paired bootstrap over subjects, stratified by source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_twin_app.evaluation.alerts import Outcomes
from edge_twin_app.evaluation.table import Floats

RATES = ("false_alerts_per_person_week", "sensitivity", "pre_symptomatic_share")
_LIMITS = (0.025, 0.975)


def resamples(strata: Sequence[str], number: int, seed: int) -> Floats:
    """How often each subject stands in each resample [number, n]; strata keep their sizes.

    Args:
        strata: source of each subject [n].
        number: of resamples.
        seed: of the draws; the same seed pairs all detectors.
    """
    random, weights = np.random.default_rng(seed), np.zeros((number, len(strata)))
    for stratum in dict.fromkeys(strata):
        members = [index for index, name in enumerate(strata) if name == stratum]
        weights[:, members] = random.multinomial(len(members), np.full(len(members), 1.0 / len(members)), number)
    return weights


def rates(found: Outcomes, weights: Floats) -> Floats:
    """The ``RATES`` [3, resamples]; NaN where nobody is eligible or no control week is left.

    Args:
        found: outcome of each subject.
        weights: [resamples, n].
    """
    eligible, weeks = weights @ found.eligible, weights @ found.weeks
    return np.array(
        [
            ratio(weights @ found.false_alerts, weeks),
            ratio(weights @ found.detected, eligible),
            ratio(weights @ found.early, eligible),
        ]
    )


def ratio(part: Floats, whole: Floats) -> Floats:
    """Part over whole, NaN where the whole is 0."""
    found = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0.0)
    return found


def interval(draws: Floats) -> tuple[float, float]:
    """Central 95 % of the draws that exist, NaN without any."""
    there = draws[np.isfinite(draws)]
    low, high = np.quantile(there, _LIMITS) if there.size else (np.nan, np.nan)
    return float(low), float(high)
