"""How fast a tumour marker grows: doubling time by regression of its logarithm on time, with its interval.

The doubling time is ln 2 / slope of ln(value), by least squares; the interval comes from Student's t on the slope
(Draper and Smith, Applied Regression Analysis, section 1.4). Plain arithmetic: a series has a handful of values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_twin.errors import KineticsError

DAYS_PER_MONTH = 365.25 / 12

# Student's t, 97.5 % quantiles for 1 to 30 degrees of freedom (any table of the distribution; tests check them).
_T_97_5 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
    2.0452, 2.0423,
)  # fmt: skip
_NORMAL_97_5 = 1.959964


@dataclass(frozen=True, slots=True)
class Growth:
    """Exponential growth of a marker.

    Attributes:
        slope_per_day: of ln(value) on time in days.
        low, high: its 95 % interval.
        values: how many values it rests on.
        span_days: from the first to the last of them.
    """

    slope_per_day: float
    low: float
    high: float
    values: int
    span_days: float

    @property
    def doubling_days(self) -> float:
        """Time in which the marker doubles; infinite when it does not rise."""
        return _doubling(self.slope_per_day)

    @property
    def shortest_days(self) -> float:
        """Lower end of the 95 % interval of the doubling time; infinite when even the steepest slope does not rise."""
        return _doubling(self.high)

    @property
    def longest_days(self) -> float:
        """Upper end likewise; infinite when the data do not exclude that the marker stands still or falls."""
        return _doubling(self.low)


def _doubling(slope: float) -> float:
    return math.log(2.0) / slope if slope > 0.0 else math.inf


def growth(days: Sequence[float], values: Sequence[float], *, values_needed: int, span_needed_days: float) -> Growth:
    """Fit exponential growth.

    Args:
        days: times, rising.
        values: at these times, each above 0 and none a limit of detection.
        values_needed: at least three, since two have no residual.
        span_needed_days: from the first to the last.

    Raises:
        KineticsError: ``too_few_values``, ``too_short_a_span``, or ``value_not_positive``.
    """
    if len(values) < max(values_needed, 3):
        raise KineticsError(f"{len(values)} values", reason="too_few_values")
    if not all(value > 0.0 for value in values):
        raise KineticsError("a value that is not above 0 has no logarithm", reason="value_not_positive")
    span = days[-1] - days[0]
    if span < span_needed_days or span <= 0.0:
        raise KineticsError(f"{span:.0f} days", reason="too_short_a_span")
    slope, error = _least_squares(days, [math.log(value) for value in values])
    margin = t_97_5(len(values) - 2) * error
    return Growth(slope, slope - margin, slope + margin, len(values), span)


def _least_squares(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope and its standard error."""
    n = len(x)
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    spread = math.fsum((a - mean_x) ** 2 for a in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    left = math.fsum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(left / (n - 2) / spread)


def t_97_5(degrees: int) -> float:
    """97.5 % quantile of Student's t; beyond the table by two terms of its expansion about the normal quantile.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    if degrees <= len(_T_97_5):
        return _T_97_5[degrees - 1]
    z = _NORMAL_97_5
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / degrees + second / degrees**2
