"""Patient-reported worsening: at, just below and just above each threshold (docs/symptoms.md, hazards HZ-SYMPTOM-*)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.care import CareContext
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation, Origin, Site, observe
from edge_twin.program import Program
from tests.rule_packs import flags_of, program_with

START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
NOW, TODAY, WEEK = Urgency.NOW, Urgency.TODAY, Urgency.THIS_WEEK


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_with(tmp_path_factory.mktemp("program"), "symptoms")


def report(name: str, day: float, value: float, **attributes: str) -> Observation:
    code = codes.by_name(name)
    assert code is not None
    when = START + timedelta(days=day)
    return observe(code, value, when, source="diary", origin=Origin.PATIENT_REPORTED, attributes=attributes)


def raised(
    program: Program, *reports: Observation, hours: float = 1.0, care: CareContext | None = None
) -> tuple[Flag, ...]:
    now = max(r.time for r in reports) + timedelta(hours=hours)
    return flags_of(program, now, reports, care)


def series(name: str, *values: float) -> list[Observation]:
    return [report(name, float(day), value) for day, value in enumerate(values)]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        pytest.param("diary_pain", [6.0], None, id="severe-7-below (Serlin 1995)"),
        pytest.param("diary_pain", [7.0], TODAY, id="severe-7-at (Serlin 1995)"),
        pytest.param("diary_pain", [8.0], TODAY, id="severe-7-above (Serlin 1995)"),
        pytest.param("diary_pain", [3.0, 4.0], None, id="rise-2-below (Farrar 2001)"),
        pytest.param("diary_pain", [2.0, 4.0], WEEK, id="rise-2-at (Farrar 2001)"),
        pytest.param("diary_pain", [2.0, 5.0], WEEK, id="rise-2-above (Farrar 2001)"),
        pytest.param("diary_pain", [1.0, 3.0], None, id="rise-from-4-below (PMC8937008)"),
        pytest.param("diary_fatigue", [2.0, 2.0, 2.0, 5.0, 5.0, 5.0], WEEK, id="a-rise-stays-against-the-usual"),
        pytest.param("diary_fatigue", [5.0, 5.0, 5.0, 5.0], None, id="unchanged"),
        pytest.param("diary_breathlessness", [6.0], None, id="breathless-now-below"),
        pytest.param("diary_breathlessness", [7.0], NOW, id="breathless-now-at"),
        pytest.param("diary_confusion", [0.0], None, id="confusion-now-below (NEWS2)"),
        pytest.param("diary_confusion", [1.0], NOW, id="confusion-now-at (NEWS2)"),
        pytest.param("diary_chills", [0.0], None, id="feverish-below"),
        pytest.param("diary_chills", [1.0], TODAY, id="feverish-at"),
        pytest.param("diary_fever_feeling", [1.0], TODAY, id="feverish-at-too"),
        pytest.param("diary_vomiting_episodes", [2.0], None, id="vomiting-3-below"),
        pytest.param("diary_vomiting_episodes", [3.0], TODAY, id="vomiting-3-at"),
    ],
)
def test_hz_symptom_01_limits(program: Program, name: str, values: list[float], expected: Urgency | None) -> None:
    flags = raised(program, *series(name, *values))
    assert [(f.kind, f.urgency, f.topic) for f in flags] == (
        [(FlagKind.SYMPTOM_WORSENING, expected, name)] if expected else []
    )
    assert all(f.origin is Origin.PATIENT_REPORTED and f.bound is not None and f.ctcae == () for f in flags)


def test_vomiting_is_added_up_over_the_entries_of_a_day(program: Program) -> None:
    name = "diary_vomiting_episodes"
    (flag,) = raised(program, report(name, 0, 1), report(name, 0.3, 1), report(name, 0.9, 1))
    assert "3 times in 3 entries of one day" in flag.reason
    assert raised(program, report(name, 0, 1), report(name, 0.3, 1), report(name, 1.0, 1)) == ()


def test_before_treatment_is_a_reference_and_explains_an_old_confusion(program: Program) -> None:
    before = CareContext(symptoms_before=(("diary_pain", 2.0), ("diary_confusion", 3.0)))
    (flag,) = raised(program, report("diary_pain", 0, 4), report("diary_confusion", 0, 3), care=before)
    assert (flag.topic, "before treatment" in flag.reason) == ("diary_pain", True)
    (worse,) = raised(program, report("diary_confusion", 0, 4), care=before)
    assert worse.urgency is NOW


def test_a_temperature_by_mouth_answers_the_request(program: Program) -> None:
    chills = report("diary_chills", 0, 2)
    for site, asked in ((Site.ORAL, False), (Site.ARMPIT, True)):
        when = chills.time + timedelta(minutes=5)
        reading = observe(codes.BODY_TEMPERATURE, 36.9, when, source="thermometer", attributes={"site": site})
        assert bool(raised(program, chills, reading)) is asked
    (flag,) = raised(program, chills)
    assert "temperature by mouth now" in flag.action


def test_the_sentences_say_who_says_it_with_value_and_time_and_no_grade(program: Program) -> None:
    (flag,) = raised(program, *series("diary_mouth_sores", 2.0, 8.0))
    assert flag.reason.startswith("You reported mouth sores 8 of 10 at 09:00 on 2026-03-11.")
    assert flag.clinician.startswith("Patient-reported mouth sores 8 of 10")
    said = " ".join([flag.action, flag.reason, flag.clinician, *(m.text for m in flag.says.limits)]).lower()
    assert "grade" not in said
    assert "pro-ctcae" not in said


def test_who_filled_it_in_is_said(program: Program) -> None:
    (flag,) = raised(program, report("diary_confusion", 0, 2, reported_by="relative"))
    assert [m.text for m in flag.says.data_quality] == ["Filled in by a relative."]


# --- missing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "missing"), [(72.0, False), (72.1, True)], ids=["at-72-h", "above-72-h"])
def test_hz_symptom_02_a_diary_that_stops_is_a_signal(program: Program, hours: float, *, missing: bool) -> None:
    kinds = [(f.kind, f.topic) for f in raised(program, report("diary_pain", 0, 9), hours=hours)]
    severe, gone = (FlagKind.SYMPTOM_WORSENING, "diary_pain"), (FlagKind.DATA_QUALITY, "diary_missing")
    assert kinds == [gone if missing else severe]


def test_hz_symptom_02_an_unanswered_item_is_missing_and_not_gone(program: Program) -> None:
    severe = report("diary_pain", 0, 8)
    later = report("diary_nausea", 1, 0, unanswered="diary_pain,diary_cough")
    (flag,) = raised(program, severe, later)
    assert "left out of the newest entry" in flag.says.data_quality[0].text


def test_a_patient_without_a_diary_is_not_asked_for_one(program: Program) -> None:
    assert flags_of(program, START, []) == ()


def test_without_the_pack_no_report_is_judged(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert raised(program_with(tmp_path_factory.mktemp("p")), report("diary_pain", 0, 10)) == ()


# --- questionnaires --------------------------------------------------------------------------------


def answer(attribute: str, day: float, value: float, term: str = "ache", **further: str) -> Observation:
    shared = {"instrument": "PRO-CTCAE", "recall": "the last 7 days", "term": term, **further}
    return report(f"survey_{attribute}", day, value, **shared)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([("severity", 0, 2)], None, id="severity-3-below"),
        pytest.param([("severity", 0, 3)], TODAY, id="severity-3-at (PRO-TECT: severe)"),
        pytest.param([("severity", 0, 4)], TODAY, id="severity-3-above"),
        pytest.param([("frequency", 0, 2)], None, id="frequency-3-below"),
        pytest.param([("frequency", 0, 3)], WEEK, id="frequency-3-at"),
        pytest.param([("severity", 0, 1), ("severity", 7, 2)], None, id="rise-2-below"),
        pytest.param([("severity", 0, 0), ("severity", 7, 2)], WEEK, id="rise-2-at (PRO-TECT: worsening)"),
        pytest.param([("interference", 0, 0), ("interference", 7, 2)], WEEK, id="rise-of-interference"),
        pytest.param([("severity", 0, 0), ("severity", 28, 2)], WEEK, id="last-report-28-days-at"),
        pytest.param([("severity", 0, 0), ("severity", 28.1, 2)], None, id="last-report-28-days-above"),
        pytest.param([("presence", 0, 0), ("presence", 7, 1)], WEEK, id="newly-present"),
        pytest.param([("presence", 0, 1), ("presence", 7, 1)], None, id="still-present"),
    ],
)
def test_hz_symptom_03_survey_limits(
    program: Program, answers: list[tuple[str, float, float]], expected: Urgency | None
) -> None:
    flags = raised(program, *(answer(*given) for given in answers))
    assert [(f.urgency, f.topic) for f in flags] == ([(expected, "survey_ache")] if expected else [])


def test_frequent_and_severe_is_one_flag_and_a_missing_attribute_is_said(program: Program) -> None:
    left_out = {"unanswered": "interference"}
    given_answers = [answer("frequency", 0, 3, **left_out), answer("severity", 0, 3, **left_out)]
    (flag,) = raised(program, *given_answers)
    assert "Severity 3 of 4." in flag.reason
    assert "Frequency 3 of 4." in flag.reason
    assert [m.text for m in flag.says.data_quality] == ["Interference: not answered, so missing."]
    assert "Patient-reported ache (PRO-CTCAE, the last 7 days)" in flag.clinician


def test_an_instrument_is_named_as_its_pack_names_it(program: Program) -> None:
    (flag,) = raised(program, answer("severity", 0, 3, instrument="fixture"))
    assert "PRO-CTCAE" not in flag.clinician


def test_a_branched_zero_is_the_last_report(program: Program) -> None:
    skipped = answer("severity", 0, 0, not_asked="branching")
    assert raised(program, skipped, answer("severity", 7, 2))


@pytest.mark.parametrize(("days", "missing"), [(9.0, False), (9.01, True)], ids=["at-9-days", "above-9-days"])
def test_hz_symptom_02_a_survey_that_stops_is_a_signal(program: Program, days: float, *, missing: bool) -> None:
    flags = raised(program, answer("severity", 0, 0), hours=24 * days)
    assert [f.topic for f in flags] == (["survey_missing"] if missing else [])


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=8))
def test_any_diary_gives_at_most_one_flag_for_a_symptom(program: Program, values: list[tuple[int, int]]) -> None:
    reports = [report("diary_nausea", float(day), float(value)) for day, value in values]
    flags = raised(program, *reports)
    assert len({f.key for f in flags}) == len(flags)
    newest = [value for day, value in values if day == max(day for day, _ in values)]
    if all(value >= 7 for value in newest):
        assert [f.urgency for f in flags] == [TODAY]
