"""From observations to features: a pure function that depends on the set of readings, not their order."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.features.calendar import day_bounds, local_date
from edge_twin.features.feature import Feature, middle
from edge_twin.features.heart_day import heart_features
from edge_twin.observation import Observation, Site

DAY_TEMPERATURE = "oral_temperature_max_day"
DAY_STEPS = "steps_day"
DAY_SYSTOLIC = "systolic_pressure_median_day"
DAY_DIASTOLIC = "diastolic_pressure_median_day"
DAY_SATURATION = "oxygen_saturation_median_day"


class _DaySummary(NamedTuple):
    """How the readings of one day become one number."""

    name: str
    unit: str
    reduce: Callable[[Sequence[float]], float]


def in_order(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Each reading once, oldest first; the order of arrival leaves no trace."""
    unique = {observation.id: observation for observation in observations}
    return tuple(sorted(unique.values(), key=lambda o: (o.time, o.source, o.code.code, o.sequence, o.value)))


def distil(observations: Iterable[Observation], zone: ZoneInfo) -> tuple[Feature, ...]:
    """All features that these observations give.

    Args:
        observations: in any order, with or without repeats; implausible ones are counted, not used.
        zone: the patient's time zone, from which nights and days are cut.

    Returns:
        Features sorted by start and name.
    """
    ordered = in_order(observations)
    features = [
        *heart_features(ordered, zone),
        *_day_features(_oral(ordered), zone, _DaySummary(DAY_TEMPERATURE, "Cel", max)),
        *_day_features(_of(ordered, codes.STEPS), zone, _DaySummary(DAY_STEPS, "{steps}", math.fsum)),
        *_day_features(_of(ordered, codes.SYSTOLIC_PRESSURE), zone, _DaySummary(DAY_SYSTOLIC, "mm[Hg]", middle)),
        *_day_features(_of(ordered, codes.DIASTOLIC_PRESSURE), zone, _DaySummary(DAY_DIASTOLIC, "mm[Hg]", middle)),
        *_day_features(_saturations(ordered), zone, _DaySummary(DAY_SATURATION, "%", middle)),
    ]
    return tuple(sorted(features, key=lambda feature: (feature.start, feature.name)))


def merge(earlier: Iterable[Feature], later: Iterable[Feature]) -> tuple[Feature, ...]:
    """Features by key; a later version replaces the earlier one of the same name and start."""
    by_key = {feature.key: feature for feature in (*earlier, *later)}
    return tuple(sorted(by_key.values(), key=lambda feature: (feature.start, feature.name)))


def _of(observations: Sequence[Observation], code: codes.Code) -> list[Observation]:
    return [observation for observation in observations if observation.code == code]


def _oral(observations: Sequence[Observation]) -> list[Observation]:
    """Mouth readings alone: a skin or armpit temperature is not an oral one."""
    return [reading for reading in _of(observations, codes.BODY_TEMPERATURE) if reading.site is Site.ORAL]


def _saturations(observations: Sequence[Observation]) -> list[Observation]:
    """Each moment once: an oximeter may add faster and slower averages of the same readings."""
    readings = _of(observations, codes.OXYGEN_SATURATION)
    return [reading for reading in readings if reading.attributes.get("response", "normal") == "normal"]


def _day_features(readings: Sequence[Observation], zone: ZoneInfo, summary: _DaySummary) -> Iterator[Feature]:
    """One number for each local day that has a reading."""
    days: dict[date, list[Observation]] = defaultdict(list)
    for reading in readings:
        days[local_date(reading.time, zone)].append(reading)
    for day, members in days.items():
        values = [reading.value for reading in members if reading.is_usable]
        value, reason = (summary.reduce(values), "") if values else (None, "no_plausible_reading")
        start, end = day_bounds(day, zone)
        share = len(values) / len(members)
        yield Feature(summary.name, value, summary.unit, start, end, len(values), share, reason)
