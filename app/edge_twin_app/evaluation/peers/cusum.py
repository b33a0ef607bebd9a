"""CuSum (Mishra et al., Nat Biomed Eng 2020;4:1208) in daily form: one sum against the runs of its own baseline."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from edge_twin_app.evaluation.peers.rolling import mean_and_sd, quantile
from edge_twin_app.evaluation.rules import section


class CuSum:
    """The sum of excess over its null, the largest value that a run of the baseline had within as many days.

    The rule itself flags above 0; a threshold moves the null by a constant. The baseline takes in only days that the
    rule itself did not flag, whatever the threshold.
    """

    def __init__(self) -> None:
        self._rule = section("cusum")
        self._accepted: deque[float] = deque(maxlen=self._rule["window"])
        self._sum, self._run = 0.0, 0

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Excess over the null; minus infinity while the sum is 0, the run too short or the baseline incomplete."""
        del day, log_steps
        if math.isnan(rate):
            return -math.inf
        if len(self._accepted) < self._rule["window"]:
            self._accepted.append(rate)
            return -math.inf
        return self._advanced(rate)

    def _advanced(self, rate: float) -> float:
        standard = _Standard(self._accepted)
        self._sum = max(0.0, self._sum + standard.of(rate) - standard.allowance)
        if self._sum == 0.0:
            self._run = 0
            self._accepted.append(rate)
            return -math.inf
        self._run += 1
        excess = self._sum - standard.null(self._run)
        counted = self._run >= self._rule["shortest_run"]
        if not (counted and excess > 0.0):
            self._accepted.append(rate)
        return excess if counted else -math.inf


class _Standard:
    """Mean, scale, allowance and runs of the accepted days."""

    def __init__(self, accepted: Iterable[float]) -> None:
        rule, days = section("cusum"), list(accepted)
        self._clip = rule["clip"]
        self._mean, sd = mean_and_sd(days)
        self._scale = max(sd, rule["floor"])
        scores = [self.of(day) for day in days]
        self.allowance = quantile(sorted(scores), rule["reference_quantile"]) / 2.0
        self._runs = _positive_runs(scores, self.allowance)

    def of(self, rate: float) -> float:
        return float(max(-self._clip, min(self._clip, (rate - self._mean) / self._scale)))

    def null(self, length: int) -> float:
        return max((max(run[:length]) for run in self._runs), default=0.0)


def _positive_runs(scores: Iterable[float], allowance: float) -> list[list[float]]:
    runs: list[list[float]] = []
    total, inside = 0.0, False
    for score in scores:
        total = max(0.0, total + score - allowance)
        if total > 0.0 and not inside:
            runs.append([])
        inside = total > 0.0
        if inside:
            runs[-1].append(total)
    return runs
