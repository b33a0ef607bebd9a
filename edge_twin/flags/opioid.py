"""Breathing slowed under an opioid: criteria of PRODIGY (Khanna et al., Anesth Analg 2020;131:1012) and a home rule.

Where it is not known whether an opioid is taken the flag goes up and says so; it stays down only when a clinician has
stated a complete list of medicines without one. The points of the PRODIGY score are context, never a condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edge_twin import codes
from edge_twin.care import MedicineKind
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.situation import Situation, evidence
from edge_twin.flags.vitals import runs_at_most
from edge_twin.observation import Observation
from edge_twin.wording import Message, say


class _Found(NamedTuple):
    """Readings that meet a criterion, and its threshold."""

    readings: Sequence[Observation]
    threshold: str


def opioid_flags(situation: Situation) -> Iterator[Flag]:
    """Slow breathing or low oxygen while an opioid is or may be taken."""
    if not situation.has("opioid"):
        return
    if situation.care.is_excluded(MedicineKind.OPIOID, situation.now, situation.span("opioid", "acts_hours")):
        return
    found = _slow_breathing(situation) or _low_oxygen(situation)
    if found:
        yield _flag(situation, found)


def _recent(situation: Situation, code: codes.Code) -> list[Observation]:
    oldest = situation.now - situation.span("opioid", "active_hours")
    return [
        o for o in situation.readings(code) if o.time >= oldest and o.attributes.get("response", "normal") == "normal"
    ]


def _slow_breathing(situation: Situation) -> _Found | None:
    readings = _recent(situation, codes.RESPIRATORY_RATE)
    if found := _sustained(situation, readings, "respiration_at_most_per_min"):
        return found
    name = "spot_respiration_at_most_per_min"
    slow = [o for o in readings if o.value <= situation.threshold("opioid", name)]
    return _Found(slow[-1:], name) if slow else None


def _low_oxygen(situation: Situation) -> _Found | None:
    name, readings = "saturation_at_most_percent", _recent(situation, codes.OXYGEN_SATURATION)
    if found := _sustained(situation, readings, name):
        return found
    gap, limit = situation.span("opioid", "gap_seconds"), situation.threshold("opioid", name)
    lone = [o for k, o in enumerate(readings) if o.value <= limit and _is_alone(readings, k, gap.total_seconds())]
    return _Found(lone[-1:], name) if lone else None


def _sustained(situation: Situation, readings: Sequence[Observation], name: str) -> _Found | None:
    """The newest run at or below the threshold that lasts long enough."""
    runs = runs_at_most(readings, situation.threshold("opioid", name), situation.span("opioid", "gap_seconds"))
    long = [run for run in runs if run[-1].time - run[0].time >= situation.span("opioid", "sustained_minutes")]
    return _Found((long[-1][0], long[-1][-1]), name) if long else None


def _is_alone(readings: Sequence[Observation], place: int, gap_seconds: float) -> bool:
    """A spot check: no other reading near it."""
    near = (*readings[max(place - 1, 0) : place], *readings[place + 1 : place + 2])
    return all(abs((o.time - readings[place].time).total_seconds()) > gap_seconds for o in near)


def _flag(situation: Situation, found: _Found) -> Flag:
    last = found.readings[-1]
    word = "breathing rate" if last.code == codes.RESPIRATORY_RATE else "oxygen saturation"
    readings = phrases.listed([phrases.reading(situation, word, o) for o in found.readings])
    taken = phrases.medicines(situation, (MedicineKind.OPIOID,), situation.span("opioid", "acts_hours"))
    known = _said_opioid(situation)
    return Flag(
        kind=FlagKind.OPIOID_DEPRESSION,
        time=last.time,
        urgency=Urgency.NOW,
        origin=last.origin,
        says=Sentences(
            action=(say("opioid.emergency"),),
            reason=(say("opioid.found", readings=readings), known or say("opioid.unknown")),
            clinician=(say("opioid.clinician", readings=readings), taken, prodigy(situation)),
            would_change=(say("opioid.would_change"),),
            limits=(say("opioid.limits"),),
            data_quality=(*phrases.doubted(found.readings), *(() if known else (say("opioid.unknown"),))),
        ),
        evidence=tuple(evidence(o) for o in found.readings),
        bound=situation.bound("opioid", found.threshold),
    )


def _said_opioid(situation: Situation) -> Message | None:
    """That an opioid is taken, or was a short while ago; None when it is not recorded."""
    if situation.care.taken(MedicineKind.OPIOID, situation.now):
        return say("opioid.taken")
    if situation.care.acting(MedicineKind.OPIOID, situation.now, situation.span("opioid", "acts_hours")):
        return say("opioid.taken_before", hours=situation.threshold("opioid", "acts_hours"))
    return None


def prodigy(situation: Situation) -> Message:
    """Points of the PRODIGY score, as a lower bound where an item is not known."""
    points, missing = 0.0, []
    for name, present in _items(situation).items():
        if present is None:
            missing.append(name)
        else:
            points += present
    if missing:
        unknown = phrases.listed([name.replace("_", " ") for name in missing])
        return say("opioid.prodigy_partial", points=points, missing=unknown)
    return say("opioid.prodigy", points=points)


def _items(situation: Situation) -> dict[str, float | None]:
    care = situation.care
    yes_or_no = {
        "male": care.male,
        "opioid_naive": care.opioid_naive,
        "sleep_disordered_breathing": care.sleep_disordered_breathing,
        "heart_failure": care.heart_failure,
    }
    items = {
        name: None if holds is None else holds * situation.threshold("opioid", f"prodigy_{name}_points")
        for name, holds in yes_or_no.items()
    }
    return {"age": _age_points(situation), **items}


def _age_points(situation: Situation) -> float | None:
    """Points of the highest decade of age that is reached, of those that the table names."""
    age = situation.care.age_years
    if age is None:
        return None
    rules = situation.given.program.thresholds["opioid"]
    decades = {int(name.split("_")[2]): rule.value for name, rule in rules.items() if name.startswith("prodigy_age_")}
    return max((value for decade, value in decades.items() if age >= decade), default=0.0)
