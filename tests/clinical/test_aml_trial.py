"""The simulated trial of personalised cytarabine schedules: its invariants, and (slow) its table with the bar."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import pytest

from edge_twin.program import Program, load_program
from edge_twin_app import cli
from edge_twin_app.commands.trial import trial_document
from edge_twin_app.models import load_model
from edge_twin_models.aml_trial import ARMS, EQUAL_DOSE, EQUAL_EFFECT, STANDARD, AmlTrial, Cohort, Design, arm_rows

DEVELOPMENT_SEED = 770011  # the candidates were chosen on it; no reported figure uses it
SMALL = Design(patients=2, members=60)
AVOIDED_AT_ASSUMED_VARIABILITY = 10  # of 13: the published headline


def shortened() -> Program:
    """Few starts and divisions, so that the test is quick; the last two hold the drug effect."""
    program = load_program("aml")
    wanted = {"days_1_3_5_twice", "day_1_twice", "days_1_15_once", "every_4_days_six_times"}
    return replace(
        program,
        regimens=tuple(regimen for regimen in program.regimens if regimen.id in wanted),
        start_days=(0.0, 7.0),
    )


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return AmlTrial(load_model("aml", "numpy"), shortened(), SMALL).cohort(1.0, DEVELOPMENT_SEED, 0)


def test_only_patients_enter_whom_the_standard_cycle_would_bring_low(cohort: Cohort) -> None:
    assert len(cohort.patients) == SMALL.patients <= cohort.drawn
    assert all(patient[0].arm == STANDARD and patient[0].nadir < 1.0 for patient in cohort.patients)
    assert [item.arm for item in cohort.patients[0]] == list(ARMS)


def test_hz_schedule_01_every_arm_gives_the_same_total_and_keeps_every_limit(cohort: Cohort) -> None:
    given = [item for patient in cohort.patients for item in patient]
    assert all(item.total_mg == pytest.approx(6000.0 * SMALL.area_m2) for item in given)
    assert all(item.limits_broken == () for item in given)
    assert all(item.delay_days >= 0.0 for item in given)


def test_hz_schedule_01_the_effect_held_arm_holds_it_and_blasts_feel_what_the_other_saves(cohort: Cohort) -> None:
    least = load_program("aml").thresholds["search"]["effect_share"].value
    for standard, by_dose, by_effect in cohort.patients:
        assert by_effect.effect_share >= least
        assert by_dose.nadir >= standard.nadir
        if by_dose.effect_share < least:
            assert by_dose.blast_log_change > standard.blast_log_change


def test_no_choice_is_personalised_when_every_candidate_breaks_a_limit() -> None:
    strict = shortened().with_tightened("dose_per_administration_mg_per_m2", 500.0, "kidney function")
    cohort = AmlTrial(load_model("aml", "numpy"), strict, Design(patients=1, members=60)).cohort(
        1.0, DEVELOPMENT_SEED, 0
    )
    assert {item.split for item in cohort.patients[0]} == {strict.regimens[0].id}
    assert (cohort.possible, cohort.possible_with_effect) == (0, 0)


def test_the_same_seed_gives_the_same_cohort_and_the_rows_count_it(cohort: Cohort) -> None:
    again = AmlTrial(load_model("aml", "numpy"), shortened(), SMALL).cohort(1.0, DEVELOPMENT_SEED, 0)
    assert again == cohort
    rows = {row["arm"]: row for row in arm_rows([cohort, again], 1.0, 1.0)}
    assert rows[STANDARD]["avoided_mean"] == 0.0
    assert rows[EQUAL_DOSE]["avoided_sd"] == 0.0
    assert rows[EQUAL_DOSE]["cohorts"] == 2
    assert rows[EQUAL_EFFECT]["avoided_share"] <= 1.0


@pytest.mark.parametrize("wrong", [["--variability", "0"], ["--variability", "nan"], ["--cohorts", "0"]])
def test_a_trial_that_is_none_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.parser().parse_args(["trial", "aml", *wrong])
    assert caught.value.code == 2


def test_the_command_prints_rows_beside_the_published_and_what_is_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    options = cli.parser().parse_args(
        ["trial", "aml", "--variability", "1", "--patients", "1", "--members", "60", "--seed", str(DEVELOPMENT_SEED)]
    )
    document = trial_document(shortened(), options)
    assert [row["arm"] for row in document["rows"]] == list(ARMS)
    assert document["published"] == {"avoided": 10, "patients": 13}
    assert any("variances" in text for text in document["assumed"])
    json.dumps(document, allow_nan=False)
    capsys.readouterr()


def test_the_candidates_show_nadir_and_effect_together() -> None:
    rows = AmlTrial(load_model("aml", "numpy"), shortened(), SMALL).candidates(1.0, DEVELOPMENT_SEED)
    by_name = {(row["split"], row["delay_days"]): row for row in rows}
    assert by_name["days_1_3_5_twice", 0.0]["avoided_share"] == 0.0
    assert by_name["days_1_15_once", 0.0]["avoided_share"] > by_name["every_4_days_six_times", 0.0]["avoided_share"]
    assert by_name["days_1_15_once", 0.0]["effect_share"] < 0.6
    assert len({row["patients"] for row in rows}) == 1


@pytest.mark.slow
def test_the_table_of_one_cohort_for_each_variability_meets_the_bar() -> None:
    """Bar, stated before the run: 10 of 13 at the assumed variability. It is met at about half the drug effect."""
    options: argparse.Namespace = cli.parser().parse_args(["trial", "aml"])
    document = trial_document(load_program("aml"), options)
    print(json.dumps(document["rows"], indent=1))
    rows: dict[tuple[float, str], dict[str, Any]] = {(row["variability"], row["arm"]): row for row in document["rows"]}
    assert {variability for variability, _ in rows} == {0.5, 1.0, 2.0}
    assert rows[1.0, EQUAL_DOSE]["avoided_first_cohort"] >= AVOIDED_AT_ASSUMED_VARIABILITY
    for variability in (0.5, 1.0, 2.0):
        assert rows[variability, STANDARD]["avoided_first_cohort"] == 0
        assert rows[variability, EQUAL_EFFECT]["effect_share_mean"] >= 0.95
        assert (
            rows[variability, EQUAL_DOSE]["blast_log_change_median"]
            > (rows[variability, EQUAL_EFFECT]["blast_log_change_median"])
        )
