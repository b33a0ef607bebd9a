"""``edge-twin bench students``: the rows that a script reads."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("scipy", reason="the teachers need it")
pytest.importorskip("onnx", reason="the recipes import the graphs")

from edge_twin_app.cli import main
from edge_twin_models import bundle_path


def test_every_teacher_and_method_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten patients under one course each: the bars are the certificates', this is the form."""
    assert main(["bench", "students", "--runs", "10", "--members", "50", "--repeats", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["teacher"], row["method"]) for row in rows] == [
        (teacher, method) for teacher in ("neutropenia", "aml") for method in ("mechanistic", "course", "cycle")
    ]
    for row in rows:
        assert row["archive_kb"] * 1000 == bundle_path(row["bundle"]).stat().st_size < 400_000
        assert 0.0 <= row["handed_over"] < 1.0
        assert (
            row["nadir_error_p50"] <= row["nadir_error_p95"] <= row["nadir_error_p99"] <= row["nadir_error_max"] < 0.1
        )
        assert row["milliseconds"] > 0.0
        learned = row["method"] != "mechanistic"
        assert (row["parameters"] > 0) is (row["log_half_width"] is not None) is (row["coverage_95"] is not None)
        assert (row["parameters"] > 0) is learned
        assert row["parameters"] <= 30_000
