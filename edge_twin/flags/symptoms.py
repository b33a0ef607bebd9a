"""Patient-reported worsening by our own daily diary (docs/symptoms.md; rule pack ``symptoms``).

One flag for each symptom that is severe or has worsened. A diary that is no longer kept is a signal of its own: a
missing entry is never taken for a symptom that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features.feature import middle
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.missing_reports import missing_reports
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin, Site
from edge_twin.wording import Message, Text, say

TABLE = "diary_worsening"
WEEKLY_PREFIX = "diary_lung_"
VOMITING = "diary_vomiting_episodes"
_FEVERISH = ("diary_fever_feeling", "diary_chills")
_NOW = {"diary_breathlessness": "breathlessness_now_score", "diary_confusion": "confusion_now_score"}


class _Finding(NamedTuple):
    """Why a report is raised: threshold, urgency, what the patient should do, and the comparison in words."""

    threshold: str
    urgency: Urgency
    action: Message
    why: Message
    compared: tuple[Observation, ...] = ()


class Reference(NamedTuple):
    """What a report is compared with.

    Attributes:
        score: the earlier score.
        said: where it comes from.
        readings: the report behind it, where it is a single one.
    """

    score: float
    said: Message
    readings: tuple[Observation, ...] = ()


def symptom_flags(situation: Situation) -> Iterator[Flag]:
    """Flags of the daily diary, for a program that names the pack."""
    if TABLE not in situation.given.program.thresholds:
        return
    reports = _reports(situation)
    everything = sorted((o for readings in reports.values() for o in readings), key=lambda o: (o.time, o.id))
    left_out = everything[-1].attributes.get("unanswered", "").split(",") if everything else []
    for name, readings in reports.items():
        if situation.now - readings[-1].time <= situation.span(TABLE, "fresh_hours"):
            yield from _of_symptom(situation, readings, left_out=name in left_out)
    yield from missing_reports(situation, everything, TABLE, "overdue_hours", "diary")


def _reports(situation: Situation) -> dict[str, list[Observation]]:
    """Usable reports of the daily form by item, oldest first."""
    reports: dict[str, list[Observation]] = {}
    for reading in sorted(situation.observations, key=lambda o: (o.time, o.id)):
        name = reading.code.name
        if name.startswith(codes.DIARY_PREFIX) and not name.startswith(WEEKLY_PREFIX) and reading.is_usable:
            reports.setdefault(name, []).append(reading)
    return reports


def _of_symptom(situation: Situation, readings: list[Observation], *, left_out: bool) -> Iterator[Flag]:
    newest = readings[-1]
    judge = _count if newest.code.unit == "{count}" else _score
    finding = judge(situation, readings)
    if finding:
        quality = (say("symptoms.left_out", symptom=newest.code.name),) if left_out else ()
        yield _flag(situation, newest, finding, (*quality, *_reporter(newest)))


def _score(situation: Situation, readings: list[Observation]) -> _Finding | None:
    """The most urgent of: not to be left until tomorrow, measure the temperature, severe, worsened."""
    newest = readings[-1]
    return (
        _at_once(situation, newest)
        or _feverish(situation, newest)
        or _severe(situation, newest)
        or _worse(situation, readings)
    )


def _at_once(situation: Situation, newest: Observation) -> _Finding | None:
    name = _NOW.get(newest.code.name)
    if name is None or newest.value < situation.threshold(TABLE, name):
        return None
    before = dict(situation.given.care.symptoms_before).get(newest.code.name)
    if before is not None and newest.value <= before < situation.threshold(TABLE, "severe_score"):
        return None
    return _Finding(name, Urgency.NOW, say("symptoms.call_now"), say("symptoms.not_left"))


def _feverish(situation: Situation, newest: Observation) -> _Finding | None:
    """Feeling feverish, and no temperature by mouth since."""
    if newest.code.name not in _FEVERISH or newest.value < situation.threshold(TABLE, "feverish_score"):
        return None
    since = (o for o in situation.readings(codes.BODY_TEMPERATURE) if o.time >= newest.time and o.site is Site.ORAL)
    if next(since, None) is not None:
        return None
    return _Finding("feverish_score", Urgency.TODAY, say("symptoms.measure_now"), say("symptoms.no_temperature"))


def _severe(situation: Situation, newest: Observation) -> _Finding | None:
    if newest.value < situation.threshold(TABLE, "severe_score"):
        return None
    return _Finding("severe_score", Urgency.TODAY, say("symptoms.tell_today"), say("symptoms.severe"))


def _worse(situation: Situation, readings: list[Observation]) -> _Finding | None:
    """Risen against the lowest of what it can be compared with, and not from nothing to next to nothing."""
    newest, references = readings[-1], _references(situation, readings)
    if newest.value < situation.threshold(TABLE, "rise_from_score") or not references:
        return None
    lowest = min(references, key=lambda reference: reference.score)
    if newest.value - lowest.score < situation.threshold(TABLE, "rise_score"):
        return None
    why = say("symptoms.risen", before=lowest.score, compared=lowest.said)
    return _Finding("rise_score", Urgency.THIS_WEEK, say("symptoms.tell_this_week"), why, lowest.readings)


def _references(situation: Situation, readings: list[Observation]) -> list[Reference]:
    """The last report, the usual of the last weeks, and the score before treatment, as far as they are known."""
    newest = readings[-1]
    since = newest.time - situation.span(TABLE, "look_back_days")
    earlier = [reading for reading in readings[:-1] if since <= reading.time < newest.time]
    found = [Reference(o.value, say("symptoms.last_report", time=situation.local(o.time)), (o,)) for o in earlier[-1:]]
    if len(earlier) >= situation.threshold(TABLE, "usual_reports"):
        found.append(Reference(middle([o.value for o in earlier]), say("symptoms.usual", reports=len(earlier))))
    before = dict(situation.given.care.symptoms_before).get(newest.code.name)
    if before is not None:
        found.append(Reference(before, say("symptoms.before_treatment")))
    return found


def _count(situation: Situation, readings: list[Observation]) -> _Finding | None:
    """Vomiting, summed over a day of entries; stools belong to the dehydration rule."""
    newest = readings[-1]
    if newest.code.name != VOMITING:
        return None
    day = [o for o in readings if newest.time - o.time < timedelta(days=1)]
    times = sum(o.value for o in day)
    if times < situation.threshold(TABLE, "vomiting_episodes_per_day"):
        return None
    why = say("symptoms.often", times=times, entries=len(day))
    return _Finding("vomiting_episodes_per_day", Urgency.TODAY, say("symptoms.tell_today"), why, tuple(day[:-1]))


def _reporter(newest: Observation) -> Text:
    """Who filled the entry in, where it was not the patient."""
    reporter = newest.attributes.get("reported_by", "patient")
    return () if reporter == "patient" else (say("symptoms.reporter", reporter=reporter),)


def _flag(situation: Situation, newest: Observation, finding: _Finding, quality: Text) -> Flag:
    counted = newest.code.unit == "{count}"
    said = say(
        "symptoms.counted" if counted else "symptoms.scored",
        symptom=newest.code.name,
        value=newest.value,
        highest=newest.code.high,
        time=situation.local(newest.time),
    )
    return Flag(
        kind=FlagKind.SYMPTOM_WORSENING,
        time=newest.time,
        urgency=finding.urgency,
        origin=Origin.PATIENT_REPORTED,
        says=Sentences(
            action=(finding.action,),
            reason=(say("symptoms.you_reported", said=said), finding.why),
            clinician=(say("symptoms.patient_reported", said=said), finding.why),
            would_change=(say("symptoms.would_change"),),
            limits=(say("symptoms.limits"),),
            data_quality=quality,
        ),
        topic=newest.code.name,
        evidence=tuple(evidence(reading) for reading in (*finding.compared, newest)),
        bound=situation.bound(TABLE, finding.threshold),
    )
