"""Wear of a motion sensor, minutes with readings of other streams, and whether a day has any reading at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features.day import Day
from edge_twin.features.feature import Feature
from edge_twin.features.heart_stream import STREAMED
from edge_twin.features.quality import (
    CLOCK,
    NO_READING,
    STUCK,
    Minutes,
    by_minute,
    main_source,
    stuck_after,
    without_stuck,
)
from edge_twin.features.settings import number

WEAR = "motion_wear_minutes_day"
ANY = "reading_minutes_day"
STREAMS = (codes.PULSE_RATE, codes.OXYGEN_SATURATION)  # minutes of the heart come from its own stream
UNIT = "min"


class Motion(NamedTuple):
    """What the motion sensor of a day says, minute by minute from 12 hours before the day to its end.

    Attributes:
        worn: minutes with a spread that are not part of an hour of stillness; None without a spread.
        angle: angle of the arm in degrees, without minutes in which it was not worn.
        enmo: mean excess over gravity in m[g].
        reason: why none of it may be used; empty when it may.
        readings, total: used and received readings of spread or, without one, of the angle.
    """

    worn: frozenset[int] | None
    angle: Mapping[int, float]
    enmo: Mapping[int, float]
    reason: str
    readings: int
    total: int


def motion_of(day: Day) -> Motion | None:
    """The motion of a day; None when nothing of it was received on the day itself."""
    if not any(day.of(code) for code in (codes.MOTION_ENMO, codes.MOTION_ANGLE, codes.MOTION_SPREAD)):
        return None
    spread = _minutes(day, codes.MOTION_SPREAD, may_rest=False)
    # A still arm keeps its angle and an excess of nothing; without a spread, only the angle can tell a stuck sensor.
    angle = _minutes(day, codes.MOTION_ANGLE, may_rest=bool(spread.total))
    enmo = _minutes(day, codes.MOTION_ENMO, may_rest=True)
    chief = spread if spread.total else angle if angle.total else enmo
    worn = frozenset(spread.values) - non_wear(spread.values) if spread.total else None
    kept = {minute: value for minute, value in angle.values.items() if worn is None or minute in worn}
    return Motion(worn, kept, enmo.values, chief.reason, chief.readings, chief.total)


def _minutes(day: Day, code: codes.Code, *, may_rest: bool) -> Minutes:
    readings = main_source(day.with_evening(code))
    moving = readings if may_rest else without_stuck([r for r in readings if r.is_usable], stuck_after("motion"))
    found = by_minute(moving, day.minute, _mean)
    stuck = not found.values and any(reading.is_usable for reading in readings)
    return found._replace(total=len(readings), reason=STUCK if stuck else found.reason)


def _mean(values: Iterable[float]) -> float:
    members = tuple(values)
    return sum(members) / len(members)


def non_wear(spread: Mapping[int, float]) -> frozenset[int]:
    """Minutes in runs of at least an hour in which the sensor lay still (second smallest axis below 13 m[g]).

    Args:
        spread: in m[g] by minute; a missing minute ends a run.
    """
    still = number("wear", "nonwear_spread_mg")
    quiet = runs(minute for minute in sorted(spread) if spread[minute] < still)
    shortest = number("wear", "nonwear_minutes")
    return frozenset(m for first, last in quiet if last - first + 1 >= shortest for m in range(first, last + 1))


def runs(minutes: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbouring minutes.

    Args:
        minutes: ascending.
    """
    found: list[tuple[int, int]] = []
    for minute in minutes:
        if found and minute == found[-1][1] + 1:
            found[-1] = (found[-1][0], minute)
        else:
            found.append((minute, minute))
    return found


def wear_features(day: Day, motion: Motion | None, *, asked: bool) -> Iterator[Feature]:
    """Minutes of wear and of readings.

    Args:
        day: the day.
        motion: of the day.
        asked: whether the day itself was asked for: then it is said when it holds nothing.
    """
    if motion is not None:
        yield _wear(day, motion)
    for code in STREAMS:
        readings = day.of(code)
        if usable := [reading for reading in readings if reading.is_usable]:
            minutes = {day.minute(reading.time) for reading in usable}
            name = f"{code.name}_minutes_day"
            yield day.number(name, float(len(minutes)), UNIT, len(usable), len(readings))
    if asked:
        yield _any(day)


def _wear(day: Day, motion: Motion) -> Feature:
    if motion.worn is None or motion.reason in (CLOCK, STUCK, NO_READING):
        reason = motion.reason or "no_motion_spread"
        return day.refused(WEAR, UNIT, reason, 0, motion.total)
    worn = sum(0 <= minute < day.minutes for minute in motion.worn)
    return day.number(WEAR, float(worn), UNIT, motion.readings, motion.total)


def _any(day: Day) -> Feature:
    """Of all readings but those of the heart, which a device distils as they come and does not read again."""
    others = [reading for readings in day.readings.values() for reading in readings if reading.code not in STREAMED]
    usable = [reading for reading in others if reading.is_usable]
    if not usable:
        return day.refused(ANY, UNIT, "no_usable_reading" if others else "no_data", 0, len(others))
    return day.number(ANY, float(len({day.minute(r.time) for r in usable})), UNIT, len(usable), len(others))
