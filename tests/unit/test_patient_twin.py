"""The public object: opening every kind of bundle, going on from a saved state bit for bit, saying who computed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_twin import PatientTwin, open_bundle, restore
from edge_twin.contract import Dose, Model
from edge_twin.cycle import CycleModel
from edge_twin.errors import BundleError, StateError
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.rehearsal import NextCycle
from edge_twin.surrogate import SurrogateModel
from edge_twin_models import bundle_path

MECHANISTIC, COURSE, CYCLE = (bundle_path(name) for name in ("neutropenia", "neutropenia-course", "neutropenia-cycle"))


@pytest.fixture(name="small")
def _small(program: Program) -> Program:
    return replace(program, members=100)


def treated(model: Model, program: Program, dose: Dose) -> PatientTwin:
    """Two doses at odd moments, four counts, one of them below a limit."""
    odd = timedelta(days=7, hours=3, minutes=7, microseconds=1)
    second = replace(dose, time=dose.time + timedelta(days=21))
    twin = PatientTwin(model, program, seed=5).given(second, dose).counted(5.1, dose.time - timedelta(hours=30))
    return twin.counted(0.5, dose.time + odd, below=True).counted(1.9, dose.time + 2 * odd).counted(3.1, second.time)


@pytest.mark.parametrize(
    ("path", "behind", "kind"),
    [(MECHANISTIC, None, ReducedModel), (CYCLE, None, CycleModel), (COURSE, MECHANISTIC, SurrogateModel)],
)
def test_a_restored_twin_goes_on_bit_for_bit(
    path: Path, behind: Path | None, kind: type, small: Program, docetaxel: Dose
) -> None:
    model = open_bundle(path, "numpy", behind=behind)
    assert isinstance(model, kind)
    twin = treated(model, small, docetaxel)
    now, later = (docetaxel.time + timedelta(days=days) for days in (23, 30))
    again = PatientTwin.resumed(restore(twin.save(now)), model, small, docetaxel.time)
    assert (again.doses, again.seed) == (twin.doses, twin.seed)
    assert again.save(now) == twin.save(now)
    for moment in (now, later):
        told, retold = (
            one.counted(2.2, docetaxel.time + timedelta(days=28)).forecast(moment).forecast for one in (twin, again)
        )
        assert told is not None
        assert retold is not None
        assert told.upper.tobytes() == retold.upper.tobytes()
        assert told.p_mismatch == retold.p_mismatch
    planned = NextCycle(replace(docetaxel, time=docetaxel.time + timedelta(days=42)), 1.8)
    nadirs = [[option.nadir_lower for option in one.rehearse(planned, now)] for one in (twin, again)]
    assert nadirs[0] == nadirs[1]


def test_a_state_of_another_bundle_is_not_resumed(small: Program, docetaxel: Dose) -> None:
    state = restore(
        treated(open_bundle(MECHANISTIC, "numpy"), small, docetaxel).save(docetaxel.time + timedelta(days=9))
    )
    with pytest.raises(StateError) as caught:
        PatientTwin.resumed(state, open_bundle(CYCLE, "numpy"), small, docetaxel.time)
    assert caught.value.reason == "other_model"


def test_a_course_student_is_never_opened_alone() -> None:
    with pytest.raises(BundleError) as caught:
        open_bundle(COURSE)
    assert caught.value.reason == "fallback_missing"


def test_the_explanation_says_who_computed_and_why_a_student_did_not(small: Program, docetaxel: Dose) -> None:
    twin = PatientTwin(open_bundle(COURSE, "numpy", behind=MECHANISTIC), small).given(docetaxel)
    twin = twin.counted(5.0, docetaxel.time)
    told = twin.explain(docetaxel.time + timedelta(days=8))
    (who,) = (sentence for sentence in told if sentence.startswith("Computed by"))
    assert who.startswith("Computed by mechanistic (")
    assert "neutropenia-course@" in who
    assert "single_dose" in who
    assert "Reservation: student_handed_over." in told


def test_the_students_own_forecast_is_explained_without_a_hand_over(small: Program, docetaxel: Dose) -> None:
    cycle = open_bundle(CYCLE, "numpy")
    typical = np.tile(cycle.prior_sample(100, 1).mean(axis=0), (3, 1))
    assert cycle.answer(typical, (), np.arange(3.0)).by_student.all()
    told = treated(cycle, small, docetaxel).explain(docetaxel.time + timedelta(days=23))
    assert any(sentence.startswith("Computed by numpy") for sentence in told)
