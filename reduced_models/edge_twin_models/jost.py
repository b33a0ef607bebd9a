"""The central (teacher) models of leukocytes under cytarabine in acute myeloid leukaemia (AML).

Jost et al., PLOS One 2019;14:e0204540, variant M3 without G-CSF (``simulate_m3``), and Jost et al., IEEE
Trans Biomed Eng 2020;67:3296 (arXiv 1911.08980) with G-CSF and leukaemic blasts (``simulate_gcsf``).
The drug effect is logarithmic, E = slope·ln(1 + C), C in µmol/L.

Parameters are those of a third-party re-implementation that cites the papers' tables [P, second-hand].
Two things are not in it and are therefore **assumed** [A]: the pharmacokinetics (only rough half-lives
and clearance are known [U]) and every between-patient variance, see ``JOST``.

The solver is adaptive (scipy's LSODA) and restarted wherever the input jumps. The logarithm of the
proliferating pool is the state, as it falls by orders of magnitude and must stay positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from edge_twin.exposure import DoseEvent, LinearPharmacokinetics

Floats = NDArray[np.float64]
RightHandSide = Callable[[float, Floats], list[float]]

KWBC_PER_DAY = 2.3765  # [P] Quartino 2014, loss of circulating leukocytes (half-life 7 h)
CYTARABINE_MG_PER_UMOL = 0.2432  # molar mass 243.2 g/mol
ALPHA_HALF_LIFE_DAYS = 10.0 / 1440.0  # [U] about 10 min
BETA_HALF_LIFE_DAYS = 2.0 / 24.0  # [A] middle of 1-3 h [U]
CLEARANCE_L_PER_DAY = 100.0 * 1.8 * 24.0  # [A] lower end of ">= 100 L/h/m2" [U], at 1.8 m2
CENTRAL_VOLUME_L = 50.0  # [A]
LSODA_RELATIVE = 1e-8
LSODA_ABSOLUTE = 1e-10
FEEDBACK_FLOOR = 1e-9  # guards the power alone, as a fraction of the baseline
LN2 = math.log(2.0)


def two_compartment(*, alpha: float, beta: float, clearance: float, volume_l: float) -> LinearPharmacokinetics:
    """Cytarabine from its two half-lives, clearance and central volume.

    Args:
        alpha: shorter half-life, d.
        beta: longer half-life, d.
        clearance: L/d.
        volume_l: central volume, L.

    Raises:
        ValueError: no two-compartment model has these values (a rate constant would be negative).
    """
    fast, slow = LN2 / alpha, LN2 / beta
    k10 = clearance / volume_l
    k21 = fast * slow / k10
    k12 = fast + slow - k10 - k21
    if not min(k10, k12, k21) > 0.0:
        raise ValueError("half-lives, clearance and volume contradict each other")
    return LinearPharmacokinetics(np.array([[-(k10 + k12), k21], [k12, -k21]]), volume_l, CYTARABINE_MG_PER_UMOL)


CYTARABINE_PK = two_compartment(
    alpha=ALPHA_HALF_LIFE_DAYS, beta=BETA_HALF_LIFE_DAYS, clearance=CLEARANCE_L_PER_DAY, volume_l=CENTRAL_VOLUME_L
)


@dataclass(frozen=True, slots=True)
class Patient:
    """Parameters of one patient.

    Attributes:
        wbc0: baseline leukocytes B, 10*9/L.
        ktr: transit and proliferation rate, 1/d.
        slope: drug effect for each unit of ln(1 + C).
        gamma: feedback exponent.
    """

    wbc0: float
    ktr: float
    slope: float
    gamma: float

    @property
    def log_parameters(self) -> Floats:
        """[4] natural logarithms in the order of the bundle."""
        return np.log([self.wbc0, self.ktr, self.slope, self.gamma])


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A parameter set.

    Attributes:
        typical: population medians [P, second-hand].
        omega2: between-patient variances of the logarithms [A].
        residual_log_sd: residual error on the log scale [A].
        source: of the medians; variance_source: of the assumed spread.
    """

    typical: Patient
    omega2: tuple[float, float, float, float]
    residual_log_sd: float
    source: str
    variance_source: str


