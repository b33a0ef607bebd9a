"""Relapse of lung cancer told by symptoms: a weekly form and weight (docs/symptoms.md; rule pack ``lung_follow_up``).

After Denis et al. (doi 10.1007/s00520-013-1954-9, 10.1007/s00520-013-2111-1, 10.1093/jnci/djx029): a worsened form
makes the team call, and look for relapse before the next planned scan. The published criteria are not in the abstracts;
the pack says which of ours are unverified.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features.feature import middle
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.missing_reports import missing_reports
from edge_twin.flags.situation import Situation, evidence
from edge_twin.flags.symptoms import WEEKLY_PREFIX
from edge_twin.observation import Observation, Origin
from edge_twin.wording import Message, say

TABLE = "lung_relapse"
_TODAY = "diary_lung_blood_in_sputum"


class _Finding(NamedTuple):
    """One criterion that is met: its threshold, the sentence, and the readings behind it."""

    threshold: str
    said: Message
    readings: tuple[Observation, ...]


def lung_flags(situation: Situation) -> Iterator[Flag]:
    """At most one relapse flag and one on a missing form, for a program that names the pack."""
    if TABLE not in situation.given.program.thresholds:
        return
    forms = sorted(
        (o for o in situation.observations if o.code.name.startswith(WEEKLY_PREFIX) and o.is_usable),
        key=lambda o: (o.time, o.code.name, o.id),
    )
    findings = [*_worsened(situation, forms), *_lighter(situation)]
    if findings:
        yield _flag(situation, findings)
    yield from missing_reports(situation, forms, TABLE, "overdue_days", "lung_form")


def _worsened(situation: Situation, forms: list[Observation]) -> Iterator[_Finding]:
    """Items of the newest form that rose against the middle of the earlier ones, or are new."""
    if not forms or situation.now - forms[-1].time > situation.span(TABLE, "fresh_days"):
        return
    newest_form = forms[-1].time
    since = newest_form - situation.span(TABLE, "reference_days")
    for newest in (o for o in forms if o.time == newest_form):
        earlier = [o for o in forms if o.code == newest.code and since <= o.time < newest_form]
        if finding := _of_item(situation, newest, earlier):
            yield finding


def _of_item(situation: Situation, newest: Observation, earlier: list[Observation]) -> _Finding | None:
    """A sign that is newly there, a score against the middle of the earlier ones, or a major problem at first."""
    if newest.code.high == 1.0:
        reference = max((o.value for o in earlier), default=0.0)
        return _risen(situation, newest, reference, len(earlier), "sign_score")
    if not earlier:
        return _risen(situation, newest, 0.0, 0, "first_score")
    return _risen(situation, newest, middle([o.value for o in earlier]), len(earlier), "rise_score")


def _risen(situation: Situation, newest: Observation, reference: float, forms: int, name: str) -> _Finding | None:
    if newest.value - reference < situation.threshold(TABLE, name):
        return None
    said = say(
        "symptoms.lung_sign" if name == "sign_score" else "symptoms.lung_risen",
        symptom=newest.code.name,
        value=newest.value,
        highest=newest.code.high,
        time=situation.local(newest.time),
        before=reference,
        forms=forms,
    )
    return _Finding(name, said, (newest,))


def _weights(situation: Situation) -> tuple[Observation | None, list[Observation]]:
    """The newest weight if it is young enough, and the earlier ones that make the reference."""
    fresh = situation.now - situation.span(TABLE, "weight_fresh_days")
    since = situation.now - situation.span(TABLE, "reference_days")
    weights = sorted(situation.readings(codes.BODY_WEIGHT), key=lambda o: (o.time, o.id))
    newest = weights[-1] if weights and weights[-1].time >= fresh else None
    return newest, [o for o in weights if since <= o.time < fresh]


def _lighter(situation: Situation) -> Iterator[_Finding]:
    newest, earlier = _weights(situation)
    if newest is None or not earlier:
        return
    reference = middle([o.value for o in earlier])
    loss = round(reference - newest.value, 6)
    if loss >= situation.threshold(TABLE, "weight_loss_kg"):
        said = say(
            "symptoms.lung_weight",
            loss=loss,
            value=newest.value,
            time=situation.local(newest.time),
            before=reference,
            weights=len(earlier),
        )
        yield _Finding("weight_loss_kg", said, (newest,))


def _flag(situation: Situation, findings: list[_Finding]) -> Flag:
    readings = tuple(reading for finding in findings for reading in finding.readings)
    today = any(reading.code.name == _TODAY for reading in readings)
    said = tuple(finding.said for finding in findings)
    published = {name: t.value for name, t in situation.given.program.thresholds["lung_published"].items()}
    return Flag(
        kind=FlagKind.SYMPTOM_RELAPSE,
        time=max(reading.time for reading in readings),
        urgency=Urgency.TODAY if today else Urgency.THIS_WEEK,
        origin=Origin.PATIENT_REPORTED,
        says=Sentences(
            action=(say("symptoms.tell_today" if today else "symptoms.tell_this_week"),),
            reason=(say("symptoms.lung_you"), *said),
            clinician=(say("symptoms.lung_clinician"), *said, say("symptoms.lung_published", **published)),
            would_change=(say("symptoms.lung_would_change"),),
            limits=(say("symptoms.lung_limits"),),
            data_quality=tuple(_quality(situation, findings)),
        ),
        topic="lung",
        evidence=tuple(evidence(reading) for reading in readings),
        bound=situation.bound(TABLE, findings[0].threshold),
    )


def _quality(situation: Situation, findings: list[_Finding]) -> Iterator[Message]:
    """What could not be compared."""
    newest, earlier = _weights(situation)
    if newest is None or not earlier:
        yield say("symptoms.lung_no_weight", days=situation.threshold(TABLE, "weight_fresh_days"))
    if any(finding.threshold == "first_score" for finding in findings):
        yield say("symptoms.lung_first_form")
    unanswered = {o.attributes.get("unanswered", "") for f in findings for o in f.readings} - {""}
    for names in sorted(unanswered):
        yield from (say("symptoms.unanswered", attribute=name) for name in names.split(","))
