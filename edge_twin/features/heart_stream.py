"""The heart as it comes: the two newest local days stay in memory, older ones are made anew from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.features.calendar import local_date
from edge_twin.features.feature import Feature
from edge_twin.features.heart_day import HEART_CODES, HeartDay
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
        for reading in sorted((r for r in readings if r.code in HEART_CODES), key=_order):
            day = local_date(reading.time, self._zone)
            found += self._open(day)
            if day in self._days and day not in self.to_remake:
                found += self._days[day].push(reading)
                self._note_late(day)
            else:
                self.to_remake.add(day)
        return tuple(found)

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

    def _note_late(self, day: date) -> None:
        if self._days[day].late:
            self.to_remake.add(day)

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


def _order(reading: Observation) -> tuple[object, ...]:
    return reading.time, reading.source, reading.code.code, reading.sequence, reading.value
