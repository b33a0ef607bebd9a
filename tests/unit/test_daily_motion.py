"""Wear, sleep and activity from the minutes of an accelerometer, against hand-made days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin.features import Feature, distil
from edge_twin.features.sleep import inactive_bouts, median_changes, sleep_period
from edge_twin.features.wear import non_wear, runs
from edge_twin.observation import Observation, observe

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)  # of March 1 in Berlin; the day under test is March 2
TODAY = date(2026, 3, 2)
MINUTE = timedelta(minutes=1)
EVENING = 720  # minutes from noon to midnight
LENGTH = EVENING + 1440


def epochs(code: Code, values: Mapping[int, float] | Iterable[float], source: str = "watch") -> list[Observation]:
    """One reading a minute from noon on."""
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    return [
        observe(code, float(value), NOON + minute * MINUTE, source=source, attributes={"epoch_seconds": "60"})
        for minute, value in items
    ]


class Person:
    """A day and a half of somebody who sleeps from 22:30 to 06:30, walks twice and sits in between.

    Every figure of the tests below follows from these lines by counting.
    """

    bed, rise = 630, 1110  # minutes after noon

    def __init__(self, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.angle = rng.uniform(-80, 80, LENGTH)
        self.angle[self.bed : self.rise] = 20.0 + rng.uniform(-0.05, 0.05, self.rise - self.bed)
        for turn in range(self.bed + 90, self.rise, 180):  # a turn every hour and a half
            self.angle[turn : min(turn + 90, self.rise)] += 40.0
        self.spread = rng.uniform(20, 60, LENGTH)
        self.enmo = rng.uniform(0, 20, LENGTH)
        self.steps = np.zeros(LENGTH)

    def walk(self, first: int, minutes: int, cadence: float) -> None:
        self.steps[first : first + minutes] = cadence
        self.enmo[first : first + minutes] = 3.0 * cadence - 200.0

    def readings(self) -> list[Observation]:
        return [
            *epochs(codes.MOTION_ANGLE, self.angle),
            *epochs(codes.MOTION_SPREAD, self.spread),
            *epochs(codes.MOTION_ENMO, np.maximum(self.enmo, 0.0)),
            *epochs(codes.STEPS, self.steps),
        ]


def features(readings: Sequence[Observation]) -> dict[str, Feature]:
    return {f.name: f for f in distil(readings, BERLIN, days=frozenset({TODAY}))}


def test_the_sleep_of_a_night() -> None:
    person = Person()
    day = features(person.readings())
    assert day["sleep_period_day"].value == pytest.approx(8.0, abs=0.1)
    assert day["mid_sleep_day"].value == pytest.approx(2.5, abs=0.1)
    assert day["sleep_efficiency_day"].value is not None
    assert 0.97 <= day["sleep_efficiency_day"].value <= 1.0
    duration, period, efficiency = (
        day[name].value for name in ("sleep_duration_day", "sleep_period_day", "sleep_efficiency_day")
    )
    assert duration is not None
    assert period is not None
    assert duration == pytest.approx(period * (efficiency or 0.0))


def test_a_sensor_on_the_table_is_no_sleep() -> None:
    person = Person()
    person.spread[100:600] = 1.0  # on the table in the afternoon, longer than the night, and perfectly still
    person.angle[100:600] = 5.0
    day = features(person.readings())
    assert day["sleep_period_day"].value == pytest.approx(8.0, abs=0.1)
    assert day["motion_wear_minutes_day"].value == 1440.0
    person.spread[EVENING + 600 : EVENING + 900] = 1.0
    assert features(person.readings())["motion_wear_minutes_day"].value == 1140.0


@pytest.mark.parametrize(("minutes", "spread", "worn"), [(59, 12.9, 59), (60, 12.9, 0), (90, 13.0, 90)])
def test_an_hour_below_13_mg_is_not_worn(minutes: int, spread: float, worn: int) -> None:
    """van Hees 2011: below 13 m[g] for 60 minutes."""
    assert minutes - len(non_wear(dict.fromkeys(range(minutes), spread))) == worn


def test_a_night_without_the_sensor_has_no_sleep_and_says_why() -> None:
    person = Person()
    night = range(600, 1200)
    readings = [o for o in person.readings() if (o.time - NOON) // MINUTE not in night]
    assert features(readings)["sleep_period_day"].reason == "no_sleep_period"
    readings = [o for o in person.readings() if (o.time - NOON) // MINUTE not in range(300, 1200)]
    day = features(readings)
    assert day["sleep_period_day"].reason == "too_little_wear"
    assert day["sedentary_minutes_day"].reason == "no_sleep_period"


def test_a_period_full_of_holes_is_not_told() -> None:
    person = Person()
    holes = set(range(700, 1050, 3))
    readings = [o for o in person.readings() if (o.time - NOON) // MINUTE not in holes]
    assert features(readings)["sleep_period_day"].reason == "too_many_gaps"
    single = [o for o in person.readings() if (o.time - NOON) // MINUTE not in set(range(700, 1050, 20))]
    assert features(single)["sleep_period_day"].value == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("hole", [range(540, 780), range(900, 1200), range(1000, LENGTH)])
def test_a_period_that_a_hole_cuts_is_not_told(hole: range) -> None:
    """A sensor that was taken off in the night, or has not told the end yet, knows no length of sleep."""
    readings = [o for o in Person().readings() if (o.time - NOON) // MINUTE not in hole]
    assert features(readings)["sleep_period_day"].reason == "cut_by_a_gap"


def test_active_minutes_cadence_and_sedentary_bouts() -> None:
    person = Person()
    person.walk(1200, 40, 110.0)  # 08:00
    person.walk(1500, 5, 99.0)  # 13:00
    day = features(person.readings())
    assert day["steps_day"].value == 40 * 110 + 5 * 99
    assert day["cadence_peak_30_day"].value == 110.0
    assert day["brisk_minutes_day"].value == 40.0, "99 steps in a minute are not yet 100"
    assert day["walking_cadence_day"].value == 110.0
    assert day["active_minutes_day"].value == 40.0, "130 m[g] at 110 steps, 97 at 99"
    # Awake from 06:30: to 08:00, 08:40 to 13:00, 13:05 to midnight.
    assert day["sedentary_bouts_day"].value == 3.0
    assert day["sedentary_minutes_day"].value == pytest.approx(90 + 260 + 655, abs=6)


def test_evening_sleep_is_not_sedentary() -> None:
    person = Person()
    person.walk(1500, 5, 99.0)
    person.angle[LENGTH - 90 :] = 10.0 + np.random.default_rng(3).uniform(-0.05, 0.05, 90)  # asleep from 22:30 on
    day = features(person.readings())
    assert day["sedentary_minutes_day"].value == pytest.approx(390 + 655 - 90, abs=8)


def test_fewer_than_thirty_minutes_of_steps_are_averaged_over_thirty() -> None:
    person = Person()
    person.walk(1200, 10, 90.0)
    assert features(person.readings())["cadence_peak_30_day"].value == pytest.approx(30.0)


def test_ten_hours_make_a_day() -> None:
    person = Person()
    short = [o for o in person.readings() if (o.time - NOON) // MINUTE < EVENING + 599]
    assert features(short)["cadence_peak_30_day"].reason == "too_little_wear"
    enough = [o for o in person.readings() if (o.time - NOON) // MINUTE < EVENING + 600]
    assert features(enough)["cadence_peak_30_day"].reason == ""


def test_a_days_total_of_steps_has_no_minutes() -> None:
    total = observe(codes.STEPS, 5000.0, NOON + 13 * 60 * MINUTE, source="phone")
    day = features([total])
    assert day["steps_day"].value == 5000.0
    assert "cadence_peak_30_day" not in day


def test_the_speed_of_a_foot_pod_is_that_of_walking() -> None:
    speeds = epochs(codes.SPEED, [0.0, 0.1, 1.2, 1.3, 1.4, 3.2])
    speeds = [observe(o.code, o.value, o.time + 13 * 60 * MINUTE, source="pod") for o in speeds]
    assert features(speeds)["gait_speed_day"].value == 1.3


def test_a_night_over_the_change_of_the_clocks_keeps_its_length() -> None:
    """March 29, 2026: Berlin loses the hour after 02:00; eight hours of sleep stay eight hours."""
    person = Person()
    shift = timedelta(days=27)
    moved = [
        observe(o.code, o.value, o.time + shift, source=o.source, attributes=o.attributes) for o in person.readings()
    ]
    day = {f.name: f for f in distil(moved, BERLIN, days=frozenset({date(2026, 3, 29)}))}
    assert day["sleep_period_day"].value == pytest.approx(8.0, abs=0.1)
    assert day["motion_wear_minutes_day"].value == 1380.0


def test_five_minutes_without_five_degrees() -> None:
    """van Hees 2015: at least 5 minutes without a change above 5 degrees."""
    still = dict.fromkeys(range(5), 0.0)
    assert inactive_bouts(still) == [(0, 4)]
    assert inactive_bouts(dict.fromkeys(range(4), 0.0)) == []
    assert inactive_bouts({minute: 5.0 * (minute % 2) for minute in range(6)}) == [(0, 5)]
    assert inactive_bouts({minute: 5.1 * (minute % 2) for minute in range(6)}) == []
    assert inactive_bouts({0: 0.0, 1: 0.0, 2: 0.0, 4: 0.0, 5: 0.0, 6: 0.0}) == []


def test_median_changes_agree_with_a_moving_median() -> None:
    angle = np.random.default_rng(5).uniform(-90, 90, 200)
    ours = median_changes(dict(enumerate(angle.tolist())))
    change = np.abs(np.diff(angle))
    for minute in range(3, 198):
        assert ours[minute] == pytest.approx(float(np.median(change[minute - 3 : minute + 2])))


@given(st.dictionaries(st.integers(-720, 1439), st.floats(-90, 90), max_size=300))
def test_a_sleep_period_lies_in_the_data(angle: dict[int, float]) -> None:
    period = sleep_period(angle)
    if period is not None:
        assert period.first in angle
        assert period.last in angle
        assert -720 <= period.first < period.last < 720


@given(st.sets(st.integers(-50, 50)))
def test_runs_are_the_minutes(minutes: set[int]) -> None:
    found = runs(sorted(minutes))
    assert {m for first, last in found for m in range(first, last + 1)} == minutes
    assert all(b[0] - a[1] > 1 for a, b in pairwise(found))
