"""Rehearsal: what each allowed way of giving the next cycle would do to this patient's counts.

Only regimens that the program lists can be asked for, and its hard limits are checked for each; the
result informs a clinician and never recommends a dose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from edge_twin.contract import Dose, DosedModel, Matrix, Model
from edge_twin.errors import ProgramError
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import GRID_DAYS
from edge_twin.low_count import NEUTROPENIA, LowCount, checked_for
from edge_twin.program import Limit, Program, Regimen
from edge_twin.quantiles import median_and_interval
from edge_twin.recovery import recovery_days
from edge_twin.twin import dose_events

# What a hard limit can be about, beside the count on the day of the dose.
DOSE_PER_CYCLE = "dose_per_cycle_mg_per_m2"
DOSE_PER_ADMINISTRATION = "dose_per_administration_mg_per_m2"
EFFECT_SHARE = "effect_share"


@dataclass(frozen=True, slots=True)
class NextCycle:
    """The dose that is planned next.

    Attributes:
        dose: as planned; regimens scale, delay and divide it. Its amount is that of the whole cycle, its infusion
            that of one administration.
        body_surface_m2: for limits that are per square metre.
    """

    dose: Dose
    body_surface_m2: float


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one regimen would do.

    Attributes:
        option: id of the regimen; title: for people.
        dose_time: of the first administration; amount_mg: of all together.
        administrations: how many equal parts.
        p_below: share of members that fall below the program's threshold in the followed time.
        nadir_median, nadir_lower, nadir_upper: lowest count, 10*9/L, 95 % interval over members.
        days_below: median number of days below the threshold.
        count_on_dose_day: median count on the day of the first administration, 10*9/L.
        limits_broken: the limits that this regimen does not keep, each with its reasons.
        event: names of what ``p_below``, ``days_below`` and ``count_on_dose_day`` are about.
        most_limiting: ids of the limits with the smallest relative margin, all of them on a tie.
        rank: place among the regimens that keep every limit, by ``p_below`` (1 is the smallest, equal
            ones share it); None for one that breaks a limit. Information, never a recommendation.
        days_to_recovery: median days from the planned start until the count stays at or above the program's recovery
            threshold; None when it does not by the end, or without such a threshold.
        effect_share: drug effect as a share of that of the program's first regimen; None when the model cannot say.
        days, median, lower, upper: the curve from the dose on (state, 95 % interval).
    """

    option: str
    title: str
    dose_time: datetime
    amount_mg: float
    administrations: int
    p_below: float
    nadir_median: float
    nadir_lower: float
    nadir_upper: float
    days_below: float
    count_on_dose_day: float
    limits_broken: tuple[str, ...]
    days: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    event: LowCount = NEUTROPENIA
    most_limiting: tuple[str, ...] = ()
    rank: int | None = None
    days_to_recovery: float | None = None
    effect_share: float | None = None

    @property
    def p_anc_below_0_5(self) -> float:
        """``p_below`` of neutrophils below 0.5; AttributeError for another event."""
        checked_for(self.event, "p_anc_below_0_5")
        return self.p_below

    @property
    def days_below_0_5(self) -> float:
        """``days_below`` of neutrophils below 0.5; AttributeError for another event."""
        checked_for(self.event, "days_below_0_5")
        return self.days_below

    @property
    def anc_on_dose_day(self) -> float:
        """``count_on_dose_day`` of neutrophils; AttributeError for another event."""
        checked_for(self.event, "anc_on_dose_day")
        return self.count_on_dose_day

    @property
    def allowed(self) -> bool:
        """Whether every hard limit is kept."""
        return not self.limits_broken


def rehearse(  # noqa: PLR0913 - patient (model, ensemble, doses), plan, program, and how far to look
    model: Model,
    ensemble: Matrix,
    given: tuple[Dose, ...],
    planned: NextCycle,
    program: Program,
    *,
    followed_days: float | None = None,
) -> tuple[Rehearsed, ...]:
    """Simulate every regimen of the program on this patient's ensemble.

    Args:
        model: the reduced model.
        ensemble: log parameters after assimilation, shape [members, parameters].
        given: doses so far, at least one, oldest first.
        planned: the next dose as planned; must lie after the last dose given.
        program: regimens and hard limits.
        followed_days: simulated after the first rehearsed dose; the program's when None.

    Raises:
        ProgramError: ``no_dose_on_record``, ``planned_dose_not_next``, ``followed_days_invalid``, or
            ``unknown_limit`` for a limit that nothing here can check.
    """
    if not given:
        raise ProgramError("a rehearsal needs the doses given so far", reason="no_dose_on_record")
    if planned.dose.time <= given[-1].time:
        raise ProgramError("the planned dose must follow the last one given", reason="planned_dose_not_next")
    followed = _followed(program, followed_days)
    return _ranked([_rehearse(model, ensemble, given, planned, program, r, followed) for r in program.regimens])


def _followed(program: Program, asked: float | None) -> float:
    """Days after the first rehearsed dose, long enough to hold every administration."""
    followed = program.followed_days if asked is None else asked
    least = max((regimen.administration_days[-1] for regimen in program.regimens), default=0.0)
    if not least < followed < float("inf"):
        raise ProgramError(f"more than {least:g} days have to be simulated", reason="followed_days_invalid")
    return followed


def _ranked(options: list[Rehearsed]) -> tuple[Rehearsed, ...]:
    """In the program's order, each with its rank among those that keep every limit."""
    chances = [option.p_below for option in options if option.allowed]
    return tuple(
        replace(option, rank=1 + sum(chance < option.p_below for chance in chances) if option.allowed else None)
        for option in options
    )


