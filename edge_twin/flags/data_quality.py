"""Data that say nothing about the patient are said to say nothing: one flag for each stream, with its reason.

No value of such a stream reaches a clinical rule; the flag tells what is missing and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features import Feature
from edge_twin.flag import Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin, Quality
from edge_twin.wording import Message, say

STREAMS: Mapping[codes.Code, str] = {
    codes.HEART_RATE: "heart rate",
    codes.PULSE_RATE: "pulse",
    codes.OXYGEN_SATURATION: "oxygen saturation",
    codes.SYSTOLIC_PRESSURE: "blood pressure",
    codes.BODY_TEMPERATURE: "temperature",
    codes.RESPIRATORY_RATE: "breathing rate",
    codes.BODY_WEIGHT: "weight",
    codes.NEUTROPHILS: "neutrophils",
    codes.LEUKOCYTES: "leukocytes",
    codes.GLUCOSE_CAPILLARY: "glucose",
    codes.GLUCOSE_INTERSTITIAL: "glucose",
}
"""Streams whose faults are told, and how sentences call them."""

_STUCK = (codes.HEART_RATE, codes.PULSE_RATE, codes.BODY_TEMPERATURE)
FEATURE_REASONS = frozenset(
    ("stuck_sensor", "flat_line", "unit_change_suspected", "clock_jump_suspected", "too_much_noise")
)
"""Reasons of a day's features that are faults of the data rather than a day without wear."""

_MOVEMENT, _LOOSE, _NO_CONTACT = "movement", "cuff_loose", "no_contact"


class _Fault(NamedTuple):
    """What is wrong with a stream, and the readings that show it."""

    reason: str
    readings: Sequence[Observation]


def data_quality_flags(situation: Situation) -> Iterator[Flag]:
    """One flag for each stream whose newest readings cannot be used, and for readings that did not come."""
    if not situation.has("data_quality"):
        return
    told: set[str] = set()
    for code in STREAMS:
        if (fault := _fault(situation, code)) is not None:
            told.add(code.name)
            yield _flag(situation, code.name, STREAMS[code], fault)
    yield from _of_features(situation, told)
    yield from _clock(situation)
    yield from _absent(situation)


def _recent(situation: Situation, code: codes.Code) -> Sequence[Observation]:
    oldest = situation.now - situation.span("data_quality", "active_hours")
    return [reading for reading in situation.of(code) if reading.time >= oldest]


def _fault(situation: Situation, code: codes.Code) -> _Fault | None:
    """The fault of the newest readings of one stream; None when the newest can be used."""
    readings = _recent(situation, code)
    unusable = _trailing_unusable(readings)
    if unusable:
        return _Fault(_why(unusable[-1]), (unusable[0], unusable[-1]))
    if code in _STUCK and (run := _stuck(situation, readings)):
        return _Fault("stuck", (run[0], run[-1]))
    return None


def _trailing_unusable(readings: Sequence[Observation]) -> Sequence[Observation]:
    count = 0
    while count < len(readings) and not readings[-1 - count].is_usable:
        count += 1
    return readings[len(readings) - count :]


def _why(reading: Observation) -> str:
    """Why a reading cannot be used, as its device or the plausible range says."""
    if reading.quality is Quality.IMPLAUSIBLE:
        return "implausible"
    if reading.code == codes.HEART_RATE:
        return (
            _NO_CONTACT
            if reading.attributes.get("contact") == "no"
            else "rate_of_zero"
            if not reading.value
            else "invalid"
        )
    status = reading.attributes.get("measurement_status", "")
    return next((name for name in (_MOVEMENT, _LOOSE) if name in status), "invalid")


def _stuck(situation: Situation, readings: Sequence[Observation]) -> Sequence[Observation]:
    """The newest readings of the newest source, if they are many and exactly equal for long."""
    own = [o for o in readings if o.is_usable and o.source == readings[-1].source] if readings else []
    first = len(own)
    while first > 0 and own[first - 1].value == own[-1].value:
        first -= 1
    run = own[first:]
    enough = len(run) >= situation.threshold("data_quality", "stuck_readings")
    lasting = enough and run[-1].time - run[0].time >= situation.span("data_quality", "stuck_minutes")
    return run if lasting else ()


