"""POD and Galerkin projection against direct linear algebra, on a grid small enough to write everything out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.engines.numpy_field import CHUNK, NumpyField
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.field import Fraction, Treatment, treatment_steps

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.field_domain import synthetic_brain
from edge_twin_models.field_teacher import DECAY_PER_DAY, REFERENCE_UMOL_PER_L, TEMOZOLOMIDE_PK, GliomaField
from edge_twin_models.galerkin import FieldBasis, decompose_fields, project_equation

Floats = NDArray[np.float64]

DOMAIN = synthetic_brain((9, 8, 7), 3.0)
VOLUME = DOMAIN.voxel_volume
PARAMETERS = np.log([[0.05, 0.05, 0.03, 0.02], [0.1, 0.07, 0.01, 0.05]])
STEPS = np.array([[0.0, 0.0, 1.0], *[[1.0, 2.0, 2.0]] * 20, *[[2.0, 0.0, 0.0]] * 10])


def snapshots(count: int = 30) -> Floats:
    """Smooth random fields [m, count]."""
    generator = np.random.default_rng(3)
    centres = generator.uniform(-8.0, 8.0, (count, 3))
    away = DOMAIN.positions_mm[:, None, :] - centres
    return np.asarray(np.exp(-(away**2).sum(axis=2) / 50.0) * generator.uniform(0.01, 0.9, count))


def test_modes_are_orthonormal_and_span_what_a_singular_value_decomposition_spans() -> None:
    fields = snapshots()
    basis = decompose_fields(fields, 8, VOLUME)
    assert VOLUME * basis.modes.T @ basis.modes == pytest.approx(np.eye(8), abs=1e-12)
    left, singular, _ = np.linalg.svd(fields / np.linalg.norm(fields, axis=0), full_matrices=False)
    ours, oracle = VOLUME * basis.modes @ basis.modes.T, left[:, :8] @ left[:, :8].T
    assert np.abs(ours - oracle).max() < 1e-8
    assert basis.energy_left == pytest.approx((singular[8:] ** 2).sum() / (singular**2).sum(), rel=1e-6)


def test_coefficients_do_not_depend_on_the_unit_of_length_chosen_for_the_grid() -> None:
    fields = snapshots()
    coarse, fine = (decompose_fields(fields, 6, volume) for volume in (VOLUME, 1.0))
    assert np.linalg.norm(coarse.project(fields), axis=1) == pytest.approx(
        np.sqrt(VOLUME) * np.linalg.norm(fine.project(fields), axis=1), rel=1e-9
    )
    assert coarse.rebuild(coarse.project(fields)) == pytest.approx(fine.rebuild(fine.project(fields)), abs=1e-10)


def test_the_reduced_tensors_are_the_projections_written_out() -> None:
    basis = decompose_fields(snapshots(), 5, VOLUME)
    operators = project_equation(basis, DOMAIN)
    modes = basis.modes
    diffusion = VOLUME * modes.T @ DOMAIN.diffusion.toarray() @ modes
    assert operators.diffusion == pytest.approx(diffusion, abs=1e-12)
    assert np.array_equal(operators.diffusion, operators.diffusion.T)
    assert np.linalg.eigvalsh(operators.diffusion).max() <= 1e-12
    tensor = VOLUME * np.einsum("vi,vj,vk->ijk", modes, modes, modes)
    state = np.random.default_rng(1).standard_normal(5)
    first, second = np.triu_indices(5)
    ours = operators.quadratic @ (state[first] * state[second])
    assert ours == pytest.approx(np.einsum("ijk,j,k->i", tensor, state, state), rel=1e-12)


def test_with_every_voxel_as_a_mode_student_and_teacher_agree() -> None:
    """Only the two time integrators differ then."""
    small = synthetic_brain((5, 5, 4), 3.0)
    basis = FieldBasis(np.eye(small.voxels) / np.sqrt(small.voxel_volume), small.voxel_volume, 0.0)
    start = 0.6 * np.exp(-(small.positions_mm**2).sum(axis=1) / 40.0)[:, None].repeat(2, axis=1)
    report = np.array([0, 2, 21, 31])  # the first step has no length and is not divided
    fine = np.vstack([STEPS[:1], np.repeat(STEPS[1:] / [4.0, 4.0, 1.0], 4, axis=0)])
    fine[1:, 2] *= np.tile([0.0, 0.0, 0.0, 1.0], len(STEPS) - 1)
    truth = GliomaField(small, 0.05).fields(start, PARAMETERS, STEPS, report)
    nodes = np.where(report > 0, 4 * report - 3, 0)
    states = NumpyField(project_equation(basis, small)).run(basis.project(start), PARAMETERS, fine, nodes)
    rebuilt = np.stack([basis.rebuild(state) for state in states])
    assert rebuilt == pytest.approx(truth, abs=2e-5)


def test_drug_and_radiation_alone_scale_the_state_exactly() -> None:
    basis = decompose_fields(snapshots(), 4, VOLUME)
    operators = project_equation(basis, DOMAIN)
    still = np.log([[1e-12, 1e-12, 0.03, 0.02]])
    start = np.array([[1.0, -0.3, 0.2, 0.05]])
    steps = np.array([[0.0, 0.0, 2.0], [1.0, 5.0, 0.0], [1.0, 0.0, 3.0]])
    end = NumpyField(operators).run(start, still, steps, np.array([3]))[0]
    log_kill = 0.03 * (2.0 * 1.2 + 3.0 * 1.3) + 0.02 * 5.0
    assert end == pytest.approx(start * np.exp(-log_kill), rel=1e-9)


def test_members_do_not_see_one_another_and_inputs_are_not_changed() -> None:
    basis = decompose_fields(snapshots(), 5, VOLUME)
    engine = NumpyField(project_equation(basis, DOMAIN))
    members = CHUNK + 3
    generator = np.random.default_rng(7)
    initial = basis.project(snapshots(members))
    parameters = np.log([0.05, 0.05, 0.03, 0.02]) + 0.2 * generator.standard_normal((members, 4))
    kept, report = initial.copy(), np.array([0, 5, 31])
    together = engine.run(initial, parameters, STEPS, report)
    for member in (0, CHUNK - 1, CHUNK, members - 1):
        alone = engine.run(initial[[member]], parameters[[member]], STEPS, report)
        assert together[:, [member]] == pytest.approx(alone, rel=1e-12, abs=1e-15)
    assert np.array_equal(initial, kept)
    assert np.array_equal(together[0], initial)


def run_with(**changed: Any) -> None:  # noqa: ANN401 - any malformed array
    basis = decompose_fields(snapshots(), 4, VOLUME)
    arrays = {"initial": np.ones((2, 4)), "log_parameters": PARAMETERS, "steps": STEPS, "report": np.array([0, 3])}
    arrays |= changed
    NumpyField(project_equation(basis, DOMAIN)).run(**arrays)


@pytest.mark.parametrize(
    "changed",
    [
        {"initial": np.ones((2, 5))},
        {"initial": np.full((2, 4), np.nan)},
        {"log_parameters": PARAMETERS[:1]},
        {"log_parameters": np.full((2, 4), np.inf)},
        {"steps": STEPS[:, :2]},
        {"steps": -STEPS},
        {"report": np.array([], np.int64)},
        {"report": np.array([3, 0])},
        {"report": np.array([0, len(STEPS) + 1])},
        {"report": np.array([-1, 0])},
    ],
)
def test_malformed_arrays_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as caught:
        run_with(**changed)
    assert caught.value.reason == "engine_input"


# --- steps of a treatment --------------------------------------------------------------------------


def test_steps_carry_every_fraction_and_all_of_the_drug() -> None:
    days = np.array([0.0, 7.0, 30.0])
    given = Treatment(
        (Fraction(0.0, 1.0), Fraction(7.0, 2.0), Fraction(8.5, 3.0), Fraction(31.0, 9.0)),
        (DoseEvent(0.0, 135.0), DoseEvent(3.25, 270.0)),
    )
    steps, report = treatment_steps(TEMOZOLOMIDE_PK, days, given, 2.0)
    nodes = np.concatenate(([0.0], np.cumsum(steps[:, 0])))
    assert nodes[report] == pytest.approx(days)
    assert steps[:, 0].max() <= 2.0 + 1e-12
    assert steps[:, 2].sum() == 6.0  # the fraction after the last day does not matter
    assert {round(nodes[i + 1], 9): gray for i, gray in enumerate(steps[:, 2]) if gray} == {
        0.0: 1.0,
        7.0: 2.0,
        8.5: 3.0,
    }
    assert steps[: report[1], 2].sum() == 3.0  # a fraction counts for the report of its own moment
    assert steps[:, 1].sum() == pytest.approx(3.0 * REFERENCE_UMOL_PER_L / DECAY_PER_DAY, rel=1e-9)
    before = steps[nodes[1:] <= 3.25 + 1e-9, 1].sum()
    assert before == pytest.approx(REFERENCE_UMOL_PER_L / DECAY_PER_DAY, rel=1e-9)


def test_nothing_is_given_before_the_start() -> None:
    with pytest.raises(BundleError) as caught:
        treatment_steps(TEMOZOLOMIDE_PK, np.array([1.0, 2.0]), Treatment((Fraction(0.5, 2.0),)), 1.0)
    assert caught.value.reason == "treatment_before_start"


def test_a_single_day_has_one_step_of_no_length() -> None:
    steps, report = treatment_steps(TEMOZOLOMIDE_PK, np.array([4.0]), Treatment((Fraction(4.0, 2.0),)), 1.0)
    assert steps.tolist() == [[0.0, 0.0, 2.0]]
    assert report.tolist() == [1]
