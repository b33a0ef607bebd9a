"""Exponentially weighted mean of the robust z: heart rate alone, or heart rate less steps."""

from __future__ import annotations

from edge_twin_app.evaluation.peers.rolling import robust
from edge_twin_app.evaluation.rules import section


class Ewma:
    """A mean with a half-life of one day, which a gap ages by its days.

    Args:
        with_steps: whether few steps raise the score.
    """

    def __init__(self, *, with_steps: bool) -> None:
        shape, self._rule = section("z"), section("ewma")
        self._rate = robust(shape["rate_floor"])
        self._steps = robust(shape["steps_floor"]) if with_steps else None
        self._mean = 0.0
        self._last_day: int | None = None

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day."""
        low, high = self._rule["clip_low"], self._rule["clip_high"]
        signal = _clipped(self._rate.update(rate), low, high)
        if self._steps is not None:
            signal -= self._rule["steps_weight"] * _clipped(self._steps.update(log_steps), -high, -low)
        weight = 1.0 - 0.5 ** min(self._gap(day), self._rule["longest_gap_days"])
        self._mean = (1.0 - weight) * self._mean + weight * signal
        return self._mean

    def _gap(self, day: int) -> int:
        gap = 1 if self._last_day is None else day - self._last_day
        self._last_day = day
        return gap


def _clipped(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))
