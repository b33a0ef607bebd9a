"""The symptom-based relapse rule of lung cancer follow-up (docs/symptoms.md, hazard HZ-SYMPTOM-04)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_twin import codes
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program
from tests.rule_packs import flags_of, program_with

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TODAY, WEEK = Urgency.TODAY, Urgency.THIS_WEEK


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_with(tmp_path_factory.mktemp("program"), "lung_follow_up")


def given(name: str, day: float, value: float) -> Observation:
    code = codes.by_name(name)
    assert code is not None
    return observe(code, value, START + timedelta(days=day), source="form", origin=Origin.PATIENT_REPORTED)


def raised(program: Program, readings: list[tuple[str, float, float]], after: float = 0.5) -> tuple[Flag, ...]:
    now = START + timedelta(days=max(day for _, day, _ in readings) + after)
    return flags_of(program, now, [given(*reading) for reading in readings])


def weekly(item: str, *values: float) -> list[tuple[str, float, float]]:
    return [(f"diary_lung_{item}", 7.0 * week, value) for week, value in enumerate(values)]


def weights(*pairs: tuple[float, float]) -> list[tuple[str, float, float]]:
    return [("body_weight", day, kg) for day, kg in pairs]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param(weekly("cough", 1, 1, 1, 2), None, id="rise-2-below (Denis, criterion unverified)"),
        pytest.param(weekly("cough", 1, 1, 1, 3), WEEK, id="rise-2-at (Denis, criterion unverified)"),
        pytest.param(weekly("fatigue", 0, 0, 3), WEEK, id="rise-2-above (Denis, criterion unverified)"),
        pytest.param(weekly("pain", 2), None, id="first-form-3-below"),
        pytest.param(weekly("pain", 3), WEEK, id="first-form-3-at"),
        pytest.param(weekly("lump", 0, 0), None, id="sign-below"),
        pytest.param(weekly("lump", 0, 1), WEEK, id="sign-at"),
        pytest.param(weekly("lump", 1, 1), None, id="sign-that-was-there"),
        pytest.param(weekly("blood_in_sputum", 0, 1), TODAY, id="blood-in-the-sputum-today"),
        pytest.param(weights((0, 70.0), (7, 70.0), (30, 67.1)), None, id="weight-3-kg-below (unverified)"),
        pytest.param(weights((0, 70.0), (7, 70.0), (30, 67.0)), WEEK, id="weight-3-kg-at (unverified)"),
        pytest.param(weights((0, 70.0), (7, 70.0), (30, 66.9)), WEEK, id="weight-3-kg-above (unverified)"),
        pytest.param(weights((0, 70.0), (60, 60.0)), None, id="reference-older-than-56-days"),
        pytest.param(weights((50, 70.0), (60, 60.0)), None, id="reference-younger-than-14-days"),
        pytest.param([("diary_lung_cough", 0, 0), ("diary_lung_cough", 56, 2)], WEEK, id="form-of-56-days-at"),
        pytest.param([("diary_lung_cough", 0, 0), ("diary_lung_cough", 56.1, 2)], None, id="form-of-56-days-above"),
    ],
)
def test_hz_symptom_04_limits(
    program: Program, readings: list[tuple[str, float, float]], expected: Urgency | None
) -> None:
    flags = [f for f in raised(program, readings) if f.kind is FlagKind.SYMPTOM_RELAPSE]
    assert [f.urgency for f in flags] == ([expected] if expected else [])


def test_all_criteria_are_one_flag_with_their_evidence(program: Program) -> None:
    readings = [*weekly("cough", 0, 0, 0, 0, 2), *weekly("voice_change", 0, 0, 0, 0, 1), *weights((0, 80), (28, 75))]
    (flag,) = raised(program, readings)
    assert [e.name for e in flag.evidence] == ["diary_lung_cough", "diary_lung_voice_change", "body_weight"]
    assert "5.0 kg less than 80 kg" in flag.reason
    assert flag.says.data_quality == ()


def test_the_published_figures_are_called_those_of_abstracts_and_ours_not_validated(program: Program) -> None:
    (flag,) = raised(program, weekly("cough", 0, 2))
    assert "by abstracts alone" in flag.clinician
    assert "sensitivity 86 %, specificity 93 % in 43 patients" in flag.clinician
    assert "criteria used here were not validated" in flag.clinician
    assert "sensitivity" not in flag.reason
    assert "No weight of the last 14 days" in flag.says.data_quality[0].text


def test_hz_symptom_02_a_form_that_stops_is_a_signal(program: Program) -> None:
    assert raised(program, weekly("cough", 0), after=9.0) == ()
    (flag,) = raised(program, weekly("cough", 0), after=9.1)
    assert (flag.kind, flag.topic) == (FlagKind.DATA_QUALITY, "lung_form_missing")


def test_the_daily_diary_is_no_part_of_it(program: Program) -> None:
    assert raised(program, [("diary_cough", 0.0, 0), ("diary_cough", 7.0, 10)]) == ()
