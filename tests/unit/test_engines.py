from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, load_bundle, outside_envelope, prior_sample
from edge_twin.engines import check_golden, select_engine
from edge_twin.engines.numpy_friberg import NumpyFriberg
from edge_twin.engines.onnxruntime_engine import OnnxRuntimeEngine
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin.reduced_model import ReducedModel
from edge_twin_models import bundle_path

BUNDLE = load_bundle(bundle_path("neutropenia"))
ORT = OnnxRuntimeEngine(BUNDLE)
PARITY = 1e-8  # double precision; float32 differed by half of the count under weekly doses

unit = st.floats(0.0, 1.0)
members = st.lists(st.tuples(unit, unit, unit, unit), min_size=1, max_size=5)
gaps, amounts, lengths = st.floats(7.0, 40.0), st.floats(0.0, 250.0), st.floats(0.0, 1.0)
dosing = st.lists(st.tuples(gaps, amounts, lengths), max_size=4)


def spread_over_box(shares: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    return np.asarray(BUNDLE.log_low + np.array(shares) * (BUNDLE.log_high - BUNDLE.log_low))


def with_engine(files: Mapping[str, bytes] | None = None, **changes: str | None) -> Bundle:
    # replace() checks the names; the types are those of EngineSpec's text fields.
    engine = dataclasses.replace(BUNDLE.engine, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(BUNDLE, engine=engine, files={**BUNDLE.files, **(files or {})})


def relative_difference(parameters: NDArray[np.float64], doses: Sequence[DoseEvent], days: float) -> float:
    """Largest between the engines."""
    grid = exposure_grid(BUNDLE.pharmacokinetics, doses, np.arange(0.0, days, 3.0))
    reference = NumpyFriberg().simulate(parameters, grid.steps)
    assert np.isfinite(reference).all()
    difference = np.abs(ORT.simulate(parameters, grid.steps) - reference) / reference
    return float(difference.max())


@given(members, dosing)
def test_engines_agree_anywhere_in_the_envelope(
    shares: list[tuple[float, float, float, float]], course: list[tuple[float, float, float]]
) -> None:
    starts = np.cumsum([gap for gap, _, _ in course])
    doses = [DoseEvent(float(day), amount, length) for day, (_, amount, length) in zip(starts, course, strict=True)]
    assume(not outside_envelope(BUNDLE, doses=doses))
    assert relative_difference(spread_over_box(shares), doses, 90.0) < PARITY


@pytest.mark.parametrize(
    "doses",
    [
        [DoseEvent(7.0, 51.0), DoseEvent(14.0, 239.0)],
        [DoseEvent(7.0 * week, 100.0) for week in range(12)],
        [DoseEvent(7.0 * week, 50.0) for week in range(28)],
        [DoseEvent(21.0 * cycle, 250.0) for cycle in range(8)],
    ],
    ids=["two_close_doses", "weekly", "weekly_low", "three_weekly"],
)
def test_engines_agree_on_every_corner_of_the_envelope(doses: list[DoseEvent]) -> None:
    # Cells almost vanish, oscillate or rebound without bound at some corners: single precision fails there.
    assert outside_envelope(BUNDLE, doses=doses) == ()
    corners = spread_over_box(list(product((0.0, 0.5, 1.0), repeat=4)))
    assert relative_difference(corners, doses, 200.0) < PARITY


def test_engines_agree_closely_on_the_prior() -> None:
    parameters = prior_sample(BUNDLE, 200, seed=5)
    doses = [DoseEvent(21.0 * cycle, 180.0, 1.0 / 24.0) for cycle in range(8)]
    grid = exposure_grid(BUNDLE.pharmacokinetics, doses, np.arange(0.0, 181.0))
    reference = NumpyFriberg().simulate(parameters, grid.steps)
    np.testing.assert_allclose(ORT.simulate(parameters, grid.steps), reference, rtol=PARITY)


def test_golden_vectors_are_reproduced() -> None:
    assert check_golden(NumpyFriberg(), BUNDLE) < 1e-7
    assert check_golden(ORT, BUNDLE) < 1e-7


def test_chunks_change_nothing() -> None:
    parameters = prior_sample(BUNDLE, 37, seed=2)
    steps = BUNDLE.golden().steps
    whole = NumpyFriberg().simulate(parameters, steps)
    np.testing.assert_allclose(NumpyFriberg(chunk=10).simulate(parameters, steps), whole, rtol=1e-12)
    small = OnnxRuntimeEngine(BUNDLE, chunk=10).simulate(parameters, steps)
    np.testing.assert_allclose(small, ORT.simulate(parameters, steps), rtol=1e-12)


@pytest.mark.parametrize("engine", [NumpyFriberg(), ORT], ids=["numpy", "onnxruntime"])
def test_no_steps_give_the_baseline(engine: NumpyFriberg | OnnxRuntimeEngine) -> None:
    parameters = prior_sample(BUNDLE, 3, seed=2)
    np.testing.assert_allclose(
        engine.simulate(parameters, np.zeros((0, 2))), np.exp(parameters[None, :, 0]), rtol=1e-12
    )


@pytest.mark.parametrize("engine", [NumpyFriberg(), ORT], ids=["numpy", "onnxruntime"])
@pytest.mark.parametrize(
    ("parameters", "steps"),
    [
        (np.zeros((2, 3)), np.ones((2, 2))),
        (np.zeros(4), np.ones((2, 2))),
        (np.full((2, 4), np.nan), np.ones((2, 2))),
        (np.zeros((2, 4)), np.ones((2, 3))),
        (np.zeros((2, 4)), np.full((2, 2), np.inf)),
    ],
)
def test_malformed_arrays_are_refused(
    engine: NumpyFriberg | OnnxRuntimeEngine, parameters: NDArray[np.float64], steps: NDArray[np.float64]
) -> None:
    with pytest.raises(BundleError) as caught:
        engine.simulate(parameters, steps)
    assert caught.value.reason == "engine_input"


def test_onnxruntime_is_chosen_when_it_passes() -> None:
    choice = select_engine(BUNDLE)
    assert choice.name == "onnxruntime"
    assert choice.refused == {}
    assert ORT.providers[-1] == "CPUExecutionProvider"


def test_the_preferred_engine_is_chosen() -> None:
    assert select_engine(BUNDLE, prefer="numpy").name == "numpy"
    with pytest.raises(BundleError) as caught:
        select_engine(BUNDLE, prefer="abacus")
    assert caught.value.reason == "engine_unknown"


def test_numpy_takes_over_without_a_graph() -> None:
    choice = select_engine(with_engine(graph=None))
    assert choice.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("graph_missing")


def test_numpy_takes_over_from_a_broken_graph() -> None:
    choice = select_engine(with_engine({"model.onnx": b"not a graph"}))
    assert choice.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("graph_refused")


def test_numpy_takes_over_when_the_library_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "onnxruntime":
            raise ImportError(name)
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    choice = select_engine(BUNDLE)
    assert choice.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("library_missing")


def test_a_graph_that_computes_something_else_is_refused() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(BUNDLE.files["model.onnx"])
    for tensor in model.graph.initializer:
        if tensor.name == "transit_hours":
            changed = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
    choice = select_engine(with_engine({"model.onnx": model.SerializeToString()}))
    assert choice.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("golden_mismatch")


def test_without_any_engine_every_reason_is_told() -> None:
    with pytest.raises(BundleError) as caught:
        select_engine(with_engine(graph=None, kind="of_another_kind"))
    assert caught.value.reason == "no_engine"
    assert "graph_missing" in str(caught.value)
    assert "engine_kind_unknown" in str(caught.value)


def test_reduced_model_reports_the_requested_times() -> None:
    model = ReducedModel(BUNDLE, select_engine(BUNDLE))
    days = np.array([0.0, 8.25, 40.0])
    parameters = model.prior_sample(10, seed=1)
    doses = (DoseEvent(0.0, 180.0, 1.0 / 24.0),)
    counts = model.simulate(parameters, doses, days)
    assert counts.shape == (3, 10)
    np.testing.assert_allclose(counts[0], np.exp(parameters[:, 0]), rtol=1e-6)
    assert (counts[1] < 0.5 * counts[0]).all()
    assert (model.id, model.engine_name, model.residual_log_sd) == ("neutropenia@2", "onnxruntime", 0.424)
    assert model.expires == BUNDLE.expires


def test_reduced_model_guards_its_envelope() -> None:
    model = ReducedModel(BUNDLE, NumpyFriberg())
    wild = model.clip(np.array([[9.0, -9.0, 9.0, -9.0]]))
    np.testing.assert_allclose(np.exp(wild[0]), [16.0, 45.0, 75.0, 0.08])
    assert model.covers_doses([DoseEvent(0.0, 250.0)])
    assert not model.covers_doses([DoseEvent(0.0, 251.0)])


def test_numbers_out_of_range_are_refused_by_the_model() -> None:
    model = ReducedModel(BUNDLE, NumpyFriberg())
    with np.errstate(all="ignore"), pytest.raises(BundleError) as caught:
        model.simulate(np.full((1, 4), 800.0), (), np.arange(3.0))
    assert caught.value.reason == "output_not_finite"
