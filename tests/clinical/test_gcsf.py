"""Neutropenia with G-CSF: the teacher's steady state and signs, and the shipped bundle against its teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_twin.archive import SIGNATURE, unpack
from edge_twin.bundle import load_bundle
from edge_twin.engines import check_golden, named_engine
from edge_twin.exposure import DoseEvent
from edge_twin.reduced_model import ReducedModel
from edge_twin.release import signed_archive
from edge_twin_models import bundle_path, development_key
from edge_twin_models.quartino_gcsf import FILGRASTIM, KINETICS, QUARTINO_2014, derivative, simulate_patient

SHIPPED = bundle_path("neutropenia-gcsf")
TYPICAL = np.log(QUARTINO_2014)[None, :]
DAYS = np.arange(0.0, 43.0)
INFUSED = [DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(21.0, 180.0, 1 / 24)]
INJECTIONS = [DoseEvent(float(day), 0.3, 0.0, "filgrastim") for cycle in (0, 21) for day in range(cycle + 2, cycle + 9)]


@pytest.fixture(scope="module", params=["numpy", "onnxruntime"])
def gcsf(request: pytest.FixtureRequest) -> ReducedModel:
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
    bundle = load_bundle(SHIPPED)
    return ReducedModel(bundle, named_engine(bundle, request.param))


def test_steady_state_does_not_move(gcsf: ReducedModel) -> None:
    state = np.array([0.0] * 4 + [1.0] * 5 + [KINETICS.g0_ng_per_l, 0.0, 0.0])
    np.testing.assert_allclose(derivative(state, QUARTINO_2014), 0.0, atol=1e-9)
    np.testing.assert_allclose(gcsf.simulate(TYPICAL, (), DAYS), QUARTINO_2014[0], rtol=1e-9)


def test_few_neutrophils_raise_the_factor_and_many_lower_it() -> None:
    for circulating, sign in ((0.5, 1.0), (2.0, -1.0)):
        state = np.array([0.0] * 4 + [1.0] * 4 + [circulating, KINETICS.g0_ng_per_l, 0.0, 0.0])
        assert np.sign(derivative(state, QUARTINO_2014)[9]) == sign


@pytest.mark.parametrize("injections", [[], INJECTIONS], ids=["without", "with"])
def test_the_device_follows_the_full_equations(gcsf: ReducedModel, injections: list[DoseEvent]) -> None:
    teacher = simulate_patient(QUARTINO_2014, INFUSED, injections, DAYS)
    device = gcsf.simulate(TYPICAL, (*INFUSED, *injections), DAYS)[:, 0]
    worst = float(np.abs(device / teacher - 1.0).max())
    print(f"largest relative difference {worst:.4f}, nadir {teacher.min():.3f}")
    assert worst < 0.01


def test_filgrastim_raises_the_counts_after_chemotherapy(gcsf: ReducedModel) -> None:
    without = gcsf.simulate(TYPICAL, INFUSED, DAYS)
    given = gcsf.simulate(TYPICAL, (*INFUSED, *INJECTIONS), DAYS)
    print(f"nadir {without[:21].min():.3f} without, {given[:21].min():.3f} with filgrastim")
    assert given[:21].min() > 1.1 * without[:21].min()


def test_more_filgrastim_gives_a_higher_nadir_and_moving_all_times_changes_nothing(gcsf: ReducedModel) -> None:
    nadirs = [
        gcsf.simulate(TYPICAL, (*INFUSED, *(DoseEvent(i.start_day, mg, 0.0, i.drug) for i in INJECTIONS)), DAYS).min()
        for mg in (0.0, 0.1, 0.3, 0.6)
    ]
    assert nadirs == sorted(nadirs)
    doses = (*INFUSED, *INJECTIONS)
    later = [DoseEvent(d.start_day + 8.0, d.amount_mg, d.infusion_days, d.drug) for d in doses]
    np.testing.assert_array_equal(gcsf.simulate(TYPICAL, later, DAYS + 8.0), gcsf.simulate(TYPICAL, doses, DAYS))


def test_all_of_an_injection_arrives() -> None:
    arrived = FILGRASTIM.entered(np.array([-1.0, 0.0, 30.0]))
    assert arrived == pytest.approx([0.0, 0.0, 1e6 / 14.5], rel=1e-9)


@pytest.mark.parametrize("members", [1, 1000])
def test_the_engines_agree(members: int) -> None:
    pytest.importorskip("onnxruntime")
    bundle = load_bundle(SHIPPED)
    models = [ReducedModel(bundle, named_engine(bundle, name)) for name in bundle.engine_names]
    prior = models[0].prior_sample(members, 3)
    ours, theirs = (model.simulate(prior, (*INFUSED, *INJECTIONS), DAYS) for model in models)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert max(check_golden(model.engine, bundle) for model in models) <= bundle.engine.tolerance_relative


def test_the_shipped_archive_is_small_and_signed() -> None:
    assert SHIPPED.stat().st_size < 400_000
    assert load_bundle(SHIPPED).signer is not None


def test_the_card_tells_the_unit_of_g0_and_what_is_borrowed() -> None:
    card = load_bundle(SHIPPED).card
    assert "ng/mL" in card
    assert "read as\nng/L [U]" in card
    assert "DDMODEL00000224" in card
    assert "Not validated on measured patients" in card


def test_a_rebuild_gives_the_shipped_bytes(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the bundle is built with onnx")
    from edge_twin_models.build_gcsf import build  # noqa: PLC0415 - needs onnx

    build(tmp_path, load_bundle(SHIPPED).manifest["certificate"])
    shipped = unpack(SHIPPED.read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == set(shipped) - {SIGNATURE}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == shipped[path.name], path.name
    assert signed_archive(tmp_path, development_key()) == SHIPPED.read_bytes()


def test_the_certificate_promises_enough_and_fresh_patients_keep_it() -> None:
    pytest.importorskip("onnx", reason="the bundle is built with onnx")
    from edge_twin_models.build_gcsf import certify  # noqa: PLC0415 - needs onnx

    shipped, fresh = load_bundle(SHIPPED).manifest["certificate"], certify(patients=3, seed=4711)
    assert shipped["prior_max_relative_error"] <= 0.01
    assert shipped["prior_max_nadir_error"] <= 0.01
    assert shipped["box_max_relative_error"] <= 0.05
    for name in ("prior_max_relative_error", "box_max_relative_error"):
        assert fresh[name] <= 2.0 * shipped[name]
