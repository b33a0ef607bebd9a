"""From observations to features: a pure function that depends on the set of readings, not their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_twin.features.calendar import local_date
from edge_twin.features.daily import daily_features
from edge_twin.features.feature import Feature
from edge_twin.features.names import HEART_CODES
from edge_twin.observation import Observation, Site

if TYPE_CHECKING:
    from edge_twin.features.circadian import HourTable

DAY_TEMPERATURE = "oral_temperature_max_day"
DAY_STEPS = "steps_day"
DAY_SYSTOLIC = "systolic_pressure_median_day"
DAY_DIASTOLIC = "diastolic_pressure_median_day"
DAY_SATURATION = "oxygen_saturation_median_day"


def in_order(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Each reading once, oldest first; the order of arrival leaves no trace."""
    unique = {observation.id: observation for observation in observations}
    return tuple(sorted(unique.values(), key=lambda o: (o.time, o.source, o.code.code, o.sequence, o.value)))


def distil(
    observations: Iterable[Observation],
    zone: ZoneInfo,
    *,
    days: frozenset[date] | None = None,
    tables: Mapping[Site, HourTable] | None = None,
) -> tuple[Feature, ...]:
    """All features that these observations give.

    Args:
        observations: in any order, with or without repeats; implausible ones are counted, not used.
        zone: the patient's time zone, from which nights and days are cut.
        days: the local dates to make features of, when the observations hold parts of other days as well;
            of a date in it without any reading this is said. None for every date that has a reading.
        tables: the patient's own daily rhythm of temperature by site, where it is known.

    Returns:
        Features sorted by start and name.
    """
    ordered = in_order(observations)
    heart = [o for o in ordered if o.code in HEART_CODES and (days is None or local_date(o.time, zone) in days)]
    features = [*_of_heart(heart, zone), *daily_features(ordered, zone, days=days, tables=tables)]
    return tuple(sorted(features, key=lambda feature: (feature.start, feature.name)))


def _of_heart(readings: Sequence[Observation], zone: ZoneInfo) -> Iterable[Feature]:
    if not readings:
        return ()
    from edge_twin.features.heart_day import heart_features  # noqa: PLC0415 - a day without the heart loads none of it

    return heart_features(readings, zone)
