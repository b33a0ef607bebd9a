"""What makes a day's readings unfit: a stuck sensor, a suspected change of unit, a clock that jumped.

Nothing here raises: readings that cannot be used are left out and counted, and when none is left the reason
says why (docs/features.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from edge_twin import codes
from edge_twin.features.day import Readings
from edge_twin.features.settings import number
from edge_twin.observation import Observation, Quality

NO_READING = "no_plausible_reading"
STUCK = "stuck_sensor"
UNIT = "unit_change_suspected"
CLOCK = "clock_jump_suspected"


class Screened(NamedTuple):
    """What is left of a day's readings of one kind.

    Attributes:
        readings: those that may be used, oldest first.
        total: how many there were.
        reason: why none may be used; empty when some may.
    """

    readings: Readings
    total: int
    reason: str

    @property
    def values(self) -> list[float]:
        """The values of the readings."""
        return [reading.value for reading in self.readings]


def screen(readings: Readings, *, stuck_after: timedelta | None = None) -> Screened:
    """Leave out what is not usable.

    Args:
        readings: of one code, oldest first.
        stuck_after: how long a living value may stay exactly equal; None where it may for ever.
    """
    usable = [reading for reading in readings if reading.is_usable]
    if not usable:
        return Screened((), len(readings), UNIT if any(map(_reads_in_other_unit, readings)) else NO_READING)
    if _jumps_by_a_unit(usable):
        return Screened((), len(readings), UNIT)
    moving = usable if stuck_after is None else without_stuck(usable, stuck_after)
    return Screened(moving, len(readings), "" if moving else STUCK)


def stuck_after(name: str) -> timedelta:
    """How long the values of one kind (as ``daily.toml`` names it) may stay exactly equal."""
    return timedelta(minutes=number("quality", f"stuck_minutes_{name}"))


def without_stuck(readings: Readings, longest: timedelta) -> list[Observation]:
    """Readings outside runs in which a device repeated one value, oldest first.

    Args:
        readings: of one code, oldest first.
        longest: a run of many equal values that lasts at least this long is left out.
    """
    fewest = number("quality", "stuck_readings")
    stuck: set[int] = set()
    for places in _by_source(readings).values():
        for run in _equal_runs(readings, places):
            if len(run) >= fewest and readings[run[-1]].time - readings[run[0]].time >= longest:
                stuck.update(run)
    return [reading for place, reading in enumerate(readings) if place not in stuck]


def _by_source(readings: Readings) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, reading in enumerate(readings):
        places.setdefault(reading.source, []).append(place)
    return places


def _equal_runs(readings: Readings, places: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for place in places:
        if runs and readings[runs[-1][-1]].value == readings[place].value:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


class Minutes(NamedTuple):
    """The values of one source, minute by minute.

    Attributes:
        values: by whole minute since the start of the day.
        reason: why they may not be used; empty when they may.
        readings: how many readings they rest on.
        total: how many there were of this source.
    """

    values: Mapping[int, float]
    reason: str
    readings: int
    total: int


def by_minute(
    readings: Readings, minute_of: Callable[[datetime], int], combine: Callable[[Sequence[float]], float]
) -> Minutes:
    """The usable values of one source by minute.

    A moment that is told twice with different values is no second epoch: the device's clock went back.

    Args:
        readings: of one code and source, oldest first.
        minute_of: the minute of a moment.
        combine: makes one value of several shorter epochs in a minute.
    """
    values: dict[int, float] = {}
    several: dict[int, list[float]] = {}
    repeated, used, before = 0, 0, None
    for reading in readings:
        if not reading.is_usable:
            continue
        if before is not None and reading.time == before.time and reading.value != before.value:
            repeated += 1
        minute = minute_of(reading.time)
        if minute in values:
            several.setdefault(minute, [values[minute]]).append(reading.value)
        else:
            values[minute] = reading.value
        used, before = used + 1, reading
    values.update({minute: combine(part) for minute, part in several.items()})
    jumped = repeated > number("quality", "repeated_minute_share") * len(values)
    return Minutes(values, CLOCK if jumped else "" if values else NO_READING, used, len(readings))


def main_source(readings: Readings) -> Readings:
    """The readings of the source that covers most; two devices on one wrist are never added up.

    A source without any usable reading never wins. Ties go to more readings, then to the name.
    """
    if len({reading.source for reading in readings}) <= 1:
        return readings
    covered = covered_seconds(readings)
    numbers = Counter(reading.source for reading in readings if reading.is_usable)
    best = max(covered, key=lambda source: (numbers[source] > 0, covered[source], numbers[source], source))
    return [reading for reading in readings if reading.source == best]


def covered_seconds(readings: Readings) -> dict[str, float]:
    """How much time the usable readings of each source describe, in seconds.

    A reading describes its ``epoch_seconds``; without that attribute, the minute in which it stands.
    """
    covered: dict[str, float] = {reading.source: 0.0 for reading in readings}
    minutes: set[tuple[str, int]] = set()
    for reading in readings:
        if reading.is_usable:
            seconds = epoch_seconds(reading)
            minute = (reading.source, int(reading.time.timestamp() // 60))
            covered[reading.source] += seconds or (0.0 if minute in minutes else 60.0)
            minutes.add(minute)
    return covered


def epoch_seconds(reading: Observation) -> float:
    """Length of the epoch that a reading sums up; 0 when its source does not say, or says what is no length."""
    text = reading.attributes.get("epoch_seconds")
    if text is None:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0.0 < seconds <= 86_400.0 else 0.0  # noqa: PLR2004 - a day; nan and infinity are no length


def unit_factor(code: codes.Code) -> float | None:
    """The factor between a code's unit and the other one in use for the same quantity; None where there is none."""
    if code is codes.BODY_WEIGHT:
        return number("quality", "pounds_per_kilogram")
    return number("glucose", "mg_per_dl_per_mmol_per_l") if code.name.startswith("glucose_") else None


def is_unit_jump(ratio: float, factor: float) -> bool:
    """Whether a ratio of two values lies so near to a unit's factor, or its inverse, that the unit may have changed."""
    wide = number("quality", "unit_ratio_tolerance")
    return abs(ratio / factor - 1.0) <= wide or abs(ratio * factor - 1.0) <= wide


def _jumps_by_a_unit(usable: Readings) -> bool:
    factor = unit_factor(usable[0].code)
    if factor is None:
        return False
    values = [reading.value for reading in usable]
    return any(low > 0.0 and is_unit_jump(high / low, factor) for low, high in pairwise(values))


def _reads_in_other_unit(reading: Observation) -> bool:
    """Whether an implausible value would be plausible if its source had meant the other unit."""
    if reading.quality is not Quality.IMPLAUSIBLE:
        return False
    code, value = reading.code, reading.value
    if code.unit == "Cel":
        return code.is_plausible((value - 32.0) / 1.8)
    factor = unit_factor(code)
    if factor is None:
        return False
    return code.is_plausible(value * factor if code.unit == "mg/dL" else value / factor)
