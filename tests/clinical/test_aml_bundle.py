"""The shipped AML bundle is what its sources build, its engines agree, and its certificate holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_twin.archive import SIGNATURE, unpack
from edge_twin.bundle import load_bundle
from edge_twin.engines import check_golden, numpy_engine, select_engine
from edge_twin.errors import BundleError
from edge_twin.reduced_model import ReducedModel
from edge_twin.release import signed_archive
from edge_twin_models import bundle_path, development_key
from edge_twin_models.jost import JOST, simulate_m3

pytest.importorskip("onnx", reason="the bundle is built with onnx")

from edge_twin_models.build_aml import build, certify, reduced, usual_doses

SHIPPED = bundle_path("aml")
BUNDLE = load_bundle(SHIPPED)
CERTIFICATE = dict(BUNDLE.manifest["certificate"])
DAYS = np.arange(0.0, 57.0)


def test_a_rebuild_gives_the_shipped_bytes(tmp_path: Path) -> None:
    build(tmp_path, CERTIFICATE)
    shipped = unpack(SHIPPED.read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == set(shipped) - {SIGNATURE}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == shipped[path.name], path.name
    assert signed_archive(tmp_path, development_key()) == SHIPPED.read_bytes()


def test_other_patients_keep_the_certificate() -> None:
    fresh = certify(patients=3, seed=99)
    assert CERTIFICATE["prior_max_nadir_error"] <= 0.002
    assert CERTIFICATE["prior_max_relative_error"] <= 0.02  # on the steep rebound
    assert fresh["prior_max_relative_error"] <= 2.0 * CERTIFICATE["prior_max_relative_error"]


@pytest.mark.parametrize("members", [1, 1000])
def test_engines_agree(members: int) -> None:
    models = [ReducedModel(BUNDLE, select_engine(BUNDLE, prefer=name)) for name in ("numpy", "onnxruntime")]
    assert [model.engine_name for model in models] == ["numpy", "onnxruntime"]
    parameters = models[0].prior_sample(members, seed=5)
    numpy_counts, graph_counts = (model.simulate(parameters, usual_doses(), DAYS) for model in models)
    np.testing.assert_allclose(graph_counts, numpy_counts, rtol=1e-8)
    assert check_golden(numpy_engine(BUNDLE), BUNDLE) < 1e-7


@pytest.mark.parametrize("max_step_days", [0.25, 0.05, 0.01])
def test_the_nadir_does_not_depend_on_the_step(max_step_days: float) -> None:
    teacher = simulate_m3(JOST.typical, usual_doses(), DAYS).min()
    assert reduced(JOST.typical, usual_doses(), DAYS, max_step_days).min() == pytest.approx(teacher, rel=1e-3)


def test_another_number_of_step_columns_is_refused() -> None:
    with pytest.raises(BundleError) as caught:
        select_engine(BUNDLE).simulate(np.zeros((2, 4)), np.ones((3, 2)))
    assert caught.value.reason == "engine_input"
