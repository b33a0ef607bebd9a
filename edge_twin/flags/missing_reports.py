"""A diary or questionnaire that is no longer filled in: missing, which says nothing about how the patient is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin
from edge_twin.wording import Values, say


def missing_reports(
    situation: Situation, reports: Sequence[Observation], table: str, name: str, what: str
) -> Iterator[Flag]:
    """A flag when the newest report is too old; none for a patient who never reported, and so was never asked.

    Args:
        situation: of the patient.
        reports: of the form in question.
        table: of the rule.
        name: of the threshold that is a length of time.
        what: the form, as a word of the catalogue and as topic.
    """
    newest = max(reports, key=lambda o: (o.time, o.id), default=None)
    if newest is None or situation.now - newest.time <= situation.span(table, name):
        return
    said: Values = {"what": what, "time": situation.local(newest.time), "days": (situation.now - newest.time).days}
    yield Flag(
        kind=FlagKind.DATA_QUALITY,
        time=newest.time + situation.span(table, name),
        urgency=Urgency.THIS_WEEK,
        origin=Origin.PATIENT_REPORTED,
        says=Sentences(
            action=(say("symptoms.fill_in", what=what),),
            reason=(say("symptoms.missing", **said),),
            clinician=(say("symptoms.missing_clinician", **said),),
            would_change=(say("symptoms.missing_would_change", what=what),),
            data_quality=(say("symptoms.missing", **said),),
        ),
        topic=f"{what}_missing",
        evidence=(evidence(newest),),
        bound=situation.bound(table, name),
    )
