"""Quick SOFA, named partial when an item is missing (Seymour et al., JAMA 2016;315:762; Singer et al., 2016;315:801).

It was made for patients with suspected infection. Under chemotherapy, after cell therapy and with fever an infection
is suspected; elsewhere nobody knows, and the flag says so. SIRS is not used: its white cell item means nothing under
chemotherapy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.fever import is_at_risk
from edge_twin.flags.news2 import charted
from edge_twin.flags.situation import Situation, evidence
from edge_twin.flags.vitals import WORDS, Vital, Vitals, vital_sets
from edge_twin.observation import Origin
from edge_twin.wording import Message, say

CRITERIA = ("respiration", "systolic", "consciousness")


class Screen(NamedTuple):
    """Quick SOFA of one set of vital signs.

    Attributes:
        met: items whose criterion holds.
        known: items that were measured.
    """

    met: tuple[Vital, ...]
    known: tuple[Vital, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Items that were not measured."""
        return tuple(item for item in CRITERIA if item not in {vital.item for vital in self.known})


def screen(situation: Situation, vitals: Vitals) -> Screen:
    """Which criteria hold; one that was not measured does not."""
    known = tuple(vitals[item] for item in CRITERIA if item in vitals)
    return Screen(tuple(vital for vital in known if _holds(situation, vital)), known)


def _holds(situation: Situation, vital: Vital) -> bool:
    value = charted(vital.value, 0)
    if vital.item == "systolic":
        return value <= situation.threshold("qsofa", "systolic_at_most_mmhg")
    name = {"respiration": "respiration_at_least_per_min", "consciousness": "consciousness_at_least"}[vital.item]
    return value >= situation.threshold("qsofa", name)


def sepsis_flags(situation: Situation) -> Iterator[Flag]:
    """A positive screen in the last hours."""
    if not (situation.has("qsofa") and situation.has("news2")):
        return
    screens = [screen(situation, vitals) for vitals in vital_sets(situation)]
    worst = max(screens, key=lambda found: len(found.met), default=None)
    if worst is not None and len(worst.met) >= situation.threshold("qsofa", "criteria_needed"):
        yield _flag(situation, worst)


def _flag(situation: Situation, found: Screen) -> Flag:
    at_risk = is_at_risk(situation)
    items = phrases.listed([_value(situation, vital) for vital in found.met])
    return Flag(
        kind=FlagKind.SEPSIS_SCREEN,
        time=max(vital.reading.time for vital in found.met),
        urgency=Urgency.NOW if at_risk else Urgency.TODAY,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("sepsis.call_now" if at_risk else "sepsis.call_today"),),
            reason=(say("sepsis.found", items=items),),
            clinician=(_named(found), say("sepsis.items", items=items), say("sepsis.source")),
            would_change=(say("sepsis.would_change"),),
            limits=(say("sepsis.limits"),),
            data_quality=(
                *phrases.doubted(vital.reading for vital in found.known),
                *(() if at_risk else (say("sepsis.infection_unknown"),)),
            ),
        ),
        evidence=tuple(evidence(vital.reading) for vital in found.known),
        bound=situation.bound("qsofa", "criteria_needed"),
    )


def _named(found: Screen) -> Message:
    if not found.missing:
        return say("sepsis.full", met=len(found.met), of=len(CRITERIA))
    missing = phrases.listed([WORDS[item] for item in found.missing])
    return say("sepsis.partial", met=len(found.met), known=len(found.known), of=len(CRITERIA), missing=missing)


def _value(situation: Situation, vital: Vital) -> Message:
    time = situation.local(vital.reading.time)
    if vital.item == "consciousness":
        return say(f"news2.acvpu_{int(vital.value)}", time=time)
    return say("phrases.reading", name=WORDS[vital.item], value=vital.value, unit=vital.reading.code.unit, time=time)
