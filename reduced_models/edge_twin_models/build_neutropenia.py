"""Builds the neutropenia bundle: ``python -m edge_twin_models.build_neutropenia [ARCHIVE]``.

The same sources give the same bytes. What the build measures (against the teacher and between step
lengths) is rounded up to one figure, so that the last bits of a processor's arithmetic do not show.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from edge_twin.bundle import SCHEMA
from edge_twin.codes import NEUTROPHILS
from edge_twin.engines import FRIBERG_TRANSIT
from edge_twin.engines.numpy_friberg import PARAMETERS, NumpyFriberg
from edge_twin.exposure import DEFAULT_MAX_STEP_DAYS, DoseEvent, exposure_grid
from edge_twin_models.card_neutropenia import card
from edge_twin_models.discrepancy_text import discrepancy_document, discrepancy_text
from edge_twin_models.figures import eight_figures, rounded_up
from edge_twin_models.friberg import (
    DDMODEL00000224,
    DOCETAXEL_MG_PER_UMOL,
    DOCETAXEL_PK,
    DOCETAXEL_RATES_PER_DAY,
    DOCETAXEL_VOLUME_L,
    Patient,
    simulate_patient,
)
from edge_twin_models.friberg_graph import build_graph
from edge_twin_models.releasing import main, with_manifest, write_files

Floats = NDArray[np.float64]

BUNDLE_ID = "neutropenia"
VERSION = 2
CREATED = "2026-11-25T00:00:00+00:00"
EXPIRES = "2028-11-25T00:00:00+00:00"
MIN_RUNTIME = "0.1.0"
ROW = DDMODEL00000224
UNITS = {"circ0": "10*9/L", "mtt": "h", "slope": "L/umol", "gamma": "1"}
# Assumed: about four between-patient standard deviations around the typical value, rounded outwards.
BOX = {"circ0": (1.5, 16.0), "mtt": (45.0, 160.0), "slope": (3.0, 75.0), "gamma": (0.08, 0.30)}
# Assumed, for a body surface of up to 2.5 m²: 100 mg/m² every three weeks, or 40 mg/m² every week.
DOSE_ENVELOPE = {
    "max_amount_mg": 250.0,
    "max_infusion_days": 1.0,
    "max_amount_21_days_mg": 300.0,
    "min_interval_days": 7.0,
    "max_horizon_days": 366.0,
}
DISCREPANCY = discrepancy_document(fall_sd=0.19)
TOLERANCE = 2e-5
FINE_STEP_DAYS = 0.01
RESOLUTION = 0.05  # 10*9/L; errors of smaller counts are relative to this: no laboratory resolves them
GOLDEN_MEMBERS = 16
CERTIFICATE_PATIENTS = 40
CERTIFICATE_SEED = 20261125
GOLDEN_SEED = 1


@dataclass(frozen=True, slots=True)
class Certificate:
    """Largest relative errors over patients drawn from the whole box with random allowed dosing.

    Attributes:
        patients: number of patients.
        curve, nadir: numpy engine at the certified step against the teacher, daily counts and their minimum.
        step: certified step against ``FINE_STEP_DAYS``, daily counts.
        prior_curve, prior_nadir: the same as ``curve`` and ``nadir`` for patients of the prior on a usual schedule.
    """

    patients: int
    curve: float
    nadir: float
    step: float
    prior_curve: float
    prior_nadir: float

    @classmethod
    def from_json(cls, content: Mapping[str, float]) -> Self:
        """The inverse of ``as_json``."""
        return cls(
            int(content["patients"]),
            content["box_max_relative_error"],
            content["box_max_nadir_error"],
            content["box_max_step_error"],
            content["prior_max_relative_error"],
            content["prior_max_nadir_error"],
        )

    def as_json(self) -> dict[str, float | int]:
        """For the manifest."""
        return {
            "patients": self.patients,
            "box_max_relative_error": self.curve,
            "box_max_nadir_error": self.nadir,
            "box_max_step_error": self.step,
            "prior_max_relative_error": self.prior_curve,
            "prior_max_nadir_error": self.prior_nadir,
        }


def certify(patients: int = CERTIFICATE_PATIENTS, seed: int = CERTIFICATE_SEED) -> Certificate:
    """Compare the reduced model with the teacher.

    Args:
        patients: drawn from the box, and as many from the prior.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    box, prior = [], []
    for _ in tqdm(range(patients), desc="certificate", leave=False, disable=None):
        box.append(_errors(_box_patient(generator), random_doses(generator)))
        prior.append(_errors(_prior_patient(generator), _usual_doses()))
    box_worst, prior_worst = np.max(box, axis=0), np.max(prior, axis=0)
    rounded = [rounded_up(float(value)) for value in (*box_worst, *prior_worst[:2])]
    return Certificate(patients, *rounded)


