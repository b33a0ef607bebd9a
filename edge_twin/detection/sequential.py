"""Two sequential tests, each with what it guarantees.

Page's test accumulates evidence for a shift and forgets evidence against one. The e-detector accumulates
e-values: under exchangeability the mean time to a false alarm is at least its threshold. Neither guarantee holds
for autocorrelated days, which daily heart rates are, so the alarm budget of the detector is calibrated by
counting; these pieces are for streams whose daily values can be ranked against an exchangeable past.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from edge_twin.errors import DetectionError


@dataclass(slots=True)
class Page:
    """Page's one-sided cumulative sum: W = max(0, W + z - allowance).

    For independent standard normal z a threshold of h is crossed, on average, after
    ``mean_time_to_false_alarm(h)`` days (Siegmund's approximation).

    Attributes:
        allowance: half the shift that is to be found, in standard deviations.
        level: W, 0 at the start.
    """

    allowance: float
    level: float = 0.0

    def update(self, standardised: float) -> float:
        """Take one day and return W."""
        self.level = max(0.0, self.level + standardised - self.allowance)
        return self.level

    def mean_time_to_false_alarm(self, threshold: float) -> float:
        """Days until W reaches the threshold when nothing changes (Siegmund 1985, approximation).

        Raises:
            DetectionError: ``bad_settings`` without a positive allowance and threshold.
        """
        if self.allowance <= 0.0 or threshold <= 0.0:
            raise DetectionError("allowance and threshold must be positive", reason="bad_settings")
        reach = threshold + 1.166  # expected overshoot of a standard normal walk, both sides together
        return (math.exp(2.0 * self.allowance * reach) - 2.0 * self.allowance * reach - 1.0) / (2.0 * self.allowance**2)


@dataclass(slots=True)
class EDetector:
    """Product of e-values that restarts from 1: M = max(M, 1) * e (Shin, Ramdas & Rinaldo 2022).

    Alarm at M >= c: when the days are exchangeable, the mean time to a false alarm is at least c days, whatever
    their distribution.

    Attributes:
        power: exponent of the calibrator e = (1 - power) * p**-power, between 0 and 1.
        log_level: ln M.
    """

    power: float = 0.3
    log_level: float = -math.inf

    def update(self, p_value: float) -> float:
        """Take the p-value of one day and return ln M.

        Raises:
            DetectionError: ``bad_p_value`` outside 0 (excluded) to 1.
        """
        if not 0.0 < p_value <= 1.0:
            raise DetectionError(f"a p-value of {p_value!r}", reason="bad_p_value")
        evidence = math.log(1.0 - self.power) - self.power * math.log(p_value)
        self.log_level = max(self.log_level, 0.0) + evidence
        return self.log_level


def conformal_p(past: list[float], value: float, tie: float) -> float:
    """How unusually high a value is among its past; uniform when all are exchangeable.

    Args:
        past: earlier values in ascending order.
        value: today's.
        tie: uniform on 0 to 1, drawn by the caller, so that nothing here is random.
    """
    above = len(past) - bisect_right(past, value)
    equal = len(past) - bisect_left(past, value) - above
    return (above + tie * (equal + 1)) / (len(past) + 1)
