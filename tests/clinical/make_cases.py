"""Makes the two example cases from the teacher: ``python tests/clinical/make_cases.py``.

Same dose, same sampling days, same measurement error; one patient is sensitive, one tolerant, each by a
stated number of between-patient standard deviations. Counts are simulated and rounded as a laboratory
would. The step is taken half an hour after each count.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edge_twin.exposure import DoseEvent
from edge_twin_models.friberg import DDMODEL00000224, Patient, measure, simulate_patient

FOLDER = Path(__file__).parents[2] / "app" / "edge_twin_app" / "cases"
DOSE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BODY_SURFACE_M2 = 2.0
AMOUNT_MG = 75.0 * BODY_SURFACE_M2
COUNT_DAYS = (0, 1, 2, 3, 4, 5)
SEED = 10  # of the measurement error
# Baseline, transit time and drug effect, in standard deviations of their logarithms from the typical patient.
DEVIATIONS = {"sensitive": (-0.5, 0.0, 1.5), "tolerant": (1.5, 0.5, -2.0)}


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


def time(day: float, minutes: float = 0.0) -> str:
    return (DOSE + timedelta(days=day, minutes=minutes)).isoformat().replace("+00:00", "Z")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in DEVIATIONS:
        (FOLDER / f"{name}.json").write_text(json.dumps(case(name), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
