"""The central (teacher) model of neutropenia after docetaxel: full ODE, published parameters, virtual patients.

Three-compartment pharmacokinetics drive the Friberg model (J Clin Oncol 2002;20:4713-21):

    A1' = R - (k10 + k12 + k13) A1 + k21 A2 + k31 A3,   Cp = A1 / (V1·0.808) µmol/L
    P'  = ktr·P·[(1 - slope·Cp)·(C0/c)**gamma - 1],      ktr = 4 / MTT
    T1..T3 in transit at ktr,                            c' = ktr·(T3 - c)

The solver is adaptive (scipy's LSODA) and restarted wherever the input jumps: across a jump its step
control would be fooled. ln P is the state, as P falls by orders of magnitude and must stay positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from edge_twin.exposure import DoseEvent, LinearPharmacokinetics

Floats = NDArray[np.float64]

HOURS_PER_DAY = 24.0
DOCETAXEL_RATES_PER_DAY = MappingProxyType({"k10": 124.8, "k12": 25.44, "k21": 36.24, "k13": 30.24, "k31": 2.016})
"""[P] radivot/myelo (Bruno et al. 1996 structure), 1/d."""
DOCETAXEL_VOLUME_L = 7.4  # [P] same source
DOCETAXEL_MG_PER_UMOL = 0.808  # molar mass 807.9 g/mol
DOCETAXEL_PK = LinearPharmacokinetics.three_compartment(
    **DOCETAXEL_RATES_PER_DAY, volume_l=DOCETAXEL_VOLUME_L, molar_factor=DOCETAXEL_MG_PER_UMOL
)
FEEDBACK_FLOOR = 1e-9  # guards the power alone, as a fraction of the baseline
LSODA_RELATIVE = 1e-8
LSODA_ABSOLUTE = 1e-10


@dataclass(frozen=True, slots=True)
class Patient:
    """Parameters of one patient.

    Attributes:
        circ0: baseline neutrophils, 10*9/L.
        mtt: mean transit time, h.
        slope: linear drug effect, L/µmol.
        gamma: feedback exponent.
    """

    circ0: float
    mtt: float
    slope: float
    gamma: float

    @property
    def log_parameters(self) -> Floats:
        """[4] natural logarithms in the order of the bundle."""
        return np.log([self.circ0, self.mtt, self.slope, self.gamma])


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A published parameter set.

    Attributes:
        typical: population medians.
        omega2: between-patient variances of the logarithms (circ0, mtt, slope, gamma); 0 where none is known.
        residual_log_sd: residual error on the log scale, or None where none is known.
        source: citation.
    """

    typical: Patient
    omega2: tuple[float, float, float, float]
    residual_log_sd: float | None
    source: str


FRIBERG_2002 = ParameterRow(
    Patient(5.05, 88.7, 8.58, 0.161),
    (0.0, 0.0, 0.0, 0.0),
    None,
    "Friberg et al., J Clin Oncol 2002;20:4713-4721, docetaxel",
)
KLOFT_2006 = ParameterRow(
    Patient(5.3, 83.9, 14.5, 0.144),
    (0.0, 0.0, 0.0, 0.0),
    None,
    "Kloft et al., Clin Cancer Res 2006;12:5481-5490, as in radivot/myelo kloft06.R",
)
DDMODEL00000224 = ParameterRow(
    Patient(5.21965, 84.1791, 15.5711, 0.144543),
    (0.0640, 0.0192, 0.1284, 0.0),
    0.424,
    "Kloft 2006 as in Netterberg et al., Cancer Chemother Pharmacol 2017;79:343-353, DDMoRe DDMODEL00000224",
)


