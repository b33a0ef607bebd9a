"""Conformal e-CUSUM: a bet against exchangeability on conformal p-values, restarted whenever it has lost all.

Power martingale of Vovk, Nouretdinov, Gammerman, ICML 2003; restarted as an e-detector, Shin, Ramdas, Rinaldo,
New England J Stat Data Sci 2024;2:229.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from edge_twin_app.evaluation.peers.rolling import robust
from edge_twin_app.evaluation.rules import section


class ConformalCusum:
    """Logarithm of the wealth of the bet; not scored before the history is long enough."""

    def __init__(self) -> None:
        self._rule = section("conformal")
        self._z = robust(section("z")["rate_floor"])
        self._history: deque[float] = deque(maxlen=self._rule["history"])
        self._draws = np.random.default_rng(self._rule["seed"])
        self._wealth = 1.0

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day."""
        del day, log_steps
        value, history = self._z.update(rate), list(self._history)
        self._history.append(value)
        if len(history) < self._rule["minimum_history"]:
            return math.nan
        p = max(self._p_value(history, value), self._rule["smallest_p"])
        power = self._rule["power"]
        self._wealth = max(self._wealth, 1.0) * (1.0 - power) * p**-power
        return math.log(self._wealth)

    def _p_value(self, history: list[float], value: float) -> float:
        above, equal = sum(old > value for old in history), sum(old == value for old in history)
        return (above + self._draws.random() * (equal + 1)) / (len(history) + 1)
