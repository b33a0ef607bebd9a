"""The Quartino teacher: rest stays rest, and every input acts in the right direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_twin.exposure import DoseEvent
from edge_twin_models.quartino import Filgrastim, QuartinoPatient, simulate_quartino

DAYS = np.arange(0.0, 21.01, 0.5)
DOSE = (DoseEvent(0.0, 180.0, 1 / 24),)
PATIENT = QuartinoPatient()


def test_without_a_drug_nothing_moves() -> None:
    assert np.allclose(simulate_quartino((PATIENT,), (), DAYS), PATIENT.circ0, rtol=1e-5)


def test_signs_of_dose_effect_and_gcsf() -> None:
    course = simulate_quartino((PATIENT,), DOSE, DAYS)
    less = simulate_quartino((PATIENT,), (replace(DOSE[0], amount_mg=100.0),), DAYS)
    helped = simulate_quartino((PATIENT,), DOSE, DAYS, filgrastim=(Filgrastim(2.0, 7),))
    assert course.min() < less.min() < PATIENT.circ0
    assert helped.min() > course.min()
    assert DAYS[helped.argmin()] <= DAYS[course.argmin()]
    assert (course > 0.0).all()
