"""Makes the example cases from the teachers: ``python tests/clinical/make_cases.py``.

Same dose, same sampling days, same measurement error; one patient is sensitive, one tolerant, each by a
stated number of between-patient standard deviations. A third patient has AML and one cycle of cytarabine behind
them. Counts are simulated and rounded as a laboratory would. The step is taken half an hour after each count.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edge_twin.exposure import DoseEvent
from edge_twin.program import load_program
from edge_twin_models.friberg import DDMODEL00000224, Patient, measure, simulate_patient
from edge_twin_models.jost import JOST, simulate_m3
from edge_twin_models.jost import Patient as AmlPatient

FOLDER = Path(__file__).parents[2] / "app" / "edge_twin_app" / "cases"
DOSE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BODY_SURFACE_M2 = 2.0
AMOUNT_MG = 75.0 * BODY_SURFACE_M2
COUNT_DAYS = (0, 1, 2, 3, 4, 5)
SEED = 10  # of the measurement error
# Baseline, transit time and drug effect, in standard deviations of their logarithms from the typical patient.
DEVIATIONS = {"sensitive": (-0.5, 0.0, 1.5), "tolerant": (1.5, 0.5, -2.0)}

AML_DEVIATIONS = (0.3, 0.2, -0.2)  # baseline, transit rate, drug effect, likewise
AML_AREA_M2 = 1.8
AML_CYCLE_MG = 6000.0 * AML_AREA_M2  # 1 g/m2 six times
AML_COUNT_DAYS = tuple(range(0, 27, 3))
AML_INFUSION_MINUTES = 180
AML_SEED = 4


def patient(name: str) -> Patient:
    row = DDMODEL00000224
    baseline, transit, effect = np.exp(np.array(DEVIATIONS[name]) * np.sqrt(row.omega2[:3]))
    typical = row.typical
    return Patient(typical.circ0 * baseline, typical.mtt * transit, typical.slope * effect, typical.gamma)


def true_counts(name: str, days: np.ndarray) -> np.ndarray:
    return np.asarray(simulate_patient(patient(name), (DoseEvent(0.0, AMOUNT_MG, 1 / 24),), days))


def case(name: str, seed: int = SEED) -> dict[str, Any]:
    days = np.array(COUNT_DAYS, dtype=np.float64)
    residual = DDMODEL00000224.residual_log_sd or 0.0
    counts = measure(true_counts(name, days), residual, seed)
    return {
        "schema": "edge-twin.case/1",
        "title": f"{name} patient, docetaxel 75 mg/m2, daily counts to day 5 (simulated by the teacher)",
        "time_zone": "Europe/Berlin",
        "program": "neutropenia",
        "now": [time(day, minutes=30) for day in COUNT_DAYS],
        "seed": 1,
        "observations": [
            {"code": "absolute_neutrophil_count", "value": round(float(value), 2), "unit": "10*9/L", "time": time(day),
             "source": "fhir:lab", "origin": "lab"}
            for day, value in zip(COUNT_DAYS, counts, strict=True)
        ],
        "doses": [{"time": time(0), "drug": "docetaxel", "amount_mg": AMOUNT_MG, "infusion_minutes": 60}],
        "next_cycle": {"time": time(21), "drug": "docetaxel", "amount_mg": AMOUNT_MG, "infusion_minutes": 60,
                       "body_surface_m2": BODY_SURFACE_M2},
    }  # fmt: skip


def aml_patient() -> AmlPatient:
    typical, (baseline, rate, effect) = JOST.typical, np.exp(np.array(AML_DEVIATIONS) * np.sqrt(JOST.omega2[:3]))
    return AmlPatient(typical.wbc0 * baseline, typical.ktr * rate, typical.slope * effect, typical.gamma)


def aml_doses() -> tuple[DoseEvent, ...]:
    """The usual cycle: the first regimen of the program."""
    days = load_program("aml").regimens[0].administration_days
    return tuple(DoseEvent(day, AML_CYCLE_MG / len(days), AML_INFUSION_MINUTES / 1440.0) for day in days)


def aml_case() -> dict[str, Any]:
    doses = aml_doses()
    true = simulate_m3(aml_patient(), doses, np.array(AML_COUNT_DAYS, dtype=np.float64))
    counts = measure(true, JOST.residual_log_sd, AML_SEED)
    infusion = {"drug": "cytarabine", "infusion_minutes": AML_INFUSION_MINUTES}
    return {
        "schema": "edge-twin.case/1",
        "title": "AML patient, cytarabine 1 g/m2 six times, leukocytes every third day (simulated by the teacher)",
        "time_zone": "Europe/Berlin",
        "program": "aml",
        "now": [time(day, minutes=30) for day in AML_COUNT_DAYS],
        "seed": 1,
        "observations": [
            {"code": "leukocyte_count", "value": round(float(value), 2), "unit": "10*9/L", "time": time(day),
             "source": "fhir:lab", "origin": "lab"}
            for day, value in zip(AML_COUNT_DAYS, counts, strict=True)
        ],
        "doses": [{"time": time(dose.start_day), "amount_mg": dose.amount_mg, **infusion} for dose in doses],
        "next_cycle": {"time": time(28), "amount_mg": AML_CYCLE_MG, **infusion, "body_surface_m2": AML_AREA_M2},
    }  # fmt: skip


def time(day: float, minutes: float = 0.0) -> str:
    return (DOSE + timedelta(days=day, minutes=minutes)).isoformat().replace("+00:00", "Z")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in DEVIATIONS:
        write(name, case(name))
    write("aml", aml_case())


def write(name: str, form: dict[str, Any]) -> None:
    (FOLDER / f"{name}.json").write_text(json.dumps(form, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
