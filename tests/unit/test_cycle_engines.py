"""The cycle operator's network in numpy, onnxruntime and LiteRT: one learned core, the same answers."""

from __future__ import annotations

import dataclasses
import io
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.bundle import load_bundle, prior_sample
from edge_twin.cycle import CycleModel, CycleOperator, check_golden, select_cycle_operator
from edge_twin.cycle_weights import Weights
from edge_twin.engines.cycle_network import CANDIDATES
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.self_test import self_test
from edge_twin_models import bundle_path

BUNDLE = load_bundle(bundle_path("neutropenia-cycle"))
WEIGHTS = Weights.from_npz(BUNDLE.files["weights.npz"])
DOSES = [DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(21.0, 135.0, 1 / 24), DoseEvent(56.0, 180.0, 0.1)]
TIMES = np.arange(0.0, 84.0)
LATENT = 1e-6  # of the largest coefficient: coefficients reach 45, and float32 has seven digits
PHYSICAL = 2e-5  # relative, of the curve after one dose; a chain of cycles may reach the bundle's tolerance

Singles = NDArray[np.float32]


def operator(name: str) -> CycleOperator:
    try:
        return CycleOperator(BUNDLE, name)
    except BundleError as error:
        if error.reason not in {"library_missing", "library_unusable"}:
            raise
        pytest.skip(str(error))


def inputs(members: int) -> Singles:
    """Standardised inputs, evenly over the box of the training."""
    shares = np.random.default_rng(8).random((members, len(WEIGHTS.low)))
    inside = WEIGHTS.low + shares * (WEIGHTS.high - WEIGHTS.low)
    return ((inside.astype(np.float32) - WEIGHTS.mean) / WEIGHTS.scale).astype(np.float32)


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("members", [1, 1000, 2300])
def test_engines_give_the_same_coefficients_and_curves(name: str, members: int) -> None:
    scaled = inputs(members)
    expected = CycleOperator(BUNDLE).engine.coefficients(scaled)
    found = operator(name).engine.coefficients(scaled)
    assert found.shape == (members, WEIGHTS.size)
    assert np.abs(found - expected).max() <= LATENT * np.abs(expected).max()
    curves = [coefficients @ WEIGHTS.counts[1] for coefficients in (found, expected)]
    assert np.abs(np.expm1(curves[0].astype(np.float64) - curves[1])).max() <= PHYSICAL


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("members", [1, 1000])
def test_engines_roll_out_the_same_course(name: str, members: int) -> None:
    patients = prior_sample(BUNDLE, 1000, 3)[:members]
    expected, found = (one.roll_out(patients, DOSES, TIMES) for one in (CycleOperator(BUNDLE), operator(name)))
    np.testing.assert_array_equal(found.mechanistic, expected.mechanistic)
    np.testing.assert_allclose(found.counts, expected.counts, rtol=BUNDLE.engine.tolerance_relative)


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_engine_reproduces_the_golden_vectors(name: str) -> None:
    assert check_golden(operator(name), BUNDLE) <= BUNDLE.engine.tolerance_relative


@pytest.mark.parametrize("name", CANDIDATES)
def test_another_number_of_members_in_between_changes_nothing(name: str) -> None:
    engine, scaled = operator(name).engine, inputs(40)
    first = engine.coefficients(scaled).copy()
    engine.coefficients(inputs(7))
    np.testing.assert_array_equal(engine.coefficients(scaled), first)


def test_the_manifest_lists_the_engines_and_the_self_test_asks_them() -> None:
    assert BUNDLE.engine_names == tuple(CANDIDATES) == ("onnxruntime", "litert", "numpy")
    assert tuple(result.engine for result in self_test(BUNDLE)) == BUNDLE.engine_names


def test_the_fastest_right_engine_is_chosen_and_named() -> None:
    choice = select_cycle_operator(BUNDLE)
    assert choice.operator.engine.name not in choice.refused
    assert CycleModel(BUNDLE, prefer="numpy").engine_name == "numpy"
    with pytest.raises(BundleError) as caught:
        CycleModel(BUNDLE, prefer="abacus")
    assert caught.value.reason == "engine_unknown"


def test_an_engine_that_the_manifest_does_not_list_is_not_used() -> None:
    bundle = dataclasses.replace(BUNDLE, manifest={**BUNDLE.manifest, "engines": ["numpy"]})
    choice = select_cycle_operator(bundle)
    assert choice.operator.engine.name == "numpy"
    assert {name: why.split(":")[0] for name, why in choice.refused.items()} == {
        "onnxruntime": "not_listed",
        "litert": "not_listed",
    }


def test_files_that_compute_something_else_are_refused() -> None:
    swapped = {
        **BUNDLE.files,
        "model.tflite": b"no file",
        "model.onnx": load_bundle(bundle_path("aml")).files["model.onnx"],
    }
    choice = select_cycle_operator(dataclasses.replace(BUNDLE, files=swapped))
    assert choice.operator.engine.name == "numpy"
    assert choice.refused["onnxruntime"].split(":")[0] in {"engine_failed", "library_missing"}
    assert choice.refused["litert"].split(":")[0] in {"graph_refused", "library_missing", "library_unusable"}


def test_a_graph_of_slightly_different_weights_is_refused() -> None:
    onnx = pytest.importorskip("onnx", reason="the distill extra")
    model = onnx.load_from_string(BUNDLE.files["model.onnx"])
    for tensor in model.graph.initializer:
        if tensor.name == "last":
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(1.01), "last"))
    files = {**BUNDLE.files, "model.onnx": model.SerializeToString()}
    choice = select_cycle_operator(dataclasses.replace(BUNDLE, files=files), prefer="onnxruntime")
    assert choice.operator.engine.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("golden_mismatch")


def test_the_shipped_graphs_are_made_of_the_shipped_weights() -> None:
    pytest.importorskip("onnx", reason="the distill extra")
    pytest.importorskip("flatbuffers", reason="the distill extra")
    from edge_twin_models.cycle_export import litert_bytes, onnx_bytes  # noqa: PLC0415 - after the checks

    assert onnx_bytes(WEIGHTS, BUNDLE.id) == BUNDLE.files["model.onnx"]
    assert litert_bytes(WEIGHTS) == BUNDLE.files["model.tflite"]


def test_layers_of_the_graph_follow_each_other() -> None:
    with np.load(io.BytesIO(BUNDLE.files["weights.npz"]), allow_pickle=False) as stored:
        shapes = [stored[name].shape for name in ("hidden_weight_0", "hidden_weight_1", "last_weight")]
    assert all(left[1] == right[0] for left, right in pairwise(shapes))
