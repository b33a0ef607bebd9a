"""After cell therapy: which ASTCT criteria of cytokine release are met, and a check that was missed.

Lee et al., Biol Blood Marrow Transplant 2019;25:625. The app never grades. Once fever may be hidden by an antipyretic,
a steroid or tocilizumab, or nobody knows whether one is taken, low pressure or low oxygen counts without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from edge_twin import codes
from edge_twin.care import MedicineKind
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin, Site
from edge_twin.wording import Text, say

HIDING = (MedicineKind.ANTIPYRETIC, MedicineKind.STEROID, MedicineKind.TOCILIZUMAB)
NOT_A_TEMPERATURE = frozenset((Site.SKIN, Site.FINGER, Site.TOE, Site.UNKNOWN))
"""A warm skin asks for a reading by mouth (the fever rule does) and is no fever by itself."""


class _Criterion(NamedTuple):
    """A criterion that is met: its word, its readings, and the threshold that decided."""

    word: str
    reading: Observation
    threshold: str


def cell_therapy_flags(situation: Situation) -> Iterator[Flag]:
    """Criteria met, and a temperature that did not come."""
    infusion = latest_infusion(situation)
    if infusion is None:
        return
    fever, other = _fever(situation, infusion), _hypotension_and_hypoxia(situation, infusion)
    if fever or (other and _may_be_hidden(situation)):
        yield _met(situation, infusion, fever, other)
    yield from _missed(situation, infusion)


def latest_infusion(situation: Situation) -> datetime | None:
    """The newest infusion whose time of watching is not over; None without one."""
    if not situation.has("cell_therapy"):
        return None
    span = situation.span("cell_therapy", "watch_days")
    past = [time for time in situation.care.cell_therapy if time <= situation.now <= time + span]
    return max(past, default=None)


def _fever(situation: Situation, infusion: datetime) -> tuple[_Criterion, ...]:
    limit = situation.threshold("cell_therapy", "fever_at_least_cel")
    warm = [
        o
        for o in _recent(situation, codes.BODY_TEMPERATURE, infusion)
        if o.value >= limit and o.site not in NOT_A_TEMPERATURE
    ]
    return (_Criterion("fever", warm[-1], "fever_at_least_cel"),) if warm else ()


def _recent(situation: Situation, code: codes.Code, infusion: datetime) -> list[Observation]:
    oldest = max(infusion, situation.now - situation.span("cell_therapy", "active_hours"))
    return [reading for reading in situation.readings(code) if reading.time >= oldest]


def _hypotension_and_hypoxia(situation: Situation, infusion: datetime) -> tuple[_Criterion, ...]:
    """What the newest blood pressure, saturation and oxygen flow say."""
    saturation = "saturation_target" if situation.care.saturation_target_88_92 else "saturation"
    judged = (
        (codes.SYSTOLIC_PRESSURE, "low blood pressure", "systolic_below_mmhg"),
        (codes.OXYGEN_SATURATION, "low oxygen", f"{saturation}_at_most_percent"),
        (codes.OXYGEN_FLOW, "oxygen needed", "oxygen_above_l_per_min"),
    )
    newest = ((word, name, _recent(situation, code, infusion)[-1:]) for code, word, name in judged)
    return tuple(
        _Criterion(word, reading, name)
        for word, name, readings in newest
        for reading in readings
        if _holds(reading.value, name, situation.threshold("cell_therapy", name))
    )


def _holds(value: float, name: str, limit: float) -> bool:
    if "_below_" in name:
        return value < limit
    return value <= limit if "_at_most_" in name else value > limit


def _may_be_hidden(situation: Situation) -> bool:
    """Whether a medicine against fever is or was taken since the infusion, or nobody knows."""
    care = situation.care
    infusion = latest_infusion(situation)
    taken = any(
        medicine.kind in HIDING
        and medicine.start <= situation.now
        and (medicine.end is None or medicine.end >= infusion)
        for medicine in care.medicines
        if infusion is not None
    )
    return taken or not care.medicines_complete


def _met(situation: Situation, infusion: datetime, fever: Sequence[_Criterion], other: Sequence[_Criterion]) -> Flag:
    found = (*fever, *other)
    deciding = (other or fever)[0]
    words = phrases.listed([phrases.reading(situation, criterion.word, criterion.reading) for criterion in found])
    return Flag(
        kind=FlagKind.CYTOKINE_RELEASE,
        time=max(criterion.reading.time for criterion in found),
        urgency=Urgency.NOW,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("cell_therapy.emergency" if other else "cell_therapy.call_now"),),
            reason=(say("cell_therapy.met", items=words, infusion=situation.local(infusion)),),
            clinician=(
                say("cell_therapy.criteria", items=words, infusion=situation.local(infusion)),
                phrases.medicines(situation, HIDING, situation.now - infusion),
                say("cell_therapy.ungraded"),
            ),
            would_change=(say("cell_therapy.would_change"),),
            limits=(say("cell_therapy.limits"),),
            data_quality=(*phrases.doubted(c.reading for c in found), *_missing(situation, infusion, fever)),
        ),
        evidence=tuple(evidence(criterion.reading) for criterion in found),
        bound=situation.bound("cell_therapy", deciding.threshold),
    )


def _missing(situation: Situation, infusion: datetime, fever: Sequence[_Criterion]) -> Text:
    """What was not measured, or is not known."""
    wanted = ((codes.SYSTOLIC_PRESSURE, "blood pressure"), (codes.OXYGEN_SATURATION, "oxygen saturation"))
    missing = [word for code, word in wanted if not _recent(situation, code, infusion)]
    messages = [say("cell_therapy.not_measured", items=phrases.listed(list(missing)))] if missing else []
    if not fever:
        messages.append(say("cell_therapy.no_fever_recorded"))
    return tuple(messages)


def _missed(situation: Situation, infusion: datetime) -> Iterator[Flag]:
    """No temperature within the planned time, in the days when it is checked."""
    hours = situation.span("cell_therapy", "check_hours")
    if situation.now - infusion > situation.span("cell_therapy", "check_days"):
        return
    taken = [o for o in situation.readings(codes.BODY_TEMPERATURE) if o.site not in NOT_A_TEMPERATURE]
    last = max((o.time for o in taken if o.time >= infusion), default=infusion)
    if situation.now - last <= hours:
        return
    since = say("cell_therapy.since", time=situation.local(last))
    yield Flag(
        kind=FlagKind.CHECK_MISSED,
        time=last + hours,
        urgency=Urgency.TODAY,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("cell_therapy.measure_now"),),
            reason=(say("cell_therapy.missed", since=since, hours=hours.total_seconds() / 3600),),
            clinician=(say("cell_therapy.missed_clinician", since=since, infusion=situation.local(infusion)),),
            would_change=(say("cell_therapy.missed_would_change"),),
        ),
        evidence=tuple(evidence(o) for o in taken[-1:]),
        bound=situation.bound("cell_therapy", "check_hours"),
    )
