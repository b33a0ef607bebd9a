"""A person's own usual: middle, weekday rhythm, place in the cycle, persistence and scale of one stream.

All of it is robust, since real daily values are heavy-tailed, whole-numbered and gappy, and all of it is
shrunk towards what is usual among people, since a few weeks of one person say little about tails.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_twin.detection.settings import StreamSettings

Vector = NDArray[np.float64]
Days = NDArray[np.intp]

NORMAL_MAD = 1.4826  # standard deviation of a normal variable in median absolute deviations
WINSOR = 2.5
WINSOR_VARIANCE = 0.9536  # mean of min(z*z, WINSOR**2) of a standard normal z
WEEK = 7
NO_CYCLE = -1


class Series(NamedTuple):
    """Values of one stream, oldest first: whole days, transformed values, days since dose (``NO_CYCLE`` without)."""

    days: Days
    values: Vector
    cycle_days: Days


class Baseline(NamedTuple):
    """What is usual for this person, in the transformed unit of the stream.

    Attributes:
        middle: median.
        weekday: [7] offset by ``day % 7``.
        cycle: offset by cycle day, [length + 1], ending in 0 for a day outside; empty without a cycle.
        persistence: autocorrelation from one day to the next, 0 to below 1.
        scale: standard deviation of a day given the day before, times 1/sqrt(1 - persistence**2).
    """

    middle: float
    weekday: Vector
    cycle: Vector
    persistence: float
    scale: float

    def residuals(self, series: Series) -> Vector:
        """Values less what is usual on their days."""
        usual = self.middle + self.weekday[series.days % WEEK]
        usual = usual + _on_cycle_days(self.cycle, series.cycle_days)
        return np.asarray(series.values - usual, dtype=np.float64)


def baseline_of(window: Series, settings: StreamSettings, cycles: Series | None = None) -> Baseline:
    """The baseline of a window.

    Args:
        window: the days that say what is usual now, at least one.
        settings: of the stream.
        cycles: the days of this and earlier cycles of treatment, from which the place in the cycle is learned;
            None without such a treatment.
    """
    offsets = np.empty(0) if cycles is None else _cycle_offsets(cycles, settings)
    values = window.values - _on_cycle_days(offsets, window.cycle_days)
    centre = _middle(values)
    deviations = values - centre
    clipped = _within(deviations, settings.clip * _spread(deviations, settings))
    weekday = _weekday_offsets(window.days % WEEK, clipped, settings.weekday_shrinkage)
    of_day = weekday[window.days % WEEK]
    persistence, scale = _persistence(window.days, deviations - of_day, clipped - of_day, settings)
    return Baseline(centre, weekday, offsets, persistence, scale)


def _spread(deviations: Vector, settings: StreamSettings) -> float:
    return max(NORMAL_MAD * _middle(np.abs(deviations)), 0.5 * settings.scale_floor)


def _middle(values: Vector) -> float:
    ordered = np.sort(values)
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half]))


def _within(values: Vector, limit: float) -> Vector:
    return np.minimum(np.maximum(values, -limit), limit)


def _weekday_offsets(weekdays: Days, clipped: Vector, shrinkage: float) -> Vector:
    """Mean deviation of each weekday, shrunk to none and centred on the days that were seen."""
    counts = np.bincount(weekdays, minlength=WEEK)
    offsets = np.bincount(weekdays, weights=clipped, minlength=WEEK) / (counts + shrinkage)
    return np.asarray(offsets - float(offsets @ counts) / len(weekdays), dtype=np.float64)


def _cycle_offsets(cycles: Series, settings: StreamSettings) -> Vector:
    """Mean deviation around each cycle day (the day before and after count too), shrunk to none, and a last 0."""
    known = cycles.cycle_days >= 0
    if not known.any():
        return np.empty(0)
    deviations = cycles.values - _middle(cycles.values)
    clipped = _within(deviations, settings.cycle_clip * _spread(deviations, settings))[known]
    days = cycles.cycle_days[known]
    counts = np.bincount(days, minlength=3).astype(np.float64)
    sums = np.bincount(days, weights=clipped, minlength=3)
    near = np.ones(3)
    offsets = np.convolve(sums, near, "same") / (np.convolve(counts, near, "same") + settings.cycle_shrinkage)
    return np.append(offsets, 0.0)


def _on_cycle_days(offsets: Vector, cycle_days: Days) -> Vector | float:
    """Offset of each day; 0 where the cycle day is unknown or was never seen, or without offsets."""
    return offsets[np.minimum(cycle_days, offsets.size - 1)] if offsets.size else 0.0


def _persistence(days: Days, residuals: Vector, clipped: Vector, settings: StreamSettings) -> tuple[float, float]:
    """Autocorrelation of neighbouring days, and the scale of what it leaves unexplained; both shrunk."""
    gaps = np.diff(days)
    next_to = (gaps == 1).astype(np.float64)
    earlier, later = clipped[:-1], clipped[1:]
    own = float((earlier * later) @ next_to) / (float((earlier * earlier) @ next_to) + 1e-9)
    pairs = float(next_to.sum())
    weight = pairs + settings.persistence_days
    share = (pairs * own + settings.persistence_days * settings.persistence) / weight
    share = min(max(share, 0.0), settings.largest_persistence)
    carried = share**gaps
    unexplained = (residuals[1:] - carried * earlier) / np.sqrt(1.0 - carried * carried)
    return share, _scale(unexplained, settings)


def _scale(unexplained: Vector, settings: StreamSettings) -> float:
    """Winsorised standard deviation about 0, shrunk to the usual one and not below the floor."""
    count = len(unexplained)
    spread = _spread(unexplained, settings) if count else 0.0
    squares = np.minimum(unexplained * unexplained, (WINSOR * spread) ** 2)
    prior = settings.scale_days * settings.usual_scale**2
    variance = (float(squares.sum()) / WINSOR_VARIANCE + prior) / (count + settings.scale_days)
    return float(max(variance**0.5, settings.scale_floor))