JOST = ParameterRow(
    Patient(4.67, 0.236, 7.94, 0.651),
    (0.107, 0.0296, 0.176, 0.0),
    0.286,
    "Jost et al. 2019/2020, Table 1 as in a third-party re-implementation (second-hand)",
    "assumed: borrowed from leukocytes under paclitaxel, Friberg 2002 (DDMODEL00000186): baseline, transit time, slope",
)
"""Typical values with the assumed spread. Jost et al. publish no variance that was available here."""


class Prescribed(NamedTuple):
    """A drug effect E that is given instead of computed: ``effect`` from ``start_day`` to ``stop_day``."""

    start_day: float
    stop_day: float
    effect: float


@dataclass(frozen=True, slots=True)
class GcsfRow:
    """Parameters of the 2020 variant that patients share [P, second-hand, unless marked].

    Attributes:
        b_gcsf: G-CSF baseline Bg, ng/mL; keg: its loss, 1/d; kanc: loss by leukocytes, 1/d per 10*9/L.
        beta: exponent of G/Bg on every transfer.
        ka1, ka2: absorption of injected G-CSF, 1/d; volume_l: its volume Vg.
        a1, p1, d2, c1, c2: self-renewal, proliferation (1/d) and loss (1/d) of blasts, their crowding.
    """

    b_gcsf: float = 24.4
    keg: float = 14.208
    kanc: float = 135.36
    beta: float = 0.234
    ka1: float = 3.15
    ka2: float = 10.5
    volume_l: float = 14.5
    a1: float = 0.875
    p1: float = 0.1
    d2: float = 2.3
    c1: float = 0.01
    c2: float = 0.01


GCSF = GcsfRow()


@dataclass(frozen=True, eq=False)
class GcsfCourse:
    """What the 2020 variant gives, [t] each.

    Attributes:
        wbc: leukocytes, 10*9/L.
        gcsf: ng/mL.
        blasts1, blasts2: dividing and differentiated blasts, in the units they started in (not stated by the source).
        transit: maturing leukocytes Xtr.
    """

    wbc: Floats
    gcsf: Floats
    blasts1: Floats
    blasts2: Floats
    transit: Floats


def simulate_m3(  # noqa: PLR0913 - the solver's tolerance and the drug are set by tests and benchmarks alone
    patient: Patient,
    doses: Sequence[DoseEvent],
    times: ArrayLike,
    *,
    prescribed: Sequence[Prescribed] = (),
    pharmacokinetics: LinearPharmacokinetics = CYTARABINE_PK,
    rtol: float = LSODA_RELATIVE,
) -> Floats:
    """Circulating leukocytes of one patient, variant M3, starting at steady state.

    Args:
        patient: parameters.
        doses: cytarabine, in any order; infusions may overlap.
        times: [t] strictly increasing days.
        prescribed: effects that add to the drug's (for checks).
        pharmacokinetics: of cytarabine.
        rtol: relative tolerance of the solver.

    Returns:
        [t] in 10*9/L.

    Raises:
        RuntimeError: the solver gave up.
    """
    drug = _Drug(patient.slope, pharmacokinetics)
    start = np.concatenate((np.zeros(drug.compartments), [0.0, 1.0, 1.0]))
    states = _integrate(_m3(patient, drug), drug, start, _Inputs(doses, prescribed), np.asarray(times, float), rtol)
    return np.asarray(states[-1] * patient.wbc0)


