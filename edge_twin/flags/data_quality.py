"""Data that say nothing about the patient are said to say nothing: one flag for each stream, with its reason.

No value of such a stream reaches a clinical rule; the flag tells what is missing and what to do about it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features import Feature
from edge_twin.flag import Bound, Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
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

_STUCK = (codes.HEART_RATE, codes.PULSE_RATE)
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
            told.add(_stem(code))
            yield _flag(situation, code.name, STREAMS[code], fault)
    yield from _of_features(situation, told)
    yield from _clock(situation)
    yield from _absent(situation)


def _recent(situation: Situation, code: codes.Code) -> Sequence[Observation]:
    oldest = situation.now - situation.span("data_quality", "active_hours")
    readings = situation.of(code)
    return readings[bisect_left(readings, oldest, key=lambda reading: reading.time) :]


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
    own = (o for o in reversed(readings) if o.is_usable and o.source == readings[-1].source)
    run = list(takewhile(lambda o: o.value == readings[-1].value, own))[::-1]
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
    return _made(topic, min(last.time, situation.now), said, _ACTIONS.get(fault.reason, "check"), shown=shown)


_ACTIONS = {_MOVEMENT: "repeat_at_rest", _LOOSE: "repeat_at_rest", _NO_CONTACT: "contact", "rate_of_zero": "contact"}


def _made(  # noqa: PLR0913 - the parts of one flag
    topic: str,
    time: datetime,
    said: Message,
    action: str,
    *,
    shown: tuple[Evidence, ...] = (),
    bound: Bound | None = None,
) -> Flag:
    return Flag(
        kind=FlagKind.DATA_QUALITY,
        topic=topic,
        time=time,
        urgency=Urgency.NOTE,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say(f"data_quality.action_{action}"),),
            reason=(said,),
            would_change=(say("data_quality.would_change"),),
            limits=(say("data_quality.limits"),),
        ),
        evidence=shown,
        bound=bound,
    )


def _stem(code: codes.Code) -> str:
    """What the names of features of this stream hold, too."""
    return code.name.removeprefix("body_")


def faulty_features(situation: Situation, reason: str) -> list[Feature]:
    """The newest features of the last day that have this reason."""
    oldest = situation.now - situation.span("data_quality", "active_hours")
    newest = {feature.name: feature for feature in situation.features if feature.end >= oldest}
    return [feature for feature in newest.values() if feature.reason == reason]


def _of_features(situation: Situation, told: set[str]) -> Iterator[Flag]:
    """Faults that only a whole day shows: one flag for each kind of fault, without streams that are told already."""
    for reason in sorted(FEATURE_REASONS):
        found = faulty_features(situation, reason)
        faulty = [feature for feature in found if not any(stem in feature.name for stem in told)]
        if faulty:
            yield _feature_flag(situation, reason, faulty)


def _feature_flag(situation: Situation, reason: str, faulty: Sequence[Feature]) -> Flag:
    said = say(
        f"data_quality.feature_{reason}",
        features=phrases.listed([feature.name.replace("_", " ") for feature in faulty]),
        time=situation.local(max(feature.start for feature in faulty)),
    )
    time = min(max(feature.end for feature in faulty), situation.now)
    return _made(f"day_{reason}", time, said, "check")


def _clock(situation: Situation) -> Iterator[Flag]:
    """Readings from the future, or of a device whose clock is not believed."""
    latest = situation.now + situation.span("data_quality", "clock_ahead_minutes")
    ahead = [o for o in situation.given.observations if o.time > latest]
    doubted = [o for code in STREAMS for o in _recent(situation, code)[-1:] if "time_reason" in o.attributes]
    if ahead:
        last = max(ahead, key=_order)
        said = say("data_quality.clock_ahead", number=len(ahead), time=situation.local(last.time))
        bound = situation.bound("data_quality", "clock_ahead_minutes")
        yield _made("clock", situation.now, said, "clock", shown=(evidence(last),), bound=bound)
    elif doubted:
        last = max(doubted, key=_order)
        said = say("data_quality.clock_doubted", stream=STREAMS[last.code], time=situation.local(last.time))
        yield _made("clock", min(last.time, situation.now), said, "clock", shown=(evidence(last),))


def _order(reading: Observation) -> tuple[datetime, str]:
    return reading.time, reading.id


def _absent(situation: Situation) -> Iterator[Flag]:
    """No reading of any kind for a day, where there were some before."""
    last = max((o.time for o in situation.observations), default=None)
    ends = [f.end for f in situation.features if f.count and f.end <= situation.now]
    newest = max((time for time in (last, max(ends, default=None)) if time is not None), default=None)
    longest = situation.span("data_quality", "absent_hours")
    if newest is None or situation.now - newest <= longest:
        return
    said = say("data_quality.absent", time=situation.local(newest))
    yield _made("all", newest + longest, said, "wear", bound=situation.bound("data_quality", "absent_hours"))
