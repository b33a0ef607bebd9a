"""Schedules of one cycle with equal total dose, simulated on a patient's ensemble and ordered by their nadirs.

Everything that was asked for is returned, with the hard limits that it does not keep. The order informs a
clinician; it recommends nothing. Equal total dose is not equal drug effect unless the effect is linear: each
candidate says how much of the first split's effect it has, and a limit on that share makes the order hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_twin.contract import Matrix, Model, Vector
from edge_twin.exposure import DoseEvent
from edge_twin.limit_checks import DOSE_PER_ADMINISTRATION, DOSE_PER_CYCLE, EFFECT_SHARE, broken_limits
from edge_twin.program import Limit, Program
from edge_twin.recovery import recovery_days
from edge_twin.rehearsal import effect_share

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


@dataclass(frozen=True)
class Search:
    """What is tried, and what it is held against.

    Attributes:
        delays: starts after the planned day, never negative.
        splits: ways to divide the total; the first one is the standard that ``effect_share`` compares with.
        threshold: a nadir below it counts as low, in the output's unit.
        count_limit: id of the limit on the median count at the start.
        limits: each on one of ``dose_per_administration_mg_per_m2``, ``dose_per_cycle_mg_per_m2``, ``effect_share``
            and ``count_limit``.
        followed_days: after each start.

    Raises:
        ValueError: a negative delay, no split, or a split without administration.
    """

    delays: tuple[float, ...]
    splits: tuple[Split, ...]
    threshold: float
    count_limit: str
    limits: tuple[Limit, ...]
    followed_days: float = FOLLOWED_DAYS

    def __post_init__(self) -> None:
        if min(self.delays, default=0.0) < 0.0 or not self.splits or not all(split.days for split in self.splits):
            raise ValueError("a cycle is not brought forward, and a split has at least one administration")

    @classmethod
    def of(cls, program: Program) -> Self:
        """Every start and every split that the program lists, under its limits."""
        splits: dict[tuple[float, ...], Split] = {}
        for regimen in program.regimens:
            splits.setdefault(regimen.administration_days, Split(regimen.id, regimen.administration_days))
        return cls(
            delays=program.start_days,
            splits=tuple(splits.values()),
            threshold=program.low_threshold,
            count_limit=program.low_count().dose_day_name,
            limits=tuple(program.limits.values()),
            followed_days=program.followed_days,
        )

    @property
    def pairs(self) -> tuple[tuple[float, Split], ...]:
        """Every start with every split."""
        return tuple((delay, split) for delay in self.delays for split in self.splits)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One start and one split.

    Attributes:
        split: its id; delay_days: after the planned day.
        p_below: share of members whose nadir is below the threshold.
        nadir_median: over members, in the output's unit.
        count_at_start: median on the first day; count_at_last_dose: on the day of the last administration.
        days_to_recovery: median time from the planned day until the count is above the threshold for good;
            infinite when it is not by the end.
        effect_share: drug effect as a share of the first split's; None for a model that cannot say.
        limits_broken: each limit that is not kept, with value and reasons.
        doses: what was simulated.
    """

    split: str
    delay_days: float
    p_below: float
    nadir_median: float
    count_at_start: float
    count_at_last_dose: float
    days_to_recovery: float
    effect_share: float | None
    limits_broken: tuple[str, ...]
    doses: tuple[DoseEvent, ...]


@dataclass(frozen=True, eq=False)
class MemberOutcomes:
    """What one start and split does to each of several patients.

    Attributes:
        kept: [members] whether every limit is kept; nadirs: [members], in the output's unit.
        effect_share: see :class:`Candidate`.
    """

    kept: NDArray[np.bool_]
    nadirs: Vector
    effect_share: float | None


def rank_schedules(
    model: Model, ensemble: Matrix, given: Sequence[DoseEvent], cycle: Cycle, search: Search
) -> tuple[Candidate, ...]:
    """Every start with every split, in the order of :func:`ranked`.

    Args:
        model: the reduced model.
        ensemble: log parameters [members, parameters] after assimilation.
        given: doses so far.
        cycle: what is to be given.
        search: starts, splits, threshold and limits.

    Raises:
        ProgramError: ``unknown_limit`` for a limit that nothing here can check.
    """
    return ranked([_candidate(model, ensemble, given, cycle, search, *pair) for pair in search.pairs])


