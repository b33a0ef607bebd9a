"""Fever under chemotherapy (docs/clinical-rules.md; IDSA 2010, Freifeld et al., Clin Infect Dis 52:e56).

One qualifying oral temperature alone is urgent; the neutrophil count changes only the reason. The
comparisons take the reading as the device said it: nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from edge_twin import codes
from edge_twin.contract import Flag, FlagKind, Urgency
from edge_twin.flags.situation import Situation, evidence, is_below, out_of_100
from edge_twin.observation import Observation, Origin, Site

CALL_NOW = "Call your team now; if you cannot reach them, call the emergency number of your plan."
REPEAT = (
    "Take your temperature by mouth again within the hour. If you feel worse, call the emergency number of your plan."
)
NEEDS_ORAL = "Take your temperature by mouth now."


SINGLE = "one reading at or above 38.3: fever by IDSA 2010"
SUSTAINED = "at or above 38.0 for an hour: fever by IDSA 2010"
REPEATED = "a repeat still at or above 38.0: alert rule of this program"
OVERDUE = "not repeated in time: alert rule of this program"


class _Finding(NamedTuple):
    """A qualifying fever: since when, why, by which definition, and the readings behind it."""

    since: datetime
    why: str
    definition: str
    readings: tuple[Observation, ...]


def fever_flags(situation: Situation) -> Iterator[Flag]:
    """At most one fever flag: urgent, a request to measure again, or a request for an oral reading."""
    if not _on_treatment(situation):
        return
    oral = [reading for reading in _recent(situation) if reading.site is Site.ORAL]
    finding = _qualifying(situation, oral)
    if finding:
        yield _urgent(situation, finding)
    elif waiting := _awaiting_repeat(situation, oral):
        yield _repeat(situation, waiting)
    else:
        yield from _oral_needed(situation, oral)


def _on_treatment(situation: Situation) -> bool:
    span = situation.span("fever", "on_treatment_days")
    return any(situation.now - dose.time <= span for dose in situation.doses)


def _recent(situation: Situation) -> list[Observation]:
    span = situation.span("fever", "active_hours")
    return [reading for reading in situation.readings(codes.BODY_TEMPERATURE) if situation.now - reading.time <= span]


def _qualifying(situation: Situation, oral: list[Observation]) -> _Finding | None:
    """The first reading or run of readings that meets the definition."""
    run: list[Observation] = []
    for reading in oral:
        if overdue := _overdue(situation, run, reading.time):
            return overdue
        if reading.value < situation.threshold("fever", "sustained_oral_cel"):
            run = []
            continue
        run.append(reading)
        if reading.value >= situation.threshold("fever", "single_oral_cel"):
            return _Finding(reading.time, _stated(situation, reading), SINGLE, (reading,))
        if len(run) > 1:
            return _repeated(situation, run)
    return _overdue(situation, run, situation.now)


def _overdue(situation: Situation, run: list[Observation], until: datetime) -> _Finding | None:
    """A first reading of 38.0 to below 38.3 that nobody repeated in time counts as fever; the gap is stated."""
    if len(run) != 1 or until - run[0].time <= situation.span("fever", "repeat_overdue_minutes"):
        return None
    minutes = situation.threshold("fever", "repeat_overdue_minutes")
    why = f"{_stated(situation, run[0])}, and no second reading within {minutes:.0f} minutes"
    return _Finding(run[0].time + situation.span("fever", "repeat_overdue_minutes"), why, OVERDUE, tuple(run))


def _stated(situation: Situation, reading: Observation) -> str:
    return f"temperature {reading.value:.4g} °C by mouth at {situation.local(reading.time)}"


def _repeated(situation: Situation, run: list[Observation]) -> _Finding:
    """A second reading at or above 38.0 with none lower between; after an hour it meets the definition."""
    first, last = run[0], run[-1]
    apart = last.time - first.time
    why = f"{_stated(situation, first)} and still {last.value:.4g} °C {apart.total_seconds() / 60:.0f} minutes later"
    definition = SUSTAINED if apart >= situation.span("fever", "sustained_minutes") else REPEATED
    return _Finding(last.time, why, definition, tuple(run))


def _awaiting_repeat(situation: Situation, oral: list[Observation]) -> Observation | None:
    if oral and oral[-1].value >= situation.threshold("fever", "sustained_oral_cel"):
        return oral[-1]
    return None


def _urgent(situation: Situation, finding: _Finding) -> Flag:
    sentence = finding.why[0].upper() + finding.why[1:]
    count = situation.fresh_count()
    return Flag(
        kind=FlagKind.FEVER,
        time=finding.since,
        urgency=Urgency.URGENT,
        action=CALL_NOW,
        reason=f"{sentence} ({finding.definition}). {_counts(situation)} {_masking()}",
        origin=Origin.DEVICE,
        evidence=tuple(evidence(r) for r in (*finding.readings, *([count] if count else []))),
    )


def _counts(situation: Situation) -> str:
    """What is known of the program's count: it never lowers the alert."""
    fresh, rule = situation.fresh_count(), situation.given.program.count
    if fresh is not None:
        low = situation.threshold("fever", rule.fever_threshold)
        unsure = "perhaps below" if fresh.limit_sign else "not below"  # less than a limit that lies higher
        relation = "below" if is_below(fresh, low) else unsure
        said = f"{rule.label.capitalize()} {fresh.limit_sign}{fresh.value:g} ×10⁹/L"
        return f"{said} at {situation.local(fresh.time)}, {relation} {low:g}."
    if situation.forecast is not None:
        chance, event = out_of_100(situation.forecast.p_below), situation.forecast.event
        return f"No count within 48 hours; chance of {event.text} {event.period}: {chance}."
    return f"{rule.label.capitalize()} unknown during treatment: counted as at risk."


def _masking() -> str:
    return "Medicines against fever or steroids: not recorded here, please tell your team."


def _repeat(situation: Situation, reading: Observation) -> Flag:
    return Flag(
        kind=FlagKind.FEVER_REPEAT,
        time=reading.time,
        urgency=Urgency.ATTENTION,
        action=REPEAT,
        reason=f"First {_stated(situation, reading)}: at or above 38.0 and below 38.3.",
        origin=Origin.DEVICE,
        evidence=(evidence(reading),),
    )


def _oral_needed(situation: Situation, oral: list[Observation]) -> Iterator[Flag]:
    """A warm armpit, ear or skin asks for an oral reading; it is neither fever nor dismissed."""
    limit = situation.threshold("fever", "non_oral_cel")
    last_oral = oral[-1].time if oral else None
    warm = [r for r in _recent(situation) if r.site is not Site.ORAL and r.value >= limit]
    if not warm or (last_oral is not None and last_oral >= warm[-1].time):
        return
    reading = warm[-1]
    yield Flag(
        kind=FlagKind.ORAL_READING_NEEDED,
        time=reading.time,
        urgency=Urgency.ATTENTION,
        action=NEEDS_ORAL,
        reason=f"{reading.value:.4g} °C ({reading.site.value}) at {situation.local(reading.time)}, not by mouth.",
        origin=Origin.DEVICE,
        evidence=(evidence(reading),),
    )
