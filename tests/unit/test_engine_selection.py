"""Providers and libraries are chosen by what they compute; machines that are not here are played by fakes."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.cycle_weights import Weights
from edge_twin.engines import litert_network, onnx_session, select_engine
from edge_twin.engines.course_network import CANDIDATES
from edge_twin.engines.litert_network import LitertNetwork
from edge_twin.engines.onnx_session import CPU, CUDA, TENSORRT, BoundSession, open_session, provider_orders
from edge_twin.engines.selection import first_right, ways
from edge_twin.errors import BundleError
from edge_twin.self_test import self_test
from edge_twin.student import load_student
from edge_twin_models import bundle_path

BUNDLE = load_bundle(bundle_path("neutropenia"))
COURSE = load_bundle(bundle_path("neutropenia-course"))

onnxruntime = pytest.importorskip("onnxruntime")


class FakeLibrary:
    """onnxruntime as it would look with accelerators; sessions run on the processor whatever they promise.

    Args:
        available: what the build lists.
        usable: what has a driver; onnxruntime drops the others from a session without an error.
        wrong: providers whose sessions compute something else.
    """

    def __init__(self, available: list[str], usable: list[str], wrong: tuple[str, ...] = ()) -> None:
        self.available, self.usable, self.wrong = available, usable, wrong
        self.asked: list[list[str]] = []
        self.SessionOptions = onnxruntime.SessionOptions

    def get_available_providers(self) -> list[str]:
        return self.available

    def InferenceSession(self, graph: bytes, options: object, providers: list[str]) -> object:  # noqa: N802 - its name
        self.asked.append(providers)
        real = onnxruntime.InferenceSession(graph, options, providers=[CPU])
        kept = [name for name in providers if name in self.usable]
        factor = 1.01 if kept[0] in self.wrong else 1.0
        return SimpleNamespace(
            get_providers=lambda: kept, run=lambda names, inputs: [factor * real.run(names, inputs)[0]]
        )


def played(monkeypatch: pytest.MonkeyPatch, library: FakeLibrary) -> FakeLibrary:
    monkeypatch.setattr(onnx_session, "_library", lambda: library)
    return library


def test_this_machine_ends_with_its_processor() -> None:
    assert provider_orders()[-1] == (CPU,)
    assert ways("onnxruntime")[-1] == ("onnxruntime", (CPU,))
    assert ways("numpy") == (("numpy", ()),)


def test_accelerators_come_first_and_the_processor_last(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, FakeLibrary([CPU, CUDA, "AzureExecutionProvider", TENSORRT], [CPU]))
    assert provider_orders() == ((TENSORRT, CUDA, CPU), (CUDA, CPU), (CPU,))


def test_an_accelerator_that_answers_right_is_used_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, FakeLibrary([CUDA, CPU], [CUDA, CPU]))
    choice = select_engine(BUNDLE)
    assert (choice.name, choice.providers, dict(choice.refused)) == ("onnxruntime", (CUDA, CPU), {})


def test_an_accelerator_without_a_driver_is_refused_and_the_processor_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    library = played(monkeypatch, FakeLibrary([TENSORRT, CUDA, CPU], [CPU]))
    choice = select_engine(BUNDLE)
    assert (choice.name, choice.providers) == ("onnxruntime", (CPU,))
    assert [why.split(":")[0] for why in choice.refused.values()] == ["provider_missing"] * 2
    assert list(choice.refused) == [f"onnxruntime on {TENSORRT}", f"onnxruntime on {CUDA}"]
    assert library.asked == [[TENSORRT, CUDA, CPU], [CUDA, CPU], [CPU]]


def test_an_accelerator_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, FakeLibrary([CUDA, CPU], [CUDA, CPU], wrong=(CUDA,)))
    choice = select_engine(BUNDLE, prefer="onnxruntime")
    assert choice.providers == (CPU,)
    assert choice.refused[f"onnxruntime on {CUDA}"].startswith("golden_mismatch")


def test_the_self_test_asks_the_processor_when_the_accelerator_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    library = played(monkeypatch, FakeLibrary([CUDA, CPU], [CUDA, CPU], wrong=(CUDA,)))
    assert {result.engine for result in self_test(BUNDLE) if result.difference is not None} == {"onnxruntime", "numpy"}
    assert library.asked == [[CUDA, CPU], [CPU]]


def test_the_self_test_fails_when_the_processor_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, FakeLibrary([CPU], [CPU], wrong=(CPU,)))
    with pytest.raises(BundleError) as caught:
        self_test(BUNDLE)
    assert caught.value.reason == "self_test_failed"
    assert "golden_mismatch" in str(caught.value)


def test_a_session_says_when_its_provider_was_left_out() -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this machine has the provider")
    with pytest.raises(BundleError) as caught, pytest.warns(UserWarning, match="not in available"):
        open_session(BUNDLE.files["model.onnx"], (CUDA, CPU))
    assert caught.value.reason == "provider_missing"


def test_a_failed_run_leaves_nothing_bound() -> None:
    cycle = load_bundle(bundle_path("neutropenia-cycle"))
    session = BoundSession(cycle.files["model.onnx"], "coefficients")
    inputs, size = np.zeros((2, 9), np.float32), Weights.from_npz(cycle.files["weights.npz"]).size
    expected, target = np.empty((2, size), np.float32), np.empty((2, size), np.float32)
    session.run({"scaled": inputs}, expected)
    with pytest.raises(BundleError) as caught:
        session.run({"scaled": inputs, "of_another_graph": inputs}, target)
    assert caught.value.reason == "engine_failed"
    session.run({"scaled": inputs}, target)
    np.testing.assert_array_equal(target, expected)


def test_every_reason_is_told_when_nothing_works() -> None:
    def make(name: str, _settings: tuple[str, ...]) -> object:
        raise BundleError(f"no {name}", reason="library_missing")

    with pytest.raises(BundleError) as caught:
        first_right(("numpy", "litert"), make, lambda engine: engine, COURSE)
    assert caught.value.reason == "no_engine"
    assert "no numpy" in str(caught.value)
    assert "litert in tflite_runtime" in str(caught.value)


# --- libraries of LiteRT ---------------------------------------------------------------------------


def with_libraries(monkeypatch: pytest.MonkeyPatch, **kinds: object) -> None:
    """Only these libraries can be imported, each with this class as its interpreter."""
    original = importlib.import_module

    def import_module(name: str) -> Any:  # noqa: ANN401 - a module of any kind
        library = name.partition(".")[0]
        if library not in litert_network.LIBRARIES:
            return original(name)
        if library not in kinds:
            raise ImportError(name)
        return SimpleNamespace(Interpreter=kinds[library])

    monkeypatch.setattr(importlib, "import_module", import_module)


def built_against_another_numpy(**_: object) -> object:
    """What tflite-runtime does beside numpy 2: the import works, the first interpreter does not."""
    raise ImportError("numpy.core.multiarray failed to import")


def real_interpreter() -> Any:  # noqa: ANN401 - the library publishes no types
    return pytest.importorskip("ai_edge_litert.interpreter", reason="the litert extra").Interpreter


def test_tflite_runtime_serves_where_only_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    with_libraries(monkeypatch, tflite_runtime=real_interpreter())
    network = LitertNetwork(COURSE.files["model.tflite"])
    assert network.library == "tflite_runtime"
    target = np.empty((3, load_student(COURSE).arrays["b3"].size), np.float32)
    network.run(np.zeros((3, 5), np.float32), target)
    assert np.isfinite(target).all()
    assert ways("litert")[1].label == "litert in tflite_runtime"


def test_a_library_that_imports_and_then_fails_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    with_libraries(monkeypatch, tflite_runtime=built_against_another_numpy)
    with pytest.raises(BundleError) as caught:
        CANDIDATES["litert"](COURSE, load_student(COURSE))
    assert caught.value.reason == "library_unusable"
    results = {result.engine: result.difference for result in self_test(COURSE)}
    assert results["litert"] is None
    assert results["numpy"] is not None


def test_without_any_library_the_engine_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    with_libraries(monkeypatch)
    with pytest.raises(BundleError) as caught:
        CANDIDATES["litert"](COURSE, load_student(COURSE))
    assert caught.value.reason == "library_missing"
