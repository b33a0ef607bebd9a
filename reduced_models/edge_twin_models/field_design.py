"""Design of experiments for the field teacher: starts, parameters and treatments it is run on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.exposure import DoseEvent
from edge_twin.field import Fraction, Treatment, treatment_steps
from edge_twin_models.field_domain import Domain
from edge_twin_models.field_teacher import PARAMETERS, REFERENCE_DOSE_MG, TEMOZOLOMIDE_PK, GliomaField, start_field
from edge_twin_models.sampling import log_bounds, unit_points

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HORIZON_DAYS = 84.0
REPORT_DAYS = np.arange(0.0, HORIZON_DAYS + 1.0, 7.0)
MAX_STEP_DAYS = 2.0
MAX_FRACTION_GY = 4.0
FRACTIONS = 30
DRUG_DAYS = 42
# Assumed: the family of starts around one tumour; a bundle is made for one patient's geometry.
START: Mapping[str, tuple[float, float]] = {"radius_mm": (6.0, 10.0), "peak": (0.35, 0.9), "stretch": (0.85, 1.2)}
TREATMENT: Mapping[str, tuple[float, float]] = {"fraction_gy": (0.0, MAX_FRACTION_GY), "first_day": (2.0, 21.0)}


@dataclass(frozen=True, eq=False)
class FieldSample:
    """Members of the training box.

    Attributes:
        log_parameters: [n, 4].
        initial: [m, n] starts.
        fraction_gy, first_day: [n] of thirty weekday fractions.
        with_drug: [n] whether the drug is given on each of the 42 days from the first fraction on.
    """

    log_parameters: Floats
    initial: Floats
    fraction_gy: Floats
    first_day: Floats
    with_drug: NDArray[np.bool_]


def field_sample(domain: Domain, count: int, seed: int, *, quasi: bool = True) -> FieldSample:
    """A sample of the box, uniform in the logarithms of the parameters and in everything else.

    Args:
        domain: where the starts are made.
        count: of members.
        seed: of the scrambling or of the generator.
        quasi: a scrambled Sobol sequence (training) or independent draws (calibration, certificate).
    """
    bounds = [*log_bounds(PARAMETERS), *START.values(), *TREATMENT.values(), (0.0, 1.0)]
    low, high = np.array(bounds).T
    points = low + (high - low) * unit_points(count, len(bounds), seed, quasi=quasi)
    size = len(PARAMETERS)
    starts = np.hstack([start_field(domain, *row) for row in points[:, size : size + 3].tolist()])
    drug = points[:, size + 5] > 0.5  # noqa: PLR2004 - one half of the members
    return FieldSample(points[:, :size], starts, points[:, size + 3], np.floor(points[:, size + 4]), drug)


def treatment(sample: FieldSample, member: int) -> Treatment:
    """Fractions on weekdays (five on, two off) and daily doses of one member."""
    first, gray = float(sample.first_day[member]), float(sample.fraction_gy[member])
    days = [first + 7 * (index // 5) + index % 5 for index in range(FRACTIONS)]
    count = DRUG_DAYS if sample.with_drug[member] else 0
    doses = tuple(DoseEvent(first + day, REFERENCE_DOSE_MG) for day in range(count))
    return Treatment(tuple(Fraction(day, gray) for day in days), doses)


def member_steps(sample: FieldSample, member: int) -> tuple[Floats, Integers]:
    """Steps and report indices of one member."""
    return treatment_steps(TEMOZOLOMIDE_PK, REPORT_DAYS, treatment(sample, member), MAX_STEP_DAYS)


def run_sample(teacher: GliomaField, sample: FieldSample, executor: Executor | None) -> Floats:
    """Fields [n, t, m] of every member on the report days; they do not depend on where they are run."""
    work = [
        (teacher, sample.initial[:, [member]], sample.log_parameters[[member]], *member_steps(sample, member))
        for member in range(len(sample.log_parameters))
    ]
    done = executor.map(_run_member, work) if executor else map(_run_member, work)
    return np.stack(list(done))


def _run_member(work: tuple[GliomaField, Floats, Floats, Floats, Integers]) -> Floats:
    teacher, initial, log_parameters, steps, report = work
    return teacher.fields(initial, log_parameters, steps, report)[:, :, 0]
