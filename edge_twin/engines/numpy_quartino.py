"""Neutrophils with endogenous and given G-CSF, for an ensemble, in numpy.

Equations: Quartino et al., Pharm Res 2014;31:3390-403; cell counts as fractions of their steady state, g = G / G0:

    P'  = ktr·P·[(1 - slope·Cp)·g**gamma - g**beta]        ktr = 5 / MTT
    T1' = ktr·g**beta·(P - T1), ... T4;  c' = kcirc·(g**beta·T4 - c)
    G'  = (ke + kANC·C0)·G0 + given - (ke + kANC·C0·c)·G   the loss acts on G as a whole

G is far faster than the cells (its rate is some hundred per day), so it is advanced exactly for the count in
the middle of the step, and its mean over the step drives the cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError

Floats = NDArray[np.float64]

PARAMETERS = ("circ0", "mtt", "slope", "gamma", "beta")
"""Order of the log parameters: 10*9/L, h, L/µmol, 1, 1."""

HOURS_PER_DAY = 24.0
KCIRC_PER_DAY = math.log(2.0) / 7.0 * HOURS_PER_DAY  # [P] half-life of circulating neutrophils 7 h
KE_PER_DAY = 0.592 * HOURS_PER_DAY  # [P] unspecific loss of G-CSF
KANC_PER_DAY = 5.64 * HOURS_PER_DAY  # [P] per 10*9/L, loss by neutrophils
G0_NG_PER_L = 24.3  # [P] endogenous steady state; in ng/L, the unit in which 1000·(dose in µg)/volume adds to it [U]


@dataclass(frozen=True, slots=True)
class Filgrastim:
    """Absorption of subcutaneous filgrastim: depot, one transit, then the serum.

    All of a dose arrives [A].

    Attributes:
        depot_per_day, transit_per_day, volume_l: second-hand from a re-implementation of Jost et al. 2020 [U].
    """

    depot_per_day: float = 3.15
    transit_per_day: float = 10.5
    volume_l: float = 14.5

    def entered(self, days: Floats) -> Floats:
        """ng/L of serum that 1 mg has delivered until ``days`` after its injection (0 before it)."""
        time = np.maximum(days, 0.0)
        slow, fast = self.depot_per_day, self.transit_per_day
        share = 1.0 - (fast * np.exp(-slow * time) - slow * np.exp(-fast * time)) / (fast - slow)
        return np.asarray(1e6 / self.volume_l * share)


def simulate_gcsf(log_parameters: Floats, steps: Floats, given_ng_per_l: Floats) -> Floats:
    """Circulating neutrophils at each node, starting at steady state.

    Args:
        log_parameters: [n, 5] natural logarithms in the order of ``PARAMETERS``.
        steps: [k, 2] step length in days, at most 0.1, and drug exposure in µmol·d/L.
        given_ng_per_l: [k] G-CSF that enters the serum during each step, ng/L.

    Returns:
        [k + 1, n] in 10*9/L.

    Raises:
        BundleError: ``engine_input``.
    """
    shaped = log_parameters.ndim == 2 and log_parameters.shape[1] == len(PARAMETERS)  # noqa: PLR2004 - [n, p]
    if not (shaped and steps.shape == (len(given_ng_per_l), 2) and bool(np.isfinite(log_parameters).all())):
        raise BundleError("log parameters [n, 5], steps [k, 2] and input [k] must fit", reason="engine_input")
    ensemble = _Ensemble(log_parameters)
    counts = np.ones((len(steps) + 1, len(log_parameters)))
    for index, ((duration, exposure), given) in enumerate(zip(steps.tolist(), given_ng_per_l.tolist(), strict=True)):
        ensemble.advance(duration, exposure, given)
        counts[index + 1] = ensemble.cells[4]
    return np.asarray(counts * ensemble.circ0)


class _Ensemble:
    """State of all members; cells: T1..T4, c."""

    def __init__(self, log_parameters: Floats) -> None:
        self.circ0, mtt, self.slope, self.gamma, self.beta = np.exp(log_parameters.T)
        self.ktr = 5.0 * HOURS_PER_DAY / mtt
        self.log_p = np.zeros(len(log_parameters))
        self.cells = np.ones((5, len(log_parameters)))
        self.factor = np.full(len(log_parameters), G0_NG_PER_L)

    def advance(self, duration: float, exposure: float, given: float) -> None:
        """One step of ``duration`` days."""
        log_g = np.log(self._mean_factor(duration, given) / G0_NG_PER_L)
        speed = np.exp(self.beta * log_g)
        growth = np.exp(self.gamma * log_g) * (duration - self.slope * exposure) - speed * duration
        pool = np.exp(self.log_p + np.multiply.outer((0.0, 0.5, 1.0), self.ktr * growth))
        self.log_p += self.ktr * growth
        self._transit(duration, speed, pool)

    def _mean_factor(self, duration: float, given: float) -> Floats:
        """Mean G of the step in ng/L; moves G to the end of the step."""
        speed = np.exp(self.beta * np.log(self.factor / G0_NG_PER_L))
        drift = KCIRC_PER_DAY * (speed * self.cells[3] - self.cells[4])
        middle = np.maximum(self.cells[4] + 0.5 * duration * drift, 1e-9)
        loss = KE_PER_DAY + KANC_PER_DAY * self.circ0 * middle
        source = (KE_PER_DAY + KANC_PER_DAY * self.circ0) * G0_NG_PER_L + given / duration
        decay = -np.expm1(-loss * duration)
        away = self.factor - source / loss
        self.factor = source / loss + away * (1.0 - decay)
        return np.asarray(source / loss + away * decay / (loss * duration))

    def _transit(self, duration: float, speed: Floats, pool: Floats) -> None:
        """Classical Runge-Kutta of the linear chain with P at the start, the middle and the end."""

        def change(cells: Floats, first: Floats) -> Floats:
            above = np.concatenate((first[None], cells[:3]))
            chain = self.ktr * speed * (above - cells[:4])
            return np.concatenate((chain, KCIRC_PER_DAY * (speed * cells[3] - cells[4])[None]))

        one = change(self.cells, pool[0])
        two = change(self.cells + 0.5 * duration * one, pool[1])
        three = change(self.cells + 0.5 * duration * two, pool[1])
        four = change(self.cells + duration * three, pool[2])
        self.cells = self.cells + duration / 6.0 * (one + 2.0 * two + 2.0 * three + four)
