"""``edge-twin evaluate counts``: simulated patients are scored, bad tables are refused with the row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_twin.exposure import DoseEvent
from edge_twin.reduced_model import ReducedModel
from edge_twin_app.cli import main

HEADER = "patient,day,anc,dose,infusion_minutes\n"


def table(model: ReducedModel, patients: int) -> str:
    days = np.array([0.0, 7.0, 10.0, 14.0])
    curves = model.simulate(model.prior_sample(patients, 12), (DoseEvent(0.0, 180.0, 1 / 24),), days)
    curves *= np.exp(model.residual_log_sd * np.random.default_rng(13).standard_normal(curves.shape))
    rows = [f"p{n},{day},{value},{180 if day == 0 else ''},{60 if day == 0 else ''}"
            for n, column in enumerate(curves.T) for day, value in zip(days, column, strict=True)]  # fmt: skip
    return HEADER + "\n".join(rows) + "\n"


def test_simulated_patients_are_covered_and_beat_the_last_value(
    tmp_path: Path, model: ReducedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(table(model, 20), encoding="utf-8")
    assert main(["evaluate", "counts", str(path), "--json", "--members", "200"]) == 0
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["twin"]["counts"] == 60
    assert rows["twin"]["coverage_95"] > 0.85
    assert rows["twin"]["pinball"] < rows["locf"]["pinball"]
    assert rows["twin"]["pinball_low"] <= rows["twin"]["pinball"] <= rows["twin"]["pinball_high"]


def test_a_program_of_leukocytes_scores_its_own_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "counts.csv"
    rows = "a,0,4.5,5400,180\na,9,1.2,,\na,12,0.8,,\na,20,4.0,,\n"
    path.write_text(HEADER.replace("anc", "wbc") + rows, encoding="utf-8")
    asked = ["evaluate", "counts", str(path), "--program", "aml", "--json", "--members", "60"]
    assert main(asked) == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert row["counts"] == 3
    assert 0.0 <= row["brier_wbc_below_1_0"] <= 1.0
    assert "brier_anc_below_0_5" not in row


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        (HEADER + "a,0,much,180,60\n", "bad_row", "row 2"),
        (HEADER + "a,0,5,180,60\na,x,5,,\n", "bad_row", "row 3"),
        (HEADER + "a,0,5,,\n", "no_dose", "row 2"),
        (HEADER + "a,0,-1,180,60\n", "bad_row", "row 2"),
        (HEADER, "no_rows", ""),
        ("patient,day\n", "missing_column", ""),
    ],
)
def test_a_bad_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str, where: str
) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    assert main(["evaluate", "counts", str(path)]) == 1
    printed = capsys.readouterr().err
    assert f"[{reason}]" in printed
    assert where in printed