def build(directory: Path, certificate: Certificate | None = None) -> None:
    """Write the bundle's files, unsigned.

    Args:
        directory: made when absent; files of the same names are replaced.
        certificate: measured earlier from the same sources; measured now when None (about a minute).
    """
    certificate = certificate or certify()
    contents = {
        "card.md": card(
            certificate.as_json(), ROW, BOX, DOSE_ENVELOPE, TOLERANCE, discrepancy_text(DISCREPANCY)
        ).encode(),
        "golden.npz": golden_vectors(),
        "model.onnx": build_graph(BUNDLE_ID),
    }
    write_files(directory, with_manifest(manifest_document(certificate), contents))


def golden_vectors() -> bytes:
    """The npz file: random members of the box under two doses, expected output by the numpy engine in float64."""
    generator = np.random.default_rng(GOLDEN_SEED)
    members = np.stack([_box_patient(generator).log_parameters for _ in range(GOLDEN_MEMBERS)])
    doses = [DoseEvent(1.0, 180.0, 1.0 / 24.0), DoseEvent(22.0, 135.0)]
    steps = exposure_grid(DOCETAXEL_PK, doses, np.arange(0.0, 43.0)).steps
    arrays = {"log_parameters": eight_figures(members), "steps": eight_figures(steps)}
    arrays["output"] = eight_figures(NumpyFriberg().simulate(arrays["log_parameters"], arrays["steps"]))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def manifest_document(certificate: Certificate) -> dict[str, Any]:
    """The manifest as JSON data, without ``files``."""
    return {
        "schema": SCHEMA,
        "id": BUNDLE_ID,
        "version": VERSION,
        "created": CREATED,
        "expires": EXPIRES,
        "min_runtime": MIN_RUNTIME,
        "title": "Neutrophils after docetaxel (Friberg model)",
        "drug": "docetaxel",
        "parameters": [_parameter(index, name) for index, name in enumerate(PARAMETERS)],
        **pharmacokinetics_document(),
        "outputs": [
            {
                "name": NEUTROPHILS.name,
                "system": str(NEUTROPHILS.system),
                "code": NEUTROPHILS.code,
                "unit": NEUTROPHILS.unit,
            }
        ],
        "residual_log_sd": ROW.residual_log_sd,
        "discrepancy": DISCREPANCY,
        "dose_envelope": DOSE_ENVELOPE,
        "engine": {
            "kind": FRIBERG_TRANSIT,
            "max_step_days": DEFAULT_MAX_STEP_DAYS,
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": ["onnxruntime", "numpy"],
        "certificate": certificate.as_json(),
        "card": "card.md",
    }


def pharmacokinetics_document() -> dict[str, Any]:
    """The manifest's ``fixed`` and ``pharmacokinetics``."""
    return {
        "fixed": _fixed(),
        "pharmacokinetics": {
            "rate_matrix_per_day": DOCETAXEL_PK.rate_matrix.tolist(),
            "volume_l": DOCETAXEL_VOLUME_L,
            "molar_factor_mg_per_umol": DOCETAXEL_MG_PER_UMOL,
        },
    }


def _parameter(index: int, name: str) -> dict[str, Any]:
    typical = float(getattr(ROW.typical, name))
    omega2 = ROW.omega2[index]
    return {
        "name": name,
        "unit": UNITS[name],
        "prior": {"kind": "lognormal", "typical": typical, "omega2": omega2},
        "low": BOX[name][0],
        "high": BOX[name][1],
        "mark": "P",
        "source": ROW.source,
        "box_mark": "A",
    }


def _fixed() -> list[dict[str, Any]]:
    source = "docetaxel, radivot/myelo kloft06.R"
    rates = [(name, "/d", value) for name, value in DOCETAXEL_RATES_PER_DAY.items()]
    values = [*rates, ("volume", "L", DOCETAXEL_VOLUME_L), ("molar_factor", "mg/umol", DOCETAXEL_MG_PER_UMOL)]
    return [{"name": name, "unit": unit, "value": value, "mark": "P", "source": source} for name, unit, value in values]


def _box_patient(generator: np.random.Generator) -> Patient:
    drawn = (math.exp(generator.uniform(*np.log(BOX[name]))) for name in PARAMETERS)
    return Patient(*drawn)


def _prior_patient(generator: np.random.Generator) -> Patient:
    deviates = generator.standard_normal(len(PARAMETERS))
    return Patient(*np.exp(ROW.typical.log_parameters + np.sqrt(ROW.omega2) * deviates).tolist())


def random_doses(generator: np.random.Generator) -> list[DoseEvent]:
    """Four doses anywhere in the dose envelope, one of them a bolus; close doses share the 21-day limit."""
    gap = generator.uniform(DOSE_ENVELOPE["min_interval_days"], 28.0)
    starts = gap * np.arange(1.0, 5.0)
    sharing = math.ceil(21.0 / gap)
    highest = min(DOSE_ENVELOPE["max_amount_mg"], DOSE_ENVELOPE["max_amount_21_days_mg"] / sharing)
    amounts = generator.uniform(20.0, highest, 4)
    lengths = np.append(0.0, generator.uniform(0.02, DOSE_ENVELOPE["max_infusion_days"], 3))
    return [DoseEvent(*values) for values in np.column_stack((starts, amounts, lengths)).tolist()]


def _usual_doses() -> list[DoseEvent]:
    return [DoseEvent(21.0 * cycle, 180.0, 1.0 / 24.0) for cycle in range(4)]


def _errors(patient: Patient, doses: list[DoseEvent]) -> tuple[float, float, float]:
    """Relative errors: daily counts and nadir against the teacher, daily counts against fine steps."""
    times = np.arange(0.0, doses[-1].start_day + 28.0)
    teacher = simulate_patient(patient, doses, times)
    reduced = _reduced(patient, doses, times, DEFAULT_MAX_STEP_DAYS)
    fine = _reduced(patient, doses, times, FINE_STEP_DAYS)
    return (
        float(relative_error(reduced, teacher).max()),
        float(relative_error(reduced.min(), teacher.min())),
        float(relative_error(reduced, fine).max()),
    )


def relative_error(value: ArrayLike, reference: ArrayLike) -> Floats:
    """Relative to the reference, or to ``RESOLUTION`` where that is larger; any shape."""
    difference = np.abs(np.asarray(value) - np.asarray(reference))
    return np.asarray(difference / np.maximum(reference, RESOLUTION))


def _reduced(patient: Patient, doses: list[DoseEvent], times: Floats, max_step_days: float) -> Floats:
    grid = exposure_grid(DOCETAXEL_PK, doses, times, max_step_days=max_step_days)
    counts = NumpyFriberg().simulate(patient.log_parameters[None, :], grid.steps)
    return np.asarray(counts[grid.report, 0])


if __name__ == "__main__":
    main(BUNDLE_ID, build)
