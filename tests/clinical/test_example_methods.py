"""The methods for fields and for stochastic teachers, run from teacher to bundle; shipped weights from their seeds."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.bundle import load_bundle, open_bundle
from edge_twin.errors import BundleError
from edge_twin.field import FieldModel
from edge_twin.release import signed_files
from edge_twin.self_test import self_test
from edge_twin_models import bundle_path, development_key

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.build_emulator import EmulatorPlan, MomentEmulator
from edge_twin_models.build_field import FieldPlan, PodGalerkin
from edge_twin_models.clone_teacher import ResistantClone
from edge_twin_models.emulator_train import EmulatorTraining, clone_sample, moments, replicate, train_emulator
from edge_twin_models.field_domain import synthetic_brain
from edge_twin_models.field_teacher import GliomaField, start_field
from edge_twin_models.methods import EXAMPLE_METHODS, EXAMPLE_TEACHERS, named_method, named_teacher

SMALL_FIELD = FieldPlan(modes=5, design=(8, 1), calibration=(48, 2), certificate=(3, 3))
SMALL_EMULATOR = EmulatorPlan(EmulatorTraining(hidden=8, epochs=2, batch=16), (32, 2, 1), (64, 1, 2), (4, 60, 3))


COARSE = ResistantClone(exact_cells=0, leap_share=0.5)  # quick, and as good for what is tested with it


def arrays_of(content: bytes) -> dict[str, NDArray[np.float64]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}


def test_the_command_knows_both_teachers_and_methods() -> None:
    shipped = {"glioma-field": "field", "resistance": "distribution"}
    assert dict(zip(EXAMPLE_TEACHERS, EXAMPLE_METHODS, strict=True)) == shipped
    for teacher, method in shipped.items():
        bundle = load_bundle(bundle_path(f"{teacher}{named_method(method).suffix}"))
        assert bundle.parameter_names == tuple(p.name for p in named_teacher(teacher).parameters)
        assert bundle.drug == named_teacher(teacher).drug


@pytest.mark.parametrize(("teacher", "method"), [("neutropenia", "field"), ("glioma-field", "distribution")])
def test_a_method_refuses_a_teacher_of_another_kind(teacher: str, method: str) -> None:
    with pytest.raises(BundleError) as caught:
        named_method(method).reduce(named_teacher(teacher))
    assert caught.value.reason == "method_not_for_teacher"


@pytest.mark.parametrize("shape", [(12, 12, 10), (18, 16)], ids=["3-D", "2-D"])
def test_a_field_is_reduced_from_teacher_to_signed_bundle(shape: tuple[int, ...]) -> None:
    pytest.importorskip("onnx", reason="the graph is written with it")
    teacher = GliomaField(synthetic_brain(shape, 4.0), step_days=1.0)
    files = PodGalerkin(SMALL_FIELD).reduce(teacher)
    bundle = open_bundle(signed_files(files, development_key()))
    model = FieldModel(bundle)
    assert (model.size, model.shape) == (5, shape)
    start = model.project(teacher.domain.grid(start_field(teacher.domain)[:, 0])).coefficients
    assert 0.0 < float(model.extent(start[None, :], 0.16)[0]) <= 4.0 * max(shape)
    assert all(result.difference is None or result.difference < 1e-9 for result in self_test(bundle))
    assert bundle.manifest["certificate"]["field_l2_p95"] < 0.2  # five modes of twelve runs


def test_an_emulator_is_made_from_teacher_to_signed_bundle_and_again_to_the_same_bytes() -> None:
    pytest.importorskip("torch", reason="training needs it")
    pytest.importorskip("onnx", reason="the graph is written with it")
    first, second = (MomentEmulator(SMALL_EMULATOR).reduce(COARSE) for _ in range(2))
    assert dict(first) == dict(second)
    bundle = open_bundle(signed_files(first, development_key()))
    assert all(result.difference is None or result.difference < 2e-5 for result in self_test(bundle))


@pytest.mark.slow
def test_training_finds_the_distribution_of_a_known_sample() -> None:
    """Moments made by a formula: after training the network must give them back."""
    pytest.importorskip("torch", reason="training needs it")
    sample = clone_sample(512, 5)
    slope = sample.log_parameters[:, 1] - sample.log_parameters[:, 1].mean()
    known = moments(np.ones((512, 1), np.int64))
    known = type(known)(1.0 / (1.0 + np.exp(-4.0 * slope)), 5.0 + 3.0 * slope, np.exp(1.0 + slope))
    layers = train_emulator(sample, known, EmulatorTraining(hidden=24, epochs=150, batch=64))
    found = layers(np.column_stack((sample.log_parameters, np.log(sample.days))))
    assert np.abs(1.0 / (1.0 + np.exp(-found[:, 0])) - known.none).mean() < 0.02
    assert np.abs(found[:, 1] - known.log_mean).mean() < 0.06
    assert np.abs(found[:, 2] - np.log(known.log_variance)).mean() < 0.06


def test_replicates_do_not_depend_on_where_they_are_run() -> None:
    sample = clone_sample(6, 8)
    with ThreadPoolExecutor(2) as executor:
        there = replicate(COARSE, sample, 4, 9, executor)
    assert np.array_equal(there, replicate(COARSE, sample, 4, 9))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_modes_of_the_shipped_field_are_what_their_seed_gives() -> None:
    """Bit for bit on one thread: with several, the sums of the linear algebra are added up in another order."""
    program = (
        "import hashlib; from edge_twin_models.build_field import PodGalerkin; "
        "from edge_twin_models.field_teacher import GliomaField; "
        "operators = PodGalerkin()._projected(GliomaField()).operators; "
        "print(*(hashlib.sha256(a.tobytes()).hexdigest() for a in (operators.quadratic, operators.diffusion)))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    shipped = arrays_of(load_bundle(bundle_path("glioma-field")).files["field.npz"])
    expected = [hashlib.sha256(shipped[name].tobytes()).hexdigest() for name in ("quadratic", "diffusion")]
    assert done.stdout.split() == expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_weights_of_the_shipped_emulator_are_what_their_seed_gives() -> None:
    pytest.importorskip("torch", reason="training needs it")
    plan = EmulatorPlan()
    points, replicates, seed = plan.design
    sample = clone_sample(points, seed)
    layers = train_emulator(sample, moments(replicate(ResistantClone(), sample, replicates, seed)), plan.training)
    shipped = arrays_of(load_bundle(bundle_path("resistance-emulator")).files["weights.npz"])
    for number, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True), start=1):
        assert np.array_equal(weight.astype(np.float32), shipped[f"w{number}"])
        assert np.array_equal(bias.astype(np.float32), shipped[f"b{number}"])
