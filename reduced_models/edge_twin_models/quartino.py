"""The central (teacher) model of neutropenia with endogenous and given G-CSF (Quartino et al., 2014).

    P'  = ktr·P·[(1 - slope·Cp)·g**gamma - g**beta]         g = G/G0,  ktr = 5 / MTT
    T1' = ktr·g**beta·(P - T1), ... T4' = ktr·g**beta·(T3 - T4)
    c'  = ktr·g**beta·T4 - kcirc·c                           kcirc = ln 2 / 7 h
    G'  = kin - (ke + kANC·c)·G + input,                     kin = (ke + kANC·C0)·G0

Pharm Res 2014;31:3390. Its structure differs from the Friberg model of the bundle (four transit
compartments, a hormone that the neutrophils themselves clear), which makes it the teacher of patients
that the twin's own model did not make. Published: structural parameters and typical values [P]. Not
published here and therefore assumed [A]: between-patient and between-occasion variability, and the
pharmacokinetics of given filgrastim. The solver is LSODA, restarted wherever an input jumps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from edge_twin.exposure import DoseEvent
from edge_twin_models.friberg import DDMODEL00000224, DOCETAXEL_PK

Floats = NDArray[np.float64]

HOURS_PER_DAY = 24.0
HALF_LIFE_H = 7.0  # [P] of circulating neutrophils
GCSF_BASELINE_PG_PER_ML = 24.3  # [P] value; design notes print ng/mL, the physiological level is in pg/mL [A]
GCSF_ELIMINATION_PER_H = 0.592  # [P] ke, not through neutrophils
GCSF_NEUTROPHIL_PER_H = 5.64  # [P] kANC, per 10*9/L
TRANSIT_STAGES = 4
# Given filgrastim [A]: first-order absorption after an injection under the skin, then the model's own clearance.
ABSORPTION_PER_H = 0.16
BIOAVAILABILITY = 0.6
VOLUME_L = 3.0
PICOGRAMS = 1000.0  # pg/mL per µg/L
# Between occasions (cycles) [A]: log standard deviations of the drug effect and the transit time.
OCCASION_LOG_SD = {"slope": 0.2, "mtt": 0.05}
RTOL, ATOL = 1e-7, 1e-9


@dataclass(frozen=True, slots=True)
class QuartinoPatient:
    """Parameters of one patient; defaults are the published typical values.

    Attributes:
        circ0: baseline neutrophils, 10*9/L.
        mtt: mean transit time, h.
        slope: linear drug effect, L/µmol.
        gamma, beta: exponents of G-CSF on proliferation and on every transfer.
    """

    circ0: float = 3.53
    mtt: float = 133.0
    slope: float = 17.2
    gamma: float = 0.444
    beta: float = 0.234


@dataclass(frozen=True, slots=True)
class Filgrastim:
    """Daily injections under the skin.

    Attributes:
        first_day: of the first injection.
        injections: number of daily injections.
        amount_ug: of each, µg.
    """

    first_day: float
    injections: int
    amount_ug: float = 300.0

    @property
    def events(self) -> tuple[tuple[float, float], ...]:
        """(day, amount in µg) of each injection."""
        return tuple((self.first_day + number, self.amount_ug) for number in range(self.injections))


def sample_patients(count: int, seed: int, variance: float = 1.0) -> tuple[QuartinoPatient, ...]:
    """Virtual patients about the typical values.

    The between-patient variances of the logarithms are those of the docetaxel row in use (DDMODEL00000224),
    as the paper's own are not at hand [A].

    Args:
        count: how many.
        seed: of the draws.
        variance: factor on the variances.
    """
    spread = np.sqrt(variance * np.array(DDMODEL00000224.omega2[:3]))
    deviates = np.random.default_rng(seed).standard_normal((count, 3)) * spread
    typical = QuartinoPatient()
    return tuple(
        replace(typical, circ0=typical.circ0 * c, mtt=typical.mtt * m, slope=typical.slope * s)
        for c, m, s in np.exp(deviates).tolist()
    )


def on_occasions(patient: QuartinoPatient, occasions: int, seed: int) -> tuple[QuartinoPatient, ...]:
    """The patient in each cycle, with between-occasion variability [A]; the baseline does not change."""
    deviates = np.random.default_rng(seed).standard_normal((occasions, 2))
    spread = np.exp(deviates * [OCCASION_LOG_SD["slope"], OCCASION_LOG_SD["mtt"]])
    return tuple(replace(patient, slope=patient.slope * s, mtt=patient.mtt * m) for s, m in spread.tolist())


def simulate_quartino(
    patients: Sequence[QuartinoPatient],
    doses: Sequence[DoseEvent],
    times: ArrayLike,
    *,
    filgrastim: Sequence[Filgrastim] = (),
) -> Floats:
    """Circulating neutrophils of one patient.

    Args:
        patients: the patient in each occasion; occasion k begins with dose k, the last one lasts.
        doses: docetaxel, oldest first.
        times: [t] strictly increasing days, the first not before the steady state is left.
        filgrastim: courses of injections.

    Returns:
        [t] in 10*9/L.

    Raises:
        RuntimeError: the solver gave up.
    """
    wanted = np.asarray(times, dtype=np.float64)
    injections = [event for course in filgrastim for event in course.events]
    system = _System(patients[0])
    state = system.steady_state()
    output = np.empty(len(wanted))
    output[0] = patients[0].circ0
    for begin, end in pairwise(_edges(doses, injections, wanted).tolist()):
        occasion = max(sum(dose.start_day <= begin for dose in doses) - 1, 0)
        system.become(patients[min(occasion, len(patients) - 1)])
        state[0] += sum(d.amount_mg for d in doses if d.infusion_days == 0.0 and d.start_day == begin)
        state[_DEPOT] += sum(
            PICOGRAMS * BIOAVAILABILITY * amount / VOLUME_L for day, amount in injections if day == begin
        )
        system.infusion = sum(_rate(dose, begin) for dose in doses)
        inside = (wanted >= begin) & (wanted <= end)
        points = np.unique(np.concatenate((wanted[inside], [end])))
        solution = solve_ivp(system, (begin, end), state, method="LSODA", t_eval=points, rtol=RTOL, atol=ATOL)
        if not solution.success:
            raise RuntimeError(f"LSODA failed between day {begin} and {end}: {solution.message}")
        output[inside] = solution.y[_CIRCULATING, : int(inside.sum())]
        state = solution.y[:, -1].copy()
    return output


_DEPOT, _GCSF, _CIRCULATING = 3, 4, -1


class _System:
    """Right-hand side; state: three drug amounts in mg, filgrastim depot and G-CSF in pg/mL, ln P, T1..T4, c."""

    def __init__(self, patient: QuartinoPatient) -> None:
        self.infusion = 0.0
        self.kcirc = math.log(2.0) / HALF_LIFE_H * HOURS_PER_DAY
        self.ke = GCSF_ELIMINATION_PER_H * HOURS_PER_DAY
        self.kanc = GCSF_NEUTROPHIL_PER_H * HOURS_PER_DAY
        self.absorption = ABSORPTION_PER_H * HOURS_PER_DAY
        self.rates: list[list[float]] = DOCETAXEL_PK.rate_matrix.tolist()
        self.scale = DOCETAXEL_PK.litre_milligrams_per_micromole
        self.become(patient)

    def become(self, patient: QuartinoPatient) -> None:
        """Take over the parameters of an occasion."""
        self.patient = patient
        self.ktr = (TRANSIT_STAGES + 1) * HOURS_PER_DAY / patient.mtt
        self.kin = (self.ke + self.kanc * patient.circ0) * GCSF_BASELINE_PG_PER_ML

    def steady_state(self) -> Floats:
        """[11] the state before any drug."""
        pool = self.patient.circ0 * self.kcirc / self.ktr
        stages = [pool] * TRANSIT_STAGES
        return np.array([0, 0, 0, 0, GCSF_BASELINE_PG_PER_ML, math.log(pool), *stages, self.patient.circ0], np.float64)

    def __call__(self, _day: float, state: Floats) -> list[float]:
        values: list[float] = state.tolist()
        amounts, depot, gcsf, log_p, stages = values[:3], values[3], values[4], values[5], values[6:]
        patient, ratio = self.patient, max(values[4], 1e-9) / GCSF_BASELINE_PG_PER_ML
        drug = [sum(rate * amount for rate, amount in zip(row, amounts, strict=True)) for row in self.rates]
        drug[0] += self.infusion
        absorbed, transfer = self.absorption * depot, self.ktr * ratio**patient.beta
        growth = self.ktr * (1.0 - patient.slope * amounts[0] / self.scale) * ratio**patient.gamma - transfer
        flow = [transfer * amount for amount in (math.exp(log_p), *stages[:-1])]
        chain = [entering - leaving for entering, leaving in pairwise(flow)]
        circulating = flow[-1] - self.kcirc * stages[-1]
        hormone = self.kin - (self.ke + self.kanc * stages[-1]) * gcsf + absorbed
        return [*drug, -absorbed, hormone, growth, *chain, circulating]


def _edges(doses: Sequence[DoseEvent], injections: Sequence[tuple[float, float]], wanted: Floats) -> Floats:
    """Restart points: every jump of an input before the last wanted time."""
    jumps = [day for dose in doses for day in (dose.start_day, dose.start_day + dose.infusion_days)]
    points = np.unique([wanted[0], wanted[-1], *jumps, *(day for day, _ in injections)])
    return np.asarray(points[points <= wanted[-1]])


def _rate(dose: DoseEvent, day: float) -> float:
    """Infusion rate in mg/d just after ``day``."""
    running = dose.infusion_days > 0.0 and dose.start_day <= day < dose.start_day + dose.infusion_days
    return dose.amount_mg / dose.infusion_days if running else 0.0
