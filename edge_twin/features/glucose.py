"""Glucose of a day: time in range of a continuous sensor, highest and lowest of a meter, rise after a steroid.

All values are told in mg/dL. Values in mmol/L are converted by one factor; a day's readings of both units are
not mixed: the unit with more of them is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from edge_twin import codes
from edge_twin.features.day import Day, Readings
from edge_twin.features.feature import Feature, middle
from edge_twin.features.quality import main_source, screen, stuck_after
from edge_twin.features.settings import number, words
from edge_twin.observation import Observation

UNIT = "mg/dL"
MEAN, COVERAGE = "glucose_mean_day", "glucose_coverage_day"
IN_RANGE = "glucose_in_range_day"
BELOW_70, BELOW_54 = "glucose_below_70_day", "glucose_below_54_day"
ABOVE_180, ABOVE_250 = "glucose_above_180_day", "glucose_above_250_day"
SHARES = (IN_RANGE, BELOW_70, BELOW_54, ABOVE_180, ABOVE_250)
STEROID_RISE = "glucose_rise_after_steroid"

CONTINUOUS = (codes.GLUCOSE_INTERSTITIAL, codes.GLUCOSE_INTERSTITIAL_MOLAR)
SPOT = (
    ("capillary", (codes.GLUCOSE_CAPILLARY, codes.GLUCOSE_CAPILLARY_MOLAR)),
    ("blood", (codes.GLUCOSE_BLOOD, codes.GLUCOSE_BLOOD_MOLAR)),
    ("plasma", (codes.GLUCOSE_PLASMA, codes.GLUCOSE_PLASMA_MOLAR)),
)


def mg_per_dl(reading: Observation) -> float:
    """The value of a glucose reading in mg/dL.

    Args:
        reading: of one of the glucose codes, in mg/dL or mmol/L.
    """
    factor = number("glucose", "mg_per_dl_per_mmol_per_l") if reading.code.unit == "mmol/L" else 1.0
    return reading.value * factor


def glucose_features(day: Day) -> Iterator[Feature]:
    """What the day's glucose says."""
    if readings := main_source(_one_unit(day.readings.get(code.name, ()) for code in CONTINUOUS)):
        yield from _continuous(day, readings)
    for specimen, kinds in SPOT:
        if readings := _one_unit(day.readings.get(code.name, ()) for code in kinds):
            yield from _spot(day, specimen, readings)


def _one_unit(kinds: Iterable[Readings]) -> Readings:
    """The readings of the unit that has more usable ones."""
    return max(kinds, key=lambda readings: (sum(reading.is_usable for reading in readings), len(readings)))


def _continuous(day: Day, readings: Readings) -> Iterator[Feature]:
    screened = screen(readings, stuck_after=stuck_after("glucose"))
    used, total = len(screened.readings), screened.total
    interval = _interval_minutes(screened.readings)
    reason = screened.reason or ("" if interval else "too_coarse")
    coverage = min(used * (interval or 0.0) / day.minutes, 1.0)
    if reason:
        yield day.refused(COVERAGE, "1", reason, used, total)
    else:
        yield day.number(COVERAGE, coverage, "1", used, total)
    reason = reason or ("" if coverage >= number("glucose", "coverage_share") else "coverage_too_low")
    if reason:
        yield from (day.refused(name, "1", reason, used, total) for name in SHARES)
        yield day.refused(MEAN, UNIT, reason, used, total)
        return
    values = [mg_per_dl(reading) for reading in screened.readings]
    for name, share in zip(SHARES, time_shares(values), strict=True):
        yield day.number(name, share, "1", used, total)
    yield day.number(MEAN, sum(values) / used, UNIT, used, total)


def _interval_minutes(readings: Readings) -> float | None:
    """Minutes from one reading to the next, or None when they come too seldom for a continuous sensor."""
    gaps = [(b.time - a.time).total_seconds() / 60.0 for a, b in pairwise(readings)]
    usual = middle(gaps) if gaps else 0.0
    return usual if 0.0 < usual <= number("glucose", "longest_interval_minutes") else None


def time_shares(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Shares of readings in 70-180, below 70, below 54, above 180 and above 250 mg/dL.

    Args:
        values: in mg/dL, equally spaced in time, at least one.
    """
    very_low, low = number("glucose", "very_low_mg_per_dl"), number("glucose", "low_mg_per_dl")
    high, very_high = number("glucose", "high_mg_per_dl"), number("glucose", "very_high_mg_per_dl")
    n = len(values)
    return (
        sum(low <= value <= high for value in values) / n,
        sum(value < low for value in values) / n,
        sum(value < very_low for value in values) / n,
        sum(value > high for value in values) / n,
        sum(value > very_high for value in values) / n,
    )


def _spot(day: Day, specimen: str, readings: Readings) -> Iterator[Feature]:
    screened = screen(readings)
    names = f"glucose_{specimen}_max_day", f"glucose_{specimen}_min_day"
    if screened.reason:
        yield from (day.refused(name, UNIT, screened.reason, 0, screened.total) for name in names)
        return
    values = [mg_per_dl(reading) for reading in screened.readings]
    for name, value in zip(names, (max(values), min(values)), strict=True):
        yield day.number(name, value, UNIT, len(values), screened.total)


def steroid_rises(readings: Readings, doses: Iterable[tuple[datetime, str]]) -> tuple[Feature, ...]:
    """How far glucose rose above its level after each dose of a steroid.

    Args:
        readings: of a continuous sensor in one unit, oldest first.
        doses: time (aware) and generic name of what was given; what is no steroid is left out.

    Returns:
        One feature for each dose, oldest first, from the dose to the end of the window: highest value in it
        minus the median before the dose, in mg/dL. A rise may be negative. It does not say that the steroid
        caused it: meals count as well.
    """
    steroids = words("steroids", "names")
    given = sorted({(time, name.casefold()) for time, name in doses if name.casefold() in steroids})
    usable = [reading for reading in readings if reading.is_usable and reading.code in CONTINUOUS]
    return tuple(_rise(usable, time) for time in dict(given))


def _rise(usable: Readings, dose: datetime) -> Feature:
    since = dose - timedelta(hours=number("glucose", "steroid_before_hours"))
    until = dose + timedelta(hours=number("glucose", "steroid_after_hours"))
    before = [mg_per_dl(reading) for reading in usable if since <= reading.time < dose]
    after = [reading for reading in usable if dose <= reading.time < until]
    interval = _interval_minutes(after)
    covered = len(after) * (interval or 0.0) / ((until - dose).total_seconds() / 60.0)
    reason = (
        "no_level_before"
        if len(before) < number("glucose", "steroid_before_readings")
        else "coverage_too_low"
        if covered < number("glucose", "coverage_share")
        else ""
    )
    if reason:
        return Feature(STEROID_RISE, None, UNIT, dose, until, len(after), min(covered, 1.0), reason)
    rise = max(map(mg_per_dl, after)) - middle(before)
    return Feature(STEROID_RISE, rise, UNIT, dose, until, len(after), min(covered, 1.0))
