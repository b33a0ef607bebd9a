"""The shipped bundle is what its sources build, and its certificate holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_twin.archive import SIGNATURE, unpack
from edge_twin.bundle import load_bundle
from edge_twin.release import signed_archive
from edge_twin_models import bundle_path, development_key

pytest.importorskip("onnx", reason="the bundle is built with onnx")

from edge_twin_models.build_neutropenia import Certificate, build, certify
from edge_twin_models.friberg_graph import build_graph, chain_polynomials

SHIPPED = bundle_path("neutropenia")


def shipped_certificate() -> Certificate:
    return Certificate.from_json(load_bundle(SHIPPED).manifest["certificate"])


def test_a_rebuild_gives_the_shipped_bytes(tmp_path: Path) -> None:
    build(tmp_path, shipped_certificate())
    shipped = unpack(SHIPPED.read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == set(shipped) - {SIGNATURE}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == shipped[path.name], path.name
    assert signed_archive(tmp_path, development_key()) == SHIPPED.read_bytes()


def test_the_shipped_archive_is_small() -> None:
    assert SHIPPED.stat().st_size < 400_000


def test_the_certificate_promises_enough() -> None:
    certificate = shipped_certificate()
    assert certificate.prior_curve <= 0.01
    assert certificate.prior_nadir <= 0.01
    assert certificate.curve <= 0.05
    assert certificate.nadir <= 0.05


def test_other_patients_keep_the_certificate() -> None:
    fresh, shipped = certify(patients=2, seed=99), shipped_certificate()
    assert fresh.prior_curve <= 2.0 * shipped.prior_curve
    assert fresh.curve <= 2.0 * shipped.curve


@pytest.mark.slow
def test_the_certificate_is_reproduced() -> None:
    assert certify() == shipped_certificate()


def test_the_graph_is_deterministic() -> None:
    assert build_graph("neutropenia") == build_graph("neutropenia") == load_bundle(SHIPPED).files["model.onnx"]


def test_the_chain_polynomials_are_the_truncated_exponential() -> None:
    # Constant forcing of 1 and a chain at 1 is the steady state: nothing may move.
    moved = np.tensordot(chain_polynomials(), np.ones(7), axes=1)
    np.testing.assert_allclose(moved[0], np.ones(4))
    np.testing.assert_allclose(moved[1:], 0.0, atol=1e-15)
