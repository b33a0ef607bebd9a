"""Builds the AML leukocyte bundle: ``python -m edge_twin_models.build_aml [ARCHIVE]``.

The same sources give the same bytes; what is measured against the teacher is rounded up to one figure.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import SCHEMA
from edge_twin.codes import LEUKOCYTES
from edge_twin.concentration import log_concentrations
from edge_twin.engines import JOST_LEUKOCYTES
from edge_twin.engines.numpy_jost import PARAMETERS, NumpyJost
from edge_twin.exposure import DEFAULT_MAX_STEP_DAYS, DoseEvent, exposure_grid
from edge_twin_models.jost import (
    CENTRAL_VOLUME_L,
    CYTARABINE_MG_PER_UMOL,
    CYTARABINE_PK,
    JOST,
    KWBC_PER_DAY,
    Patient,
    simulate_m3,
)
from edge_twin_models.jost_graph import build_graph
from edge_twin_models.releasing import main, with_manifest, write_files

Floats = NDArray[np.float64]

BUNDLE_ID = "aml"
UNITS = {"wbc0": "10*9/L", "ktr": "/d", "slope": "1", "gamma": "1"}
BOX = {"wbc0": (1.2, 18.0), "ktr": (0.11, 0.5), "slope": (1.4, 45.0), "gamma": (0.4, 1.0)}  # [A]
DOSE_ENVELOPE = {
    "max_amount_mg": 7500.0,
    "max_infusion_days": 1.0,
    "max_amount_21_days_mg": 45000.0,
    "min_interval_days": 0.5,
    "max_horizon_days": 120.0,
}  # [A] up to 3 g/m2 six times a cycle at 2.5 m2
MIN_RUNTIME = "0.1.0"
TOLERANCE = 2e-5
RESOLUTION = 0.05  # 10*9/L; errors of smaller counts are relative to this
CERTIFICATE_PATIENTS = 40
SEED = 20261125


def usual_doses(grams_per_m2: float = 1.0, area_m2: float = 1.8, start_day: float = 0.0) -> list[DoseEvent]:
    """Cytarabine over 3 h every 12 h on days 1, 3 and 5 [U]."""
    amount = 1000.0 * grams_per_m2 * area_m2
    return [DoseEvent(start_day + day, amount, 0.125) for day in (0.0, 0.5, 2.0, 2.5, 4.0, 4.5)]


def certify(patients: int = CERTIFICATE_PATIENTS, seed: int = SEED) -> dict[str, float | int]:
    """Largest relative errors of daily counts and nadirs against the teacher: assumed prior, two cycles.

    Args:
        patients: number drawn.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    errors = [_errors(_patient(generator)) for _ in range(patients)]
    curve, nadir = (_rounded_up(float(value)) for value in np.max(errors, axis=0))
    return {"patients": patients, "prior_max_relative_error": curve, "prior_max_nadir_error": nadir}


def reduced(patient: Patient, doses: list[DoseEvent], times: Floats, max_step_days: float) -> Floats:
    """Leukocytes [t] by the numpy engine, 10*9/L."""
    grid = exposure_grid(CYTARABINE_PK, doses, times, max_step_days=max_step_days)
    steps = np.column_stack((grid.steps[:, 0], log_concentrations(CYTARABINE_PK, grid)))
    counts = NumpyJost(KWBC_PER_DAY).simulate(patient.log_parameters[None, :], steps)
    return np.asarray(counts[grid.report, 0])


def build(directory: Path, certificate: dict[str, float | int] | None = None) -> None:
    """Write the bundle; the certificate is measured when None."""
    certificate = certificate or certify()
    contents = {
        "card.md": _card(certificate).encode(),
        "golden.npz": golden_vectors(),
        "model.onnx": build_graph(BUNDLE_ID, KWBC_PER_DAY),
    }
    write_files(directory, with_manifest(_manifest(certificate), contents))


def golden_vectors() -> bytes:
    """The npz file: members of the assumed prior under two cycles, output of the numpy engine."""
    generator = np.random.default_rng(1)
    grid = exposure_grid(CYTARABINE_PK, [*usual_doses(), *usual_doses(start_day=28.0)], np.arange(0.0, 57.0))
    steps = _eight_figures(np.column_stack((grid.steps[:, 0], log_concentrations(CYTARABINE_PK, grid))))
    members = _eight_figures(np.stack([_patient(generator).log_parameters for _ in range(16)]))
    output = _eight_figures(NumpyJost(KWBC_PER_DAY).simulate(members, steps))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, log_parameters=members, steps=steps, output=output)
    return buffer.getvalue()


