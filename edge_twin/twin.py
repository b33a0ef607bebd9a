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

from edge_twin import codes
from edge_twin.assimilation import DEFAULT, Counts, assimilate
from edge_twin.contract import Dose, Forecast, Model, Posterior, Refusal, TwinInput, TwinOutput
from edge_twin.exposure import DoseEvent
from edge_twin.features import distil, in_order, merge
from edge_twin.flags import Situation, raise_flags
from edge_twin.forecasting import Span, run_ensemble, summarise
from edge_twin.innovation import innovations
from edge_twin.observation import Observation, Quality, days_between, without_superseded

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


def advance(given: TwinInput) -> TwinOutput:
    """One step of the twin at ``given.now``.

    The result depends on the set of observations, not on their order or repetition, and shifting every
    time of the input by whole local days shifts the times of the output and nothing else.
    """
    zone = ZoneInfo(given.time_zone)
    admitted = _admit(given)
    features = merge((f for f in given.features if f.start <= given.now), distil(admitted.observations, zone))
    learned = _learn(given, admitted)
    situation = Situation(given, zone, admitted.observations, admitted.doses, features, learned.forecast)
    return TwinOutput(
        now=given.now,
        features=features,
        flags=raise_flags(situation),
        refusals=tuple(sorted(admitted.refusals | learned.refusals)),
        forecast=learned.forecast,
        posterior=learned.posterior,
        model_id=given.model.id if given.model else "",
        engine=given.model.engine_name if given.model else "",
    )


def _admit(given: TwinInput) -> _Admitted:
    """Leave out what lies in the future, say what was held back, and settle the doses."""
    ordered = in_order(given.observations)
    present = without_superseded(o for o in ordered if o.time <= given.now + LARGEST_LEAD)
    doses, conflict = _settle(dose for dose in given.doses if dose.time <= given.now)
    reasons = {
        Refusal.FUTURE_DATA: any(o.time > given.now + LARGEST_LEAD for o in ordered),
        Refusal.IMPLAUSIBLE_DATA: any(o.quality is Quality.IMPLAUSIBLE for o in present),
        Refusal.CONFLICTING_DOSES: conflict,
    }
    return _Admitted(present, doses, frozenset(reason for reason, holds in reasons.items() if holds))


def _settle(doses: Iterable[Dose]) -> tuple[tuple[Dose, ...], bool]:
    """One dose for each start; of two different amounts the larger, which expects the lower count."""
    settled: dict[object, Dose] = {}
    conflict = False
    for dose in sorted(doses, key=lambda d: (d.time, d.amount_mg, d.infusion)):
        conflict |= dose.time in settled and settled[dose.time] != dose
        settled[dose.time] = dose
    return tuple(settled.values()), conflict


def _learn(given: TwinInput, admitted: _Admitted) -> _Learned:
    """Assimilate and forecast, or say why not."""
    doses = tuple(dose for dose in admitted.doses if dose.drug == given.program.drug)
    if given.model is None or not doses:
        return _Learned(None, None, frozenset({Refusal.NO_MODEL if given.model is None else Refusal.NO_DOSE}))
    origin = doses[0].time
    events = dose_events(doses)
    readings = tuple(o for o in admitted.observations if o.code == codes.NEUTROPHILS and o.is_usable)
    counts = counts_of(readings, origin)
    span = Span(origin, min(counts.days, default=0.0), days_between(origin, given.now))
    return _forecast(given, given.model, events, counts, span)


def _forecast(given: TwinInput, model: Model, events: tuple[DoseEvent, ...], counts: Counts, span: Span) -> _Learned:
    members = given.members or given.program.members
    ensemble = assimilate(model, events, counts, members, given.seed)
    run = run_ensemble(model, ensemble, events, span, given.program)
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
    return _Learned(forecast, Posterior(model.parameter_names, ensemble), refusals)


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
        np.array([reading.attributes.get("comparator") in {"<", "<="} for reading in readings], dtype=np.bool_),
    )


def dose_events(doses: tuple[Dose, ...]) -> tuple[DoseEvent, ...]:
    """Doses in float days since the first of them, oldest first."""
    origin = doses[0].time
    day = timedelta(days=1)
    return tuple(DoseEvent(days_between(origin, dose.time), dose.amount_mg, dose.infusion / day) for dose in doses)
