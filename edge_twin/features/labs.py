"""Laboratory values, heart studies and imaging: the newest of a day, and the newest of all with its age."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_twin import codes
from edge_twin.features.day import Day, Readings
from edge_twin.features.feature import Feature
from edge_twin.features.quality import screen
from edge_twin.observation import Observation, without_superseded

NEWEST_OF = (
    *codes.LABORATORY,
    codes.QTC_INTERVAL,
    codes.QTC_INTERVAL_FRIDERICIA,
    codes.LEFT_VENTRICULAR_EJECTION_FRACTION,
)
LIMIT_ONLY = "below_laboratory_limit"


@dataclass(frozen=True, slots=True)
class LatestValue:
    """The newest usable value of one kind.

    Attributes:
        reading: as it came; its ``limit_sign`` tells a value that is only an upper limit.
        age: from when it was measured to the moment that was asked for.
    """

    reading: Observation
    age: timedelta


def latest_values(readings: Iterable[Observation], now: datetime) -> dict[str, LatestValue]:
    """The newest usable value of each kind at ``now``, by code name.

    Args:
        readings: in any order; a corrected result replaces the one that it corrects, later ones are not used.
        now: the moment, aware.
    """
    newest: dict[str, Observation] = {}
    for reading in without_superseded(readings):
        if reading.is_usable and reading.time <= now:
            before = newest.get(reading.code.name)
            if before is None or _order(reading) > _order(before):
                newest[reading.code.name] = reading
    return {name: LatestValue(reading, now - reading.time) for name, reading in sorted(newest.items())}


def _order(reading: Observation) -> tuple[datetime, str, int, float]:
    return reading.time, reading.source, reading.sequence, reading.value


def laboratory_features(day: Day) -> Iterator[Feature]:
    """The day's newest value of each kind; the period ends when it was measured, which tells its age."""
    for code in NEWEST_OF:
        if readings := day.of(code):
            yield _newest(day, code.name, without_superseded(readings))


def imaging_features(day: Day) -> Iterator[Feature]:
    """Imaging measures as they come: value, time, and the uncertainty that the sender states, if any."""
    for name, readings in _with_prefix(day.readings, codes.IMAGING_PREFIX):
        feature = _newest(day, name, readings)
        yield feature
        uncertainty = _uncertainty([reading for reading in readings if reading.is_usable])
        if feature.value is not None and uncertainty is not None:
            yield Feature(f"{name}_uncertainty_day", uncertainty, feature.unit, feature.start, feature.end, 1, 1.0)


def _with_prefix(readings: Mapping[str, Readings], prefix: str) -> Iterator[tuple[str, Readings]]:
    return ((name, readings[name]) for name in sorted(readings) if name.startswith(prefix))


def _newest(day: Day, name: str, readings: Readings) -> Feature:
    screened = screen(readings)
    unit, total, used = readings[0].code.unit, len(readings), len(screened.readings)
    name = f"{name}_day"
    if screened.reason:
        return day.refused(name, unit, screened.reason, 0, total)
    newest = screened.readings[-1]
    share = used / total
    if newest.limit_sign:
        return Feature(name, None, unit, day.start, newest.time, used, share, LIMIT_ONLY)
    return Feature(name, newest.value, unit, day.start, newest.time, used, share)


def _uncertainty(usable: Readings) -> float | None:
    """What the newest reading states in its attribute ``uncertainty``, in the unit of the value."""
    try:
        value = float(usable[-1].attributes["uncertainty"])
    except (IndexError, KeyError, ValueError):
        return None
    return value if 0.0 <= value < float("inf") else None


def diary_features(day: Day) -> Iterator[Feature]:
    """Highest and latest score of the day for every item of the patient's own diary."""
    for name, readings in _with_prefix(day.readings, codes.DIARY_PREFIX):
        screened = screen(readings)
        unit, used, total = readings[0].code.unit, len(screened.readings), screened.total
        if screened.reason:
            yield day.refused(f"{name}_max_day", unit, screened.reason, 0, total)
            continue
        yield day.number(f"{name}_max_day", max(screened.values), unit, used, total)
        yield day.number(f"{name}_latest_day", screened.values[-1], unit, used, total)