def simulate_gcsf(  # noqa: PLR0913 - inputs of three kinds, the start of the blasts, and the shared row
    patient: Patient,
    doses: Sequence[DoseEvent],
    times: ArrayLike,
    *,
    prescribed: Sequence[Prescribed] = (),
    gcsf_doses: Sequence[DoseEvent] = (),
    blasts: tuple[float, float] = (0.0, 0.0),
    row: GcsfRow = GCSF,
) -> GcsfCourse:
    """The 2020 variant with endogenous and injected G-CSF and leukaemic blasts, from its steady state.

    Args:
        patient: parameters; the variant's own ``gamma`` acts on G/Bg.
        doses: cytarabine.
        times: [t] strictly increasing days.
        prescribed: effects that add to the drug's.
        gcsf_doses: subcutaneous, ``amount_mg``; taken as immediate (the source spreads them over one minute).
        blasts: dividing and differentiated blasts at the start.
        row: shared parameters.

    Raises:
        RuntimeError: the solver gave up.
    """
    drug = _Drug(patient.slope, CYTARABINE_PK)
    pool = patient.wbc0 * KWBC_PER_DAY / patient.ktr
    cells = [math.log(pool), pool, patient.wbc0, row.b_gcsf, 0.0, 0.0, *blasts]
    start = np.concatenate((np.zeros(drug.compartments), cells))
    inputs = _Inputs(doses, prescribed, gcsf_doses, depot=drug.compartments + 4, depot_scale=1000.0 / row.volume_l)
    states = _integrate(_gcsf(patient, drug, row), drug, start, inputs, np.asarray(times, float), LSODA_RELATIVE)
    _, transit, wbc, gcsf, _, _, blasts1, blasts2 = states[drug.compartments :]
    return GcsfCourse(wbc, gcsf, blasts1, blasts2, transit)


def blast_growth_per_day(wbc: float, blasts2: float = 0.0, row: GcsfRow = GCSF) -> float:
    """Growth rate of dividing blasts without drug: (2·a1·klc - 1)·p1 with klc = 1/(1 + c1·wbc + c2·blasts2)."""
    return (2.0 * row.a1 * _crowding(wbc, blasts2, row) - 1.0) * row.p1


def sample_patients(row: ParameterRow, members: int, seed: int, variance_factor: float = 1.0) -> Floats:
    """Log parameters [members, 4] of a virtual population, independent draws.

    Args:
        row: medians and assumed variances.
        members: number of patients.
        seed: of the generator.
        variance_factor: multiplies every variance.
    """
    deviates = np.random.default_rng(seed).standard_normal((members, 4))
    spread = np.sqrt(np.asarray(row.omega2) * variance_factor)
    return np.asarray(row.typical.log_parameters + spread * deviates)


class _Drug:
    """Cytarabine in the state vector: its compartments, its infusion, its effect."""

    def __init__(self, slope: float, pharmacokinetics: LinearPharmacokinetics) -> None:
        self.rates: list[list[float]] = pharmacokinetics.rate_matrix.tolist()
        self.compartments = len(self.rates)
        self._scale = pharmacokinetics.litre_milligrams_per_micromole
        self._slope = slope
        self.infusion = 0.0
        self.prescribed = 0.0

    def change(self, amounts: list[float]) -> list[float]:
        """Time derivative of the amounts, mg/d."""
        change = [sum(rate * amount for rate, amount in zip(row, amounts, strict=True)) for row in self.rates]
        change[0] += self.infusion
        return change

    def effect(self, amounts: list[float]) -> float:
        """E at this moment; amounts a hair below zero are solver noise."""
        return self.prescribed + self._slope * math.log1p(max(amounts[0], 0.0) / self._scale)


def _m3(patient: Patient, drug: _Drug) -> RightHandSide:
    """State: drug amounts in mg, ln of the proliferating pool, transit and circulating cells as shares of baseline."""
    ktr, gamma = patient.ktr, patient.gamma

    def change(_day: float, state: Floats) -> list[float]:
        values: list[float] = state.tolist()
        amounts, (log_pool, transit, circulating) = values[:-3], values[-3:]
        room = 1.0 - drug.effect(amounts)
        feedback = max(circulating, FEEDBACK_FLOOR) ** -gamma if room > 0.0 else 1.0
        return [
            *drug.change(amounts),
            ktr * (room * feedback - 1.0),
            ktr * (math.exp(log_pool) - transit),
            KWBC_PER_DAY * (transit - circulating),
        ]

    return change


def _crowding(wbc: float, blasts2: float, row: GcsfRow) -> float:
    return 1.0 / (1.0 + row.c1 * wbc + row.c2 * blasts2)


