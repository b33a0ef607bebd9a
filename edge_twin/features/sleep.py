"""The sleep period that ends on a day, from the angle of the arm (docs/features.md).

After van Hees and others: the period from Sci Rep 2018;8:12975 (HDCZA), the sleep in it from PLoS ONE
2015;10:e0142533. Both were made for epochs of five seconds; here a minute is the epoch, so their performance
does not carry over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edge_twin.features import names
from edge_twin.features.day import Day
from edge_twin.features.feature import Feature, middle, quantile
from edge_twin.features.settings import number
from edge_twin.features.wear import Motion

PERIOD, DURATION = "sleep_period_day", "sleep_duration_day"
EFFICIENCY, MID_SLEEP = "sleep_efficiency_day", names.MID_SLEEP
_UNITS = {PERIOD: "h", DURATION: "h", EFFICIENCY: "1", MID_SLEEP: "h"}
NOON = 720  # minutes after midnight
_WINDOW = 5


class Period(NamedTuple):
    """A sleep period in minutes from local midnight, both ends included."""

    first: int
    last: int

    @property
    def minutes(self) -> int:
        """Length."""
        return self.last - self.first + 1


class Night(NamedTuple):
    """The night that ends on a day.

    Attributes:
        period: of sleep, or None.
        reason: why there is none whose length may be told; empty when it may.
    """

    period: Period | None
    reason: str


def night_of(motion: Motion) -> Night:
    """The sleep period between noon of the day before and noon, or why there is none."""
    reason = _why_not(motion)
    period = None if reason else sleep_period(motion.angle)
    if period is None:
        return Night(None, reason or "no_sleep_period")
    if not _is_seen_whole(period, motion.angle):
        return Night(period, "cut_by_a_gap")
    seen = sum(minute in motion.angle for minute in range(period.first, period.last + 1))
    enough = seen >= (1.0 - number("sleep", "gap_share")) * period.minutes
    return Night(period, "" if enough else "too_many_gaps")


def sleep_features(day: Day, motion: Motion, night: Night) -> Iterator[Feature]:
    """Length, sleep within, efficiency and middle of the period of sleep."""
    period = night.period
    if period is None or night.reason:
        yield from _refused(day, motion, night.reason)
        return
    seen = {m: motion.angle[m] for m in range(period.first, period.last + 1) if m in motion.angle}
    asleep = sum(last - first + 1 for first, last in inactive_bouts(seen))
    values = (period.minutes / 60.0, asleep / 60.0, asleep / period.minutes, (period.first + period.last + 1) / 120.0)
    for (name, unit), value in zip(_UNITS.items(), values, strict=True):
        yield day.number(name, value, unit, len(seen), period.minutes)


def _refused(day: Day, motion: Motion, reason: str) -> Iterator[Feature]:
    yield from (day.refused(name, unit, reason, 0, motion.total) for name, unit in _UNITS.items())


def _why_not(motion: Motion) -> str:
    if motion.reason:
        return motion.reason
    night = sum(-NOON <= minute < NOON for minute in motion.angle)
    return "" if night >= number("sleep", "worn_minutes") else "too_little_wear"


def _is_seen_whole(period: Period, angle: Mapping[int, float]) -> bool:
    """Whether its beginning and its end were watched, and are not those of a hole in the data."""
    before = range(period.first - _WINDOW, period.first)
    after = range(period.last + 1, period.last + 1 + _WINDOW)
    return all(any(m in angle and m - 1 in angle for m in minutes) for minutes in (before, after))


def sleep_period(angle: Mapping[int, float]) -> Period | None:
    """The longest stretch of stillness between noon and noon, or None.

    Args:
        angle: of the arm in degrees, by minute from midnight; worn minutes alone.
    """
    blocks = still_blocks({minute: value for minute, value in angle.items() if -NOON <= minute < NOON})
    return max(blocks, key=lambda block: block.minutes, default=None)


def still_blocks(angle: Mapping[int, float]) -> list[Period]:
    """Blocks of at least half an hour in which the 5-minute median change stays low; short gaps are closed.

    Args:
        angle: of the arm in degrees, by minute.
    """
    changes = median_changes(angle)
    if not changes:
        return []
    limit = _limit(changes)
    shortest, gap = number("sleep", "block_minutes"), number("sleep", "gap_minutes")
    blocks = _still_runs(changes, limit)
    joined: list[Period] = []
    for block in (block for block in blocks if block.minutes >= shortest):
        if joined and block.first - joined[-1].last - 1 < gap:
            joined[-1] = Period(joined[-1].first, block.last)
        else:
            joined.append(block)
    return joined


def _still_runs(changes: Mapping[int, float], limit: float) -> list[Period]:
    """Runs of still minutes; a hole of a few minutes does not end one, a minute of movement does."""
    found: list[Period] = []
    moved = True
    for minute in sorted(changes):
        if changes[minute] >= limit:
            moved = True
        elif moved or minute - found[-1].last > _WINDOW:
            found.append(Period(minute, minute))
            moved = False
        else:
            found[-1] = Period(found[-1].first, minute)
    return found


def _limit(changes: Mapping[int, float]) -> float:
    """HDCZA's threshold, never above the 5 degrees of the sleep rule."""
    low = quantile(tuple(changes.values()), number("sleep", "still_percentile") / 100.0)
    floor, ceiling = number("sleep", "still_floor_degrees"), number("sleep", "angle_degrees")
    return min(max(number("sleep", "still_factor") * low, floor), ceiling)


def median_changes(angle: Mapping[int, float]) -> dict[int, float]:
    """Median of the absolute changes from minute to minute over the five minutes around each one.

    Args:
        angle: in degrees, by minute; a minute without neighbours in the window has no change.
    """
    change = {minute: abs(value - angle[minute - 1]) for minute, value in angle.items() if minute - 1 in angle}
    return {minute: middle([change[m] for m in _around(minute) if m in change]) for minute in change}


def _around(minute: int) -> range:
    half = _WINDOW // 2
    return range(minute - half, minute + half + 1)


def inactive_bouts(angle: Mapping[int, float]) -> list[tuple[int, int]]:
    """Stretches of at least five minutes in which the angle never changes by more than 5 degrees.

    Args:
        angle: in degrees, by minute.
    """
    largest, shortest = number("sleep", "angle_degrees"), number("sleep", "angle_minutes")
    found: list[tuple[int, int]] = []
    for minute in sorted(angle):
        follows = found and found[-1][1] == minute - 1
        if follows and abs(angle[minute] - angle[minute - 1]) <= largest:
            found[-1] = (found[-1][0], minute)
        else:
            found.append((minute, minute))
    return [(first, last) for first, last in found if last - first + 1 >= shortest]


def asleep_minutes(day: Day, motion: Motion, night: Night) -> frozenset[int] | None:
    """Minutes of a day in its sleep period or in a still block that runs into its end; None without a period."""
    if night.period is None:
        return None
    asleep = set(range(max(night.period.first, 0), night.period.last + 1))
    for block in still_blocks({minute: value for minute, value in motion.angle.items() if minute >= NOON}):
        if block.last >= day.minutes - _WINDOW:
            asleep.update(range(block.first, day.minutes))
    return frozenset(asleep)
