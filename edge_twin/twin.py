"""The pure step of the twin: observations in; features, forecast, flags and refusals out.

No clock, no file, no store, no network: whatever the step may know comes in with the input, so any
field case is a file that replays to the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from edge_twin.assimilation import DEFAULT, Counts, assimilate
from edge_twin.contract import Dose, Forecast, Model, Posterior, Refusal, TwinInput, TwinOutput
from edge_twin.discrepancy import new_occasion
from edge_twin.exposure import DoseEvent
from edge_twin.features import in_order, renewed
from edge_twin.flags import Situation, raise_flags
from edge_twin.forecasting import Span, run_ensemble, summarise, with_discrepancy
from edge_twin.innovation import innovations
from edge_twin.observation import Observation, Quality, days_between, without_superseded
from edge_twin.regimens import first_covering, uncovered

# A device clock may run a little ahead of the phone's; a reading further ahead is not used (assumed).
LARGEST_LEAD = timedelta(minutes=5)


class _Admitted(NamedTuple):
    """What of the input may be used at ``now``."""

    observations: tuple[Observation, ...]
    doses: tuple[Dose, ...]
    refusals: frozenset[Refusal]


class _Learned(NamedTuple):
    """What the counts and the model gave."""

    forecast: Forecast | None
    posterior: Posterior | None
    refusals: frozenset[Refusal]
    model: Model | None = None
    uncovered_drugs: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    handed_over: tuple[str, ...] = ()


class _Record(NamedTuple):
    """Doses and counts as the assimilation takes them."""

    events: tuple[DoseEvent, ...]
    counts: Counts
    span: Span


def advance(given: TwinInput) -> TwinOutput:
    """One step of the twin at ``given.now``.

    The result depends on the set of observations, not on their order or repetition, and shifting every
    time of the input by whole local days shifts the times of the output and nothing else.
    """
    zone = ZoneInfo(given.time_zone)
    admitted = _admit(given)
    known = (feature for feature in given.features if feature.start <= given.now)
    fresh = (reading for reading in admitted.observations if reading.code not in given.distilled)
    features = renewed(known, fresh, zone, given.now, given.days)
    learned = _learn(given, admitted)
    situation = Situation(given, zone, _seen(given, admitted), admitted.doses, features, learned.forecast)
    return TwinOutput(
        now=given.now,
        features=features,
        flags=raise_flags(situation),
        refusals=tuple(sorted(admitted.refusals | learned.refusals)),
        forecast=learned.forecast,
        posterior=learned.posterior,
        model_id=learned.model.id if learned.model else "",
        engine=", ".join(learned.engines) or (learned.model.engine_name if learned.model else ""),
        handed_over=learned.handed_over,
        uncovered_drugs=learned.uncovered_drugs,
    )


def posterior_under(given: TwinInput, model: Model) -> Posterior | None:
    """The patient's ensemble under one model, from the same input as ``advance``; None before the first dose.

    Raises:
        BundleError: ``drug_not_covered`` when the model does not know every drug on record.
    """
    record = _record(given, _admit(given))
    if record is None:
        return None
    ensemble = assimilate(model, record.events, record.counts, _members(given), given.seed)
    return Posterior(model.parameter_names, ensemble)


def _admit(given: TwinInput) -> _Admitted:
    """Leave out what lies in the future, say what was held back, and settle the doses."""
    ordered = in_order(given.observations)
    present = without_superseded(o for o in ordered if o.time <= given.now + LARGEST_LEAD)
    doses, conflict = _settle((dose for dose in given.doses if dose.time <= given.now), given.program.drug)
    reasons = {
        Refusal.FUTURE_DATA: any(o.time > given.now + LARGEST_LEAD for o in ordered),
        Refusal.IMPLAUSIBLE_DATA: any(o.quality is Quality.IMPLAUSIBLE for o in present),
        Refusal.CONFLICTING_DOSES: conflict,
    }
    return _Admitted(present, doses, frozenset(reason for reason, holds in reasons.items() if holds))


def _seen(given: TwinInput, admitted: _Admitted) -> tuple[Observation, ...]:
    """What rules look at: the admitted readings and those of the background."""
    if not given.background:
        return admitted.observations
    latest = given.now + LARGEST_LEAD
    return without_superseded(in_order((*admitted.observations, *(o for o in given.background if o.time <= latest))))


def _settle(doses: Iterable[Dose], drug: str) -> tuple[tuple[Dose, ...], bool]:
    """One dose of a drug for each start; of two amounts the one that expects the lower count.

    That is the larger of the program's own drug and the smaller of any other, which is given to help.
    """
    settled: dict[object, Dose] = {}
    conflict = False
    for dose in sorted(doses, key=lambda d: (d.time, d.drug, d.amount_mg, d.infusion)):
        start = (dose.time, dose.drug)
        conflict |= start in settled and settled[start] != dose
        if start not in settled or dose.drug == drug:
            settled[start] = dose
    return tuple(settled.values()), conflict


def _learn(given: TwinInput, admitted: _Admitted) -> _Learned:
    """Assimilate and forecast, or say why not."""
    record = _record(given, admitted)
    if not given.models or record is None:
        reason = Refusal.NO_DOSE if given.models else Refusal.NO_MODEL
        return _Learned(None, None, frozenset({reason}), given.model)
    drugs = frozenset(dose.drug for dose in admitted.doses)
    model = first_covering(given.models, drugs)
    if model is None:
        refused = frozenset({Refusal.REGIMEN_NOT_COVERED})
        return _Learned(None, None, refused, uncovered_drugs=uncovered(given.models, drugs))
    return _forecast(given, model, record)


def _record(given: TwinInput, admitted: _Admitted) -> _Record | None:
    """Doses and counts on the patient's axis, whose day 0 is the first dose of the program's drug; None before it."""
    starts = [dose.time for dose in admitted.doses if dose.drug == given.program.drug]
    if not starts:
        return None
    origin = starts[0]
    readings = tuple(o for o in admitted.observations if o.code == given.program.count.code and o.is_usable)
    counts = counts_of(readings, origin)
    now, newest = days_between(origin, given.now), days_between(origin, starts[-1])
    return _Record(
        dose_events(admitted.doses, origin), counts, Span(origin, min(counts.days, default=0.0), now, newest)
    )


def _members(given: TwinInput) -> int:
    return given.members or given.program.members


def _forecast(given: TwinInput, model: Model, record: _Record) -> _Learned:
    events, counts, span = record
    members = _members(given)
    ensemble = assimilate(model, events, counts, members, given.seed)
    starts = [event.start_day for event in events if event.drug == given.program.drug]
    run = run_ensemble(model, ensemble, events, span, given.program)
    run = with_discrepancy(run, model, new_occasion(starts, counts.days), given.seed)
    forecast = summarise(
        run,
        span=span,
        program=given.program,
        residual_log_sd=model.residual_log_sd,
        seed=given.seed,
        counts_used=counts.days.size,
        coverage=given.coverage,
        compared=innovations(model, events, counts, members=members, seed=given.seed, choices=DEFAULT),
    )
    refusals = _reservations(given, model, events, counts, span)
    handed_over = run.answer.refusals
    if handed_over:
        refusals |= {Refusal.STUDENT_HANDED_OVER}
    posterior = Posterior(model.parameter_names, ensemble)
    return _Learned(forecast, posterior, refusals, model, engines=run.answer.engines, handed_over=handed_over)


def _reservations(
    given: TwinInput, model: Model, events: tuple[DoseEvent, ...], counts: Counts, span: Span
) -> frozenset[Refusal]:
    """Why the forecast deserves less trust than its interval says."""
    stale_days = given.program.threshold("forecast", "stale_count_days")
    newest = max(counts.days, default=-np.inf)
    reasons = {
        Refusal.TOO_LITTLE_DATA: counts.days.size == 0,
        Refusal.STALE_DATA: counts.days.size > 0 and span.now_day - newest > stale_days,
        Refusal.OUTSIDE_ENVELOPE: not model.covers_doses(events),
        Refusal.BUNDLE_EXPIRED: given.now > model.expires,
    }
    return frozenset(reason for reason, holds in reasons.items() if holds)


def counts_of(readings: Sequence[Observation], origin: datetime) -> Counts:
    """Counts in float days since ``origin``; a reading with the attribute ``comparator`` "<" or "<=" is a limit."""
    return Counts(
        np.array([days_between(origin, reading.time) for reading in readings], dtype=np.float64),
        np.array([reading.value for reading in readings], dtype=np.float64),
        np.array([bool(reading.limit_sign) for reading in readings], dtype=np.bool_),
    )


def dose_events(doses: tuple[Dose, ...], origin: datetime | None = None) -> tuple[DoseEvent, ...]:
    """Doses in float days since ``origin``, or since the first of them, oldest first."""
    start = doses[0].time if origin is None else origin
    day = timedelta(days=1)
    return tuple(
        DoseEvent(days_between(start, dose.time), dose.amount_mg, dose.infusion / day, dose.drug) for dose in doses
    )