def _gcsf(patient: Patient, drug: _Drug, row: GcsfRow) -> RightHandSide:
    """State: drug amounts, ln Xprol, Xtr, Xwbc, G, XD, Xexo1, Xl1, Xl2 in the units of the source."""
    production = (row.keg + row.kanc * patient.wbc0) * row.b_gcsf

    def change(_day: float, state: Floats) -> list[float]:
        values: list[float] = state.tolist()
        amounts, (log_pool, transit, wbc, gcsf, depot, absorbed, young, mature) = values[:-8], values[-8:]
        effect = drug.effect(amounts)
        transfer = (gcsf / row.b_gcsf) ** row.beta * patient.ktr
        drive = (gcsf / row.b_gcsf) ** patient.gamma * patient.ktr
        renewal = row.a1 * _crowding(wbc, mature, row)
        return [
            *drug.change(amounts),
            drive * (1.0 - effect) - transfer,
            transfer * (math.exp(log_pool) - transit),
            transfer * transit - KWBC_PER_DAY * wbc,
            production + row.ka2 * absorbed - (row.keg + row.kanc * (wbc + mature)) * gcsf,
            -row.ka1 * depot,
            row.ka1 * depot - row.ka2 * absorbed,
            ((2.0 * renewal - 1.0) - effect) * row.p1 * young,
            2.0 * (1.0 - renewal) * row.p1 * young - row.d2 * mature,
        ]

    return change


@dataclass(frozen=True)
class _Inputs:
    """Everything that jumps: infusions, prescribed effects, injections into the G-CSF depot."""

    doses: Sequence[DoseEvent]
    prescribed: Sequence[Prescribed]
    gcsf: Sequence[DoseEvent] = ()
    depot: int = 0
    depot_scale: float = 0.0

    def edges(self, wanted: Floats) -> Floats:
        """Restart points: the first event, every jump before the last wanted time, that time."""
        jumps = [day for dose in (*self.doses, *self.gcsf) for day in (dose.start_day, _stop(dose))]
        jumps += [day for piece in self.prescribed for day in (piece.start_day, piece.stop_day)]
        points = np.unique([wanted[0], wanted[-1], *jumps])
        return np.asarray(points[points <= wanted[-1]])

    def apply(self, day: float, drug: _Drug, state: Floats) -> None:
        """Set the input that holds just after ``day`` and add what is injected at it."""
        state[0] += sum(dose.amount_mg for dose in self.doses if dose.infusion_days == 0.0 and dose.start_day == day)
        if self.gcsf:
            state[self.depot] += self.depot_scale * sum(d.amount_mg for d in self.gcsf if d.start_day == day)
        drug.infusion = sum(_rate(dose, day) for dose in self.doses)
        drug.prescribed = sum(piece.effect for piece in self.prescribed if piece.start_day <= day < piece.stop_day)


def _integrate(  # noqa: PLR0913, PLR0917 - the system, its input, its start, and what is wanted
    system: RightHandSide, drug: _Drug, start: Floats, inputs: _Inputs, wanted: Floats, rtol: float
) -> Floats:
    """States [s, t] at the wanted times, restarted at each edge."""
    state = start.copy()
    output = np.tile(start[:, None], len(wanted))
    for begin, end in pairwise(inputs.edges(wanted).tolist()):
        inputs.apply(begin, drug, state)
        inside = (wanted >= begin) & (wanted <= end)
        points = np.unique(np.concatenate((wanted[inside], [end])))
        solution = solve_ivp(system, (begin, end), state, method="LSODA", t_eval=points, rtol=rtol, atol=LSODA_ABSOLUTE)
        if not solution.success:
            raise RuntimeError(f"LSODA failed between day {begin} and {end}: {solution.message}")
        output[:, inside] = solution.y[:, : int(inside.sum())]
        state = solution.y[:, -1].copy()
    return output


def _stop(dose: DoseEvent) -> float:
    return dose.start_day + dose.infusion_days


def _rate(dose: DoseEvent, day: float) -> float:
    """Infusion rate in mg/d just after ``day``."""
    running = dose.infusion_days > 0.0 and dose.start_day <= day < _stop(dose)
    return dose.amount_mg / dose.infusion_days if running else 0.0
