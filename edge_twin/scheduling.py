"""Schedules of one cycle with equal total dose, simulated on a patient's ensemble and ordered by their nadirs.

Everything that was asked for is returned, with the hard limits that it does not keep. The order informs a
clinician; it recommends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_twin.contract import Matrix, Model
from edge_twin.exposure import DoseEvent
from edge_twin.program import Limit

FOLLOWED_DAYS = 35.0  # after the first dose: nadir and recovery of a consolidation cycle
GRID_DAYS = 0.25


@dataclass(frozen=True, slots=True)
class Split:
    """One way to divide a cycle's total dose: start days of equal administrations after the cycle's start."""

    id: str
    days: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cycle:
    """What is to be given.

    Attributes:
        total_mg: of the whole cycle, the same for every candidate.
        infusion_days: of one administration.
        body_surface_m2: for the limit per square metre.
        planned_day: start as planned, on the axis of the doses given.
    """

    total_mg: float
    infusion_days: float
    body_surface_m2: float
    planned_day: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One start and one split.

    Attributes:
        split: its id; delay_days: after the planned day.
        p_below: share of members whose nadir is below the threshold.
        nadir_median: over members; count_at_start: median on the first day; both in the output's unit.
        days_to_recovery: median time from the planned day until the count is above the threshold for good.
        limits_broken: each limit that is not kept, with value and reasons.
        doses: what was simulated.
    """

    split: str
    delay_days: float
    p_below: float
    nadir_median: float
    count_at_start: float
    days_to_recovery: float
    limits_broken: tuple[str, ...]
    doses: tuple[DoseEvent, ...]


def rank_schedules(  # noqa: PLR0913 - patient, cycle, the two axes of the search, what counts as low, and the limits
    model: Model,
    ensemble: Matrix,
    given: Sequence[DoseEvent],
    cycle: Cycle,
    *,
    delays: Sequence[float],
    splits: Sequence[Split],
    threshold: float,
    dose_limit_mg_per_m2: Limit,
    start_limit: Limit,
) -> tuple[Candidate, ...]:
    """Every start with every split: limits kept first, then the rarest low nadir, then the earliest recovery.

    Args:
        model: the reduced model.
        ensemble: log parameters [members, parameters] after assimilation.
        given: doses so far.
        cycle: what is to be given.
        delays: after the planned day; never negative.
        splits: how the total may be divided.
        threshold: a nadir below it counts as low, in the output's unit.
        dose_limit_mg_per_m2: of one administration.
        start_limit: of the median count on the first day.

    Raises:
        ValueError: a negative delay or an empty split.
    """
    if min(delays, default=0.0) < 0.0 or not all(split.days for split in splits):
        raise ValueError("a cycle is not brought forward, and a split has at least one administration")
    found = [
        _candidate(model, ensemble, given, cycle, delay, split, threshold, (dose_limit_mg_per_m2, start_limit))
        for delay in delays
        for split in splits
    ]
    return tuple(sorted(found, key=lambda c: (bool(c.limits_broken), c.p_below, c.days_to_recovery)))


def administrations(cycle: Cycle, split: Split, delay_days: float) -> tuple[DoseEvent, ...]:
    """The doses of one candidate; they sum to the cycle's total."""
    share = cycle.total_mg / len(split.days)
    start = cycle.planned_day + delay_days
    return tuple(DoseEvent(start + day, share, cycle.infusion_days) for day in split.days)


def _candidate(  # noqa: PLR0913, PLR0917 - as above
    model: Model,
    ensemble: Matrix,
    given: Sequence[DoseEvent],
    cycle: Cycle,
    delay: float,
    split: Split,
    threshold: float,
    limits: tuple[Limit, Limit],
) -> Candidate:
    doses = administrations(cycle, split, delay)
    days = doses[0].start_day + np.arange(0.0, FOLLOWED_DAYS + GRID_DAYS, GRID_DAYS)
    counts = model.simulate(ensemble, (*given, *doses), days)
    nadirs = counts.min(axis=0)
    low = counts < threshold
    recovered = np.where(low.any(axis=0), days[len(days) - 1 - np.argmax(low[::-1], axis=0)], doses[-1].start_day)
    values = (doses[0].amount_mg / cycle.body_surface_m2, float(np.median(counts[0])))
    broken = tuple(
        f"{limit.id} {value:.3g} {limit.unit}, {limit.kind.value.replace('_', ' ')} {limit.value:g}: "
        f"{'; '.join(limit.reasons)}"
        for limit, value in zip(limits, values, strict=True)
        if not limit.allows(value)
    )
    return Candidate(
        split=split.id,
        delay_days=delay,
        p_below=float((nadirs < threshold).mean()),
        nadir_median=float(np.median(nadirs)),
        count_at_start=values[1],
        days_to_recovery=float(np.median(recovered)) - cycle.planned_day,
        limits_broken=broken,
        doses=doses,
    )
