"""All day-level features of a set of readings: one small registry of organs.

The code of an organ is loaded with the first day that has a reading for it: a phone without a glucose sensor
spends no memory on glucose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.features.day import MOTION, Day, Readings, days_of
from edge_twin.features.feature import Feature
from edge_twin.observation import Site

if TYPE_CHECKING:
    from edge_twin.features.circadian import HourTable

_STUDIES = (*(code.name for code in codes.LABORATORY), "qtc_interval", "left_ventricular_ejection_fraction")
_ORGANS = (
    ("oxygen", "oxygen_features", ("oxygen_saturation",)),
    ("pressure", "pressure_features", ("systolic_pressure", "diastolic_pressure")),
    ("glucose", "glucose_features", ("glucose_",)),
    ("weight", "weight_features", ("body_weight", "body_height")),
    ("labs", "laboratory_features", _STUDIES),
    ("labs", "imaging_features", (codes.IMAGING_PREFIX,)),
    ("labs", "diary_features", (codes.DIARY_PREFIX,)),
)
"""Module and function of each organ, and how the names of the codes begin that it listens to."""

_MOVED = (*MOTION, codes.STEPS, codes.SPEED, codes.PULSE_RATE, codes.OXYGEN_SATURATION)
_MOVEMENT = frozenset(code.name for code in _MOVED)


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
    if day.of(codes.BODY_TEMPERATURE):
        from edge_twin.features.temperature import temperature_features  # noqa: PLC0415 - see the module

        yield from temperature_features(day, tables)
    if asked or not _MOVEMENT.isdisjoint(day.readings):
        yield from _of_movement(day, asked=asked)
    for module, function, begins in _ORGANS:
        if any(name.startswith(begins) for name in day.readings):
            yield from _organ(module, function)(day)


def _of_movement(day: Day, *, asked: bool) -> Iterator[Feature]:
    from edge_twin.features.activity import activity_features  # noqa: PLC0415 - see the module
    from edge_twin.features.sleep import night_of, sleep_features  # noqa: PLC0415 - see the module
    from edge_twin.features.wear import motion_of, wear_features  # noqa: PLC0415 - see the module

    motion = motion_of(day)
    night = None if motion is None else night_of(motion)
    yield from activity_features(day, motion, night)
    yield from wear_features(day, motion, asked=asked)
    if motion is not None and night is not None:
        yield from sleep_features(day, motion, night)


@cache
def _organ(module: str, function: str) -> Callable[[Day], Iterator[Feature]]:
    organ: Callable[[Day], Iterator[Feature]] = getattr(import_module(f"edge_twin.features.{module}"), function)
    return organ
