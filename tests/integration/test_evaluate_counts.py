"""``edge-twin evaluate counts``: simulated patients are scored, bad tables are refused with the row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_twin.exposure import DoseEvent
from edge_twin.reduced_model import ReducedModel
from edge_twin_app.cli import main
from edge_twin_models.quartino import Filgrastim, on_occasions, sample_patients, simulate_quartino

HEADER = "patient,day,anc,dose,infusion_minutes\n"
GCSF_HEADER = "patient,day,anc,dose,infusion_minutes,filgrastim_mg\n"


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


def hospital_table(patients: int, seed: int) -> str:
    """Two cycles, every other patient on seven days of filgrastim; made by a model that is not the twin's."""
    days = np.array([0.0, 7.0, 10.0, 14.0, 21.0, 28.0, 31.0])
    doses = (DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(21.0, 180.0, 1 / 24))
    rows = []
    for n, patient in enumerate(sample_patients(patients, seed)):
        courses = (Filgrastim(2.0, 7), Filgrastim(23.0, 7)) if n % 2 else ()
        curve = simulate_quartino(on_occasions(patient, 2, seed + n), doses, days, filgrastim=courses)
        noise = np.random.default_rng([seed, n]).standard_normal(days.size)
        measured = curve * np.exp(0.42 * noise)
        rows += [f"p{n},{day},{value:.3f},,," for day, value in zip(days, measured, strict=True)]
        rows += [f"p{n},{dose.start_day},,{dose.amount_mg},60," for dose in doses]
        rows += [f"p{n},{day},,,,{amount / 1000}" for course in courses for day, amount in course.events]
    return GCSF_HEADER + "\n".join(rows) + "\n"


def test_a_table_made_by_another_model_is_scored_on_the_covering_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(hospital_table(4, 8100), encoding="utf-8")
    assert main(["evaluate", "counts", str(path), "--json", "--members", "100", "--engine", "numpy"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [model.split("@")[0] for model in document["models"]] == ["neutropenia", "neutropenia-gcsf"]
    assert (document["patients"], document["patients_on_gcsf"]) == (4, 2)
    assert [group["on_gcsf"] for group in document["groups"]] == [False, True]
    # Three binomial standard deviations below 90 %, 24 counts.
    assert document["coverage_95"] >= 0.71
    assert 0.0 <= document["share_mismatch"] < 0.5
    assert document["log_width_95"] == pytest.approx(document["rows"][0]["log_width_95"])
    mean = np.mean([group["coverage_95"] for group in document["groups"]])  # groups of one size
    assert document["coverage_95"] == pytest.approx(mean)


def test_filgrastim_in_the_table_changes_the_forecast_and_a_drug_that_nobody_knows_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "counts.csv"
    rows = "p,0,4.0,180,60,{0}\np,2,,,,{1}\np,3,,,,{1}\np,8,1.2,,,\np,12,3.0,,,\n"
    told = []
    for first, injected in (("", ""), ("", "0"), ("", "0.3")):
        path.write_text(GCSF_HEADER + rows.format(first, injected), encoding="utf-8")
        assert main(["evaluate", "counts", str(path), "--json", "--members", "100", "--engine", "numpy"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1]
    assert (told[1]["patients_on_gcsf"], told[2]["patients_on_gcsf"]) == (0, 1)
    assert told[2]["rows"][0]["abs_log_error"] != told[1]["rows"][0]["abs_log_error"]
    peg = GCSF_HEADER.replace("filgrastim_mg", "pegfilgrastim_mg") + rows.format("", "6")
    path.write_text(peg, encoding="utf-8")
    assert main(["evaluate", "counts", str(path), "--members", "100"]) == 1
    printed = capsys.readouterr().err
    assert "[regimen_not_covered]" in printed
    assert "pegfilgrastim" in printed


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        (HEADER + "a,0,much,180,60\n", "bad_row", "row 2"),
        (HEADER + "a,0,5,180,60\na,x,5,,\n", "bad_row", "row 3"),
        (HEADER + "a,0,5,,\n", "no_dose", "row 2"),
        (HEADER + "a,0,-1,180,60\n", "bad_row", "row 2"),
        (GCSF_HEADER + "a,0,5,180,60,\na,2,,,,-1\n", "bad_row", "row 3"),
        (GCSF_HEADER + "a,0,5,,,0.3\n", "no_dose", "row 2"),
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
