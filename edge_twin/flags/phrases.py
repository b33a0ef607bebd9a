"""Phrases that several rules share: lists of words, readings with their time, and the sentence about medicines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from edge_twin.care import Medicine, MedicineKind
from edge_twin.flags.situation import Situation
from edge_twin.observation import Observation, Quality
from edge_twin.wording import Message, Text, Values, say

Word = str | Message


def listed(words: Sequence[Word]) -> Word:
    """Words or phrases one after the other, as one value of a template.

    Args:
        words: at least one.
    """
    first, *rest = words
    return say("phrases.listed", first=first, rest=listed(rest)) if rest else first


def reading(situation: Situation, name: str, observation: Observation) -> Message:
    """A reading with its unit and time."""
    return say(
        "phrases.reading",
        name=name,
        value=observation.value,
        unit=observation.code.unit,
        time=situation.local(observation.time),
    )


def medicines(situation: Situation, kinds: Sequence[MedicineKind], within: timedelta = timedelta(0)) -> Message:
    """Which medicines of these kinds are taken, or that it is not recorded.

    Args:
        situation: as the rule sees it.
        kinds: at least one.
        within: one that was last taken so long ago counts too, since it can still act.
    """
    taken = [m for kind in kinds for m in situation.care.acting(kind, situation.now, within)]
    if taken:
        id_ = "phrases.taken_hiding" if MedicineKind.ANTIPYRETIC in kinds else "phrases.taken"
        return say(id_, medicines=listed([_since(situation, m) for m in taken]))
    named = listed([kind.value.replace("_", " ") for kind in kinds])
    if all(situation.care.is_excluded(kind, situation.now, within) for kind in kinds):
        return say("phrases.none_taken", kinds=named)
    return say("phrases.not_recorded", kinds=named)


def doubted(readings: Iterable[Observation]) -> Text:
    """That the device itself doubts readings that a flag rests on; nothing when it does not."""
    times = [reading for reading in readings if reading.quality is Quality.QUESTIONABLE]
    return (say("phrases.doubted", number=len(times)),) if times else ()


def _since(situation: Situation, medicine: Medicine) -> Message:
    said: Values = {
        "name": medicine.name,
        "kind": medicine.kind.value.replace("_", " "),
        "time": situation.local(medicine.start),
    }
    if medicine.is_taken(situation.now) or medicine.end is None:
        return say("phrases.medicine", **said)
    return say("phrases.medicine_ended", **said, last=situation.local(medicine.end))