def _rehearse(  # noqa: PLR0913, PLR0917 - the five things above, the one regimen and how far
    model: Model,
    ensemble: Matrix,
    given: tuple[Dose, ...],
    planned: NextCycle,
    program: Program,
    regimen: Regimen,
    followed: float,
) -> Rehearsed:
    doses = _as_regimen(planned.dose, regimen)
    events = dose_events((*given, *doses))
    start = events[len(given)].start_day
    days = start + np.arange(0.0, followed + GRID_DAYS, GRID_DAYS)
    counts = model.simulate(ensemble, _worth_giving(events), days)
    event = program.low_count(f"within {followed:g} days of the dose")
    median, lower, upper = median_and_interval(counts)
    nadir, nadir_lower, nadir_upper = median_and_interval(counts.min(axis=0)[None, :])
    on_dose_day, effect = float(np.median(counts[0])), _effect_share(model, doses, planned, program)
    values = _limited_values(event, on_dose_day, doses, planned, effect)
    return Rehearsed(
        option=regimen.id,
        title=regimen.title,
        dose_time=doses[0].time,
        amount_mg=sum(dose.amount_mg for dose in doses),
        administrations=len(doses),
        p_below=float((counts.min(axis=0) < event.threshold).mean()),
        nadir_median=float(nadir[0]),
        nadir_lower=float(nadir_lower[0]),
        nadir_upper=float(nadir_upper[0]),
        days_below=float(np.median((counts < event.threshold).sum(axis=0))) * GRID_DAYS,
        count_on_dose_day=on_dose_day,
        limits_broken=broken_limits(program.limits.values(), values),
        event=event,
        most_limiting=_most_limiting(program, values),
        days_to_recovery=_days_to_recovery(counts, days - start + regimen.delay_days, program),
        effect_share=effect,
        days=days,
        median=median,
        lower=lower,
        upper=upper,
    )


def _as_regimen(dose: Dose, regimen: Regimen) -> tuple[Dose, ...]:
    """The equal parts in which a regimen gives the planned amount."""
    part = dose.amount_mg * regimen.dose_share / len(regimen.administration_days)
    return tuple(
        replace(dose, time=dose.time + timedelta(days=regimen.delay_days + day), amount_mg=part)
        for day in regimen.administration_days
    )


def _worth_giving(events: tuple[DoseEvent, ...]) -> tuple[DoseEvent, ...]:
    """Doses of zero (an omitted cycle) are no events."""
    return tuple(event for event in events if event.amount_mg > 0.0)


def _days_to_recovery(counts: Matrix, days: np.ndarray, program: Program) -> float | None:
    threshold = program.recovery_threshold()
    if threshold is None:
        return None
    recovered = float(np.median(recovery_days(counts, days, threshold)))
    return recovered if np.isfinite(recovered) else None


def _effect_share(model: Model, doses: tuple[Dose, ...], planned: NextCycle, program: Program) -> float | None:
    """Drug effect relative to the first regimen of the program, which is the cycle as it is usually given."""
    if not program.regimens:
        return None
    return effect_share(
        model,
        _worth_giving(dose_events(doses)),
        _worth_giving(dose_events(_as_regimen(planned.dose, program.regimens[0]))),
    )


def effect_share(model: Model, doses: tuple[DoseEvent, ...], standard: tuple[DoseEvent, ...]) -> float | None:
    """Drug effect of doses as a share of that of the standard ones; None when the model cannot say."""
    if not isinstance(model, DosedModel):
        return None
    effect, whole = model.drug_effect(doses), model.drug_effect(standard)
    return effect / whole if effect is not None and whole else None


def _limited_values(
    event: LowCount, on_dose_day: float, doses: tuple[Dose, ...], planned: NextCycle, effect: float | None
) -> dict[str, float]:
    """What a hard limit can be about."""
    area = planned.body_surface_m2
    values = {
        event.dose_day_name: on_dose_day,
        DOSE_PER_CYCLE: sum(dose.amount_mg for dose in doses) / area,
        DOSE_PER_ADMINISTRATION: max(dose.amount_mg for dose in doses) / area,
    }
    return values if effect is None else {**values, EFFECT_SHARE: effect}


def broken_limits(limits: Iterable[Limit], values: Mapping[str, float]) -> tuple[str, ...]:
    """Every hard limit that is not kept, with its value and all its reasons.

    Args:
        limits: to be checked.
        values: what each is about, by the limit's id.

    Raises:
        ProgramError: ``unknown_limit`` for a limit that no value is about.
    """
    wanted = tuple(limits)
    if unchecked := {limit.id for limit in wanted} - set(values):
        raise ProgramError(f"nothing checks the limit {min(unchecked)}", reason="unknown_limit")
    return tuple(
        f"{limit.id} {values[limit.id]:.3g} {limit.unit}, {limit.kind.value.replace('_', ' ')} {limit.value:g}: "
        f"{'; '.join(limit.reasons)}"
        for limit in wanted
        if not limit.allows(values[limit.id])
    )


def _most_limiting(program: Program, values: Mapping[str, float]) -> tuple[str, ...]:
    """The limits that leave least room, all of them on a tie."""
    margins = {limit.id: limit.margin(values[limit.id]) for limit in program.limits.values()}
    least = min(margins.values(), default=0.0)
    return tuple(name for name, margin in margins.items() if margin <= least)
