"""Oxygen saturation of a day: middle, low end, time below 90 %, and drops per hour where they can be counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

from edge_twin import codes
from edge_twin.features.day import Day, Readings
from edge_twin.features.feature import Feature, middle, quantile
from edge_twin.features.quality import main_source, screen, stuck_after
from edge_twin.features.settings import number

MEDIAN = "oxygen_saturation_median_day"
LOW_END = "oxygen_saturation_p05_day"
BELOW_90 = "oxygen_saturation_below_90_day"
DROPS = (("desaturations_3_per_hour_day", "small_drop_percent"), ("desaturations_4_per_hour_day", "large_drop_percent"))
_RATE = "/h"


def oxygen_features(day: Day) -> Iterator[Feature]:
    """The features of a day with a saturation; an oximeter's fast and slow averages are left out."""
    readings = [r for r in day.of(codes.OXYGEN_SATURATION) if r.attributes.get("response", "normal") == "normal"]
    if not readings:
        return
    screened = screen(readings, stuck_after=stuck_after("oxygen_saturation"))
    used, total = len(screened.readings), screened.total
    if screened.reason:
        units = ((MEDIAN, "%"), (LOW_END, "%"), (BELOW_90, "1"), *((name, _RATE) for name, _ in DROPS))
        yield from (day.refused(name, unit, screened.reason, 0, total) for name, unit in units)
        return
    yield day.number(MEDIAN, middle(screened.values), "%", used, total)
    if used < number("oxygen", "percentile_readings"):
        yield day.refused(LOW_END, "%", "too_few_readings", used, total)
    else:
        yield day.number(LOW_END, quantile(screened.values, 0.05), "%", used, total)
    yield from _in_time(day, main_source(screened.readings), total)


def _in_time(day: Day, readings: Readings, total: int) -> Iterator[Feature]:
    """What needs to know how long each value held."""
    held = held_seconds(readings)
    recorded = sum(held)
    used = len(readings)
    if recorded < 3600.0 * number("oxygen", "shortest_hours"):
        yield day.refused(BELOW_90, "1", "recording_too_short", used, total)
        yield from (day.refused(name, _RATE, "recording_too_short", used, total) for name, _ in DROPS)
        return
    low = number("oxygen", "low_percent")
    below = sum(seconds for reading, seconds in zip(readings, held, strict=True) if reading.value < low)
    yield day.number(BELOW_90, below / recorded, "1", used, total)
    coarse = middle(_gaps(readings)) > number("oxygen", "finest_seconds")
    for name, drop in DROPS:
        if coarse:
            yield day.refused(name, _RATE, "too_coarse", used, total)
        else:
            events = count_drops(readings, held, number("oxygen", drop))
            yield day.number(name, events * 3600.0 / recorded, _RATE, used, total)


def held_seconds(readings: Readings) -> list[float]:
    """For how long each reading stands: to the next one, but never longer than a stated time.

    Args:
        readings: of one source, oldest first.
    """
    longest = number("oxygen", "longest_gap_seconds")
    gaps = _gaps(readings)
    last = middle(gaps) if gaps else 0.0
    return [min(gap, longest) for gap in (*gaps, last)][: len(readings)]


def _gaps(readings: Readings) -> list[float]:
    return [(b.time - a.time).total_seconds() for a, b in pairwise(readings)]


def count_drops(readings: Readings, held: Sequence[float], drop_percent: float) -> int:
    """Number of desaturations: at least ``drop_percent`` below the mean of the 120 s before, for at least 10 s.

    A drop is measured from the level before it began; one that a pause in the readings interrupts ends there,
    and a single reading before a pause proves no more than a few seconds.

    Args:
        readings: of one source, oldest first.
        held: seconds that each reading stands for.
        drop_percent: in percent of saturation.
    """
    before = _Baseline()
    shortest, finest = number("oxygen", "event_seconds"), number("oxygen", "finest_seconds")
    events, lasted, level = 0, 0.0, None
    for reading, seconds in zip(readings, held, strict=True):
        usual = before.mean(reading.time.timestamp())
        reference = level if level is not None else usual
        if usual is None or reference is None or reading.value > reference - drop_percent:
            events += lasted >= shortest
            lasted, level = 0.0, None
        else:
            lasted, level = lasted + min(seconds, finest), reference
        before.add(reading.time.timestamp(), reading.value)
    return events + (lasted >= shortest)


class _Baseline:
    """The mean of the last 120 s, in bounded memory; None where a pause or the start leaves less than half of them."""

    def __init__(self) -> None:
        self._seconds = number("oxygen", "baseline_seconds")
        self._pause = number("oxygen", "longest_gap_seconds")
        self._readings: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def add(self, at: float, value: float) -> None:
        self._readings.append((at, value))
        self._sum += value

    def mean(self, now: float) -> float | None:
        if self._readings and now - self._readings[-1][0] > self._pause:
            self._readings.clear()
            self._sum = 0.0
        while self._readings and self._readings[0][0] < now - self._seconds:
            self._sum -= self._readings.popleft()[1]
        if not self._readings or now - self._readings[0][0] < 0.5 * self._seconds:
            return None
        return self._sum / len(self._readings)
