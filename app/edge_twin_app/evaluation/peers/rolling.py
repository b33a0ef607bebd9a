"""Rolling z scores: today against a window of earlier rows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

from edge_twin_app.evaluation.rules import section

_MAD_TO_SD = 1.4826  # of a Gaussian
Scale = Callable[[Sequence[float]], tuple[float, float]]


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1)."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def median_and_mad(values: Sequence[float]) -> tuple[float, float]:
    """Median and 1.4826 times the median absolute deviation."""
    middle = median(sorted(values))
    return middle, _MAD_TO_SD * median(sorted(abs(value - middle) for value in values))


def median(ordered: Sequence[float]) -> float:
    """Median of sorted values."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0


def quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile of sorted values by linear interpolation."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


class RollingZ:
    """Today against the rows ``i - window - lag`` to ``i - lag - 1``, standardised.

    0 when today is missing or the window holds fewer values than ``protocol.toml`` asks for.

    Args:
        window: rows of the baseline.
        lag: rows between baseline and today.
        floor: smallest denominator.
        scale: location and scale of the baseline.
    """

    def __init__(self, window: int, lag: int, floor: float, scale: Scale) -> None:
        self._rows: deque[float] = deque(maxlen=window + lag)
        self._lag, self._floor, self._scale = lag, floor, scale
        self._minimum = section("z")["minimum_valid"]

    def update(self, value: float) -> float:
        """Standardised ``value`` (NaN when missing), which then joins the rows."""
        baseline = self._baseline()
        self._rows.append(value)
        if math.isnan(value) or len(baseline) < self._minimum:
            return 0.0
        location, scale = self._scale(baseline)
        return (value - location) / max(scale, self._floor)

    def _baseline(self) -> list[float]:
        rows = list(self._rows)
        last = len(rows) - self._lag
        return [row for row in rows[: max(last, 0)] if not math.isnan(row)]


def robust(floor: float) -> RollingZ:
    """The robust form with the window and the lag that several peers share."""
    shape = section("z")
    return RollingZ(shape["window"], shape["lag"], floor, median_and_mad)


class PlainZ:
    """z over 14 days: mean and standard deviation of the 14 rows before today."""

    def __init__(self) -> None:
        self._z = RollingZ(section("z14")["window"], 0, section("z14")["floor"], mean_and_sd)

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day."""
        del day, log_steps
        return self._z.update(rate)


class RobustZ:
    """Robust z over 28 days with a lag of 3, of the heart rate."""

    def __init__(self) -> None:
        self._z = robust(section("z")["rate_floor"])

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day."""
        del day, log_steps
        return self._z.update(rate)
