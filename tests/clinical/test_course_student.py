"""The shipped course student, certified against its teacher without PyTorch; engines, guards, memory."""

from __future__ import annotations

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.course import Course, WarpedGrid, cubic_weights, equal_course
from edge_twin.engines.course_network import CANDIDATES, check_course_golden
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.student import load_student
from edge_twin_app.models import load_surrogate
from edge_twin_models import bundle_path

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.certify import certify_course
from edge_twin_models.design import course_sample
from edge_twin_models.teacher import DocetaxelNeutropenia

BUNDLE = load_bundle(bundle_path("neutropenia-course"))
STUDENT = load_student(BUNDLE)
DAYS = np.arange(181.0)
DOSES = tuple(DoseEvent(21.0 * k, 150.0, 1.0 / 24.0) for k in range(6))
COURSE = Course(0.0, 6, 21.0, 150.0, 1.0 / 24.0)


def test_fresh_teacher_runs_keep_the_bars() -> None:
    engine = CANDIDATES["numpy"](BUNDLE, STUDENT)
    sample = course_sample(22, 50, 4711, quasi=False)
    certificate = certify_course(DocetaxelNeutropenia(step_days=0.2), STUDENT, engine, sample)
    print(certificate)
    assert certificate.runs >= 1000
    assert certificate.nadir_p95 <= 0.01
    assert 0.93 <= certificate.coverage <= 0.97
    assert STUDENT.parameters <= 30_000


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("members", [1, 1000, 1500])
def test_engines_agree(name: str, members: int) -> None:
    try:
        engine = CANDIDATES[name](BUNDLE, STUDENT)
    except BundleError as error:
        pytest.skip(str(error))
    check_course_golden(engine, BUNDLE, STUDENT)
    parameters = course_sample(1, 1500, 5, quasi=False).log_parameters[:members]
    basis = STUDENT.calendar(COURSE, DAYS)
    scale = STUDENT.floor * np.exp(parameters[:, 0])
    expected = CANDIDATES["numpy"](BUNDLE, STUDENT).counts(parameters, COURSE, basis)
    difference = np.abs(engine.counts(parameters, COURSE, basis) - expected) / (expected + scale)
    assert difference.max() <= BUNDLE.engine.tolerance_relative


def test_a_changed_cycle_goes_to_the_mechanistic_model() -> None:
    model = load_surrogate("numpy")
    parameters = model.prior_sample(8, seed=1)
    doses = (*DOSES[:5], DoseEvent(106.0, 150.0, 1.0 / 24.0))
    answer = model.answer(parameters, doses, DAYS)
    assert answer.refusals == ("schedule_not_equal_cycles",)
    assert not answer.by_student.any()
    assert "mechanistic" in answer.note
    np.testing.assert_array_equal(answer.counts, model.fallback.simulate(parameters, doses, DAYS))


def test_only_members_outside_are_handed_over() -> None:
    model = load_surrogate("numpy")
    parameters = np.repeat(model.prior_sample(2, seed=1)[:1], 3, axis=0)
    parameters[1, 2] = np.log(60.0)
    answer = model.answer(parameters, DOSES, DAYS)
    assert answer.by_student.tolist() == [True, False, True]
    assert answer.refusals == ("members_outside_envelope",)
    np.testing.assert_array_equal(answer.counts[:, 1], model.fallback.simulate(parameters[1:2], DOSES, DAYS)[:, 0])


def test_a_shorter_course_is_answered_only_until_the_dose_it_leaves_out() -> None:
    model = load_surrogate("numpy")
    assert model.schedule_refusals(DOSES[:3], np.arange(64.0)) == ()
    assert model.schedule_refusals(DOSES[:3], np.arange(65.0)) == ("horizon",)


def test_equal_courses_are_not_rounded() -> None:
    assert equal_course(DOSES) is not None
    assert equal_course((*DOSES[:5], DoseEvent(105.001, 150.0, 1.0 / 24.0))) is None
    assert equal_course((*DOSES[:5], DoseEvent(105.0, 149.0, 1.0 / 24.0))) is None


def test_the_way_back_is_exact_for_cubics() -> None:
    nodes = WarpedGrid(6, 8, 9, 1.5, 180.0).node_days(17.3)
    nearest, weights = cubic_weights(nodes, DAYS)
    cubic = (nodes / 180.0) ** 3 - nodes / 90.0
    np.testing.assert_allclose((weights * cubic[nearest]).sum(axis=1), (DAYS / 180.0) ** 3 - DAYS / 90.0, atol=1e-12)
