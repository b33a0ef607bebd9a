"""Rehearsal: what each allowed way of giving the next cycle would do to this patient's counts.

Only regimens that the program lists can be asked for, and its hard limits are checked for each; the
result informs a clinician and never recommends a dose. Each regimen is simulated by the first model that
covers its drugs and those on record, on this patient's ensemble under that model; one that no model covers is refused
by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from edge_twin.contract import Answer, Dose, DosedModel, Matrix, Model, TwinInput, TwinOutput
from edge_twin.errors import ProgramError
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import GRID_DAYS, Trajectories, moved_by_surrogate_error, with_discrepancy
from edge_twin.limit_checks import DOSE_PER_ADMINISTRATION, DOSE_PER_CYCLE, EFFECT_SHARE, broken_limits, most_limiting
from edge_twin.low_count import NEUTROPENIA, LowCount, checked_for
from edge_twin.observation import days_between
from edge_twin.program import Program, Regimen, Support
from edge_twin.quantiles import median_and_interval
from edge_twin.recovery import recovery_days
from edge_twin.regimens import covering, first_covering, uncovered
from edge_twin.twin import dose_events, posterior_under

SURROGATE_SEED = 1  # the same draws for all options: their order then rests on the options alone


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
        dose_time: of the first administration; amount_mg: of all together.
        administrations: how many equal parts.
        p_below: share of members that fall below the program's threshold in the followed time.
        nadir_median, nadir_lower, nadir_upper: lowest count, 10*9/L, 95 % interval over members.
        days_below: median number of days below the threshold.
        count_on_dose_day: median count on the day of the first administration, 10*9/L.
        limits_broken: the limits that this regimen does not keep, each with its reasons.
        event: names of what ``p_below``, ``days_below`` and ``count_on_dose_day`` are about.
        most_limiting: ids of the limits with the smallest relative margin, all of them on a tie.
        rank: place among the regimens that keep every limit, by ``p_below`` (1 is the smallest, equal ones share it);
            None for one that breaks a limit, and for one that another model computed than the first, since models
            differ. Information, never a recommendation.
        days_to_recovery: median days from the planned start until the count stays at or above the program's recovery
            threshold; None when it does not by the end, or without such a threshold.
        effect_share: drug effect as a share of that of the program's first regimen; None when the model cannot say.
        days, median, lower, upper: the curve from the dose on (state, 95 % interval).
        engines: who computed it; handed_over: why a learned student did not answer for all members.
        surrogate_log_half_width: 95 % half-width of ln(student) - ln(teacher), inside the intervals and the chance.
        model_id: what computed it.
        support: what is given beside the dose, for people; empty for nothing.
        unsupported_p_below, unsupported_nadir_median: the same regimen by the same model without the support, which
            shows what the support does; None for a regimen without any.
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
    engines: tuple[str, ...] = ()
    handed_over: tuple[str, ...] = ()
    surrogate_log_half_width: float = 0.0
    model_id: str = ""
    support: str = ""
    unsupported_p_below: float | None = None
    unsupported_nadir_median: float | None = None

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


def rehearse(  # noqa: PLR0913 - the patient's five things, a seed, and how far to look
    model: Model,
    ensemble: Matrix,
    given: tuple[Dose, ...],
    planned: NextCycle,
    program: Program,
    *,
    seed: int = 1,
    followed_days: float | None = None,
) -> tuple[Rehearsed, ...]:
    """Simulate every regimen of the program that one model covers, on this patient's ensemble.

    Args:
        model: the reduced model.
        ensemble: log parameters after assimilation, shape [members, parameters].
        given: as ``rehearse_with``, like the rest.
        planned: the next dose as planned.
        program: regimens and hard limits.
        seed: of the next occasion's discrepancy.
        followed_days: simulated after the first rehearsed dose; the program's when None.

    Raises:
        ProgramError: as ``rehearse_with``.
    """
    one = (Candidate(model, ensemble),)
    return rehearse_with(one, given, planned, program, seed=seed, followed_days=followed_days)


def rehearse_with(  # noqa: PLR0913 - as above
    candidates: Sequence[Candidate],
    given: tuple[Dose, ...],
    planned: NextCycle,
    program: Program,
    *,
    seed: int = 1,
    followed_days: float | None = None,
) -> tuple[Rehearsed, ...]:
    """Simulate every regimen of the program that a candidate covers; see ``refused_regimens`` for the others.

    Args:
        candidates: models with their ensembles, in order of preference.
        given: doses so far of any drug, at least one of the planned drug.
        planned: the next dose as planned; must lie after the last one of its drug.
        program: regimens and hard limits.
        seed: of the next occasion's discrepancy.
        followed_days: simulated after the first rehearsed dose; the program's when None.

    Raises:
        ProgramError: ``no_dose_on_record``, ``planned_dose_not_next``, ``followed_days_invalid``, ``unknown_limit``
            for a limit that nothing here can check, ``regimen_not_covered`` when no candidate covers even the planned
            drug and those on record.
    """
    own = [dose for dose in given if dose.drug == planned.dose.drug]
    covering(candidates, planned.dose.drug, _drugs(given, planned, None))
    if not own:
        raise ProgramError("a rehearsal needs the doses given so far", reason="no_dose_on_record")
    if planned.dose.time <= max(dose.time for dose in own):
        raise ProgramError("the planned dose must follow the last one given", reason="planned_dose_not_next")
    followed = _followed_days(program, followed_days)
    options = []
    for regimen in program.regimens:
        chosen = first_covering(candidates, _drugs(given, planned, regimen.support))
        if chosen is not None:
            options.append(_option(_Setting(chosen, given, planned, program, seed, followed), regimen))
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


class _Setting(NamedTuple):
    """What all regimens of one model have in common."""

    chosen: Candidate
    given: tuple[Dose, ...]
    planned: NextCycle
    program: Program
    seed: int
    followed_days: float


def _followed_days(program: Program, asked: float | None) -> float:
    """Days after the first rehearsed dose, long enough to hold every administration."""
    followed = program.followed_days if asked is None else asked
    least = max((regimen.administration_days[-1] for regimen in program.regimens), default=0.0)
    if not least < followed < float("inf"):
        raise ProgramError(f"more than {least:g} days have to be simulated", reason="followed_days_invalid")
    return followed


def _ranked(options: list[Rehearsed]) -> tuple[Rehearsed, ...]:
    """In the program's order, each with its rank among those of the first one's model that keep every limit."""
    comparable = [option.allowed and option.model_id == options[0].model_id for option in options]
    chances = [option.p_below for option, counts in zip(options, comparable, strict=True) if counts]
    return tuple(
        replace(option, rank=1 + sum(chance < option.p_below for chance in chances)) if counts else option
        for option, counts in zip(options, comparable, strict=True)
    )


def _option(setting: _Setting, regimen: Regimen) -> Rehearsed:
    """The regimen and, where it has a support, the same without it."""
    option = _rehearse(setting, regimen)
    if regimen.support is None:
        return option
    without = _rehearse(setting, replace(regimen, support=None))
    return replace(
        option,
        support=_described(regimen.support),
        unsupported_p_below=without.p_below,
        unsupported_nadir_median=without.nadir_median,
    )


def _described(support: Support) -> str:
    days = f"{support.injections} daily injections from day {support.first_day:g} after the dose"
    return f"{support.drug} {support.amount_mg:g} mg, {days}"


def _rehearse(setting: _Setting, regimen: Regimen) -> Rehearsed:
    program, planned = setting.program, setting.planned
    doses = _as_regimen(planned.dose, regimen)
    days, answer = _followed(setting, doses, regimen.support)
    event = program.low_count(f"within {setting.followed_days:g} days of the dose")
    median, nadir = np.median(answer.counts, axis=1), float(np.median(answer.counts.min(axis=0)))
    counts = moved_by_surrogate_error(answer, SURROGATE_SEED)
    _, lower, upper = median_and_interval(counts)
    _, nadir_lower, nadir_upper = median_and_interval(counts.min(axis=0)[None, :])
    effect = _effect_share(setting.chosen.model, doses, planned, program)
    values = _limited_values(event, float(median[0]), doses, planned, effect)
    return Rehearsed(
        option=regimen.id,
        title=regimen.title,
        dose_time=doses[0].time,
        amount_mg=sum(dose.amount_mg for dose in doses),
        administrations=len(doses),
        p_below=float((counts.min(axis=0) < event.threshold).mean()),
        nadir_median=nadir,
        nadir_lower=float(nadir_lower[0]),
        nadir_upper=float(nadir_upper[0]),
        days_below=float(np.median((counts < event.threshold).sum(axis=0))) * GRID_DAYS,
        count_on_dose_day=float(median[0]),
        limits_broken=broken_limits(program.limits.values(), values),
        event=event,
        most_limiting=most_limiting(program.limits.values(), values),
        days_to_recovery=_days_to_recovery(counts, days - days[0] + regimen.delay_days, program),
        effect_share=effect,
        days=days,
        median=median,
        lower=lower,
        upper=upper,
        engines=answer.engines,
        handed_over=answer.refusals,
        surrogate_log_half_width=answer.log_half_width,
        model_id=setting.chosen.model.id,
    )


def _followed(setting: _Setting, planned: tuple[Dose, ...], support: Support | None) -> tuple[np.ndarray, Answer]:
    """Days and counts from the first planned dose on, as a new occasion of this patient."""
    chosen = setting.chosen
    doses = sorted((*setting.given, *planned, *_injections(support, planned[0])), key=lambda d: d.time)
    origin = doses[0].time
    first = days_between(origin, planned[0].time)
    days = first + np.arange(0.0, setting.followed_days + GRID_DAYS, GRID_DAYS)
    events = _worth_giving(dose_events(tuple(doses), origin))
    run = Trajectories(days, chosen.model.answer(chosen.ensemble, events, days))
    return days, with_discrepancy(run, chosen.model, first, setting.seed).answer


def _injections(support: Support | None, dose: Dose) -> list[Dose]:
    if support is None:
        return []
    first = dose.time + timedelta(days=support.first_day)
    return [
        Dose(first + timedelta(days=day), support.drug, support.amount_mg, timedelta(0))
        for day in range(support.injections)
    ]


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
        _worth_giving(_own_events(doses)),
        _worth_giving(_own_events(_as_regimen(planned.dose, program.regimens[0]))),
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


def _own_events(doses: tuple[Dose, ...]) -> tuple[DoseEvent, ...]:
    return dose_events(doses, doses[0].time)
