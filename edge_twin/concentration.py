"""Logarithmic drug effect of each integration step: ln(1 + C) at quadrature points, from the exact concentration.

An effect that is not linear in the concentration needs more of a step than its area. The concentration
at the points of a Gauss-Legendre rule comes out of the same matrix exponential as the area, so the
rule sees the true curve, however short the drug's half-life.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.exposure import ExposureGrid, LinearPharmacokinetics

Floats = NDArray[np.float64]

QUADRATURE_POINTS = 0.5 + 0.5 * np.sqrt(0.6) * np.array([-1.0, 0.0, 1.0])
"""Points of the three-point Gauss-Legendre rule, as fractions of the step."""
QUADRATURE_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0
"""Their weights; sum 1."""
NEGLIGIBLE = 1e-9  # µmol/L: below it the drug is gone, and the engines may skip it


def log_concentrations(pk: LinearPharmacokinetics, grid: ExposureGrid) -> Floats:
    """ln(1 + C) within every step, C in µmol/L.

    Args:
        pk: the pharmacokinetics that the grid was made with.
        grid: steps with amounts and infusions.

    Returns:
        [k, 3], one column for each of ``QUADRATURE_POINTS``; exactly 0 where the drug is negligible.
    """
    lengths, which = np.unique(grid.steps[:, 0], return_inverse=True)
    moments = QUADRATURE_POINTS[:, None] * lengths
    rows = pk.transitions(moments.ravel())[:, 0, :]
    rows = rows.reshape(*moments.shape, rows.shape[-1])  # no step at all is possible too
    states = np.column_stack((grid.amounts_mg[:-1], np.zeros(len(which)), grid.infusion_mg_per_day))
    amounts = np.einsum("qks,ks->kq", rows[:, which], states)
    concentrations = amounts / pk.litre_milligrams_per_micromole
    return np.where(concentrations > NEGLIGIBLE, np.log1p(np.maximum(concentrations, 0.0)), 0.0)
