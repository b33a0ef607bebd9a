"""The shipped reduced field against fresh runs of its teacher; no PyTorch, no fields of the training."""

from __future__ import annotations

import pytest

from edge_twin.bundle import load_bundle
from edge_twin.engines.numpy_field import NumpyField
from edge_twin.field import FieldModel
from edge_twin_models import bundle_path

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.field_certify import FieldScores, certificate, score
from edge_twin_models.field_design import field_sample
from edge_twin_models.field_teacher import GliomaField

BUNDLE = load_bundle(bundle_path("glioma-field"))
MODEL = FieldModel(BUNDLE)

# Set before the certificate was run.
FIELD_L2_P95 = 0.01
LOG_CELLULARITY_P95 = 0.005
COVERAGE = (0.93, 0.97)


def fresh(count: int, seed: int) -> FieldScores:
    teacher = GliomaField()
    return score(teacher, MODEL, NumpyField(MODEL.operators), field_sample(teacher.domain, count, seed, quasi=False))


def test_fresh_teacher_runs_keep_the_bars() -> None:
    measured = certificate(fresh(24, 4711), MODEL)
    print(measured)
    assert measured["field_l2_p95"] <= FIELD_L2_P95
    assert measured["log_cellularity_p95"] <= LOG_CELLULARITY_P95
    assert measured["cellularity_coverage_95"] >= 0.8  # 24 members: fewer than 20 inside has a chance of 0.5 %
    assert measured["volume_coverage_95"] >= 0.8
    assert measured["refused_share"] <= 0.1


def test_the_certificate_in_the_bundle_keeps_the_bars() -> None:
    measured = BUNDLE.manifest["certificate"]
    assert measured["runs"] >= 1000
    assert measured["field_l2_p95"] <= FIELD_L2_P95
    assert measured["log_cellularity_p95"] <= LOG_CELLULARITY_P95
    assert COVERAGE[0] <= measured["cellularity_coverage_95"] <= COVERAGE[1]
    assert measured["volume_coverage_95"] >= COVERAGE[0]  # whole voxels tie, so it may cover more
    assert "building block" in BUNDLE.card


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_thousand_fresh_runs_are_covered_as_promised() -> None:
    measured = certificate(fresh(1000, 4712), MODEL)
    print(measured)
    assert COVERAGE[0] <= measured["cellularity_coverage_95"] <= COVERAGE[1]
    assert measured["volume_coverage_95"] >= COVERAGE[0]
