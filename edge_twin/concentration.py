"""Logarithmic drug effect of each integration step: ln(1 + C) at quadrature points, from the exact concentration.

An effect that is not linear in the concentration needs more of a step than its area. The concentration
at the points of a Gauss-Legendre rule comes out of the same matrix exponential as the area, so the
rule sees the true curve, however short the drug's half-life.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.exposure import DoseEvent, ExposureGrid, LinearPharmacokinetics, exposure_grid

Floats = NDArray[np.float64]

QUADRATURE_POINTS = 0.5 + 0.5 * np.sqrt(0.6) * np.array([-1.0, 0.0, 1.0])
"""Points of the three-point Gauss-Legendre rule, as fractions of the step."""
QUADRATURE_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0
"""Their weights; sum 1."""
NEGLIGIBLE = 1e-9  # µmol/L: below it the drug is gone, and the engines may skip it
WASHED_OUT_DAYS = 3.0  # after the last administration of a cycle; 36 half-lives of cytarabine
EFFECT_STEP_DAYS = 0.05  # of the area under ln(1 + C)


def log_concentrations(pk: LinearPharmacokinetics, grid: ExposureGrid) -> Floats:
    """ln(1 + C) within every step, C in µmol/L.

    Args:
        pk: the pharmacokinetics that the grid was made with.
        grid: steps with amounts and infusions.

    Returns:
        [k, 3], one column for each of ``QUADRATURE_POINTS``; exactly 0 where the drug is negligible.
    """
    return log_effect(concentrations(pk, grid))


def log_effect(micromoles: Floats) -> Floats:
    """ln(1 + C); exactly 0 where the drug is negligible."""
    return np.where(micromoles > NEGLIGIBLE, np.log1p(np.maximum(micromoles, 0.0)), 0.0)


def cycle_effect(
    pk: LinearPharmacokinetics, offsets_days: tuple[float, ...], infusion_days: float, amounts_mg: Floats
) -> tuple[Floats, Floats]:
    """What a cycle of equal administrations does, for several amounts.

    Args:
        pk: of the drug.
        offsets_days: administrations, days after the start of the cycle.
        infusion_days: of each.
        amounts_mg: [n] of each administration.

    Returns:
        ([n] area under ln(1 + C) in days, [n] ln(1 + highest C at the end of an infusion), C in µmol/L).
    """
    doses = [DoseEvent(day, 1.0, infusion_days) for day in offsets_days]
    times = np.array([0.0, offsets_days[-1] + WASHED_OUT_DAYS])
    grid = exposure_grid(pk, doses, times, max_step_days=EFFECT_STEP_DAYS)
    logs = log_effect(concentrations(pk, grid)[:, :, None] * amounts_mg)
    areas = np.einsum("k,q,kqn->n", grid.steps[:, 0], QUADRATURE_WEIGHTS, logs)
    return areas, log_effect(amounts_mg * grid.concentration.max())


def concentrations(pk: LinearPharmacokinetics, grid: ExposureGrid) -> Floats:
    """[k, 3] concentrations within every step in µmol/L, one column for each of ``QUADRATURE_POINTS``."""
    lengths, which = np.unique(grid.steps[:, 0], return_inverse=True)
    moments = QUADRATURE_POINTS[:, None] * lengths
    rows = pk.transitions(moments.ravel())[:, 0, :]
    rows = rows.reshape(*moments.shape, rows.shape[-1])  # no step at all is possible too
    states = np.column_stack((grid.amounts_mg[:-1], np.zeros(len(which)), grid.infusion_mg_per_day))
    amounts = np.einsum("qks,ks->kq", rows[:, which], states)
    return np.asarray(amounts / pk.litre_milligrams_per_micromole)
