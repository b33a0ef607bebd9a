"""Teachers and reduction methods: what they promise, and what is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from edge_twin.bundle import MARKS, load_bundle
from edge_twin.errors import BundleError
from edge_twin_app.cli import main
from edge_twin_models import bundle_names, bundle_path

pytest.importorskip("scipy", reason="the teachers need it")
pytest.importorskip("onnx", reason="the graphs need the extra 'distill'")

from edge_twin_models import course_recipes, cycle_recipes
from edge_twin_models.course_bundle import parameter_document
from edge_twin_models.design import (
    CYTARABINE_COURSE,
    DOCETAXEL_COURSE,
    CourseSpace,
    course_doses,
    course_sample,
    group_courses,
    population_sample,
)
from edge_twin_models.friberg import DDMODEL00000224
from edge_twin_models.methods import METHODS, named_method, named_teacher
from edge_twin_models.teacher import TEACHERS, CytarabineLeukocytes, DocetaxelNeutropenia, Teacher

BOTH: Sequence[Teacher] = (DocetaxelNeutropenia(step_days=0.5), CytarabineLeukocytes(step_days=0.5))
SPACES = (DOCETAXEL_COURSE, CYTARABINE_COURSE)


class Unknown(DocetaxelNeutropenia):
    name = "unknown"


@pytest.mark.parametrize("teacher", BOTH, ids=lambda teacher: teacher.name)
def test_a_teacher_says_where_every_value_comes_from(teacher: Teacher) -> None:
    (output,) = teacher.outputs
    assert output.system == "http://loinc.org"
    assert output.unit == "10*9/L"
    for parameter in teacher.parameters:
        assert parameter.typical > 0.0
        assert parameter.omega2 >= 0.0
        assert {parameter.mark, parameter.omega2_mark} <= set(MARKS)
        assert parameter.source
        assert parameter.omega2_source
    assert all(variable.unit for variable in (*teacher.states, *teacher.inputs))


@pytest.mark.parametrize("teacher", BOTH, ids=lambda teacher: teacher.name)
def test_the_baseline_only_scales_the_output(teacher: Teacher) -> None:
    row = np.log([parameter.typical for parameter in teacher.parameters])
    rows, days = row + np.log(2.0) * np.outer([0.0, 1.0], [1.0, 0.0, 0.0, 0.0]), np.arange(0.0, 28.0)
    doses = course_doses(28.0, 150.0 if teacher.drug == "docetaxel" else 1800.0, SPACES[BOTH.index(teacher)])
    once, twice = teacher.run(rows, doses, days)
    np.testing.assert_allclose(twice, 2.0 * once, rtol=1e-9)
    assert once.min() < 0.8 * once[0]


def test_the_effect_of_cytarabine_does_not_merge_slope_and_dose() -> None:
    """Half the dose at twice the slope is the same for docetaxel and another course for cytarabine."""
    days = np.arange(0.0, 28.0)
    for teacher, space, dose in zip(BOTH, SPACES, (150.0, 1800.0), strict=True):
        row = np.log([parameter.typical for parameter in teacher.parameters])
        whole = teacher.run(row[None, :], course_doses(28.0, dose, space), days)
        row[2] += np.log(2.0)
        half = teacher.run(row[None, :], course_doses(28.0, dose / 2.0, space), days)
        same = np.allclose(half, whole, rtol=1e-9)
        assert same is (teacher.drug == "docetaxel")


@pytest.mark.parametrize("space", SPACES, ids=("docetaxel", "cytarabine"))
@pytest.mark.parametrize("quasi", [True, False])
def test_a_sample_lies_in_its_space(space: CourseSpace, *, quasi: bool) -> None:
    sample = course_sample(8, 16, 5, quasi=quasi, space=space)
    low, high = space.log_bounds(space.features)
    features = sample.features
    assert features.shape == (128, 5)
    assert bool(((features >= low - 1e-12) & (features <= high + 1e-12)).all())
    assert (features @ space.kill_weights).max() <= space.max_log_kill + 1e-12
    assert len(np.unique(sample.intervals)) == 8


def test_groups_share_a_dose_where_it_is_no_factor_of_the_slope() -> None:
    sample = course_sample(4, 8, 5, space=CYTARABINE_COURSE)
    assert [len(np.unique(part)) for part in np.split(sample.log_dose, 4)] == [1, 1, 1, 1]
    amounts = [amount for _, _, amount in group_courses(sample, CYTARABINE_COURSE)]
    np.testing.assert_allclose(np.log(amounts), sample.log_dose[::8])
    people = population_sample(CytarabineLeukocytes(), 4, 8, 5, space=CYTARABINE_COURSE)
    assert len(np.unique(people.log_dose)) == 4


def test_every_teacher_has_every_method_and_its_bundle_is_shipped() -> None:
    assert set(TEACHERS) == set(course_recipes.RECIPES) == set(cycle_recipes.RECIPES) == {"neutropenia", "aml"}
    assert set(METHODS) == {"mechanistic", "course", "cycle"}
    for teacher in TEACHERS:
        for method in METHODS:
            name = f"{teacher}{named_method(method).suffix}"
            assert name in bundle_names()
            assert load_bundle(bundle_path(name)).drug == named_teacher(teacher).drug


@pytest.mark.parametrize("name", METHODS)
def test_a_teacher_without_a_recipe_is_refused(name: str) -> None:
    with pytest.raises(BundleError) as refusal:
        named_method(name).reduce(Unknown())
    assert refusal.value.reason == "method_not_for_teacher"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["nothing"], "teacher_unknown"), (["aml", "--method", "magic"], "method_unknown")],
)
def test_the_command_names_what_it_does_not_know(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", *arguments, "--workers", "1"]) == 1
    assert f"[{reason}]" in capsys.readouterr().err


def test_an_assumed_variance_keeps_its_own_mark() -> None:
    for teacher, space, own in zip(BOTH, SPACES, (False, True), strict=True):
        documents = [parameter_document(parameter, space.box) for parameter in teacher.parameters]
        assert all(("omega2_mark" in document) is own for document in documents)
    assert documents[0]["omega2_mark"] == "A"


def test_a_row_without_a_residual_error_makes_no_teacher() -> None:

    with pytest.raises(ValueError, match="residual"):
        DocetaxelNeutropenia(replace(DDMODEL00000224, residual_log_sd=None))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_the_mechanistic_bundles_are_rebuilt(name: str) -> None:
    rebuilt, shipped = named_method("mechanistic").reduce(named_teacher(name)), load_bundle(bundle_path(name))
    assert rebuilt["model.onnx"] == shipped.files["model.onnx"]
    assert rebuilt["golden.npz"] == shipped.files["golden.npz"]