def member_outcomes(  # noqa: PLR0913, PLR0917 - as above, and the one start and split
    model: Model,
    members: Matrix,
    given: Sequence[DoseEvent],
    cycle: Cycle,
    search: Search,
    pair: tuple[float, Split],
) -> MemberOutcomes:
    """One start and split for patients whose parameters are taken as known, each on its own.

    Args:
        model: the reduced model.
        members: log parameters [members, parameters] of different patients.
        given: doses so far.
        cycle: what is to be given.
        search: threshold and limits.
        pair: delay in days and split.
    """
    course = _simulated(model, members, given, cycle, search, *pair)
    kept = [not broken_limits(search.limits, course.values(count)) for count in course.counts[0].tolist()]
    return MemberOutcomes(np.array(kept), course.counts.min(axis=0), course.effect)


def ranked(candidates: Sequence[Candidate], effect: Limit | None = None) -> tuple[Candidate, ...]:
    """Limits kept first, then the rarest low nadir, then the earliest recovery.

    Args:
        candidates: of one search.
        effect: a limit on ``effect_share`` to be kept as well; the candidates say when they do not.
    """
    checked = [_held(candidate, effect) for candidate in candidates] if effect else candidates
    return tuple(sorted(checked, key=lambda c: (bool(c.limits_broken), c.p_below, c.days_to_recovery)))


def administrations(cycle: Cycle, split: Split, delay_days: float) -> tuple[DoseEvent, ...]:
    """The doses of one candidate; they sum to the cycle's total."""
    share = cycle.total_mg / len(split.days)
    start = cycle.planned_day + delay_days
    return tuple(DoseEvent(start + day, share, cycle.infusion_days) for day in split.days)


def _held(candidate: Candidate, effect: Limit) -> Candidate:
    share = np.nan if candidate.effect_share is None else candidate.effect_share
    return replace(candidate, limits_broken=(*candidate.limits_broken, *broken_limits([effect], {EFFECT_SHARE: share})))


@dataclass(frozen=True)
class _Course:
    """One simulated start and split: counts [t, members] at ``days``, and what the limits are about."""

    days: Vector
    counts: Matrix
    doses: tuple[DoseEvent, ...]
    effect: float | None
    count_limit: str
    area_m2: float

    def values(self, count_at_start: float) -> dict[str, float]:
        """What each limit is about."""
        values = {
            DOSE_PER_ADMINISTRATION: self.doses[0].amount_mg / self.area_m2,
            DOSE_PER_CYCLE: sum(dose.amount_mg for dose in self.doses) / self.area_m2,
            self.count_limit: count_at_start,
        }
        return values if self.effect is None else {**values, EFFECT_SHARE: self.effect}


def _simulated(  # noqa: PLR0913, PLR0917 - as above
    model: Model,
    ensemble: Matrix,
    given: Sequence[DoseEvent],
    cycle: Cycle,
    search: Search,
    delay: float,
    split: Split,
) -> _Course:
    doses = administrations(cycle, split, delay)
    days = doses[0].start_day + np.arange(0.0, search.followed_days + GRID_DAYS, GRID_DAYS)
    counts = model.simulate(ensemble, (*given, *doses), days)
    effect = effect_share(model, doses, administrations(cycle, search.splits[0], 0.0))
    return _Course(days, counts, doses, effect, search.count_limit, cycle.body_surface_m2)


def _candidate(  # noqa: PLR0913, PLR0917 - as above
    model: Model,
    ensemble: Matrix,
    given: Sequence[DoseEvent],
    cycle: Cycle,
    search: Search,
    delay: float,
    split: Split,
) -> Candidate:
    course = _simulated(model, ensemble, given, cycle, search, delay, split)
    nadirs, medians = course.counts.min(axis=0), np.median(course.counts, axis=1)
    recovered = np.median(recovery_days(course.counts, course.days, search.threshold))
    return Candidate(
        split=split.id,
        delay_days=delay,
        p_below=float((nadirs < search.threshold).mean()),
        nadir_median=float(np.median(nadirs)),
        count_at_start=float(medians[0]),
        count_at_last_dose=float(np.interp(course.doses[-1].start_day, course.days, medians)),
        days_to_recovery=float(recovered) - cycle.planned_day,
        effect_share=course.effect,
        limits_broken=broken_limits(search.limits, course.values(float(medians[0]))),
        doses=course.doses,
    )
