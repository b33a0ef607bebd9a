"""Rehearsal: what each allowed way of giving the next cycle would do to this patient's counts.

Only regimens that the program lists can be asked for, and its hard limits are checked for each; the
result informs a clinician and never recommends a dose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from edge_twin.contract import Dose, Matrix, Model
from edge_twin.errors import ProgramError
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import CYCLE_DAYS, GRID_DAYS, moved_by_surrogate_error
from edge_twin.program import Program, Regimen
from edge_twin.quantiles import median_and_interval
from edge_twin.twin import dose_events

FOLLOWED_DAYS = CYCLE_DAYS  # after the rehearsed dose
SURROGATE_SEED = 1  # the same draws for all options: their order then rests on the options alone


@dataclass(frozen=True, slots=True)
class NextCycle:
    """The dose that is planned next.

    Attributes:
        dose: as planned; regimens scale and delay it.
        body_surface_m2: for limits that are per square metre.
    """

    dose: Dose
    body_surface_m2: float


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one regimen would do.

    Attributes:
        option: id of the regimen; title: for people.
        dose_time, amount_mg: what was simulated.
        p_anc_below_0_5: share of members that fall below 0.5 within 21 days of the dose.
        nadir_median, nadir_lower, nadir_upper: lowest count, 10*9/L, 95 % interval over members.
        days_below_0_5: median number of days below 0.5.
        anc_on_dose_day: median count on the day of the dose, 10*9/L.
        limits_broken: the limits that this regimen does not keep, each with its reasons.
        most_limiting: ids of the limits with the smallest relative margin, all of them on a tie.
        rank: place among the regimens that keep every limit, by ``p_anc_below_0_5`` (1 is the smallest, equal
            ones share it); None for one that breaks a limit. Information, never a recommendation.
        days, median, lower, upper: the curve from the dose on (state, 95 % interval).
        engines: who computed it; handed_over: why a learned student did not answer for all members.
        surrogate_log_half_width: 95 % half-width of ln(student) - ln(teacher), inside the intervals and the chance.
    """

    option: str
    title: str
    dose_time: datetime
    amount_mg: float
    p_anc_below_0_5: float
    nadir_median: float
    nadir_lower: float
    nadir_upper: float
    days_below_0_5: float
    anc_on_dose_day: float
    limits_broken: tuple[str, ...]
    days: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    most_limiting: tuple[str, ...] = ()
    rank: int | None = None
    engines: tuple[str, ...] = ()
    handed_over: tuple[str, ...] = ()
    surrogate_log_half_width: float = 0.0

    @property
    def allowed(self) -> bool:
        """Whether every hard limit is kept."""
        return not self.limits_broken


def rehearse(
    model: Model, ensemble: Matrix, given: tuple[Dose, ...], planned: NextCycle, program: Program
) -> tuple[Rehearsed, ...]:
    """Simulate every regimen of the program on this patient's ensemble.

    Args:
        model: the reduced model.
        ensemble: log parameters after assimilation, shape [members, parameters].
        given: doses so far, at least one, oldest first.
        planned: the next dose as planned; must lie after the last dose given.
        program: regimens and hard limits.

    Raises:
        ProgramError: ``no_dose_on_record``, ``planned_dose_not_next``, or ``unknown_limit`` for a limit
            that nothing here can check.
    """
    if not given:
        raise ProgramError("a rehearsal needs the doses given so far", reason="no_dose_on_record")
    if planned.dose.time <= given[-1].time:
        raise ProgramError("the planned dose must follow the last one given", reason="planned_dose_not_next")
    return _ranked([_rehearse(model, ensemble, given, planned, program, regimen) for regimen in program.regimens])


def _ranked(options: list[Rehearsed]) -> tuple[Rehearsed, ...]:
    """In the program's order, each with its rank among those that keep every limit."""
    chances = [option.p_anc_below_0_5 for option in options if option.allowed]
    return tuple(
        replace(option, rank=1 + sum(chance < option.p_anc_below_0_5 for chance in chances) if option.allowed else None)
        for option in options
    )


def _rehearse(  # noqa: PLR0913, PLR0917 - the five things above and the one regimen
    model: Model, ensemble: Matrix, given: tuple[Dose, ...], planned: NextCycle, program: Program, regimen: Regimen
) -> Rehearsed:
    dose = _as_regimen(planned.dose, regimen)
    events = dose_events((*given, dose))
    days = events[-1].start_day + np.arange(0.0, FOLLOWED_DAYS + GRID_DAYS, GRID_DAYS)
    answer = model.answer(ensemble, _worth_giving(events), days)
    threshold = program.threshold("forecast", "anc_threshold_10_9_per_l")
    median, nadir = np.median(answer.counts, axis=1), float(np.median(answer.counts.min(axis=0)))
    counts = moved_by_surrogate_error(answer, SURROGATE_SEED)
    _, lower, upper = median_and_interval(counts)
    _, nadir_lower, nadir_upper = median_and_interval(counts.min(axis=0)[None, :])
    on_dose_day = float(median[0])
    values = _limited_values(program, on_dose_day, dose.amount_mg / planned.body_surface_m2)
    return Rehearsed(
        option=regimen.id,
        title=regimen.title,
        dose_time=dose.time,
        amount_mg=dose.amount_mg,
        p_anc_below_0_5=float((counts.min(axis=0) < threshold).mean()),
        nadir_median=nadir,
        nadir_lower=float(nadir_lower[0]),
        nadir_upper=float(nadir_upper[0]),
        days_below_0_5=float(np.median((counts < threshold).sum(axis=0))) * GRID_DAYS,
        anc_on_dose_day=on_dose_day,
        limits_broken=_broken(program, values),
        most_limiting=_most_limiting(program, values),
        days=days,
        median=median,
        lower=lower,
        upper=upper,
        engines=answer.engines,
        handed_over=answer.refusals,
        surrogate_log_half_width=answer.log_half_width,
    )


def _as_regimen(dose: Dose, regimen: Regimen) -> Dose:
    later = dose.time + timedelta(days=regimen.delay_days)
    return replace(dose, time=later, amount_mg=dose.amount_mg * regimen.dose_share)


def _worth_giving(events: tuple[DoseEvent, ...]) -> tuple[DoseEvent, ...]:
    """Doses of zero (an omitted cycle) are no events."""
    return tuple(event for event in events if event.amount_mg > 0.0)


def _limited_values(program: Program, anc_on_dose_day: float, dose_mg_per_m2: float) -> dict[str, float]:
    """What each hard limit is about; a limit that nothing here can check is refused."""
    values = {"anc_on_dose_day": anc_on_dose_day, "dose_per_cycle_mg_per_m2": dose_mg_per_m2}
    if unchecked := set(program.limits) - set(values):
        raise ProgramError(f"nothing checks the limit {min(unchecked)}", reason="unknown_limit")
    return values


def _broken(program: Program, values: dict[str, float]) -> tuple[str, ...]:
    """Every hard limit that is not kept, with its value and all its reasons."""
    return tuple(
        f"{limit.id} {values[limit.id]:.3g} {limit.unit}, {limit.kind.value.replace('_', ' ')} {limit.value:g}: "
        f"{'; '.join(limit.reasons)}"
        for limit in program.limits.values()
        if not limit.allows(values[limit.id])
    )


def _most_limiting(program: Program, values: dict[str, float]) -> tuple[str, ...]:
    """The limits that leave least room, all of them on a tie."""
    margins = {limit.id: limit.margin(values[limit.id]) for limit in program.limits.values()}
    least = min(margins.values(), default=0.0)
    return tuple(name for name, margin in margins.items() if margin <= least)
