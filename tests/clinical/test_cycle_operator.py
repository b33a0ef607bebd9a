"""The shipped cycle operator against its teacher on whole roll-outs; no training library is needed."""

from __future__ import annotations

import numpy as np
import pytest

from edge_twin.bundle import load_bundle, prior_sample
from edge_twin.cycle import CycleModel, CycleOperator, check_golden
from edge_twin.exposure import DoseEvent
from edge_twin_models import bundle_path
from edge_twin_models.cycle_certify import roll_out_errors, teacher_counts
from edge_twin_models.cycle_recipes import RECIPES
from edge_twin_models.cycle_train import npz_bytes, train
from edge_twin_models.friberg import DDMODEL00000224, simulate_patient

BUNDLE = load_bundle(bundle_path("neutropenia-cycle"))
OPERATOR = CycleOperator(BUNDLE)
FRESH_SEED = 977  # of neither calibration nor certificate


def test_nadirs_of_every_cycle_on_fresh_courses() -> None:
    excess, covered = [], []
    for cycles in (1, 3, 6, 12):
        errors = roll_out_errors(OPERATOR, BUNDLE, cycles, schedules=12, seed=FRESH_SEED)
        excess.append(errors.nadir_excess.ravel())
        covered.append(errors.score <= OPERATOR.log_half_width(cycles))
        assert errors.mechanistic.mean() < 0.15
    p95 = float(np.quantile(np.concatenate(excess), 0.95))
    share = float(np.concatenate(covered).mean())
    print(f"nadir error p95 {p95:.2f} of what is allowed, band covers {share:.3f}")
    assert p95 <= 1.0
    assert share >= 0.88  # 192 roll-outs of 48 courses: the certificate itself rests on 1,900


def test_the_typical_patient_follows_lsoda_through_a_changed_course() -> None:
    doses = [DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(28.0, 135.0, 1 / 24), DoseEvent(70.0, 180.0, 1 / 24)]
    times = np.arange(0.0, 92.0, 0.5)
    typical = DDMODEL00000224.typical
    found = OPERATOR.roll_out(typical.log_parameters[None, :], doses, times)
    assert not found.mechanistic.any()
    np.testing.assert_allclose(found.counts[:, 0], simulate_patient(typical, doses, times), rtol=0.02)


def test_an_omitted_cycle_is_the_same_as_no_dose() -> None:
    members = prior_sample(BUNDLE, 20, 3)
    times = np.arange(0.0, 64.0)
    with_zero = OPERATOR.roll_out(members, [DoseEvent(0.0, 150.0), DoseEvent(21.0, 0.0), DoseEvent(42.0, 150.0)], times)
    without = OPERATOR.roll_out(members, [DoseEvent(0.0, 150.0), DoseEvent(42.0, 150.0)], times)
    np.testing.assert_array_equal(with_zero.counts, without.counts)


def test_the_certificate_meets_the_bars() -> None:
    certificate = BUNDLE.manifest["certificate"]
    assert certificate["roll_outs"] >= 1000
    assert certificate["nadir_p95_of_allowed"] <= 1.0
    assert 0.93 <= certificate["coverage_95"] <= 0.97
    assert BUNDLE.manifest["cycle_operator"]["learned_values"] == OPERATOR.weights.learned_values <= 30_000


def test_golden_vectors_are_reproduced() -> None:
    assert check_golden(OPERATOR, BUNDLE) <= BUNDLE.engine.tolerance_relative
    assert CycleModel(BUNDLE, prefer="numpy").engine_name == "numpy"


@pytest.mark.parametrize(
    ("doses", "word"),
    [
        ([DoseEvent(0.0, 240.0)], "dose_amount"),
        ([DoseEvent(0.0, 100.0), DoseEvent(3.0, 100.0)], "dose_interval"),
        ([DoseEvent(0.0, 100.0, 0.5)], "infusion_length"),
    ],
)
def test_a_schedule_outside_the_envelope_is_answered_mechanistically_and_says_so(
    doses: list[DoseEvent], word: str
) -> None:
    members, times = prior_sample(BUNDLE, 10, 4), np.arange(0.0, 22.0)
    found = OPERATOR.roll_out(members, doses, times)
    assert found.handed_over[word] == 10
    assert found.mechanistic.all()
    np.testing.assert_allclose(found.counts, teacher_counts(BUNDLE, members, doses, times), rtol=0.03)


def test_a_member_outside_is_answered_mechanistically_alone() -> None:
    members, times = prior_sample(BUNDLE, 10, 4), np.arange(0.0, 43.0)
    members[3, 2] = np.log(70.0)  # slope beyond the box
    doses = [DoseEvent(0.0, 180.0), DoseEvent(21.0, 180.0)]
    found = OPERATOR.roll_out(members, doses, times)
    assert found.mechanistic[3]
    assert found.handed_over["parameter_box"] == 1
    np.testing.assert_allclose(found.counts[:, 3], teacher_counts(BUNDLE, members[3:4], doses, times)[:, 0], rtol=0.03)
    lower, upper = found.band()
    np.testing.assert_array_equal(lower[:, 3], upper[:, 3])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("teacher", sorted(RECIPES))
def test_the_weights_are_rebuilt_from_the_seed(teacher: str) -> None:
    pytest.importorskip("torch", reason="the distill extra")
    recipe, shipped = RECIPES[teacher], load_bundle(bundle_path(f"{teacher}-cycle"))
    assert npz_bytes(train(recipe.training, recipe.design)) == shipped.files["weights.npz"]
