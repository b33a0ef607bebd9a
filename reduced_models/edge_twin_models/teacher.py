"""What a central (teacher) model offers to a distillation, and what a reduction method makes of it.

A teacher names its states, its parameters with their population prior, its inputs and its coded outputs;
it can run one patient as exactly as it knows how (``reference``) and many patients quickly (``run``).
A reduction method turns a teacher into the files of a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.codes import NEUTROPHILS
from edge_twin.engines.numpy_friberg import PARAMETERS, NumpyFriberg
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin_models.friberg import DDMODEL00000224, DOCETAXEL_PK, ParameterRow, Patient, simulate_patient

Floats = NDArray[np.float64]

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
    """

    name: str
    unit: str
    typical: float
    omega2: float
    mark: str
    source: str


class Teacher(Protocol):
    """A central model."""

    name: str
    states: tuple[Variable, ...]
    parameters: tuple[TeacherParameter, ...]
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """Many patients under the same doses, [n, p] to [n, t], in the unit of the output."""

    def reference(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """One patient as exactly as the teacher knows how, [p] to [t]; it judges ``run``."""


class ReductionMethod(Protocol):
    """A way to make a bundle of a teacher."""

    name: str

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """Files of the bundle by name, the manifest and the certificate included."""


class DocetaxelNeutropenia:
    """Neutrophils after docetaxel: three-compartment pharmacokinetics and the Friberg model.

    ``run`` is the log-space integrator with exact exposure, at a fine step; ``reference`` is LSODA on the
    full equations. The pharmacokinetics and the drug's effect are linear, so a patient's curve depends on
    slope and dose only through their product, and on the baseline only as a factor.

    Args:
        row: published parameter row that gives the prior.
        step_days: longest step of ``run``.
    """

    name = "neutropenia"
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
        self.parameters = tuple(
            TeacherParameter(name, UNITS[name], float(getattr(row.typical, name)), omega2, "P", row.source)
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


TEACHERS = {DocetaxelNeutropenia.name: DocetaxelNeutropenia}
"""Teachers that ``edge-twin distill`` knows, by name."""
