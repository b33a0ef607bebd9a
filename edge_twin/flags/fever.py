"""Fever under chemotherapy (docs/clinical-rules.md; IDSA 2010, Freifeld et al., Clin Infect Dis 52:e56).

One qualifying oral temperature alone is urgent; the neutrophil count changes only the reason. The
comparisons take the reading as the device said it: nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from edge_twin import codes
from edge_twin.care import MedicineKind
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.fever_definitions import said_definitions
from edge_twin.flags.situation import Situation, evidence, is_below, out_of_100
from edge_twin.observation import Observation, Origin, Site
from edge_twin.wording import Message, Values, say

SINGLE = say("fever.single")
SUSTAINED = say("fever.sustained")
REPEATED = say("fever.repeated")
OVERDUE = say("fever.overdue")
_MASKING = (MedicineKind.ANTIPYRETIC, MedicineKind.STEROID)


class _Finding(NamedTuple):
    """A qualifying fever: since when, why, by which definition, and the readings behind it."""

    since: datetime
    why: Message
    definition: Message
    threshold: str
    readings: tuple[Observation, ...]


def is_at_risk(situation: Situation) -> bool:
    """Whether an infection is suspected with every sign: under chemotherapy, or after cell therapy."""
    span = situation.span("fever", "on_treatment_days")
    given = (*(dose.time for dose in situation.doses), *situation.care.cell_therapy)
    return any(timedelta(0) <= situation.now - time <= span for time in given)


def fever_flags(situation: Situation) -> Iterator[Flag]:
    """At most one fever flag: urgent, a request to measure again, or a request for an oral reading."""
    if not is_at_risk(situation):
        return
    oral = [reading for reading in _recent(situation) if reading.site is Site.ORAL]
    finding = _qualifying(situation, oral)
    if finding:
        yield _urgent(situation, finding, oral)
    elif waiting := _awaiting_repeat(situation, oral):
        yield _repeat(situation, waiting)
    else:
        yield from _oral_needed(situation, oral)


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
            return _Finding(reading.time, _stated(situation, reading), SINGLE, "single_oral_cel", (reading,))
        if len(run) > 1:
            return _repeated(situation, run)
    return _overdue(situation, run, situation.now)


def _overdue(situation: Situation, run: list[Observation], until: datetime) -> _Finding | None:
    """A first reading of 38.0 to below 38.3 that nobody repeated in time counts as fever; the gap is stated."""
    if len(run) != 1 or until - run[0].time <= situation.span("fever", "repeat_overdue_minutes"):
        return None
    minutes = situation.threshold("fever", "repeat_overdue_minutes")
    why = say("fever.not_repeated", first=_stated(situation, run[0]), minutes=minutes)
    since = run[0].time + situation.span("fever", "repeat_overdue_minutes")
    return _Finding(since, why, OVERDUE, "repeat_overdue_minutes", tuple(run))


def _stated(situation: Situation, reading: Observation) -> Message:
    return say("fever.reading", value=reading.value, time=situation.local(reading.time))


def _repeated(situation: Situation, run: list[Observation]) -> _Finding:
    """A second reading at or above 38.0 with none lower between; after an hour it meets the definition."""
    first, last = run[0], run[-1]
    apart = last.time - first.time
    why = say(
        "fever.still", first=_stated(situation, first), value=last.value, minutes=round(apart.total_seconds() / 60)
    )
    definition = SUSTAINED if apart >= situation.span("fever", "sustained_minutes") else REPEATED
    return _Finding(last.time, why, definition, "sustained_oral_cel", tuple(run))


def _awaiting_repeat(situation: Situation, oral: list[Observation]) -> Observation | None:
    if oral and oral[-1].value >= situation.threshold("fever", "sustained_oral_cel"):
        return oral[-1]
    return None


def _urgent(situation: Situation, finding: _Finding, oral: list[Observation]) -> Flag:
    count, masking = situation.fresh_count(), _masking(situation)
    found = say("fever.found", why=finding.why, definition=finding.definition)
    return Flag(
        kind=FlagKind.FEVER,
        time=finding.since,
        urgency=Urgency.NOW,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("fever.call_now"),),
            reason=(found, _counts(situation), masking),
            clinician=(say("fever.clinician"), found, _counts(situation), *said_definitions(situation, oral), masking),
            would_change=(say("fever.would_change"),),
            limits=(say("fever.limits"),),
        ),
        evidence=tuple(evidence(r) for r in (*finding.readings, *([count] if count else []))),
        bound=situation.bound("fever", finding.threshold),
    )


def _masking(situation: Situation) -> Message:
    """Medicines that can hide a fever; one tablet of this morning still can."""
    return phrases.medicines(situation, _MASKING, situation.span("fever", "active_hours"))


def _counts(situation: Situation) -> Message:
    """What is known of the program's count: it never lowers the alert."""
    fresh, rule = situation.fresh_count(), situation.given.program.count
    if fresh is not None:
        low = situation.threshold("fever", rule.fever_threshold)
        unsure = "perhaps_below" if fresh.limit_sign else "not_below"  # less than a limit that lies higher
        relation = say(f"fever.{'below' if is_below(fresh, low) else unsure}", threshold=low)
        said: Values = {"label": rule.label, "sign": fresh.limit_sign, "value": fresh.value}
        return say("fever.count", **said, time=situation.local(fresh.time), relation=relation)
    if situation.forecast is not None:
        event, chance = situation.forecast.event, out_of_100(situation.forecast.p_below)
        return say("fever.count_forecast", event=event.said, period=event.period, chance=chance)
    return say("fever.count_unknown", label=rule.label)


def _repeat(situation: Situation, reading: Observation) -> Flag:
    return Flag(
        kind=FlagKind.FEVER_REPEAT,
        time=reading.time,
        urgency=Urgency.TODAY,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("fever.repeat_action"),),
            reason=(say("fever.first", reading=_stated(situation, reading)),),
            would_change=(say("fever.repeat_would_change"),),
        ),
        evidence=(evidence(reading),),
        bound=situation.bound("fever", "sustained_oral_cel"),
    )


def _oral_needed(situation: Situation, oral: list[Observation]) -> Iterator[Flag]:
    """A warm armpit, ear or skin asks for an oral reading; it is neither fever nor dismissed."""
    limit = situation.threshold("fever", "non_oral_cel")
    last_oral = oral[-1].time if oral else None
    warm = [r for r in _recent(situation) if r.site is not Site.ORAL and r.value >= limit]
    if not warm or (last_oral is not None and last_oral >= warm[-1].time):
        return
    reading = warm[-1]
    said = {"value": reading.value, "site": reading.site.value, "time": situation.local(reading.time)}
    yield Flag(
        kind=FlagKind.ORAL_READING_NEEDED,
        time=reading.time,
        urgency=Urgency.TODAY,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("fever.oral_action"),),
            reason=(say("fever.not_by_mouth", **said),),
            would_change=(say("fever.oral_would_change"),),
        ),
        evidence=(evidence(reading),),
        bound=situation.bound("fever", "non_oral_cel"),
    )
