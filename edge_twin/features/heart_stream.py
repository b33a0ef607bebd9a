"""The heart as it comes: the two newest local days stay in memory, older ones are made anew from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.features.calendar import day_bounds, local_date
from edge_twin.features.feature import Feature
from edge_twin.features.heart_day import HEART_NAMES, HeartDay
from edge_twin.observation import Observation

STREAMED = frozenset((codes.RR_INTERVAL, codes.HEART_RATE, codes.MOTION_RESPIRATION))
"""Codes whose readings reach features through this stream alone; steps are summed elsewhere as well."""

_LIVE_DAYS = 2  # what comes a little late over midnight still finds its day


class HeartStream:
    """Keeps the newest days; constant memory.

    Args:
        zone: the patient's.
        first_day: readings of this local day and later ones are given here as they come. For an earlier day
            the caller has to read back what it stored.

    Attributes:
        to_remake: local days whose features need all their readings in order: late beats, or a day before the
            ones in memory.
    """

    def __init__(self, zone: ZoneInfo, first_day: date) -> None:
        self.to_remake: set[date] = set()
        self._zone = zone
        self._first_day = first_day
        self._days: dict[date, HeartDay] = {}

    def push(self, readings: Iterable[Observation]) -> tuple[Feature, ...]:
        """Take new readings, in any order and of any code; returns the features that became final by them."""
        found: list[Feature] = []
        days = groupby(sorted((r for r in readings if r.code.name in HEART_NAMES), key=_order), _DayOf(self._zone))
        for day, of_day in days:
            found += self._open(day)
            if day in self._days and day not in self.to_remake:
                found += self._push(day, of_day)
            else:
                self.to_remake.add(day)
        return tuple(found)

    def _push(self, day: date, readings: Iterable[Observation]) -> Iterator[Feature]:
        live = self._days[day]
        for reading in readings:
            yield from live.push(reading)
        if live.late:
            self.to_remake.add(day)

    def summaries(self) -> tuple[Feature, ...]:
        """Features of the days in memory that changed since they were last asked, but for those to be made anew."""
        changed = [day for name, day in self._days.items() if day.changed and name not in self.to_remake]
        return tuple(feature for day in changed for feature in day.summary())

    def remake(self, day: date, readings: Sequence[Observation]) -> tuple[Feature, ...]:
        """Make a day anew; returns all its features (and those of a day that leaves the memory for it).

        Args:
            day: a local day.
            readings: everything of the heart on that day, each once, in any order.
        """
        made = HeartDay(day, self._zone)
        features = [feature for reading in sorted(readings, key=_order) for feature in made.push(reading)]
        self.to_remake.discard(day)
        features += made.summary()
        return (*features, *self._keep(day, made))

    def implausible(self) -> Iterator[Observation]:
        """One reading that was held back for each day in memory that has one."""
        return (day.implausible for day in self._days.values() if day.implausible is not None)

    def _open(self, day: date) -> tuple[Feature, ...]:
        """Begin a day that is newer than all in memory; returns the features of the day that leaves."""
        if day in self._days or day < max(self._days, default=self._first_day):
            return ()
        return self._keep(day, HeartDay(day, self._zone))

    def _keep(self, day: date, made: HeartDay) -> tuple[Feature, ...]:
        self._days[day] = made
        if len(self._days) <= _LIVE_DAYS:
            return ()
        oldest = min(self._days)
        leaving = self._days.pop(oldest)
        return leaving.summary() if leaving.changed and oldest not in self.to_remake else ()


class _DayOf:
    """The local day of a reading; neighbours are mostly of one day, and its bounds are asked for once."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._day = date.min
        self._bounds: tuple[datetime, datetime] | None = None

    def __call__(self, reading: Observation) -> date:
        if self._bounds is None or not self._bounds[0] <= reading.time < self._bounds[1]:
            self._day = local_date(reading.time, self._zone)
            self._bounds = day_bounds(self._day, self._zone)
        return self._day


def _order(reading: Observation) -> tuple[object, ...]:
    return reading.time, reading.source, reading.code.code, reading.sequence, reading.value
