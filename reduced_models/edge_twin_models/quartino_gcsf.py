"""Teacher of neutropenia with endogenous and given G-CSF: full ODE by LSODA.

Quartino et al., Pharm Res 2014;31:3390-403; equations in ``edge_twin.engines.numpy_quartino``. Here every state,
the drug amounts and the absorption of filgrastim included, is integrated; nothing is averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from edge_twin.engines.numpy_quartino import FactorKinetics
from edge_twin.exposure import DoseEvent
from edge_twin.support import SubcutaneousDrug
from edge_twin_models.friberg import DDMODEL00000224, DOCETAXEL_PK

Floats = NDArray[np.float64]

HOURS_PER_DAY = 24.0
_CIRCULATING, _DEPOT = 8, 10
QUARTINO_2014 = (3.53, 133.0, 17.2, 0.444, 0.234)
"""[P] circ0 10*9/L, MTT h, slope L/µmol, gamma, beta."""
OMEGA2 = (*DDMODEL00000224.omega2[:3], 0.0, 0.0)
"""[A] between-patient variances of the logarithms: borrowed from the docetaxel row in use, whose circ0, MTT and slope
mean the same; the paper's own are not at hand, and none is known for gamma and beta."""
RESIDUAL_LOG_SD = 0.424
"""[A] residual error of the same row, borrowed as well."""
KINETICS = FactorKinetics(
    kcirc_per_day=math.log(2.0) / 7.0 * HOURS_PER_DAY,  # [P] half-life of circulating neutrophils 7 h
    ke_per_day=0.592 * HOURS_PER_DAY,  # [P] unspecific loss of G-CSF
    kanc_per_day=5.64 * HOURS_PER_DAY,  # [P] per 10*9/L, loss by neutrophils
    # [P] value, [U] unit: printed as ng/mL, but in that unit 1000·(dose in µg)/volume, about 2e4 for 300 µg, would
    # hardly move it; the physiological level is some 24 ng/L.
    g0_ng_per_l=24.3,
)
FILGRASTIM = SubcutaneousDrug(
    name="filgrastim",
    depot_per_day=3.15,  # [U] the three are second-hand, from a re-implementation of Jost et al. 2020
    transit_per_day=10.5,  # [U]
    volume_l=14.5,  # [U]
    max_amount_mg=0.6,  # [A] 5 µg/kg a day at up to 120 kg
    max_amount_21_days_mg=8.4,  # [A] the largest dose on 14 days
    min_interval_days=0.75,  # [A] once a day, an injection up to six hours early
)


@dataclass(slots=True)
class _System:
    """Right-hand side per day.

    State [12]: docetaxel mg in three compartments; ln P, T1..T4, c (fractions); G, depot, transit (ng/L).

    Attributes:
        parameters: circ0, MTT, slope, gamma, beta.
        infusion: docetaxel, mg/d.
    """

    parameters: Sequence[float]
    infusion: float = 0.0

    def __call__(self, _day: float, state: Floats) -> Floats:
        circ0, mtt, slope, gamma, beta = self.parameters
        amounts, (log_p, *chain, circulating), (factor, depot, transit) = state[:3], state[3:9], state[9:]
        ktr, speed = 120.0 / mtt, (factor / KINETICS.g0_ng_per_l) ** beta
        effect = slope * amounts[0] / DOCETAXEL_PK.litre_milligrams_per_micromole
        growth = ktr * ((1.0 - effect) * (factor / KINETICS.g0_ng_per_l) ** gamma - speed)
        above = [np.exp(log_p), *chain[:3]]
        cells = [ktr * speed * (before - here) for before, here in zip(above, chain, strict=True)]
        by_cells = KINETICS.kanc_per_day * circ0
        produced = (KINETICS.ke_per_day + by_cells) * KINETICS.g0_ng_per_l + FILGRASTIM.transit_per_day * transit
        lost = (KINETICS.ke_per_day + by_cells * circulating) * factor
        absorbed = FILGRASTIM.depot_per_day * depot
        drug = DOCETAXEL_PK.rate_matrix @ amounts
        drug[0] += self.infusion
        leaving = KINETICS.kcirc_per_day * (speed * chain[3] - circulating)
        ends = [leaving, produced - lost, -absorbed, absorbed - FILGRASTIM.transit_per_day * transit]
        return np.array([*drug, growth, *cells, *ends])


def derivative(state: Floats, parameters: Sequence[float]) -> Floats:
    """Right-hand side per day without infusion; see the source for the order of the twelve states."""
    return _System(parameters)(0.0, state)


def simulate_patient(
    parameters: Sequence[float], docetaxel: Sequence[DoseEvent], filgrastim: Sequence[DoseEvent], times: Floats
) -> Floats:
    """Neutrophils [t] in 10*9/L, from the steady state; restarted wherever an input jumps.

    Args:
        parameters: circ0, MTT, slope, gamma, beta.
        docetaxel: boluses and infusions.
        filgrastim: injections, mg.
        times: strictly increasing days, the first not after any dose.

    Raises:
        RuntimeError: the solver gave up.
    """
    state = np.array([0.0] * 4 + [1.0] * 5 + [KINETICS.g0_ng_per_l, 0.0, 0.0])
    output = np.empty(len(times))
    output[0] = 1.0
    system = _System(parameters)
    for begin, end in pairwise(_edges(docetaxel, filgrastim, times).tolist()):
        state[0] += sum(d.amount_mg for d in docetaxel if d.infusion_days == 0.0 and d.start_day == begin)
        injected = sum(dose.amount_mg for dose in filgrastim if dose.start_day == begin)
        state[_DEPOT] += 1e6 * injected / FILGRASTIM.volume_l
        system.infusion = sum(_rate(dose, begin) for dose in docetaxel)
        inside = (times >= begin) & (times <= end)
        points = np.unique([*times[inside], end])
        solution = solve_ivp(system, (begin, end), state, method="LSODA", t_eval=points, rtol=1e-7, atol=1e-9)
        if not solution.success:
            raise RuntimeError(f"LSODA failed between day {begin} and {end}: {solution.message}")
        output[inside] = solution.y[_CIRCULATING, : int(inside.sum())]
        state = solution.y[:, -1].copy()
    return output * parameters[0]


def _edges(docetaxel: Sequence[DoseEvent], filgrastim: Sequence[DoseEvent], times: Floats) -> Floats:
    """Every jump of an input up to the last wanted time."""
    jumps = [day for dose in (*docetaxel, *filgrastim) for day in (dose.start_day, dose.start_day + dose.infusion_days)]
    points = np.unique([times[0], times[-1], *jumps])
    return np.asarray(points[points <= times[-1]])


def _rate(dose: DoseEvent, day: float) -> float:
    """Infusion rate in mg/d just after ``day``."""
    running = dose.infusion_days > 0.0 and dose.start_day <= day < dose.start_day + dose.infusion_days
    return dose.amount_mg / dose.infusion_days if running else 0.0
