"""Patient-reported worsening by a questionnaire that a site installed (docs/symptoms.md; rule pack ``symptoms``).

Attribute scores are judged one by one. They are never averaged, and no grade is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edge_twin import codes
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.missing_reports import missing_reports
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin
from edge_twin.wording import Message, Values, say

TABLE = "survey_worsening"
_HIGH = {"survey_severity": "severity_score", "survey_frequency": "frequency_score"}
_PRESENCE = "survey_presence"


class _Finding(NamedTuple):
    """One attribute that is high or has risen: the threshold, the report, and the last report where it was compared."""

    threshold: str
    newest: Observation
    last: Observation | None


def survey_flags(situation: Situation) -> Iterator[Flag]:
    """One flag for each term that is severe or has worsened, for a program that names the pack."""
    if TABLE not in situation.given.program.thresholds:
        return
    answers = [o for o in situation.observations if o.code.name.startswith(codes.SURVEY_PREFIX) and o.is_usable]
    for term, readings in sorted(_by_term(answers).items()):
        if findings := _findings(situation, readings):
            yield _flag(situation, term, findings)
    yield from missing_reports(situation, answers, TABLE, "overdue_days", "survey")


def _by_term(answers: list[Observation]) -> dict[str, list[Observation]]:
    terms: dict[str, list[Observation]] = {}
    for answer in sorted(answers, key=lambda o: (o.time, o.id)):
        terms.setdefault(answer.attributes.get("term", ""), []).append(answer)
    return terms


def _findings(situation: Situation, readings: list[Observation]) -> list[_Finding]:
    """What the newest report of a term shows, severe attributes first."""
    newest = readings[-1].time
    if situation.now - newest > situation.span(TABLE, "fresh_days"):
        return []
    found = (_of_attribute(situation, readings, o) for o in readings if o.time == newest)
    return sorted((f for f in found if f), key=lambda f: (f.threshold not in _HIGH.values(), f.newest.code.name))


def _of_attribute(situation: Situation, readings: list[Observation], newest: Observation) -> _Finding | None:
    name = _HIGH.get(newest.code.name)
    if name and newest.value >= situation.threshold(TABLE, name):
        return _Finding(name, newest, None)
    since = newest.time - situation.span(TABLE, "look_back_days")
    earlier = [o for o in readings if o.code == newest.code and since <= o.time < newest.time]
    last, name = earlier[-1] if earlier else None, "rise_score"
    if newest.code.name == _PRESENCE:
        name = "presence_score"
    rise = newest.value - (last.value if last else newest.value)
    return _Finding(name, newest, last) if rise >= situation.threshold(TABLE, name) else None


def _flag(situation: Situation, term: str, findings: list[_Finding]) -> Flag:
    first = findings[0]
    severe = first.threshold == "severity_score"
    found = tuple(_said(situation, finding) for finding in findings)
    about: Values = {
        "term": term,
        "instrument": first.newest.attributes.get("instrument", ""),
        "recall": first.newest.attributes.get("recall", ""),
        "time": situation.local(first.newest.time),
    }
    compared = (o for f in findings for o in (f.last, f.newest) if o is not None)
    return Flag(
        kind=FlagKind.SYMPTOM_WORSENING,
        time=first.newest.time,
        urgency=Urgency.TODAY if severe else Urgency.THIS_WEEK,
        origin=Origin.PATIENT_REPORTED,
        says=Sentences(
            action=(say("symptoms.tell_today" if severe else "symptoms.tell_this_week"),),
            reason=(say("symptoms.survey_you", **about), *found),
            clinician=(say("symptoms.survey_patient_reported", **about), *found),
            would_change=(say("symptoms.would_change"),),
            limits=(say("symptoms.survey_limits"),),
            data_quality=tuple(_unanswered(first.newest)),
        ),
        topic=f"survey_{term}",
        evidence=tuple(evidence(o) for o in compared),
        bound=situation.bound(TABLE, first.threshold),
    )


def _said(situation: Situation, finding: _Finding) -> Message:
    attribute = finding.newest.code.name
    scored: Values = {"attribute": attribute, "value": finding.newest.value, "highest": finding.newest.code.high}
    if finding.last is None:
        return say("symptoms.attribute_high", **scored)
    last = finding.last
    return say("symptoms.attribute_risen", **scored, before=last.value, last_time=situation.local(last.time))


def _unanswered(newest: Observation) -> Iterator[Message]:
    """Items of the term that were left out: missing, not 0."""
    for name in filter(None, newest.attributes.get("unanswered", "").split(",")):
        code = codes.by_name(f"{codes.SURVEY_PREFIX}{name}")
        yield say("symptoms.unanswered", attribute=code.name if code else name)
