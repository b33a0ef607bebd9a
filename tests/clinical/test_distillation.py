"""Distillation: the same seed gives the same weights, and a small one already makes a bundle that opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'distill'")
pytest.importorskip("onnx", reason="export needs the extra 'distill'")
pytest.importorskip("ai_edge_litert", reason="export needs the extra 'distill'")

from edge_twin.bundle import load_bundle
from edge_twin.engines.course_network import CANDIDATES, check_course_golden
from edge_twin.student import load_student
from edge_twin_models import bundle_path
from edge_twin_models.course_recipes import RECIPES, Plan
from edge_twin_models.design import course_sample
from edge_twin_models.distill import EventAlignedPod
from edge_twin_models.methods import distill, named_teacher
from edge_twin_models.network import Training
from edge_twin_models.teacher import DocetaxelNeutropenia

SMALL = Plan(
    modes=8,
    training=Training(hidden=16, epochs=5, batch=64, warm_up=20),
    design=(8, 32, 11),
    calibration=(8, 16, 12),
    certificate=(4, 25, 13),
    population=(4, 20, 14),
)


@pytest.mark.slow
def test_a_small_distillation_is_reproduced_and_every_engine_runs_it(tmp_path: Path) -> None:
    method = EventAlignedPod(SMALL)
    first, second = (distill(DocetaxelNeutropenia(), method, tmp_path / name) for name in ("a.etb", "b.etb"))
    assert first.read_bytes() == second.read_bytes()
    bundle = load_bundle(first)
    student = load_student(bundle)
    for make in CANDIDATES.values():
        check_course_golden(make(bundle, student), bundle, student)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("teacher", sorted(RECIPES))
def test_the_shipped_weights_are_what_their_seed_gives(teacher: str) -> None:
    shipped = load_student(load_bundle(bundle_path(f"{teacher}-course"))).arrays
    recipe = RECIPES[teacher]
    sample = course_sample(*recipe.plan.design, space=recipe.space)
    rebuilt = EventAlignedPod().weights(named_teacher(teacher), sample)
    for name, array in rebuilt.items():
        np.testing.assert_array_equal(array, shipped[name])


@pytest.mark.slow
def test_the_quick_teacher_runs_agree_with_lsoda() -> None:
    teacher = DocetaxelNeutropenia()
    sample = course_sample(4, 6, 21, quasi=False)
    days = np.arange(0.0, 181.0, 3.0)
    from edge_twin_models.design import course_doses  # noqa: PLC0415 - beside its use

    doses = course_doses(21.0, 120.0)
    quick = teacher.run(sample.log_parameters, doses, days)
    exact = np.array([teacher.reference(row, doses, days) for row in sample.log_parameters])
    floor = 0.01 * np.exp(sample.log_parameters[:, :1])
    assert np.abs((quick - exact) / (exact + floor)).max() < 0.01
