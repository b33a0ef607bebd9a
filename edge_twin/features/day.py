"""One local day as the day-level features see it: its readings by kind, and the motion of the night before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.features.calendar import day_bounds, local_date
from edge_twin.features.feature import Feature
from edge_twin.observation import Observation

MOTION = (codes.MOTION_ENMO, codes.MOTION_ANGLE, codes.MOTION_SPREAD)
"""What of the day before reaches into a day: a night begins before midnight."""

NOON = timedelta(hours=12)
_MINUTES_OF_A_DAY = 1440

Readings = Sequence[Observation]


@dataclass(frozen=True, slots=True)
class Day:
    """The readings of one local day.

    Attributes:
        date: the patient's calendar date.
        zone: the patient's time zone.
        start, end: its bounds, aware UTC; 23 or 25 hours apart when the clocks change.
        readings: of this day by code name, oldest first, with those that are not usable.
        evening: motion of the 12 hours before ``start`` by code name, oldest first.
    """

    date: date
    zone: ZoneInfo
    start: datetime
    end: datetime
    readings: Mapping[str, Readings]
    evening: Mapping[str, Readings]

    def of(self, code: codes.Code) -> Readings:
        """The day's readings of one kind, oldest first."""
        return self.readings.get(code.name, ())

    def with_evening(self, code: codes.Code) -> Readings:
        """The readings of one kind of motion from 12 hours before the day to its end, oldest first."""
        return (*self.evening.get(code.name, ()), *self.of(code))

    def minute(self, moment: datetime) -> int:
        """Whole minutes from the start of the day to ``moment``; negative in the evening before."""
        since = moment - self.start
        return since.days * _MINUTES_OF_A_DAY + since.seconds // 60  # a division of two spans costs twice as much

    @property
    def minutes(self) -> int:
        """Length of the day in minutes: 1440, or an hour less or more when the clocks change."""
        return self.minute(self.end)

    def number(self, name: str, value: float, unit: str, readings: int, of: int | None = None) -> Feature:
        """A feature of this day with a value.

        Args:
            name: of the feature.
            value: in ``unit``.
            unit: UCUM.
            readings: how many readings it rests on.
            of: how many there were; as many when None.
        """
        share = readings / of if of else 1.0
        return Feature(name, value, unit, self.start, self.end, readings, min(share, 1.0))

    def refused(self, name: str, unit: str, reason: str, readings: int = 0, of: int | None = None) -> Feature:
        """A feature of this day without a value, and why; arguments as :meth:`number`."""
        share = readings / of if of else 0.0
        return Feature(name, None, unit, self.start, self.end, readings, min(share, 1.0), reason)


def days_of(ordered: Readings, zone: ZoneInfo, wanted: frozenset[date] | None = None) -> Iterator[Day]:
    """The days of these readings, oldest first.

    Args:
        ordered: oldest first, each reading once.
        zone: the patient's time zone.
        wanted: local dates to give, also those without a reading; None for all that have one.
    """
    grouped = _by_date(ordered, zone)
    for day in sorted(grouped if wanted is None else wanted):
        start, end = day_bounds(day, zone)
        yield Day(
            day, zone, start, end, grouped.get(day, {}), _evening(grouped.get(day - timedelta(days=1), {}), start)
        )


def dates_touched(reading: Observation, zone: ZoneInfo) -> tuple[date, ...]:
    """Local dates whose features a new reading may change: its own, and for an evening's motion the next."""
    day = local_date(reading.time, zone)
    if reading.code in MOTION and day_bounds(day, zone)[1] - reading.time <= NOON:
        return day, day + timedelta(days=1)
    return (day,)


def _by_date(ordered: Readings, zone: ZoneInfo) -> dict[date, dict[str, list[Observation]]]:
    """Readings by local date and code name; the date is only worked out where it changes."""
    grouped: dict[date, dict[str, list[Observation]]] = {}
    until: datetime | None = None
    current: dict[str, list[Observation]] = {}
    for reading in ordered:
        if until is None or reading.time >= until:
            day = local_date(reading.time, zone)
            until = day_bounds(day, zone)[1]
            current = grouped.setdefault(day, defaultdict(list))
        current[reading.code.name].append(reading)
    return grouped


def _evening(before: Mapping[str, Readings], start: datetime) -> dict[str, Readings]:
    late = start - NOON
    return {
        code.name: [reading for reading in before[code.name] if reading.time >= late]
        for code in MOTION
        if code.name in before
    }
