"""The shipped graphs of the course student are what its shipped weights make: no training, no torch."""

from __future__ import annotations

import io

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.student import load_student
from edge_twin_models import bundle_path

pytest.importorskip("onnx", reason="export needs the package onnx")


def test_the_shipped_graph_is_made_of_the_shipped_weights() -> None:
    from edge_twin_models.course_export import onnx_bytes  # noqa: PLC0415 - after the check for onnx

    bundle = load_bundle(bundle_path("neutropenia-course"))
    with np.load(io.BytesIO(bundle.files["weights.npz"]), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    assert onnx_bytes(arrays, load_student(bundle).floor, bundle.id) == bundle.files["model.onnx"]
