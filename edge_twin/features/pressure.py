"""Blood pressure of a day from a cuff; readings with movement or a loose cuff are invalid and never used."""

from __future__ import annotations

from collections.abc import Iterator

from edge_twin import codes
from edge_twin.features.day import Day, Readings
from edge_twin.features.feature import Feature, middle
from edge_twin.features.quality import screen
from edge_twin.features.settings import number

UNIT = "mm[Hg]"


def pressure_features(day: Day) -> Iterator[Feature]:
    """Medians of the day, of its morning and of its evening, and the lowest systolic value."""
    for name, code in (("systolic", codes.SYSTOLIC_PRESSURE), ("diastolic", codes.DIASTOLIC_PRESSURE)):
        if readings := day.of(code):
            yield from _medians(day, name, readings)


def _medians(day: Day, name: str, readings: Readings) -> Iterator[Feature]:
    screened = screen(readings)
    used, total = len(screened.readings), screened.total
    if screened.reason:
        yield day.refused(f"{name}_pressure_median_day", UNIT, screened.reason, 0, total)
        return
    yield day.number(f"{name}_pressure_median_day", middle(screened.values), UNIT, used, total)
    if name == "systolic":
        yield day.number("systolic_pressure_min_day", min(screened.values), UNIT, used, total)
    for part, first, last in _parts():
        values = [r.value for r in screened.readings if first <= r.time.astimezone(day.zone).hour < last]
        if values:
            yield day.number(f"{name}_pressure_{part}_day", middle(values), UNIT, len(values))


def _parts() -> Iterator[tuple[str, float, float]]:
    yield "morning", number("pressure", "morning_from_hour"), number("pressure", "morning_to_hour")
    yield "evening", number("pressure", "evening_from_hour"), 24.0
