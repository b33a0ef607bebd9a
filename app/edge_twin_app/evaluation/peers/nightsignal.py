"""NightSignal (Alavi et al., Nat Med 2022;28:175): two nights well above the median of all nights so far."""

from __future__ import annotations

import math
from bisect import insort

from edge_twin_app.evaluation.peers.rolling import median
from edge_twin_app.evaluation.rules import section

YELLOW, RED = 1.0, 2.0


class NightSignal:
    """The published rule: 0, 1 (yellow) or 2 (red); a night is the whole number below the resting heart rate.

    A single missing night is imputed from its neighbours where one of them adjoins a recorded night, as soon as the
    nights up to today allow it; an imputed night also changes the baseline of yesterday.
    """

    def __init__(self) -> None:
        self._recorded: dict[int, int] = {}
        self._values: dict[int, int] = {}  # imputed ones as well
        self._ordered: list[int] = []
        self._rule = section("nightsignal")

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Colour of the day."""
        del log_steps
        if math.isnan(rate):
            return 0.0
        self._recorded[day] = int(rate)
        for missing in (day - 2, day - 1):
            self._impute(missing)
        yesterday = self._excess(day - 1)
        self._add(day, int(rate))
        both = min(yesterday, self._excess(day))
        return RED if both >= self._rule["red_excess"] else YELLOW if both >= self._rule["yellow_excess"] else 0.0

    def _excess(self, day: int) -> float:
        """Over the baseline of all nights added so far; minus infinity without that night."""
        return self._values[day] - int(median(self._ordered)) if day in self._values else -math.inf

    def _impute(self, day: int) -> None:
        neighbours = (day - 1, day + 1)
        known = day not in self._values and all(night in self._recorded for night in neighbours)
        if known and (day - 2 in self._recorded or day + 2 in self._recorded):
            self._add(day, int(round(sum(self._recorded[night] for night in neighbours) / 2.0, 1)))

    def _add(self, day: int, value: int) -> None:
        self._values[day] = value
        insort(self._ordered, value)


class ContinuousNightSignal:
    """The form that can be matched in false alerts: the smaller excess of two consecutive nights.

    No truncation and no imputation; a night whose predecessor is missing cannot be flagged.
    """

    def __init__(self) -> None:
        self._ordered: list[float] = []
        self._last = (-math.inf, math.nan)

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day."""
        del log_steps
        if math.isnan(rate):
            return -math.inf
        insort(self._ordered, rate)
        before, excess = self._last, rate - median(self._ordered)
        self._last = (day, excess)
        return min(excess, before[1]) if before[0] == day - 1 else -math.inf
