"""Boundary rows of the pack ``symptoms``: each threshold of the diary and of installed questionnaires."""

from __future__ import annotations

from collections.abc import Callable

from edge_twin import codes
from edge_twin.observation import Observation, Origin
from tests.rule_bench import reading
from tests.rule_row import NONE, NOW_, TODAY, WEEK, Given, Row

DIARY, SURVEY = "diary_worsening", "survey_worsening"
HOUR, DAY = 60.0, 24.0 * 60.0  # minutes


def said(name: str, value: float, minutes_ago: float = 1.0) -> Observation:
    """A diary entry's answer, or an answer of a questionnaire to the term ``ache``."""
    code = codes.by_name(name)
    assert code is not None
    attributes = {"term": "ache", "instrument": "fixture"}
    return reading(code, value, minutes_ago, origin=Origin.PATIENT_REPORTED, attributes=attributes)


def key(topic: str) -> str:
    return f"patient_reported_worsening/{topic}"


def probe(name: str) -> Callable[[float], Given]:
    """The probe is the newest score."""
    return lambda value: {"readings": (said(name, value),)}


def after(name: str, earlier: float, minutes_ago: float = DAY) -> Callable[[float], Given]:
    """The probe is the newest score after an earlier one."""
    return lambda value: {"readings": (said(name, earlier, minutes_ago), said(name, value))}


def since(name: str, earlier: float, newest: float, unit: float) -> Callable[[float], Given]:
    """The probe is how long before the newest score the earlier one was."""
    return lambda value: {"readings": (said(name, earlier, 1.0 + value * unit), said(name, newest))}


def aged(name: str, value: float, unit: float) -> Callable[[float], Given]:
    """The probe is the age of the only score."""
    return lambda age: {"readings": (said(name, value, age * unit),)}


def usual(value: float) -> Given:
    """The probe is how many reports came before the newest: all but the last of them lower."""
    count = int(value)
    earlier = [said("diary_pain", 5.0 if n == 1 else 2.0, n * DAY) for n in range(1, count + 1)]
    return {"readings": (*earlier, said("diary_pain", 5.0))}


SYMPTOMS = [
    Row(DIARY, "severe_score", key("diary_pain"), probe("diary_pain"), [(6, NONE), (7, TODAY), (8, TODAY)]),
    Row(DIARY, "rise_score", key("diary_pain"), after("diary_pain", 3), [(4, NONE), (5, WEEK), (6, WEEK)]),
    Row(DIARY, "rise_from_score", key("diary_pain"), after("diary_pain", 1), [(3, NONE), (4, WEEK), (5, WEEK)]),
    Row(DIARY, "breathlessness_now_score", key("diary_breathlessness"), probe("diary_breathlessness"),
        [(6, NONE), (7, NOW_), (8, NOW_)]),
    Row(DIARY, "confusion_now_score", key("diary_confusion"), probe("diary_confusion"),
        [(0, NONE), (1, NOW_), (2, NOW_)]),
    Row(DIARY, "feverish_score", key("diary_chills"), probe("diary_chills"), [(0, NONE), (1, TODAY), (2, TODAY)]),
    Row(DIARY, "vomiting_episodes_per_day", key("diary_vomiting_episodes"), probe("diary_vomiting_episodes"),
        [(2, NONE), (3, TODAY), (4, TODAY)]),
    Row(DIARY, "usual_reports", key("diary_pain"), usual, [(2, NONE), (3, WEEK), (4, WEEK)]),
    Row(DIARY, "look_back_days", key("diary_pain"), since("diary_pain", 2, 5, DAY),
        [(13.9, WEEK), (14, WEEK), (14.1, NONE)]),
    Row(DIARY, "fresh_hours", key("diary_pain"), aged("diary_pain", 9, HOUR),
        [(71.9, TODAY), (72, TODAY), (72.1, NONE)]),
    Row(DIARY, "overdue_hours", "data_quality/diary_missing", aged("diary_pain", 0, HOUR),
        [(71.9, NONE), (72, NONE), (72.1, WEEK)]),
    Row(SURVEY, "severity_score", key("survey_ache"), probe("survey_severity"), [(2, NONE), (3, TODAY), (4, TODAY)]),
    Row(SURVEY, "frequency_score", key("survey_ache"), probe("survey_frequency"), [(2, NONE), (3, WEEK), (4, WEEK)]),
    Row(SURVEY, "rise_score", key("survey_ache"), after("survey_interference", 0, 7 * DAY),
        [(1, NONE), (2, WEEK), (3, WEEK)]),
    Row(SURVEY, "presence_score", key("survey_ache"), after("survey_presence", 0, 7 * DAY), [(0, NONE), (1, WEEK)]),
    Row(SURVEY, "look_back_days", key("survey_ache"), since("survey_severity", 0, 2, DAY),
        [(27.9, WEEK), (28, WEEK), (28.1, NONE)]),
    Row(SURVEY, "fresh_days", key("survey_ache"), aged("survey_severity", 4, DAY),
        [(8.9, TODAY), (9, TODAY), (9.1, NONE)]),
    Row(SURVEY, "overdue_days", "data_quality/survey_missing", aged("survey_severity", 0, DAY),
        [(8.9, NONE), (9, NONE), (9.1, WEEK)]),
]  # fmt: skip
