"""Central (teacher) model of neutropenia with endogenous and given G-CSF: full ODE by LSODA.

Quartino et al., Pharm Res 2014;31:3390-403; equations and marks in ``edge_twin.engines.numpy_quartino``. Here every
state, the drug amounts and the absorption of filgrastim included, is integrated; nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from edge_twin.engines.numpy_quartino import (
    G0_NG_PER_L,
    KANC_PER_DAY,
    KCIRC_PER_DAY,
    KE_PER_DAY,
    Filgrastim,
)
from edge_twin.exposure import DoseEvent
from edge_twin_models.friberg import DOCETAXEL_PK

Floats = NDArray[np.float64]

QUARTINO_2014 = (3.53, 133.0, 17.2, 0.444, 0.234)
"""[P] circ0 10*9/L, MTT h, slope L/µmol, gamma, beta; no between-patient variance is known here."""


def derivative(state: Floats, parameters: Sequence[float]) -> Floats:
    """Right-hand side per day.

    Args:
        state: [12] docetaxel mg in three compartments; ln P, T1..T4, c (fractions); G, depot, transit (ng/L).
        parameters: circ0, MTT, slope, gamma, beta.
    """
    circ0, mtt, slope, gamma, beta = parameters
    amounts, (log_p, *chain, circulating), (factor, depot, transit) = state[:3], state[3:9], state[9:]
    ktr, speed = 120.0 / mtt, (factor / G0_NG_PER_L) ** beta
    effect = slope * amounts[0] / DOCETAXEL_PK.litre_milligrams_per_micromole
    growth = ktr * ((1.0 - effect) * (factor / G0_NG_PER_L) ** gamma - speed)
    above = [np.exp(log_p), *chain[:3]]
    cells = [ktr * speed * (before - here) for before, here in zip(above, chain, strict=True)]
    given = Filgrastim()
    produced = (KE_PER_DAY + KANC_PER_DAY * circ0) * G0_NG_PER_L + given.transit_per_day * transit
    lost = (KE_PER_DAY + KANC_PER_DAY * circ0 * circulating) * factor
    absorbed = given.depot_per_day * depot
    ends = [KCIRC_PER_DAY * (speed * chain[3] - circulating), produced - lost, -absorbed]
    return np.array(
        [*(DOCETAXEL_PK.rate_matrix @ amounts), growth, *cells, *ends, absorbed - given.transit_per_day * transit]
    )


def simulate_patient(
    parameters: Sequence[float], boluses: Sequence[DoseEvent], filgrastim: Sequence[DoseEvent], times: Floats
) -> Floats:
    """[t] 10*9/L; docetaxel as boluses, restarted at every dose.

    Args:
        parameters: circ0, MTT, slope, gamma, beta.
        boluses: docetaxel, mg.
        filgrastim: injections, mg.
        times: strictly increasing days, the first not after any dose.

    Raises:
        RuntimeError: the solver gave up.
    """
    state = np.array([0.0] * 4 + [1.0] * 5 + [G0_NG_PER_L, 0.0, 0.0])
    output = np.empty(len(times))
    starts = [event.start_day for event in (*boluses, *filgrastim) if event.start_day < times[-1]]
    for begin, end in pairwise(np.unique([times[0], *starts, times[-1]]).tolist()):
        state[0] += sum(dose.amount_mg for dose in boluses if dose.start_day == begin)
        state[10] += sum(1e6 * dose.amount_mg for dose in filgrastim if dose.start_day == begin) / Filgrastim().volume_l
        inside = (times >= begin) & (times <= end)
        points = np.unique([*times[inside], end])
        solution = solve_ivp(
            lambda _day, values: derivative(values, parameters),
            (begin, end),
            state,
            method="LSODA",
            t_eval=points,
            rtol=1e-7,
            atol=1e-9,
        )
        if not solution.success:
            raise RuntimeError(f"LSODA failed between day {begin} and {end}: {solution.message}")
        output[inside] = solution.y[8, : int(inside.sum())]
        state = solution.y[:, -1].copy()
    return output * parameters[0]