def simulate_patient(  # noqa: PLR0913 - the solver's two tolerances are set by the benchmark alone
    patient: Patient,
    doses: Sequence[DoseEvent],
    times: ArrayLike,
    *,
    pharmacokinetics: LinearPharmacokinetics = DOCETAXEL_PK,
    rtol: float = LSODA_RELATIVE,
    atol: float = LSODA_ABSOLUTE,
) -> Floats:
    """Circulating neutrophils of one patient by adaptive integration of the full ODE.

    Args:
        patient: parameters.
        doses: in any order, infusions may overlap.
        times: [t] strictly increasing days.
        pharmacokinetics: of the drug.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance (mg for amounts, fractions of the baseline for cells).

    Returns:
        [t] in 10*9/L.

    Raises:
        RuntimeError: the solver gave up.
    """
    wanted = np.asarray(times, dtype=np.float64)
    compartments = pharmacokinetics.rate_matrix.shape[0]
    system = _System(patient, pharmacokinetics)
    state = np.concatenate((np.zeros(compartments), [0.0], np.ones(4)))
    output = np.empty(len(wanted))
    edges = _edges(doses, wanted)
    for begin, end in pairwise(edges.tolist()):
        state[0] += sum(d.amount_mg for d in doses if d.infusion_days == 0.0 and d.start_day == begin)
        system.infusion = sum(_rate(dose, begin) for dose in doses)
        inside = (wanted >= begin) & (wanted <= end)
        points = np.unique(np.concatenate((wanted[inside], [end])))
        solution = solve_ivp(system, (begin, end), state, method="LSODA", t_eval=points, rtol=rtol, atol=atol)
        if not solution.success:
            raise RuntimeError(f"LSODA failed between day {begin} and {end}: {solution.message}")
        output[inside] = solution.y[-1, : int(inside.sum())]
        state = solution.y[:, -1].copy()
    if len(edges) == 1:
        output[:] = 1.0
    return output * patient.circ0


def sample_patients(row: ParameterRow, members: int, seed: int) -> Floats:
    """Log parameters of a virtual population, independent draws.

    Returns:
        [members, 4].
    """
    deviates = np.random.default_rng(seed).standard_normal((members, 4))
    return np.asarray(row.typical.log_parameters + np.sqrt(row.omega2) * deviates)


def measure(counts: Floats, residual_log_sd: float, seed: int) -> Floats:
    """Counts with the row's residual error: log-normal, independent at each value.

    Args:
        counts: any shape, 10*9/L.
        residual_log_sd: standard deviation of ln(measured) - ln(true).
        seed: of the generator.

    Returns:
        Same shape and unit.
    """
    deviates = np.random.default_rng(seed).standard_normal(np.shape(counts))
    return np.asarray(counts * np.exp(residual_log_sd * deviates))


class _System:
    """Right-hand side; state: drug amounts in mg, ln P, T1, T2, T3, c as fractions of the baseline."""

    def __init__(self, patient: Patient, pharmacokinetics: LinearPharmacokinetics) -> None:
        self.rates: list[list[float]] = pharmacokinetics.rate_matrix.tolist()
        self.scale = pharmacokinetics.litre_milligrams_per_micromole
        self.slope, self.gamma = patient.slope, patient.gamma
        self.ktr = 4.0 * HOURS_PER_DAY / patient.mtt
        self.infusion = 0.0

    def __call__(self, _day: float, state: Floats) -> list[float]:
        # Plain floats: on vectors this short they are several times quicker than numpy.
        values: list[float] = state.tolist()
        amounts, (log_p, t1, t2, t3, circulating) = values[:-5], values[-5:]
        change = [sum(rate * amount for rate, amount in zip(row, amounts, strict=True)) for row in self.rates]
        change[0] += self.infusion
        feedback = max(circulating, FEEDBACK_FLOOR) ** -self.gamma
        growth = (1.0 - self.slope * amounts[0] / self.scale) * feedback - 1.0
        transit = (math.exp(log_p) - t1, t1 - t2, t2 - t3, t3 - circulating)
        return [*change, self.ktr * growth, *(self.ktr * difference for difference in transit)]


def _edges(doses: Sequence[DoseEvent], wanted: Floats) -> Floats:
    """Restart points: the first event, every jump of the input before the last wanted time, that time."""
    jumps = [day for dose in doses for day in (dose.start_day, dose.start_day + dose.infusion_days)]
    points = np.unique([wanted[0], wanted[-1], *jumps])
    return np.asarray(points[points <= wanted[-1]])


def _rate(dose: DoseEvent, day: float) -> float:
    """Infusion rate in mg/d just after ``day``."""
    if dose.infusion_days > 0.0 and dose.start_day <= day < dose.start_day + dose.infusion_days:
        return dose.amount_mg / dose.infusion_days
    return 0.0
