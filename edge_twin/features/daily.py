"""All day-level features of a set of readings: one small registry of organs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from zoneinfo import ZoneInfo

from edge_twin.features.activity import activity_features
from edge_twin.features.circadian import HourTable
from edge_twin.features.day import Day, Readings, days_of
from edge_twin.features.feature import Feature
from edge_twin.features.glucose import glucose_features
from edge_twin.features.labs import diary_features, imaging_features, laboratory_features
from edge_twin.features.oxygen import oxygen_features
from edge_twin.features.pressure import pressure_features
from edge_twin.features.sleep import night_of, sleep_features
from edge_twin.features.temperature import temperature_features
from edge_twin.features.wear import motion_of, wear_features
from edge_twin.features.weight import weight_features
from edge_twin.observation import Site

_ORGANS = (
    oxygen_features,
    pressure_features,
    glucose_features,
    weight_features,
    laboratory_features,
    imaging_features,
    diary_features,
)


def daily_features(
    ordered: Readings,
    zone: ZoneInfo,
    *,
    days: frozenset[date] | None = None,
    tables: Mapping[Site, HourTable] | None = None,
) -> Iterator[Feature]:
    """The features of each local day, day by day.

    Args:
        ordered: readings, oldest first, each once; of the day before a wanted one only its evening's motion is used.
        zone: the patient's time zone.
        days: the local dates that are wanted; for each of them it is said when it holds nothing.
            None for every day that has a reading.
        tables: the patient's own daily rhythm of temperature, by site.
    """
    for day in days_of(ordered, zone, days):
        yield from _of_day(day, tables, asked=days is not None)


def _of_day(day: Day, tables: Mapping[Site, HourTable] | None, *, asked: bool) -> Iterator[Feature]:
    motion = motion_of(day)
    night = None if motion is None else night_of(motion)
    yield from temperature_features(day, tables)
    yield from activity_features(day, motion, night)
    yield from wear_features(day, motion, asked=asked)
    if motion is not None and night is not None:
        yield from sleep_features(day, motion, night)
    for organ in _ORGANS:
        yield from organ(day)
