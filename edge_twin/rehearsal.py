"""Rehearsal: what each allowed way of giving the next cycle would do to this patient's counts.

Only regimens that the program lists can be asked for, and its hard limits are checked for each; the
result informs a clinician and never recommends a dose. Each regimen is computed by the first model that
covers its drugs and those on record, on that model's own ensemble; what none covers is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from edge_twin.contract import Dose, Matrix, Model, TwinInput, TwinOutput
from edge_twin.errors import ProgramError
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import CYCLE_DAYS, GRID_DAYS, Trajectories, moved_by_surrogate_error, with_discrepancy
from edge_twin.observation import days_between
from edge_twin.program import Program, Regimen, Support
from edge_twin.quantiles import median_and_interval
from edge_twin.regimens import covering, first_covering, uncovered
from edge_twin.twin import dose_events, posterior_under

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


class Candidate(NamedTuple):
    """A model with this patient's ensemble under it.

    Attributes:
        model: the reduced model; ensemble: its log parameters after assimilation, [members, parameters].
    """

    model: Model
    ensemble: Matrix

    @property
    def drugs(self) -> frozenset[str]:
        """Of the model."""
        return self.model.drugs


class RefusedRegimen(NamedTuple):
    """A regimen of the program that no model at hand covers.

    Attributes:
        option, title: of the regimen.
        drugs: those that stand in the way.
        reason: ``regimen_not_covered``.
    """

    option: str
    title: str
    drugs: tuple[str, ...]
    reason: str = "regimen_not_covered"


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
            ones share it); None for one that breaks a limit, and for one that another model computed than the
            first, since models differ. Information, never a recommendation.
        days, median, lower, upper: the curve from the dose on (state, 95 % interval).
        engines: who computed it; handed_over: why a learned student did not answer for all members.
        surrogate_log_half_width: 95 % half-width of ln(student) - ln(teacher), inside the intervals and the chance.
        model_id: what computed it.
        support: what is given beside the dose, for people; empty for nothing.
        unsupported_p_anc_below_0_5, unsupported_nadir_median: the same regimen by the same model without the
            support, which shows what the support does; None for a regimen without any.
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
    model_id: str = ""
    support: str = ""
    unsupported_p_anc_below_0_5: float | None = None
    unsupported_nadir_median: float | None = None

    @property
    def allowed(self) -> bool:
        """Whether every hard limit is kept."""
        return not self.limits_broken


def rehearse(  # noqa: PLR0913 - the patient's five things and a seed
    model: Model,
    ensemble: Matrix,
    given: tuple[Dose, ...],
    planned: NextCycle,
    program: Program,
    *,
    seed: int = 1,
) -> tuple[Rehearsed, ...]:
    """Simulate every regimen of the program that one model covers, on this patient's ensemble.

    Args:
        model: the reduced model.
        ensemble: log parameters after assimilation, shape [members, parameters].
        given: as ``rehearse_with``, like the rest.
        planned: the next dose as planned.
        program: regimens and hard limits.
        seed: of the next occasion's discrepancy.

    Raises:
        ProgramError: as ``rehearse_with``.
    """
    return rehearse_with((Candidate(model, ensemble),), given, planned, program, seed=seed)


def rehearse_with(
    candidates: Sequence[Candidate], given: tuple[Dose, ...], planned: NextCycle, program: Program, *, seed: int = 1
) -> tuple[Rehearsed, ...]:
    """Simulate every regimen of the program that a candidate covers; see ``refused_regimens`` for the others.

    Args:
        candidates: models with their ensembles, in order of preference.
        given: doses so far of any drug, at least one of the planned drug.
        planned: the next dose as planned; must lie after the last one of its drug.
        program: regimens and hard limits.
        seed: of the next occasion's discrepancy.

    Raises:
        ProgramError: ``no_dose_on_record``, ``planned_dose_not_next``, ``unknown_limit`` for a limit that nothing
            here can check, ``regimen_not_covered`` when no candidate covers even the planned drug and those on
            record.
    """
    own = [dose for dose in given if dose.drug == planned.dose.drug]
    covering(candidates, planned.dose.drug, _drugs(given, planned, None))
    if not own:
        raise ProgramError("a rehearsal needs the doses given so far", reason="no_dose_on_record")
    if planned.dose.time <= max(dose.time for dose in own):
        raise ProgramError("the planned dose must follow the last one given", reason="planned_dose_not_next")
    options = []
    for regimen in program.regimens:
        chosen = first_covering(candidates, _drugs(given, planned, regimen.support))
        if chosen is not None:
            options.append(_option(chosen, given, planned, program, regimen, seed))
    return _ranked(options)


def candidates(given: TwinInput, output: TwinOutput, planned: NextCycle) -> tuple[Candidate, ...]:
    """The models that a rehearsal of the program needs, each with this patient's ensemble under it.

    Args:
        given: input of the step.
        output: of that step; its ensemble is used where its model is needed.
        planned: the next dose as planned.
    """
    regimens = given.program.regimens
    wanted = [first_covering(given.models, _drugs(given.doses, planned, regimen.support)) for regimen in regimens]
    found = []
    for model in (model for model in given.models if any(model is one for one in wanted)):
        own = output.posterior if output.model_id == model.id else posterior_under(given, model)
        if own is not None:
            found.append(Candidate(model, own.log_parameters))
    return tuple(found)


def refused_regimens(
    models: Sequence[Model], given: tuple[Dose, ...], planned: NextCycle, program: Program
) -> tuple[RefusedRegimen, ...]:
    """The regimens of the program that none of the models covers, with the drugs on record, by name."""
    needed = [(regimen, _drugs(given, planned, regimen.support)) for regimen in program.regimens]
    return tuple(
        RefusedRegimen(regimen.id, regimen.title, uncovered(models, drugs))
        for regimen, drugs in needed
        if first_covering(models, drugs) is None
    )


def _drugs(given: tuple[Dose, ...], planned: NextCycle, support: Support | None) -> frozenset[str]:
    further = {support.drug} if support else set()
    return frozenset({dose.drug for dose in given} | {planned.dose.drug} | further)


def _ranked(options: list[Rehearsed]) -> tuple[Rehearsed, ...]:
    """In the program's order, each with its rank among those of the first one's model that keep every limit."""
    comparable = [option.allowed and option.model_id == options[0].model_id for option in options]
    chances = [option.p_anc_below_0_5 for option, counts in zip(options, comparable, strict=True) if counts]
    return tuple(
        replace(option, rank=1 + sum(chance < option.p_anc_below_0_5 for chance in chances)) if counts else option
        for option, counts in zip(options, comparable, strict=True)
    )


def _option(  # noqa: PLR0913, PLR0917 - the patient's things and the one regimen
    chosen: Candidate, given: tuple[Dose, ...], planned: NextCycle, program: Program, regimen: Regimen, seed: int
) -> Rehearsed:
    """The regimen and, where it has a support, the same without it."""
    option = _rehearse(chosen, given, planned, program, regimen, seed)
    if regimen.support is None:
        return option
    without = _rehearse(chosen, given, planned, program, replace(regimen, support=None), seed)
    return replace(
        option,
        support=_described(regimen.support),
        unsupported_p_anc_below_0_5=without.p_anc_below_0_5,
        unsupported_nadir_median=without.nadir_median,
    )


def _described(support: Support) -> str:
    days = f"{support.injections} daily injections from day {support.first_day:g} after the dose"
    return f"{support.drug} {support.amount_mg:g} mg, {days}"


def _rehearse(  # noqa: PLR0913, PLR0917 - the patient's things and the one regimen
    chosen: Candidate, given: tuple[Dose, ...], planned: NextCycle, program: Program, regimen: Regimen, seed: int
) -> Rehearsed:
    dose = _as_regimen(planned.dose, regimen)
    days, answer = _followed(chosen, given, dose, regimen.support, seed)
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
        model_id=chosen.model.id,
    )


def _followed(
    chosen: Candidate, given: tuple[Dose, ...], dose: Dose, support: Support | None, seed: int
) -> Trajectories:
    """Counts from the dose on, as a new occasion of this patient."""
    doses = sorted((*given, dose, *_injections(support, dose)), key=lambda d: d.time)
    origin = doses[0].time
    first = days_between(origin, dose.time)
    days = first + np.arange(0.0, FOLLOWED_DAYS + GRID_DAYS, GRID_DAYS)
    events = _worth_giving(dose_events(tuple(doses), origin))
    run = Trajectories(days, chosen.model.answer(chosen.ensemble, events, days))
    return with_discrepancy(run, chosen.model, first, seed)


def _injections(support: Support | None, dose: Dose) -> list[Dose]:
    if support is None:
        return []
    first = dose.time + timedelta(days=support.first_day)
    return [
        Dose(first + timedelta(days=day), support.drug, support.amount_mg, timedelta(0))
        for day in range(support.injections)
    ]


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
