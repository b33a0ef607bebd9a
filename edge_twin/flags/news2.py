"""National Early Warning Score 2 (Royal College of Physicians, 2017), in full or as a lower bound named "partial".

A total exists only with all seven items within half an hour. From fewer, missing items add nothing and the score is
a lower bound: it can raise the urgency, never lower it. Not in pregnancy and not under 16 years.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge_twin import codes
from edge_twin.flag import Bound, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.situation import Situation, evidence
from edge_twin.flags.vitals import ITEMS, WORDS, Vital, Vitals, vital_sets
from edge_twin.observation import Origin
from edge_twin.program import Threshold
from edge_twin.wording import Message, Text, say

LARGEST_SCORE = 20
_DECIMALS = {"temperature": 1, "oxygen": 3}  # of the chart; every other item is a whole number
_MICRO = 6
_NOT_FOR = ("pregnancy", "child")


@dataclass(frozen=True, slots=True)
class Score:
    """NEWS2 of one set of vital signs.

    Attributes:
        points: sum over the items that were measured; a total only when :attr:`is_total`.
        by_item: points of each measured item.
        vitals: the measured items.
        missing: items without a measurement.
    """

    points: int
    by_item: Mapping[str, int]
    vitals: Vitals
    missing: tuple[str, ...]

    @property
    def is_total(self) -> bool:
        """Whether all seven items were measured."""
        return not self.missing

    @property
    def largest(self) -> int:
        """The most points of a single item."""
        return max(self.by_item.values(), default=0)


def charted(value: float, decimals: int) -> int:
    """A value rounded to chart precision, in units of its last digit; a half is rounded up, in decimal.

    Whole numbers from the value's millionths on, so that 38.05 is 38.1 although no float is exactly 38.05.
    """
    unit: int = 10 ** (_MICRO - decimals)
    millionths: int = round(value * 10**_MICRO)
    return (millionths + unit // 2) // unit


def points(bands: Mapping[str, Threshold], value: float, decimals: int = 0) -> int:
    """Points of one value: those of the first band, in rising order, that it does not exceed.

    Args:
        bands: a table whose names hold the points (``low_3_at_most``), with ``points_beyond`` for all above.
        value: as measured.
        decimals: of the chart.
    """
    rising = sorted((rule.value, name) for name, rule in bands.items() if name.endswith("_at_most"))
    for limit, name in rising:
        if charted(value, decimals) <= charted(limit, decimals):
            return int(name.split("_")[1])
    return int(bands["points_beyond"].value)


def score(tables: Mapping[str, Mapping[str, Threshold]], vitals: Vitals, *, scale_2: bool) -> Score:
    """NEWS2 of a set of vital signs.

    Args:
        tables: thresholds of the program.
        vitals: what was measured.
        scale_2: a clinician has set a saturation target of 88 to 92 %.
    """
    by_item = {
        item: points(tables[_table(item, vitals, scale_2=scale_2)], vital.value, _DECIMALS.get(item, 0))
        for item, vital in vitals.items()
    }
    return Score(sum(by_item.values()), by_item, vitals, tuple(item for item in ITEMS if item not in vitals))


def _table(item: str, vitals: Vitals, *, scale_2: bool) -> str:
    if item != "saturation" or not scale_2:
        return f"news2_{item}"
    on_oxygen = "oxygen" in vitals and vitals["oxygen"].value > 0.0
    return "news2_saturation_2_oxygen" if on_oxygen else "news2_saturation_2_air"


def news2_flags(situation: Situation) -> Iterator[Flag]:
    """The worst set of vital signs of the last hours, if it asks for somebody; or why the score is not used."""
    if not situation.has("news2"):
        return
    sets = vital_sets(situation)
    if not sets:
        return
    if reason := _not_for(situation):
        yield _refused(situation, sets[-1], reason)
        return
    scale_2, tables = situation.care.saturation_target_88_92, situation.given.program.thresholds
    worst = max((score(tables, vitals, scale_2=scale_2) for vitals in sets), key=lambda s: (s.points, s.largest))
    if (found := _urgency(situation, worst)) is not None:
        yield _flag(situation, worst, *found)


def _not_for(situation: Situation) -> str:
    """Why the score must not be used; empty when nothing known forbids it."""
    care = situation.care
    if care.pregnant:
        return "pregnancy"
    child = care.age_years is not None and care.age_years < situation.threshold("news2", "adult_years")
    return "child" if child else ""


def _urgency(situation: Situation, found: Score) -> tuple[Urgency, Bound] | None:
    """How soon to act, and the threshold that says so."""
    for name in ("emergency_points", "urgent_points"):
        if found.points >= situation.threshold("news2", name):
            return Urgency.NOW, situation.bound("news2", name)
    if found.largest >= situation.threshold("news2", "single_points"):
        awake = found.by_item.get("consciousness", 0) == 0
        return (Urgency.TODAY if awake else Urgency.NOW), situation.bound("news2", "single_points")
    return None


def _flag(situation: Situation, found: Score, urgency: Urgency, bound: Bound) -> Flag:
    newest = max(vital.reading.time for vital in found.vitals.values())
    emergency = bound.id == "news2.emergency_points" or (urgency is Urgency.NOW and found.by_item.get("consciousness"))
    action = "emergency" if emergency else urgency.value
    return Flag(
        kind=FlagKind.EARLY_WARNING_SCORE,
        time=newest,
        urgency=urgency,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say(f"news2.action_{action}"),),
            reason=(said_score(found), say("news2.measured", items=_measured(situation, found.vitals))),
            clinician=(
                said_score(found),
                say("news2.points", items=_pointed(found), scale=2 if situation.care.saturation_target_88_92 else 1),
                say("news2.source"),
            ),
            would_change=(say("news2.would_change"),),
            limits=(say("news2.limits"),),
            data_quality=(*phrases.doubted(v.reading for v in found.vitals.values()), *_unknown(situation, found)),
        ),
        evidence=tuple(evidence(vital.reading) for vital in found.vitals.values()),
        bound=bound,
    )


def said_score(found: Score) -> Message:
    """A total, or a lower bound with what is missing; never a total from fewer than seven items."""
    if found.is_total:
        return say("news2.total", points=found.points, largest=LARGEST_SCORE)
    missing = phrases.listed([WORDS[item] for item in found.missing])
    return say("news2.partial", points=found.points, known=len(found.vitals), of=len(ITEMS), missing=missing)


def _measured(situation: Situation, vitals: Vitals) -> phrases.Word:
    return phrases.listed([_value(situation, vital) for vital in vitals.values()])


def _value(situation: Situation, vital: Vital) -> Message:
    unit, time = vital.reading.code.unit, situation.local(vital.reading.time)
    if vital.item == "consciousness":
        return say(f"news2.acvpu_{int(vital.value)}", time=time)
    if vital.item == "oxygen":
        return say("news2.oxygen" if vital.value else "news2.no_oxygen", value=vital.value, unit=unit, time=time)
    return say("phrases.reading", name=WORDS[vital.item], value=vital.value, unit=unit, time=time)


def _pointed(found: Score) -> phrases.Word:
    return phrases.listed([say("news2.item", name=WORDS[item], points=n) for item, n in found.by_item.items()])


def _unknown(situation: Situation, found: Score) -> Text:
    care = situation.care
    unknown = (
        (bool(found.missing), say("news2.missing_adds_nothing")),
        (_rest_unknown(situation, found), say("news2.rest_unknown")),
        (care.age_years is None, say("news2.age_unknown")),
        (care.pregnant is None, say("news2.pregnancy_unknown")),
    )
    return tuple(message for holds, message in unknown if holds)


def _rest_unknown(situation: Situation, found: Score) -> bool:
    """Whether the pulse comes from a sensor that is worn in motion too, and nobody counted steps."""
    pulse = found.vitals.get("pulse")
    return pulse is not None and pulse.reading.code == codes.HEART_RATE and not situation.of(codes.STEPS)


def _refused(situation: Situation, vitals: Vitals, reason: str) -> Flag:
    newest = max(vitals.values(), key=lambda vital: vital.reading.time)
    return Flag(
        kind=FlagKind.EARLY_WARNING_SCORE,
        topic="not_used",
        time=newest.reading.time,
        urgency=Urgency.NOTE,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("news2.refused_action"),),
            reason=(
                say(f"news2.not_for_{reason}", years=situation.threshold("news2", "adult_years")),
                say("news2.measured", items=_measured(situation, vitals)),
            ),
        ),
        evidence=tuple(evidence(vital.reading) for vital in vitals.values()),
        bound=situation.bound("news2", "adult_years") if reason == "child" else None,
    )