def pharmacokinetics_document() -> dict[str, Any]:
    """The manifest's ``fixed`` and ``pharmacokinetics``."""
    volume = ("volume", "L", CENTRAL_VOLUME_L, "A", "assumed")
    loss = ("kwbc", "/d", KWBC_PER_DAY, "P", "Quartino 2014, as in the re-implementation of Jost 2020")
    return {
        "fixed": [dict(zip(("name", "unit", "value", "mark", "source"), row, strict=True)) for row in (loss, volume)],
        "pharmacokinetics": {
            "rate_matrix_per_day": CYTARABINE_PK.rate_matrix.tolist(),
            "volume_l": CENTRAL_VOLUME_L,
            "molar_factor_mg_per_umol": CYTARABINE_MG_PER_UMOL,
            "mark": "A",
        },
    }


def _patient(generator: np.random.Generator) -> Patient:
    drawn = JOST.typical.log_parameters + np.sqrt(JOST.omega2) * generator.standard_normal(4)
    return Patient(*np.exp(drawn).tolist())


def _errors(patient: Patient) -> tuple[float, float]:
    doses, times = [*usual_doses(), *usual_doses(start_day=28.0)], np.arange(0.0, 57.0)
    teacher = simulate_m3(patient, doses, times)
    counts = reduced(patient, doses, times, DEFAULT_MAX_STEP_DAYS)
    nadir = abs(counts.min() - teacher.min()) / max(float(teacher.min()), RESOLUTION)
    return float((np.abs(counts - teacher) / np.maximum(teacher, RESOLUTION)).max()), float(nadir)


def _rounded_up(value: float) -> float:
    decimals = -math.floor(math.log10(value))
    return round(math.ceil(value * 10.0**decimals) / 10.0**decimals, decimals)


def _eight_figures(values: Floats) -> Floats:
    return np.array([float(f"{value:.8g}") for value in values.ravel()]).reshape(values.shape)


def _manifest(certificate: dict[str, float | int]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": BUNDLE_ID,
        "version": 1,
        "created": "2026-11-25T00:00:00+00:00",
        "expires": "2028-11-25T00:00:00+00:00",
        "min_runtime": MIN_RUNTIME,
        "title": "Leukocytes after cytarabine in AML (Jost model M3)",
        "drug": "cytarabine",
        "parameters": [
            {
                "name": name,
                "unit": UNITS[name],
                "prior": {"kind": "lognormal", "typical": getattr(JOST.typical, name), "omega2": omega2},
                "low": BOX[name][0],
                "high": BOX[name][1],
                "mark": "P",
                "source": JOST.source,
                "box_mark": "A",
                "omega2_mark": "A",
                "omega2_source": JOST.variance_source,
            }
            for name, omega2 in zip(PARAMETERS, JOST.omega2, strict=True)
        ],
        **pharmacokinetics_document(),
        "outputs": [
            {
                "name": LEUKOCYTES.name,
                "system": str(LEUKOCYTES.system),
                "code": LEUKOCYTES.code,
                "unit": LEUKOCYTES.unit,
            }
        ],
        "residual_log_sd": JOST.residual_log_sd,
        "dose_envelope": DOSE_ENVELOPE,
        "engine": {
            "kind": JOST_LEUKOCYTES,
            "max_step_days": DEFAULT_MAX_STEP_DAYS,
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": ["onnxruntime", "numpy"],
        "certificate": certificate,
        "card": "card.md",
    }


def _card(certificate: dict[str, float | int]) -> str:
    rows = "\n".join(
        f"| `{name}` | {UNITS[name]} | {getattr(JOST.typical, name)} | {omega2 or 'none, 0 used'} "
        f"| {BOX[name][0]} – {BOX[name][1]} |"
        for name, omega2 in zip(PARAMETERS, JOST.omega2, strict=True)
    )
    return f"""# Leukocytes after cytarabine in AML

Forecast of the leukocyte count (LOINC 6690-2) in consolidation, as information for the treating team. It does not
decide on treatment. Equations: Jost et al., PLOS One 2019;14:e0204540, variant M3 (no G-CSF), effect slope·ln(1 + C).

Marks: [P] published, read second-hand; [U] unverified; [A] assumed for this project.

| parameter | unit | typical [P] | ω² of the log [A] | envelope [A] |
|---|---|---|---|---|
{rows}

## What is assumed

- Every between-patient variance and the residual log-sd {JOST.residual_log_sd} [A]: {JOST.variance_source}.
- Cytarabine pharmacokinetics [A] within [U]: half-lives 10 min and 2 h, clearance 180 L/h, central volume 50 L.
- Parameters stay the same over all cycles; no G-CSF, transfusion, infection or second drug.

## Measured error

Largest relative error against the teacher (LSODA), {certificate["patients"]} patients of the assumed prior, two cycles
of 1 g/m² six times: daily counts {certificate["prior_max_relative_error"]:g}, nadir
{certificate["prior_max_nadir_error"]:g}. The corners of the envelope were not certified. numpy and onnxruntime run the
same integrator in float64; beyond {TOLERANCE:g} from the golden vectors an engine is refused.

## Known limits

The logarithmic effect makes few large doses spare leukocytes, and by the same equation spare blasts. **Not validated on
measured patients.**
"""


if __name__ == "__main__":
    main(BUNDLE_ID, build)
