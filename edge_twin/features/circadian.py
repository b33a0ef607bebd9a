"""The daily rhythm of a temperature: the patient's own by hour where it is known, else a published one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from edge_twin.features.calendar import local_date
from edge_twin.features.feature import middle
from edge_twin.features.settings import number
from edge_twin.observation import Observation, Site

NO_RHYTHM = "no_personal_table"
HOURS = 24

# The published rhythm is that of the body's core. The skin of hands and feet runs the other way round:
# it is warm when the core gives heat away, in the first half of the night.
_CORE = frozenset(Site) - {Site.SKIN, Site.FINGER, Site.TOE, Site.UNKNOWN}


class HourTable:
    """How far the patient's temperature at one site usually lies from the day's median, hour by hour.

    Memory is bounded: for each hour the last ``table_memory_days`` days. Fever days belong left out by the caller.
    """

    def __init__(self) -> None:
        memory = int(number("temperature", "table_memory_days"))
        self._hours: tuple[deque[float], ...] = tuple(deque(maxlen=memory) for _ in range(HOURS))
        self._newest: date | None = None

    def add_day(self, readings: Iterable[Observation], zone: ZoneInfo) -> None:
        """Learn one local day, after it is over.

        Args:
            readings: usable readings of one site and day.
            zone: the patient's time zone.

        Raises:
            ValueError: the readings span more than a day, or the day is not later than the last one.
        """
        usable = [reading for reading in readings if reading.is_usable]
        if not usable:
            return
        self._newest = self._next_day({local_date(reading.time, zone) for reading in usable})
        centre = middle([reading.value for reading in usable])
        hours: dict[int, list[float]] = {}
        for reading in usable:
            hours.setdefault(reading.time.astimezone(zone).hour, []).append(reading.value - centre)
        for hour, deviations in hours.items():
            self._hours[hour].append(middle(deviations))

    def _next_day(self, days: set[date]) -> date:
        (day, *others) = days
        if others or (self._newest is not None and day <= self._newest):
            raise ValueError("a table learns whole days, in order")
        return day

    def deviation(self, hour: int) -> float | None:
        """The usual deviation at this hour in degrees, or None before enough days had a reading in it."""
        seen = self._hours[hour]
        return middle(seen) if len(seen) >= number("temperature", "table_days") else None


def expected_deviation(site: Site, local: datetime, table: HourTable | None = None) -> float | None:
    """How far a temperature of this site and local time is expected to lie from its daily mean, in degrees.

    Args:
        site: where it was taken.
        local: the moment in the patient's time zone.
        table: the patient's own rhythm of this site, or None.

    Returns:
        The patient's own deviation where it is known; otherwise the published rhythm of oral temperature
        (Mackowiak 1992: a cosine of 0.25 degrees with its peak at 17 h), which holds for sites inside the body
        and not for the skin; otherwise None.
    """
    own = table.deviation(local.hour) if table else None
    if own is not None:
        return own
    return population_deviation(local.hour + local.minute / 60.0) if site in _CORE else None


def population_deviation(hour: float) -> float:
    """The published rhythm at an hour of the day, 0 to 24, in degrees."""
    angle = 2.0 * math.pi * (hour - number("temperature", "cosine_peak_hour")) / HOURS
    return number("temperature", "cosine_amplitude_cel") * math.cos(angle)
