"""Steps, cadence, active and sedentary minutes of a day (docs/features.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_twin import codes
from edge_twin.features import names
from edge_twin.features.day import Day, Readings
from edge_twin.features.feature import Feature, middle
from edge_twin.features.quality import (
    CLOCK,
    Minutes,
    by_minute,
    epoch_seconds,
    main_source,
    screen,
)
from edge_twin.features.settings import number
from edge_twin.features.sleep import Night, asleep_minutes
from edge_twin.features.wear import Motion, runs

STEPS, SOURCES = "steps_day", "steps_sources_day"
PEAK, BRISK = "cadence_peak_30_day", "brisk_minutes_day"
WALKING = names.WALKING
ACTIVE = "active_minutes_day"
SEDENTARY, BOUTS = "sedentary_minutes_day", "sedentary_bouts_day"
SPEED = "gait_speed_day"
_PER_MINUTE = "/min"
LONGEST_EPOCH = 60.0


def activity_features(day: Day, motion: Motion | None, night: Night | None) -> Iterator[Feature]:
    """What a day's steps and motion say; nothing for what was not received."""
    minutes = None
    if readings := day.of(codes.STEPS):
        chosen = main_source(readings)
        minutes = _step_minutes(day, chosen)
        yield from _steps(day, readings, chosen, minutes)
    if minutes is not None and minutes.total:
        yield from _cadence(day, minutes, motion)
        yield from _sedentary(day, minutes, motion, night)
    if motion is not None and motion.enmo:
        yield _active(day, motion)
    if speeds := day.of(codes.SPEED):
        yield _speed(day, speeds)


def _steps(day: Day, readings: Readings, chosen: Readings, minutes: Minutes) -> Iterator[Feature]:
    screened = screen(chosen)
    reason = screened.reason or (CLOCK if minutes.reason == CLOCK else "")
    used = len(screened.readings)
    if reason:
        yield day.refused(STEPS, "{steps}", reason, 0, len(chosen))
    else:
        yield day.number(STEPS, math.fsum(screened.values), "{steps}", used, len(chosen))
    sources = len({reading.source for reading in readings})
    if sources > 1:
        yield day.number(SOURCES, float(sources), "{count}", len(readings))


def _step_minutes(day: Day, chosen: Readings) -> Minutes:
    """Steps by minute, of readings that sum up a minute or less; a day's total has no minutes."""
    fine = [reading for reading in chosen if 0.0 < epoch_seconds(reading) <= LONGEST_EPOCH]
    return by_minute(fine, day.minute, math.fsum)


def _worn(day: Day, minutes: Minutes, motion: Motion | None) -> set[int]:
    """Minutes of the day in which steps could be counted: a counter on a table counts none."""
    told = {minute for minute in minutes.values if 0 <= minute < day.minutes}
    return told if motion is None or motion.worn is None else told & motion.worn


def _cadence(day: Day, minutes: Minutes, motion: Motion | None) -> Iterator[Feature]:
    worn = _worn(day, minutes, motion)
    names = ((PEAK, _PER_MINUTE), (BRISK, "min"), (WALKING, _PER_MINUTE))
    reason = minutes.reason or _too_little(len(worn))
    if reason:
        yield from (day.refused(name, unit, reason, 0, minutes.total) for name, unit in names)
        return
    # Steps themselves are a proof of wear.
    values = sorted((value for minute, value in minutes.values.items() if value > 0 or minute in worn), reverse=True)
    most = int(number("activity", "peak_minutes"))
    yield day.number(PEAK, math.fsum(values[:most]) / most, _PER_MINUTE, minutes.readings, minutes.total)
    brisk = sum(value >= number("activity", "brisk_cadence_per_min") for value in values)
    yield day.number(BRISK, float(brisk), "min", minutes.readings, minutes.total)
    walking = [value for value in values if value >= number("activity", "walking_cadence_per_min")]
    if len(walking) < number("activity", "walking_minutes"):
        yield day.refused(WALKING, _PER_MINUTE, "too_little_walking", len(walking), minutes.total)
    else:
        yield day.number(WALKING, middle(walking), _PER_MINUTE, len(walking))


def _too_little(worn: int) -> str:
    return "" if worn >= number("activity", "worn_minutes") else "too_little_wear"


def _active(day: Day, motion: Motion) -> Feature:
    """Minutes of at least moderate acceleration."""
    told = [m for m in motion.enmo if 0 <= m < day.minutes and (motion.worn is None or m in motion.worn)]
    reason = motion.reason or _too_little(len(told))
    if reason:
        return day.refused(ACTIVE, "min", reason, 0, motion.total)
    active = sum(motion.enmo[minute] >= number("activity", "moderate_enmo_mg") for minute in told)
    return day.number(ACTIVE, float(active), "min", len(told))


def _sedentary(day: Day, minutes: Minutes, motion: Motion | None, night: Night | None) -> Iterator[Feature]:
    """Bouts of half an hour and more, worn and awake, without a step."""
    names = ((SEDENTARY, "min"), (BOUTS, "{count}"))
    worn = _worn(day, minutes, motion)
    asleep = None if motion is None or night is None else asleep_minutes(day, motion, night)
    reason = minutes.reason or _too_little(len(worn)) or ("" if asleep is not None else "no_sleep_period")
    if reason:
        yield from (day.refused(name, unit, reason, 0, minutes.total) for name, unit in names)
        return
    quiet = sorted(minute for minute in worn - (asleep or frozenset()) if minutes.values[minute] == 0)
    shortest = number("activity", "sedentary_bout_minutes")
    bouts = [last - first + 1 for first, last in runs(quiet) if last - first + 1 >= shortest]
    for (name, unit), value in zip(names, (float(sum(bouts)), float(len(bouts))), strict=True):
        yield day.number(name, value, unit, minutes.readings, minutes.total)


def _speed(day: Day, readings: Readings) -> Feature:
    """Median of the speeds of a foot pod while it walks; a proxy of a timed walk, not one."""
    screened = screen(readings)
    slowest, fastest = number("activity", "slowest_walk_m_per_s"), number("activity", "fastest_walk_m_per_s")
    walking = [value for value in screened.values if slowest <= value <= fastest]
    reason = screened.reason or ("" if walking else "too_little_walking")
    if reason:
        return day.refused(SPEED, "m/s", reason, 0, screened.total)
    return day.number(SPEED, middle(walking), "m/s", len(walking), screened.total)