def _flag(situation: Situation, topic: str, stream: str, fault: _Fault) -> Flag:
    first, last = fault.readings[0], fault.readings[-1]
    said = say(
        f"data_quality.{fault.reason}",
        stream=stream,
        value=last.value,
        unit=last.code.unit,
        since=situation.local(first.time),
        time=situation.local(last.time),
    )
    shown = tuple(evidence(o) for o in dict.fromkeys(fault.readings))
    return _made(situation, topic, last, said, _ACTIONS.get(fault.reason, "check"), shown)


_ACTIONS = {_MOVEMENT: "repeat_at_rest", _LOOSE: "repeat_at_rest", _NO_CONTACT: "contact", "rate_of_zero": "contact"}


def _made(  # noqa: PLR0913, PLR0917 - the parts of one flag, from one place each
    situation: Situation, topic: str, last: Observation, said: Message, action: str, shown: tuple[Evidence, ...]
) -> Flag:
    return Flag(
        kind=FlagKind.DATA_QUALITY,
        topic=topic,
        time=min(last.time, situation.now),
        urgency=Urgency.NOTE,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say(f"data_quality.action_{action}"),),
            reason=(said,),
            would_change=(say("data_quality.would_change"),),
            limits=(say("data_quality.limits"),),
        ),
        evidence=shown,
    )


def _of_features(situation: Situation, told: set[str]) -> Iterator[Flag]:
    """Faults that only a whole day shows, as its features state them."""
    oldest = situation.now - situation.span("data_quality", "active_hours")
    newest: dict[str, Feature] = {}
    for feature in situation.features:
        if feature.end >= oldest:
            newest[feature.name] = feature
    for feature in newest.values():
        if feature.reason in FEATURE_REASONS and feature.name not in told:
            yield _feature_flag(situation, feature)


def _feature_flag(situation: Situation, feature: Feature) -> Flag:
    said = say(
        f"data_quality.feature_{feature.reason}",
        feature=feature.name.replace("_", " "),
        time=situation.local(feature.start),
    )
    return Flag(
        kind=FlagKind.DATA_QUALITY,
        topic=feature.name,
        time=min(feature.end, situation.now),
        urgency=Urgency.NOTE,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("data_quality.action_check"),),
            reason=(said,),
            would_change=(say("data_quality.would_change"),),
            limits=(say("data_quality.limits"),),
        ),
    )


def _clock(situation: Situation) -> Iterator[Flag]:
    """Readings from the future, or of a device whose clock is not set."""
    latest = situation.now + situation.span("data_quality", "clock_ahead_minutes")
    ahead = [o for o in situation.given.observations if o.time > latest]
    if ahead:
        last = max(ahead, key=lambda o: (o.time, o.id))
        said = say("data_quality.clock_ahead", number=len(ahead), time=situation.local(last.time))
        yield _made(situation, "clock", last, said, "clock", (evidence(last),))


def _absent(situation: Situation) -> Iterator[Flag]:
    """No reading of any kind for a day, where there were some before."""
    last = max((o.time for o in situation.observations), default=None)
    ends = [f.end for f in situation.features if f.count and f.end <= situation.now]
    newest = max((time for time in (last, max(ends, default=None)) if time is not None), default=None)
    if newest is None or situation.now - newest <= situation.span("data_quality", "absent_hours"):
        return
    said = say("data_quality.absent", time=situation.local(newest))
    yield Flag(
        kind=FlagKind.DATA_QUALITY,
        topic="all",
        time=newest + situation.span("data_quality", "absent_hours"),
        urgency=Urgency.NOTE,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("data_quality.action_wear"),),
            reason=(said,),
            would_change=(say("data_quality.would_change"),),
            limits=(say("data_quality.limits"),),
        ),
        bound=situation.bound("data_quality", "absent_hours"),
    )
