"""Forecasts of virtual patients and onset probabilities: what is compared with what, and (slow) how well it fits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_twin.exposure import DoseEvent
from edge_twin.program import Program, load_program
from edge_twin.reduced_model import ReducedModel
from edge_twin_app.cli import main
from edge_twin_app.evaluation.calibration import Pairs, coverage, summary
from edge_twin_app.evaluation.forecast_calibration import (
    COURSES,
    OTHER,
    OWN,
    Course,
    Virtual,
    cohorts,
    forecasts,
    own_patients,
    study,
)
from edge_twin_app.evaluation.onset_calibration import detector_pairs, onset_pairs
from edge_twin_app.evaluation.table import SubjectDays
from edge_twin_app.models import load_models

NEUTROPENIA, AML = COURSES
SHORT = replace(NEUTROPENIA, looks=(5.0, 7.0))
FIGURE_SEED, FIGURE_PATIENTS = 5001, 300


@pytest.fixture(scope="module")
def program() -> Program:
    return load_program("neutropenia")


def virtual(model: ReducedModel, course: Course = SHORT, seed: int = 3) -> Virtual:
    return own_patients(model, course, 1, seed)[0]


def test_a_later_count_changes_no_earlier_forecast(model: ReducedModel, program: Program) -> None:
    patient = virtual(model)
    later = np.array(SHORT.count_days) > 5.0
    other = replace(patient, measured=np.where(later, 9.9, patient.measured))
    first, second = (list(forecasts(one, SHORT, model, program)) for one in (patient, other))
    assert first[0].probability == second[0].probability
    assert first[1].probability != second[1].probability


@pytest.mark.parametrize(("day", "happened"), [(4.5, False), (5.0, True), (12.0, True), (12.5, False)])
def test_what_happened_is_the_true_count_in_the_seven_days_ahead(
    model: ReducedModel, program: Program, *, day: float, happened: bool
) -> None:
    patient = virtual(model)
    one_low_day = replace(patient, truth=np.where(patient.days == day, 0.49, 0.5))
    (said,) = forecasts(one_low_day, replace(SHORT, looks=(5.0,)), model, program)
    assert said.happened is happened


@pytest.mark.parametrize(("day", "happened"), [(32.5, True), (33.0, False)])
def test_the_window_of_leukocytes_counts_from_the_last_dose(*, day: float, happened: bool) -> None:
    """Day 4.5 is the last dose; 28 days later the window ends."""
    program, course = load_program("aml"), replace(AML, looks=(6.0,))
    model = load_models(program)[0]
    patient = virtual(model, replace(course, looks=(9.0,)))  # its days go on to 32.5
    days = np.append(patient.days, 33.0)
    days = days[np.unique(days, return_index=True)[1]]
    low = replace(patient, days=days, truth=np.where(days == day, 0.9, 1.0))
    (said,) = forecasts(low, course, model, program)
    assert said.happened is happened


def test_the_next_count_lies_where_the_forecast_has_it(model: ReducedModel, program: Program) -> None:
    patient, course = virtual(model), replace(SHORT, looks=(5.0,))
    number = SHORT.count_days.index(7.0)
    for value, low, high in ((0.0, 0.0, 0.0), (1e4, 1.0, 1.0)):
        measured = patient.measured.copy()
        measured[number] = value
        (said,) = forecasts(replace(patient, measured=measured), course, model, program)
        assert low <= said.rank <= high


def test_a_study_has_one_pair_for_each_look_and_one_p_value_for_each_patient() -> None:
    found = study(SHORT, OWN, 4, 5)
    assert found.pairs.name == "p_anc_below_0_5, own model"
    assert found.pairs.probability.size == found.ranks.rank.size == 8
    assert found.pairs.subject.tolist() == ["0", "0", "1", "1", "2", "2", "3", "3"]
    assert found.p_mismatch.size == 4
    again = study(SHORT, OWN, 4, 5)
    np.testing.assert_array_equal(found.pairs.probability, again.pairs.probability)


def test_patients_of_the_other_model_are_other_patients() -> None:
    assert cohorts(NEUTROPENIA) == (OWN, OTHER)
    assert cohorts(AML) == (OWN,)
    own, other = (study(SHORT, kind, 2, 5).pairs for kind in (OWN, OTHER))
    assert not np.array_equal(own.probability, other.probability)


def test_doses_differ_between_patients(model: ReducedModel) -> None:
    amounts = [patient.doses[0].amount_mg for patient in own_patients(model, SHORT, 30, 6)]
    assert min(amounts) >= 120
    assert max(amounts) <= 200
    assert len(set(amounts)) == 30
    assert isinstance(own_patients(model, SHORT, 1, 6)[0].doses[0], DoseEvent)


# --- onset -----------------------------------------------------------------------------------------


def test_an_onset_counts_within_the_window_that_the_detector_states() -> None:
    day = np.array([-9, -8, -7, -1, 0, 1, 28, 29])
    subject = SubjectDays("a", "", day, {"resting_heart_rate": np.full(8, 60.0)})
    pairs = onset_pairs("p", [subject], [np.full(8, 0.25)])
    assert pairs.happened.tolist() == [0, 0, 1, 1, 1, 0]  # days 1 to 28 are left out
    some = onset_pairs("p", [subject], [np.where(day == -8, np.nan, 0.25)])
    assert some.probability.size == 5


def test_the_detector_says_a_probability_for_days_of_simulated_people() -> None:
    two, fused = detector_pairs("ar", 4, 11)
    assert two.name == "onset, heart rate and steps, ar"
    assert fused.name == "onset, all streams, ar"
    assert two.subjects <= 4
    assert two.probability.size > 50
    assert not np.array_equal(two.probability, fused.probability)


# --- the command -----------------------------------------------------------------------------------


def test_the_command_prints_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(course: Course, kind: str, patients: int, seed: int, *_: object) -> object:
        return study(replace(course, looks=course.looks[:1]), kind, 2, seed)

    monkeypatch.setattr("edge_twin_app.evaluation.forecast_calibration.study", quick)
    monkeypatch.setattr("edge_twin_app.commands.evaluate_probabilities.FEWEST", 2)
    monkeypatch.setattr("edge_twin_models.cohorts.GENERATORS", ("ar",))
    asked = ["evaluate", "probabilities", "--patients", "2", "--subjects", "3", "--bootstrap", "100", "--json"]
    assert main([*asked, "--out", str(tmp_path / "o")]) == 0
    document = json.loads(capsys.readouterr().out)
    names = [row["probability"] for row in document["probabilities"]]
    assert names[:3] == ["p_anc_below_0_5, own model", "p_anc_below_0_5, other model", "p_wbc_below_1_0, own model"]
    assert names[3:] == ["onset, heart rate and steps, ar", "onset, all streams, ar"]
    assert document["p_mismatch"][0]["values"] == 2
    assert document["intervals_of_the_next_count"][0]["truths"] == 2
    assert (tmp_path / "o" / "reliability.png").is_file()
    assert list(json.loads((tmp_path / "o" / "reliability.json").read_text(encoding="utf-8"))) == names


def test_one_part_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["evaluate", "probabilities", "--only", "onsets", "--subjects", "10", "--bootstrap", "100"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "onset, all streams, state" in printed
    assert "p_anc" not in printed
    assert "chance alone gives an ECE up to" in printed


@pytest.mark.parametrize("wrong", [["--patients", "9"], ["--subjects", "0"], ["--seed", "-1"], ["--bootstrap", "99"]])
def test_too_few_people_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "probabilities", *wrong]) != 0
    assert "at least 10" in capsys.readouterr().err


# --- how well it fits ------------------------------------------------------------------------------


def told(pairs: Pairs, seed: int) -> dict[str, float | int | str]:
    row = summary(pairs, seed, 300)
    print({key: value for key, value in row.items() if not isinstance(value, float) or key.startswith("ece")})  # noqa: T201 - the figure is the result
    return row


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("course", COURSES, ids=lambda course: course.program)
def test_what_is_said_of_the_models_own_patients_is_calibrated(course: Course) -> None:
    """Bars set before the figure was seen: no ECE beyond chance, shares within 0.05, 95 % intervals in 91 to 98 %."""
    found = study(course, OWN, FIGURE_PATIENTS, FIGURE_SEED)
    row = told(found.pairs, FIGURE_SEED)
    assert float(row["ece"]) <= float(row["ece_chance_dependent"])
    assert abs(float(row["mean_probability"]) - float(row["share_happened"])) <= 0.05
    assert 0.91 <= float(coverage(found.ranks)["coverage_95"]) <= 0.98
    assert np.mean(found.p_mismatch <= 0.01) <= 0.03
    assert 0.4 <= np.mean(found.p_mismatch <= 0.5) <= 0.6
