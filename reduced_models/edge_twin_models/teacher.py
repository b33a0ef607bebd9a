"""What a central (teacher) model offers to a distillation, and what a reduction method makes of it.

A teacher names its states, its parameters with their population prior, its inputs and its coded outputs;
it can run one patient as exactly as it knows how (``reference``) and many patients quickly (``run``).
A reduction method turns a teacher into the files of a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.codes import LEUKOCYTES, NEUTROPHILS
from edge_twin.concentration import log_concentrations
from edge_twin.engines.numpy_friberg import PARAMETERS, NumpyFriberg
from edge_twin.engines.numpy_jost import NumpyJost
from edge_twin.exposure import DoseEvent, LinearPharmacokinetics, exposure_grid
from edge_twin_models import jost
from edge_twin_models.friberg import DDMODEL00000224, DOCETAXEL_PK, ParameterRow, Patient, simulate_patient
from edge_twin_models.jost import CYTARABINE_PK

Floats = NDArray[np.float64]

AML_UNITS = {"wbc0": "10*9/L", "ktr": "/d", "slope": "1", "gamma": "1"}
UNITS = {"circ0": "10*9/L", "mtt": "h", "slope": "L/umol", "gamma": "1"}
FINE_STEP_DAYS = 0.1


@dataclass(frozen=True, slots=True)
class Variable:
    """A state, input or output.

    Attributes:
        name: short name.
        unit: UCUM.
        system, code: coding system and code, empty for what has none.
    """

    name: str
    unit: str
    system: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class TeacherParameter:
    """A patient parameter with its log-normal population prior.

    Attributes:
        name, unit: short name and UCUM unit.
        typical: population median.
        omega2: between-patient variance of the logarithm, 0 where none is known.
        mark, source: how far the value may be trusted (``bundle.MARKS``) and where it was read.
        omega2_mark, omega2_source: the same for the variance.
    """

    name: str
    unit: str
    typical: float
    omega2: float
    mark: str
    source: str
    omega2_mark: str
    omega2_source: str


class Teacher(Protocol):
    """A central model.

    Attributes:
        name: of the teacher and of its mechanistic bundle.
        drug: lower-case generic name; pharmacokinetics: of it.
        states, inputs, outputs: see ``Variable``.
        parameters: the patient's, the baseline first, which only scales the output.
        residual_log_sd: standard deviation of ln(measured) - ln(modelled).
    """

    name: str
    drug: str
    pharmacokinetics: LinearPharmacokinetics
    residual_log_sd: float
    states: tuple[Variable, ...]
    parameters: tuple[TeacherParameter, ...]
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """Many patients under the same doses, [n, p] to [n, t], in the unit of the output."""

    def reference(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """One patient as exactly as the teacher knows how, [p] to [t]; it judges ``run``."""


class ReductionMethod(Protocol):
    """A way to make a bundle of a teacher.

    Attributes:
        name: as the command line names it.
        suffix: of the bundle's id after the teacher's name.
    """

    name: str
    suffix: str

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """Files of the bundle by name, the manifest and the certificate included.

        Raises:
            BundleError: ``method_not_for_teacher``.
        """


class DocetaxelNeutropenia:
    """Neutrophils after docetaxel: three-compartment pharmacokinetics and the Friberg model.

    ``run`` is the log-space integrator with exact exposure, at a fine step; ``reference`` is LSODA on the
    full equations. The pharmacokinetics and the drug's effect are linear, so a patient's curve depends on
    slope and dose only through their product, and on the baseline only as a factor.

    Args:
        row: published parameter row that gives the prior.
        step_days: longest step of ``run``.

    Raises:
        ValueError: the row has no residual error.
    """

    name = "neutropenia"
    drug = "docetaxel"
    pharmacokinetics = DOCETAXEL_PK
    states: tuple[Variable, ...] = tuple(
        Variable(name, unit)
        for name, unit in (
            *((f"amount_{k}", "mg") for k in (1, 2, 3)),
            ("proliferating", "1"),
            *((f"transit_{k}", "1") for k in (1, 2, 3)),
            ("circulating", "1"),
        )
    )
    inputs: tuple[Variable, ...] = (Variable("dose", "mg"), Variable("dose_time", "d"), Variable("infusion", "d"))
    outputs: tuple[Variable, ...] = (
        Variable(NEUTROPHILS.name, NEUTROPHILS.unit, str(NEUTROPHILS.system), NEUTROPHILS.code),
    )

    def __init__(self, row: ParameterRow = DDMODEL00000224, step_days: float = FINE_STEP_DAYS) -> None:
        self.step_days = step_days
        if row.residual_log_sd is None:
            raise ValueError("the row has no residual error, so it cannot be assimilated with")
        self.residual_log_sd = row.residual_log_sd
        self.parameters = tuple(
            TeacherParameter(
                name, UNITS[name], float(getattr(row.typical, name)), omega2, "P", row.source, "P", row.source
            )
            for name, omega2 in zip(PARAMETERS, row.omega2, strict=True)
        )

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.run``; neutrophils in 10*9/L, [n, t]."""
        grid = exposure_grid(DOCETAXEL_PK, doses, days, max_step_days=self.step_days)
        return NumpyFriberg().simulate(log_parameters, grid.steps)[grid.report].T

    def reference(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.reference``; neutrophils in 10*9/L, [t]."""
        values: list[Any] = np.exp(log_parameters).tolist()
        return simulate_patient(Patient(*values), doses, days)


class CytarabineLeukocytes:
    """Leukocytes after cytarabine in AML: two-compartment pharmacokinetics and the model M3 of Jost et al.

    The drug's effect is slope·ln(1 + C), so slope and dose do not merge into a product. ``run`` is the
    integrator with the exact concentration at quadrature points, at a fine step; ``reference`` is LSODA.

    Args:
        row: typical values (second-hand) with the assumed spread.
        step_days: longest step of ``run``.
    """

    name = "aml"
    drug = "cytarabine"
    pharmacokinetics = CYTARABINE_PK
    states: tuple[Variable, ...] = tuple(
        Variable(name, unit)
        for name, unit in (
            *((f"amount_{k}", "mg") for k in (1, 2)),
            *((name, "1") for name in ("proliferating", "transit", "circulating")),
        )
    )
    inputs: tuple[Variable, ...] = (Variable("dose", "mg"), Variable("dose_time", "d"), Variable("infusion", "d"))
    outputs: tuple[Variable, ...] = (
        Variable(LEUKOCYTES.name, LEUKOCYTES.unit, str(LEUKOCYTES.system), LEUKOCYTES.code),
    )

    def __init__(self, row: jost.ParameterRow = jost.JOST, step_days: float = FINE_STEP_DAYS) -> None:
        self.step_days = step_days
        self.residual_log_sd = row.residual_log_sd
        self.parameters = tuple(
            TeacherParameter(
                name, unit, float(getattr(row.typical, name)), omega2, "P", row.source, "A", row.variance_source
            )
            for (name, unit), omega2 in zip(AML_UNITS.items(), row.omega2, strict=True)
        )

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.run``; leukocytes in 10*9/L, [n, t]."""
        grid = exposure_grid(CYTARABINE_PK, doses, days, max_step_days=self.step_days)
        steps = np.column_stack((grid.steps[:, 0], log_concentrations(CYTARABINE_PK, grid)))
        return NumpyJost(jost.KWBC_PER_DAY).simulate(log_parameters, steps)[grid.report].T

    def reference(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.reference``; leukocytes in 10*9/L, [t]."""
        values: list[Any] = np.exp(log_parameters).tolist()
        return jost.simulate_m3(jost.Patient(*values), doses, days)


TEACHERS: Mapping[str, Callable[[], Teacher]] = {
    DocetaxelNeutropenia.name: DocetaxelNeutropenia,
    CytarabineLeukocytes.name: CytarabineLeukocytes,
}
"""Teachers that ``edge-twin distill`` knows, by name."""
