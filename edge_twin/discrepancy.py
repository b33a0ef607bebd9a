"""Discrepancy: how far a patient's next occasion may lie from what earlier ones taught.

Between occasions (cycles) the same patient answers differently, and the equations are not the patient. Both are
carried to a cycle from which no count has been taken yet: for each member the fall of the logarithm since the
dose is multiplied by a factor about 1, normal and never negative. A shallow fall stays sure, a deep one becomes
less so, and the count on the day of the dose is not touched. The first cycle needs no such term: its patient is
drawn from the population, whose variance holds the occasion's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError
from edge_twin.manifest import Reader
from edge_twin.randomness import Stream, generator

Floats = NDArray[np.float64]

SMALLEST_COUNT = 1e-6  # 10*9/L, only to keep the logarithm finite


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Calibrated spread of the fall in a new occasion.

    Attributes:
        fall_sd: standard deviation of the factor, where the residual error is ``residual_log_sd``.
        residual_log_sd: the population's, for which it was calibrated; it holds the laboratory's error and the misfit
            of the model.
        laboratory_log_sd: the laboratory's error alone. A forecast whose residual error is no larger claims that the
            model has no misfit, and gets no discrepancy.
    """

    fall_sd: float = 0.0
    residual_log_sd: float = 1.0
    laboratory_log_sd: float = 0.0

    def fall_sd_at(self, residual_log_sd: float) -> float:
        """The spread for another residual error: its variance shrinks with what the residual leaves for misfit."""
        laboratory = self.laboratory_log_sd**2
        left = (residual_log_sd**2 - laboratory) / (self.residual_log_sd**2 - laboratory)
        return self.fall_sd * math.sqrt(max(left, 0.0))

    def apply(self, logs: Floats, at_dose: Floats, residual_log_sd: float, seed: int) -> Floats:
        """Log counts in a new occasion with its uncertainty.

        Args:
            logs: [t, members] logarithms of the counts after the dose.
            at_dose: [members] logarithms at the dose.
            residual_log_sd: of the forecast.
            seed: of the factors, the same for all times.

        Returns:
            [t, members].
        """
        fall_sd = self.fall_sd_at(residual_log_sd)
        if fall_sd == 0.0:
            return logs
        factors = 1.0 + fall_sd * generator(seed, Stream.DISCREPANCY).standard_normal(logs.shape[-1])
        moved = at_dose + np.maximum(factors, 0.0) * (logs - at_dose)
        # It widens and does not move: the median is what the model says, not what the draw of the factors adds.
        return np.asarray(moved + np.median(logs, axis=-1, keepdims=True) - np.median(moved, axis=-1, keepdims=True))


NO_DISCREPANCY = Discrepancy()


def read_discrepancy(document: Reader) -> Discrepancy:
    """The manifest's ``discrepancy``; none known when the key is absent.

    Raises:
        BundleError: ``malformed``.
    """
    if "discrepancy" not in document.content:
        return NO_DISCREPANCY
    item = document.child("discrepancy")
    item.choice("mark", ("P", "C", "U", "A"))
    item.text("source")
    laboratory, residual = item.number("laboratory_log_sd", low=0.0), document.number("residual_log_sd", low=0.0)
    if residual <= laboratory:
        raise BundleError("the residual error must exceed the laboratory's", reason="malformed")
    return Discrepancy(item.number("fall_sd", low=0.0), residual, laboratory)


def new_occasion(dose_days: Sequence[float], count_days: Floats) -> float | None:
    """Start of the first cycle after the first one from which no count has been taken; None when there is none.

    Args:
        dose_days: of the cytotoxic drug, any order; a count on the day of the dose belongs to the cycle before.
        count_days: of the counts.
    """
    newest = float(np.max(count_days, initial=-np.inf))
    return min((day for day in sorted(dose_days)[1:] if day >= newest), default=None)
