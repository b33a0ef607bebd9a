"""The flag of a change from the personal baseline: when it stands, what it says, and that missing is said."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edge_twin.contract import TwinInput, TwinOutput
from edge_twin.detection import DayRecord, Detector
from edge_twin.features import DAY_STEPS, NIGHT_HEART_RATE, Feature
from edge_twin.flag import Flag, FlagKind
from edge_twin.observation import Origin
from edge_twin.program import load_program
from edge_twin.twin import advance

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 70
ILL = range(64, 70)  # heart rate up, steps down


def heart_rate(day: int, rise: float) -> float:
    return 58.0 + 2.0 * math.sin(2 * math.pi * day / 7) + 0.4 * ((37 * day) % 11 - 5) + (rise if day in ILL else 0.0)


def steps(day: int, share: float) -> float:
    return (8000.0 + 120.0 * ((23 * day) % 13 - 6)) * (share if day in ILL else 1.0)


def night(day: int, value: float) -> Feature:
    start = FIRST + timedelta(days=day)
    return Feature(NIGHT_HEART_RATE, value, "/min", start, start + timedelta(hours=7), 40, 1.0)


def walked(day: int, value: float) -> Feature:
    start = FIRST + timedelta(days=day)
    return Feature(DAY_STEPS, value, "{steps}", start, start + timedelta(days=1), 1, 1.0)


def told(features: list[Feature], day: int = DAYS) -> TwinOutput:
    now = FIRST + timedelta(days=day, hours=9)
    return advance(TwinInput(now, "UTC", load_program("neutropenia"), None, features=tuple(features)))


def record(rise: float, share: float, days: range = range(DAYS)) -> list[Feature]:
    return [f for d in days for f in (night(d, heart_rate(d, rise)), walked(d, steps(d, share)))]


def change(output: TwinOutput) -> Flag:
    (found,) = [flag for flag in output.flags if flag.kind is FlagKind.BASELINE_CHANGE]
    return found


def has_change(output: TwinOutput) -> bool:
    return any(flag.kind is FlagKind.BASELINE_CHANGE for flag in output.flags)


def test_hz_change_01_a_lasting_rise_with_fewer_steps_raises_the_flag_with_its_reasons() -> None:
    flag = change(told(record(9.0, 0.4, range(67)), 67))
    assert flag.origin is Origin.MODEL, "a learned score speaks as a model and is silent until it has earned trust"
    assert flag.probability is not None
    assert 0.0 < flag.probability < 1.0
    assert flag.horizon
    assert {"resting_heart_rate", "steps"} <= {row.name for row in flag.contributions}
    assert "simulated" in f"{flag.reason} {flag.says.limits[0].text}"
    assert {row.name for row in flag.evidence} == {NIGHT_HEART_RATE, DAY_STEPS}


def test_it_stays_up_while_the_score_stays_high_and_comes_down_afterwards() -> None:
    features = record(9.0, 0.4, range(70))
    assert all(has_change(told([f for f in features if f.start < FIRST + timedelta(days=d)], d)) for d in range(66, 71))
    assert not has_change(told(features, 73)), "three days without a value: it says nothing of today any more"


def test_quiet_weeks_are_silent() -> None:
    assert not any(has_change(told(record(0.0, 1.0, range(day)), day)) for day in range(30, DAYS))


def test_the_first_four_weeks_say_nothing() -> None:
    strange = [night(day, 58.0 + 20.0 * (day > 20)) for day in range(27)]
    assert not has_change(told(strange, 27))


def test_hz_change_02_without_steps_their_absence_is_said_and_adds_nothing() -> None:
    features = [night(day, heart_rate(day, 12.0)) for day in range(67)]
    flag = change(told(features, 67))
    assert all(row.share == 0.0 for row in flag.contributions if row.name == "steps")
    assert any(dict(message.arguments)["stream"] == "steps" for message in flag.says.data_quality)


def test_the_contributions_add_up_to_the_score() -> None:
    detector = Detector.shipped()
    for day in range(67):
        values = {"resting_heart_rate": heart_rate(day, 9.0), "steps": steps(day, 0.4)}
        answer = detector.update(DayRecord(day, values))
    assert answer.score == pytest.approx(sum(answer.contributions.values()), abs=1e-9)


def test_a_value_that_is_none_is_a_missing_day_and_no_error() -> None:
    features = [replace(f, value=None, reason="no_valid_window") if f.start.day == 9 else f for f in record(9.0, 0.4)]
    assert has_change(told(features, 67))
