"""Laboratory values: the alert depends on the value; the CTCAE range beside it is to be confirmed by a clinician."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from edge_twin import codes
from edge_twin.ctcae import GradeRange, References, criteria
from edge_twin.flag import Bound, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.situation import Situation, evidence, is_below
from edge_twin.observation import Observation, Origin
from edge_twin.wording import Message, Values, say

LABELS = {
    codes.NEUTROPHILS.name: "neutrophils",
    codes.PLATELETS.name: "platelets",
    codes.HAEMOGLOBIN.name: "haemoglobin",
    codes.LYMPHOCYTES.name: "lymphocytes",
    codes.CREATININE.name: "creatinine",
    codes.CREATININE_MOLAR.name: "creatinine",
}
UNITS = {"10*9/L": "×10⁹/L", "umol/L": "µmol/L"}  # as people write them
_LOW = (codes.NEUTROPHILS, codes.PLATELETS, codes.HAEMOGLOBIN, codes.LYMPHOCYTES)
_CREATININE = (codes.CREATININE, codes.CREATININE_MOLAR)
_CREATININE_TABLE = "laboratory_creatinine"


class _Found(NamedTuple):
    """A value beyond a threshold, which threshold, and the limit in the value's unit."""

    reading: Observation
    urgency: Urgency
    bound: Bound
    limit: float


def laboratory_flags(situation: Situation) -> Iterator[Flag]:
    """Fresh values beyond a threshold, each with its own topic."""
    if not situation.has("laboratory"):
        return
    for code in _LOW:
        if (found := _low(situation, code)) is not None:
            yield _flag(situation, found, "below")
    for code in _CREATININE:
        yield from _creatinine(situation, code)


def _fresh(situation: Situation, code: codes.Code) -> Observation | None:
    newest = situation.newest(code)
    if newest is None or situation.now - newest.time > situation.span("laboratory", "fresh_hours"):
        return None
    return newest


def _low(situation: Situation, code: codes.Code) -> _Found | None:
    reading, table = _fresh(situation, code), f"laboratory_{code.name}"
    if reading is None or not situation.has(table) or _is_the_programs(situation, reading):
        return None
    for urgency in Urgency:
        name = f"{urgency}_below"
        if name in situation.given.program.thresholds[table]:
            limit = situation.threshold(table, name)
            if is_below(reading, limit):
                return _Found(reading, urgency, situation.bound(table, name), limit)
    return None


def _is_the_programs(situation: Situation, reading: Observation) -> bool:
    """Whether the program's own rule on its count already speaks."""
    program = situation.given.program
    return reading.code == program.count.code and is_below(reading, program.low_threshold)


def _creatinine(situation: Situation, code: codes.Code) -> Iterator[Flag]:
    reading = _fresh(situation, code)
    if reading is None or not situation.has(_CREATININE_TABLE):
        return
    references = references_of(situation, code)
    if references.high_limit is None and references.baseline is None:
        yield _not_judged(situation, reading)
    elif found := _high(situation, reading, references):
        yield _flag(situation, found, "above")


def _high(situation: Situation, reading: Observation, references: References) -> _Found | None:
    rules = situation.given.program.thresholds[_CREATININE_TABLE]
    for urgency in Urgency:
        for measure, reference in (("limits", references.high_limit), ("baselines", references.baseline)):
            name = f"{urgency}_above_{measure}"
            if name in rules and reference is not None and reading.value > rules[name].value * reference:
                limit = rules[name].value * reference
                return _Found(reading, urgency, situation.bound(_CREATININE_TABLE, name), limit)
    return None


def references_of(situation: Situation, code: codes.Code) -> References:
    """What a value of this code is measured against, as far as the clinic stated it."""
    known = situation.care.laboratory_range(code.name)
    low, high = (known.low, known.high) if known else (None, None)
    return References(low, high, situation.care.value_before(code.name))


def said_range(situation: Situation, reading: Observation) -> tuple[GradeRange | None, Message]:
    """The CTCAE range of a value in the site's version, and the sentence about it."""
    table = criteria(situation.care.ctcae_version)
    term, version = table.term_of(reading.code.name), _version(situation)
    if term is None:
        return None, say("laboratory.no_row", version=version)
    below_limit = math.nextafter(reading.value, 0.0) if reading.limit_sign else reading.value
    found = table.grade_range(term, below_limit, references_of(situation, reading.code))
    if found.grade is None:
        return found, say("laboratory.not_gradable", version=version, term=term)
    if found.grade == 0:
        return found, say("laboratory.outside", version=version, term=term)
    id_ = "laboratory.range_at_least" if found.at_least or reading.limit_sign else "laboratory.range"
    return found, say(id_, version=version, grade=found.grade, term=term)


def _version(situation: Situation) -> str:
    """The major number, as people write it."""
    return f"v{situation.care.ctcae_version.value.removesuffix('.0')}"


def _flag(situation: Situation, found: _Found, side: str) -> Flag:
    reading = found.reading
    grade, said_grade = said_range(situation, reading)
    said = said_value(situation, reading)
    return Flag(
        kind=FlagKind.LABORATORY_VALUE,
        topic=reading.code.name,
        time=reading.time,
        urgency=found.urgency,
        origin=Origin.LAB,
        says=Sentences(
            action=(say(f"laboratory.action_{found.urgency.value}"),),
            reason=(say(f"laboratory.{side}", **said, limit=found.limit),),
            clinician=(say(f"laboratory.{side}", **said, limit=found.limit), said_grade),
            would_change=(say("laboratory.would_change"),),
            limits=(say("laboratory.limits"),),
        ),
        evidence=(evidence(reading),),
        bound=found.bound,
        ctcae=(grade.as_term,) if grade else (),
    )


def said_value(situation: Situation, reading: Observation) -> Values:
    """Label, sign, value, unit and time of a laboratory value, as templates take them."""
    unit = reading.code.unit
    return {
        "label": LABELS.get(reading.code.name, reading.code.name),
        "sign": reading.limit_sign,
        "value": reading.value,
        "unit": UNITS.get(unit, unit),
        "time": situation.local(reading.time),
    }


def _not_judged(situation: Situation, reading: Observation) -> Flag:
    return Flag(
        kind=FlagKind.LABORATORY_VALUE,
        topic=reading.code.name,
        time=reading.time,
        urgency=Urgency.NOTE,
        origin=Origin.LAB,
        says=Sentences(
            action=(say("laboratory.action_note"),),
            reason=(say("laboratory.not_judged", **said_value(situation, reading)),),
            data_quality=(say("laboratory.no_reference"),),
        ),
        evidence=(evidence(reading),),
    )
