"""Vital signs that belong together: the newest of each kind within half an hour of one another.

A sensor that measures all the time counts with its median over some minutes, since one swing of a strap or a
moving finger is no vital sign. Nothing is filled in: an item without a reading in the window is missing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features.feature import middle
from edge_twin.flags.situation import Situation
from edge_twin.observation import Observation, Site

NEWS2_SITES = frozenset((Site.ORAL, Site.EAR, Site.TYMPANUM, Site.RECTUM))
ITEMS: Mapping[str, tuple[codes.Code, ...]] = {
    "respiration": (codes.RESPIRATORY_RATE,),
    "saturation": (codes.OXYGEN_SATURATION,),
    "oxygen": (codes.OXYGEN_FLOW,),
    "systolic": (codes.SYSTOLIC_PRESSURE,),
    "pulse": (codes.PULSE_RATE, codes.PULSE_RATE_CUFF, codes.HEART_RATE),
    "consciousness": (codes.CONSCIOUSNESS,),
    "temperature": (codes.BODY_TEMPERATURE,),
}
"""The seven items of NEWS2 and the observations that can be each."""

WORDS: Mapping[str, str] = {
    "respiration": "breathing rate",
    "saturation": "oxygen saturation",
    "oxygen": "oxygen given or not",
    "systolic": "upper blood pressure",
    "pulse": "pulse",
    "consciousness": "alertness",
    "temperature": "temperature",
}
_CONTINUOUS = frozenset((codes.OXYGEN_SATURATION, codes.PULSE_RATE, codes.HEART_RATE, codes.RESPIRATORY_RATE))


class Vital(NamedTuple):
    """One vital sign at one moment.

    Attributes:
        item: name in :data:`ITEMS`.
        value: the reading's, or the median of a sensor that measures all the time.
        reading: the newest reading behind it.
    """

    item: str
    value: float
    reading: Observation


Vitals = Mapping[str, Vital]


class VitalSigns:
    """The usable vital signs of a situation, indexed once.

    Args:
        situation: as a rule sees it.
    """

    def __init__(self, situation: Situation) -> None:
        self._window = situation.span("news2", "window_minutes")
        self._steady = situation.span("news2", "steady_minutes")
        self._oldest = situation.now - situation.span("news2", "active_hours")
        self._steps = [o.time for o in situation.readings(codes.STEPS) if o.value > 0]
        self._readings = {item: self._of(situation, item) for item in ITEMS}
        self._times = {item: [o.time for o in found] for item, found in self._readings.items()}

    def sets(self) -> tuple[Vitals, ...]:
        """One set for the newest reading of each item: what was measured with it or up to half an hour before."""
        moments = sorted({times[-1] for times in self._times.values() if times})
        return tuple(self.at(moment) for moment in moments)

    def at(self, moment: datetime) -> Vitals:
        """Every item that was measured within the window that ends at ``moment``."""
        found = (self._vital(item, moment) for item in ITEMS)
        return {vital.item: vital for vital in found if vital is not None}

    def _of(self, situation: Situation, item: str) -> Sequence[Observation]:
        readings = [o for code in ITEMS[item] for o in situation.readings(code) if self._counts(o)]
        return sorted(readings, key=lambda o: (o.time, o.id))

    def _counts(self, reading: Observation) -> bool:
        if reading.time < self._oldest:
            return False
        wanted = _WANTED.get(reading.code.name)
        if wanted is not None:
            return wanted(reading)
        return reading.code is not codes.HEART_RATE or not self._moving(reading.time)

    def _moving(self, moment: datetime) -> bool:
        """Whether steps were counted shortly before or after: the score is about rest."""
        place = bisect_left(self._steps, moment - self._steady)
        return place < len(self._steps) and self._steps[place] <= moment + self._steady

    def _vital(self, item: str, moment: datetime) -> Vital | None:
        place = bisect_right(self._times[item], moment)
        if place == 0 or moment - self._times[item][place - 1] > self._window:
            return None
        newest = self._readings[item][place - 1]
        return Vital(item, self._value(item, place, newest), newest)

    def _value(self, item: str, place: int, newest: Observation) -> float:
        if newest.code not in _CONTINUOUS:
            return newest.value
        first = bisect_right(self._times[item], newest.time - self._steady)
        same = [
            o.value for o in self._readings[item][first:place] if (o.code, o.source) == (newest.code, newest.source)
        ]
        return middle(same)


_WANTED: Mapping[str, Callable[[Observation], bool]] = {
    codes.BODY_TEMPERATURE.name: lambda o: o.site in NEWS2_SITES,
    codes.OXYGEN_SATURATION.name: lambda o: o.attributes.get("response", "normal") == "normal",
}


def runs_at_most(readings: Sequence[Observation], limit: float, gap: timedelta) -> list[list[Observation]]:
    """Unbroken runs of readings at or below a limit, oldest first.

    Args:
        readings: of one kind, oldest first.
        limit: in the readings' unit.
        gap: a longer pause ends a run.
    """
    runs: list[list[Observation]] = []
    before: Observation | None = None
    for reading in readings:
        if reading.value <= limit:
            joined = before is not None and before.value <= limit and reading.time - before.time <= gap
            if joined:
                runs[-1].append(reading)
            else:
                runs.append([reading])
        before = reading
    return runs
