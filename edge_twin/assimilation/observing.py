"""Observation operators: what a laboratory reports when the model says how many cells there are.

Everything is on the natural-log scale. Proportional and additive errors are brought there by the
delta method, a reported "<0.1" or 0 is left-censored, and the surrogate's own error against its
teacher is added to the laboratory's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from edge_twin.contract import Matrix, Vector

# Counters report one decimal, so a 0 says "below 0.05 ×10⁹/L" (assumed; a laboratory that resolves more says so).
DETECTION_LIMIT = 0.05
SMALLEST_STATE = 1e-3  # 10*9/L: the model's logarithm stays finite and no member is infinitely far from a count

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


class Counts(NamedTuple):
    """Counts of one patient.

    Attributes:
        days: float days since the first dose, increasing, shape [m].
        values: 10*9/L, shape [m]; where ``below`` holds, the limit that the laboratory named.
        below: shape [m], whether the laboratory reported "less than"; None when it never did.
    """

    days: Vector
    values: Vector
    below: Mask | None = None

    def until(self, day: float) -> Counts:
        """The counts taken before ``day``."""
        known = self.days < day
        return Counts(self.days[known], self.values[known], None if self.below is None else self.below[known])


@dataclass(frozen=True, slots=True)
class ObservationOperator:
    """How a count scatters about the true one.

    Attributes:
        log_sd: standard deviation of ln(measured) - ln(true), the laboratory and the model's misfit.
        additive: standard deviation of an error that does not scale with the count, 10*9/L.
        surrogate_log_sd: standard deviation of ln(reduced model) - ln(teacher), from the certificate.
        detection_limit: counts at or below it are left-censored there, 10*9/L.
    """

    log_sd: float
    additive: float = 0.0
    surrogate_log_sd: float = 0.0
    detection_limit: float = DETECTION_LIMIT

    @classmethod
    def proportional(cls, relative_sd: float, *, additive: float = 0.0, surrogate_log_sd: float = 0.0) -> Self:
        """The operator of ``measured = true·(1 + e)``, e with standard deviation ``relative_sd``.

        The log-normal with the same coefficient of variation: log variance ln(1 + relative_sd²).
        """
        return cls(math.sqrt(math.log1p(relative_sd**2)), additive, surrogate_log_sd)

    def censored(self, counts: Counts) -> Mask:
        """[m] which counts only say that the truth lies below a limit."""
        low = counts.values <= self.detection_limit
        return low if counts.below is None else np.asarray(low | counts.below)

    def log_values(self, counts: Counts) -> Vector:
        """[m] logarithms of the counts, or of the limit for censored ones."""
        return np.asarray(np.log(np.maximum(counts.values, self.detection_limit or SMALLEST_STATE)))

    def log_variances(self, counts: Counts) -> Vector:
        """[m] variance of ln(measured) - ln(modelled)."""
        relative = self.additive / np.maximum(counts.values, self.detection_limit or SMALLEST_STATE)
        return np.asarray(self.log_sd**2 + self.surrogate_log_sd**2 + np.log1p(relative**2))


def log_states(counts: Matrix) -> Matrix:
    """Logarithms of modelled counts, floored at ``SMALLEST_STATE``; any shape."""
    return np.asarray(np.log(np.maximum(counts, SMALLEST_STATE)))


def distinct_days(days: Vector) -> tuple[Vector, Rows]:
    """The days [k] in order, each once, and the row [m] of every count among them.

    As ``numpy.unique`` with the inverse, whose sorting of the indices is code that nothing else needs.
    """
    ordered = sorted(set(days.tolist()))
    place = {day: row for row, day in enumerate(ordered)}
    return np.array(ordered, np.float64), np.array([place[day] for day in days.tolist()], np.intp)
