"""The reaction-diffusion teacher against conservation laws, exact solutions and the speed of its fronts."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.field_domain import Domain, synthetic_brain, uniform_domain
from edge_twin_models.field_teacher import DECAY_PER_DAY, REFERENCE_UMOL_PER_L, GliomaField, logistic

Floats = NDArray[np.float64]

NO_GROWTH = 1e-12
D, K, ALPHA, S = 0.1, 0.05, 0.05, 0.02  # of the phantom of the design notes


def parameters(d: float = D, k: float = K, alpha: float = ALPHA, s: float = S) -> Floats:
    return np.log([[d, k, alpha, s]])


def daily(days: int, gray: float = 0.0, exposure: float = 0.0) -> Floats:
    return np.tile([1.0, exposure, gray], (days, 1))


def random_mask(seed: int, shape: tuple[int, ...]) -> Domain:
    generator = np.random.default_rng(seed)
    mask = generator.random(shape) < 0.7
    mask.flat[0] = True
    return Domain(mask, (1.0, 2.0, 1.5)[: len(shape)], generator.uniform(0.2, 1.0, shape))


@given(st.integers(0, 10_000), st.sampled_from([(6, 7), (4, 5, 3)]))
@settings(max_examples=25, deadline=None)
def test_diffusion_is_symmetric_and_conserves_mass_on_any_mask(seed: int, shape: tuple[int, ...]) -> None:
    domain = random_mask(seed, shape)
    operator = domain.diffusion.toarray()
    assert np.array_equal(operator, operator.T)
    assert np.abs(operator.sum(axis=0)).max() < 1e-12
    assert np.linalg.eigvalsh(operator).max() < 1e-12
    start = np.random.default_rng(seed).random((domain.voxels, 1))
    teacher = GliomaField(domain, step_days=0.25)
    end = teacher.fields(start, parameters(k=NO_GROWTH), daily(20), np.array([20]))[0]
    assert end.sum() == pytest.approx(start.sum(), rel=1e-10)
    assert end.min() >= 0.0
    assert end.max() <= start.max() + 1e-12


def test_a_step_beyond_the_bound_is_refused() -> None:
    domain = uniform_domain(np.ones((5, 5, 5), np.bool_), (1.0, 1.0, 1.0))
    assert domain.stable_step_mm2 == pytest.approx(1.0 / 6.0)
    start = np.full((125, 1), 0.5)
    with pytest.raises(BundleError) as caught:
        GliomaField(domain, step_days=2.0).fields(start, parameters(d=0.1), daily(1), np.array([1]))
    assert caught.value.reason == "step_unstable"
    GliomaField(domain, step_days=1.0).fields(start, parameters(d=0.1), daily(1), np.array([1]))


@pytest.mark.parametrize(
    ("mask", "spacing", "diffusivity"),
    [
        (np.zeros((3, 3), np.bool_), (1.0, 1.0), np.ones((3, 3))),
        (np.ones((3, 3), np.bool_), (1.0,), np.ones((3, 3))),
        (np.ones((3, 3), np.bool_), (1.0, 0.0), np.ones((3, 3))),
        (np.ones((3, 3), np.bool_), (1.0, 1.0), np.zeros((3, 3))),
        (np.ones(3, np.bool_), (1.0,), np.ones(3)),
    ],
)
def test_what_is_no_domain_is_refused(mask: NDArray[np.bool_], spacing: tuple[float, ...], diffusivity: Floats) -> None:
    with pytest.raises(BundleError) as caught:
        Domain(mask, spacing, diffusivity)
    assert caught.value.reason == "domain_invalid"


def test_a_uniform_field_grows_like_the_logistic_equation() -> None:
    domain = synthetic_brain((9, 9, 9), 2.0)
    end = GliomaField(domain).fields(np.full((domain.voxels, 1), 0.1), parameters(), daily(60), np.array([60]))[0]
    expected = 1.0 / (1.0 + 9.0 * math.exp(-K * 60.0))
    assert end == pytest.approx(np.full_like(end, expected), rel=1e-12)
    assert logistic(np.array([0.1]), np.array([K * 60.0])) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("alpha", "share"), [(0.02, 0.9531), (0.03, 0.9305), (0.05, 0.8869)])
def test_two_gray_leave_the_linear_quadratic_share(alpha: float, share: float) -> None:
    domain = synthetic_brain((7, 7), 2.0)
    start = np.full((domain.voxels, 1), 0.3)
    steps = np.array([[0.0, 0.0, 2.0]])
    end = GliomaField(domain).fields(start, parameters(alpha=alpha), steps, np.array([1]))[0]
    assert end / start == pytest.approx(np.full_like(start, share), abs=5e-5)


def test_a_reference_dose_kills_what_its_exposure_says() -> None:
    domain = synthetic_brain((7, 7), 2.0)
    start = np.full((domain.voxels, 1), 0.3)
    per_dose = 0.5 / REFERENCE_UMOL_PER_L  # 0.5 /d at the concentration of one reference dose
    exposure = REFERENCE_UMOL_PER_L / DECAY_PER_DAY
    steps = np.array([[1.0, exposure, 0.0]])
    end = GliomaField(domain).fields(start, parameters(k=NO_GROWTH, s=per_dose), steps, np.array([1]))[0]
    assert end / start == pytest.approx(np.full_like(start, math.exp(-0.5 / 9.242)), rel=1e-9)


def test_fronts_travel_at_two_root_dk() -> None:
    """In a thin channel: 2·sqrt(d·k) = 0.141 mm/d, reached from below as 1 - 3/(4·k·t) (Bramson)."""
    domain = uniform_domain(np.ones((480, 2), np.bool_), (0.25, 0.25))
    start = np.where(domain.positions_mm[:, :1] < -55.0, 1.0, 0.0)
    report = np.array([300, 450])
    fields = GliomaField(domain, step_days=0.125).fields(start, parameters(), daily(450), report)[:, :, 0]
    fronts = [float(np.interp(-0.5, -field[::2], domain.positions_mm[::2, 0])) for field in fields]
    speed = (fronts[1] - fronts[0]) / 150.0
    mean_time = 150.0 / math.log(450.0 / 300.0)
    expected = 2.0 * math.sqrt(D * K) * (1.0 - 3.0 / (4.0 * K * mean_time))
    assert 2.0 * math.sqrt(D * K) == pytest.approx(0.141, abs=5e-4)
    assert speed == pytest.approx(expected, rel=0.02)


def test_splitting_converges_at_second_order() -> None:
    domain = synthetic_brain((10, 10, 8), 2.0)
    centre = np.exp(-(domain.positions_mm**2).sum(axis=1) / 40.0)[:, None]
    steps = daily(16, gray=0.0, exposure=1.0)
    exact = GliomaField(domain, 1.0 / 64.0).fields(centre, parameters(), steps, np.array([16]))
    ends = [GliomaField(domain, step).fields(centre, parameters(), steps, np.array([16])) for step in (1.0, 0.5, 0.25)]
    errors = [float(np.abs(end - exact).max()) for end in ends]
    assert all(3.3 < coarse / fine < 5.0 for coarse, fine in pairwise(errors))


def test_the_shipped_step_is_fine_enough() -> None:
    domain = synthetic_brain((14, 14, 12), 2.0)
    centre = 0.8 * np.exp(-(domain.positions_mm**2).sum(axis=1) / 60.0)[:, None]
    steps, report = daily(30, gray=2.0, exposure=1.0), np.array([0, 15, 30])
    teacher, worst = GliomaField(domain), parameters(d=0.12, k=0.075)
    run, reference = (some.fields(centre, worst, steps, report) for some in (teacher, teacher.refined()))
    assert np.array_equal(run[0], centre)
    assert np.abs(run.sum(axis=1) / reference.sum(axis=1) - 1.0).max() < 1e-4


def test_the_synthetic_brain_has_grey_matter_and_a_ventricle() -> None:
    domain = synthetic_brain((28, 28, 24), 2.0)
    centre = tuple(side // 2 for side in domain.mask.shape)
    assert domain.mask[centre]
    assert not domain.mask[20, 15, 13]
    assert set(np.unique(domain.relative_diffusivity[domain.mask])) == {0.2, 1.0}
    assert domain.grid(np.ones(domain.voxels)).sum() == domain.voxels


def test_the_teacher_answers_like_every_other_one() -> None:
    teacher = GliomaField(synthetic_brain((12, 12, 10), 4.0))
    rows, days = np.repeat(parameters(d=0.02), 2, axis=0), np.array([0.0, 5.0, 10.0])
    doses = [DoseEvent(float(day), 135.0) for day in range(10)]
    untreated, treated = teacher.run(rows, [], days), teacher.run(rows, doses, days)
    assert untreated.shape == (2, 3)
    assert np.array_equal(untreated[:, 0], treated[:, 0])
    assert (treated[:, 2] < untreated[:, 2]).all()
    # A step spreads the exposure of a dose evenly: what that costs is far below what is certified.
    assert treated[0] == pytest.approx(teacher.reference(rows[0], doses, days), rel=1e-3)
