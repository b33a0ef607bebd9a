"""Vital signs that belong together: the newest of each kind within half an hour of one another.

A sensor that measures all the time counts with its median over some minutes, since one swing of a strap or a
moving finger is no vital sign. Nothing is filled in: an item without a reading in the window is missing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
    """The usable vital signs of a situation; a stream of a day is searched, not read through.

    Args:
        situation: as a rule sees it.
    """

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._window = situation.span("news2", "window_minutes")
        self._steady = situation.span("news2", "steady_minutes")
        self._oldest = situation.now - situation.span("news2", "active_hours")
        self._steps = [o.time for o in situation.readings(codes.STEPS) if o.value > 0]

    def sets(self) -> tuple[Vitals, ...]:
        """One set for the newest reading of each item: what was measured with it or up to half an hour before."""
        newest = (self._newest(item, _END_OF_TIME, self._oldest) for item in ITEMS)
        moments = sorted({reading.time for reading in newest if reading is not None})
        return tuple(self._at(moment) for moment in moments)

    def _at(self, moment: datetime) -> Vitals:
        """Every item that was measured within the window that ends at ``moment``."""
        oldest = max(self._oldest, moment - self._window)
        newest = ((item, self._newest(item, moment, oldest)) for item in ITEMS)
        return {item: Vital(item, self._value(o), o) for item, o in newest if o is not None}

    def _newest(self, item: str, moment: datetime, oldest: datetime) -> Observation | None:
        """The newest reading of an item at ``moment``, of those from ``oldest`` on that count."""
        found = (self._newest_of(code, moment, oldest) for code in ITEMS[item])
        return max((o for o in found if o is not None), key=lambda o: (o.time, o.id), default=None)

    def _newest_of(self, code: codes.Code, moment: datetime, oldest: datetime) -> Observation | None:
        readings = self._situation.of(code)
        for place in range(bisect_right(readings, moment, key=_time) - 1, -1, -1):
            reading = readings[place]
            if reading.time < oldest:
                return None
            if self._counts(reading):
                return reading
        return None

    def _counts(self, reading: Observation) -> bool:
        if not reading.is_usable:
            return False
        wanted = _WANTED.get(reading.code.name)
        if wanted is not None:
            return wanted(reading)
        return reading.code != codes.HEART_RATE or not self._moving(reading.time)

    def _moving(self, moment: datetime) -> bool:
        """Whether steps were counted shortly before or after: the score is about rest."""
        place = bisect_left(self._steps, moment - self._steady)
        return place < len(self._steps) and self._steps[place] <= moment + self._steady

    def _value(self, newest: Observation) -> float:
        """The reading's own value, or the median of the same sensor's last minutes."""
        if newest.code not in _CONTINUOUS:
            return newest.value
        readings = self._situation.of(newest.code)
        first = bisect_right(readings, newest.time - self._steady, key=_time)
        last = bisect_right(readings, newest.time, key=_time)
        same = (o for o in readings[first:last] if o.source == newest.source and self._counts(o))
        return middle([o.value for o in same])


def vital_sets(situation: Situation) -> tuple[Vitals, ...]:
    """The sets of a situation, made once for all rules that look at them."""
    if _MEMO not in situation.memo:
        situation.memo[_MEMO] = VitalSigns(situation).sets()
    found: tuple[Vitals, ...] = situation.memo[_MEMO]
    return found


def _time(reading: Observation) -> datetime:
    return reading.time


_MEMO = "vitals.sets"
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
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
