"""Signs of dehydration: many stools over the usual number, weight down within two days, pulse up, pressure low.

Many stools alone ask for a call; otherwise two signs together. Where the usual number of stools is not known the count
itself is compared, and the flag says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features import NIGHT_HEART_RATE
from edge_twin.features.feature import middle
from edge_twin.flag import Bound, Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin
from edge_twin.wording import Message, say

_TABLE = "dehydration"
_STOOLS = codes.DIARY_STOOLS


class _Sign(NamedTuple):
    """One sign: its threshold, its sentence, and what it rests on."""

    threshold: str
    said: Message
    evidence: tuple[Evidence, ...]


def dehydration_flags(situation: Situation) -> Iterator[Flag]:
    """The signs that hold together."""
    if not situation.has(_TABLE):
        return
    signs = [sign for found in (_stools, _weight, _pulse, _pressure) if (sign := found(situation)) is not None]
    if (decided := _urgency(situation, signs)) is not None:
        yield _flag(situation, signs, *decided)


def _urgency(situation: Situation, signs: list[_Sign]) -> tuple[Urgency, Bound] | None:
    held = {sign.threshold for sign in signs}
    together = len(signs) >= situation.threshold(_TABLE, "signs_needed")
    if "systolic_now_at_most_mmhg" in held and together:
        return Urgency.NOW, situation.bound(_TABLE, "systolic_now_at_most_mmhg")
    if "stools_far_over_usual" in held:
        return Urgency.NOW, situation.bound(_TABLE, "stools_far_over_usual")
    if "stools_over_usual" in held:
        return Urgency.TODAY, situation.bound(_TABLE, "stools_over_usual")
    return (Urgency.TODAY, situation.bound(_TABLE, "signs_needed")) if together else None


def _within(situation: Situation, code: codes.Code, name: str) -> list[Observation]:
    oldest = situation.now - situation.span(_TABLE, name)
    return [reading for reading in situation.readings(code) if reading.time > oldest]


def _stools(situation: Situation) -> _Sign | None:
    entries = _within(situation, _STOOLS, "stools_hours")
    count, usual = sum(entry.value for entry in entries), situation.care.usual_stools_per_day
    over = count - (usual or 0.0)
    for name in ("stools_far_over_usual", "stools_over_usual"):
        if entries and over >= situation.threshold(_TABLE, name):
            id_ = "dehydration.stools" if usual is not None else "dehydration.stools_unknown"
            said = say(id_, count=count, usual=usual or 0.0, hours=situation.threshold(_TABLE, "stools_hours"))
            return _Sign(name, said, tuple(evidence(entry) for entry in entries))
    return None


def _weight(situation: Situation) -> _Sign | None:
    weights = _within(situation, codes.BODY_WEIGHT, "weight_hours")
    if not weights:
        return None
    newest, heaviest = weights[-1], max(weights, key=lambda o: o.value)
    down = 100.0 * (heaviest.value - newest.value) / heaviest.value
    enough = down >= situation.threshold(_TABLE, "weight_down_percent")
    if not enough or down >= situation.threshold("weight_loss", "unit_suspected_percent"):
        return None
    said = say(
        "dehydration.weight", down=down, hours=(newest.time - heaviest.time) / timedelta(hours=1), value=newest.value
    )
    return _Sign("weight_down_percent", said, (evidence(heaviest), evidence(newest)))


def _pulse(situation: Situation) -> _Sign | None:
    """The newest night against the usual one."""
    oldest = situation.now - situation.span(_TABLE, "active_hours")
    nights = [f for f in situation.features if f.name == NIGHT_HEART_RATE and f.value is not None]
    nights = [night for night in nights if night.end <= situation.now]
    if len(nights) <= situation.threshold(_TABLE, "usual_nights") or nights[-1].end < oldest:
        return None
    newest, usual = nights[-1], middle([night.value or 0.0 for night in nights[:-1]])
    up = (newest.value or 0.0) - usual
    if up < situation.threshold(_TABLE, "pulse_up_per_min"):
        return None
    shown = Evidence(newest.name, newest.value or 0.0, newest.unit, newest.end, Origin.DEVICE, newest.start)
    said = say("dehydration.pulse", rate=newest.value or 0.0, up=up, usual=usual)
    return _Sign("pulse_up_per_min", said, (shown,))


def _pressure(situation: Situation) -> _Sign | None:
    readings = _within(situation, codes.SYSTOLIC_PRESSURE, "active_hours")
    for name in ("systolic_now_at_most_mmhg", "systolic_at_most_mmhg"):
        if readings and readings[-1].value <= situation.threshold(_TABLE, name):
            said = phrases.reading(situation, "upper blood pressure", readings[-1])
            return _Sign(name, said, (evidence(readings[-1]),))
    return None


def _flag(situation: Situation, signs: list[_Sign], urgency: Urgency, bound: Bound) -> Flag:
    found = tuple(item for sign in signs for item in sign.evidence)
    said = phrases.listed([sign.said for sign in signs])
    stools = any(sign.threshold.startswith("stools") for sign in signs)
    usual_missing = stools and situation.care.usual_stools_per_day is None
    return Flag(
        kind=FlagKind.DEHYDRATION,
        time=max(item.time for item in found),
        urgency=urgency,
        origin=Origin.PATIENT_REPORTED if stools else Origin.DEVICE,
        says=Sentences(
            action=(say(f"dehydration.action_{urgency.value}"),),
            reason=(say("dehydration.found", signs=said),),
            clinician=(say("dehydration.clinician", signs=said),),
            would_change=(say("dehydration.would_change"),),
            limits=(say("dehydration.limits"),),
            data_quality=(say("dehydration.usual_unknown"),) if usual_missing else (),
        ),
        evidence=found,
        bound=bound,
    )
