"""Streams summed on the axis of onset days, and what the sum says.

The score is ln of the mean, over the candidate days of onset around today, of exp(sum of the streams'
log-likelihood ratios), less how high this person's scores usually are. The candidates reach only a few days
back, so an excursion that lasts loses its score by itself instead of alerting again and again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_twin.detection.settings import Settings
from edge_twin.detection.shapley import coalitions, shapley_of_sets

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

OWN_HISTORY = "own_history"
_LARGEST_LOG_RATIO = 60.0


class Fusion:
    """Adds streams up, moves the bar by a person's own history, and states a probability.

    Args:
        settings: of the detector.
    """

    def __init__(self, settings: Settings) -> None:
        self._person, self._probability = settings.person, settings.probability

    def contributions(self, ratios: Mapping[str, Vector]) -> dict[str, float]:
        """Exact Shapley values of the streams, whose sum is the fused log-likelihood ratio.

        Args:
            ratios: log-likelihood ratio of each candidate day of onset, by stream.
        """
        table = np.array(list(ratios.values()))
        values = shapley_of_sets(self.fused(coalitions(len(table)) @ table))
        return dict(zip(ratios, values.tolist(), strict=True))

    def fused(self, sums: Matrix) -> Vector:
        """[sets] score of each row of summed ratios [sets, candidate days]; 0 for a row of zeros."""
        likelihoods = np.exp(np.minimum(sums, _LARGEST_LOG_RATIO))
        return np.asarray(np.log(likelihoods.mean(axis=1)), dtype=np.float64)

    def own_level(self, scores: Mapping[int, float], day: int) -> float:
        """How far this person's usual high scores lie above those of most people, shrunk to 0.

        Args:
            scores: fused scores by day; only earlier days than ``day`` count.
            day: the day of the answer.
        """
        person = self._person
        earlier = sorted(value for at, value in scores.items() if day - person.history_days <= at < day)
        if len(earlier) < person.least_scores:
            return 0.0
        level = earlier[min(int(person.quantile * len(earlier)), len(earlier) - 1)]
        weight = len(earlier) / (len(earlier) + person.shrinkage_days)
        return person.strength * weight * (level - person.usual_level)

    def probability(self, score: float) -> float:
        """The probability that belongs to a score; see ``detector.toml`` for the window and the calibration."""
        chosen = self._probability
        slope = 1.0 / (1.0 + math.exp(-max(min(chosen.intercept + chosen.slope * score, 60.0), -60.0)))
        return chosen.lowest + (chosen.highest - chosen.lowest) * slope
