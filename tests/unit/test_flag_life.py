"""The life of a flag, rule by rule (edge_twin/rules/alarms.toml; hazards HZ-ALARM-*)."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin.errors import LifeError, ProgramError
from edge_twin.flag import Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.alarm_rules import AlarmRules, Level, alarm_rules, read_alarm_rules
from edge_twin.flags.life import Act, Event, Life, LifeState, Lives, Silence, Step, rebuilt
from edge_twin.flags.lifecycle import acknowledge, close, deliver, follow, see, snooze, tick
from edge_twin.flags.whereabouts import escalation, whereabouts
from edge_twin.observation import Origin
from edge_twin.program import Threshold, load_program
from edge_twin.wording import say

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = alarm_rules()
UTC_ZONE = ZoneInfo("UTC")
PACK = Path(__file__).parents[2] / "edge_twin" / "rules" / "alarms.toml"


def flag(
    kind: FlagKind = FlagKind.RESTING_HEART_RATE,
    urgency: Urgency = Urgency.TODAY,
    *,
    probability: float | None = None,
    reading: float = 1.0,
    topic: str = "",
) -> Flag:
    return Flag(
        kind, NOW, urgency, Origin.DEVICE, Sentences((say("fever.call_now"),), (say("fever.single"),)), topic=topic,
        probability=probability, evidence=(Evidence("x", reading, "1", NOW, Origin.DEVICE),),
    )  # fmt: skip


FEVER = flag(FlagKind.FEVER, Urgency.NOW)
COUNT = flag(FlagKind.NEUTROPHILS_LOW)
HEART = flag()


class Course:
    """Plays steps and keeps everything that happened."""

    def __init__(self) -> None:
        self.lives = Lives()
        self.events: list[Event] = []

    def step(self, at: datetime, *flags: Flag) -> list[Event]:
        return self.take(follow(self.lives, flags, at, RULES))

    def tick(self, at: datetime) -> list[Event]:
        return self.take(tick(self.lives, at, RULES))

    def take(self, step: Step) -> list[Event]:
        self.lives = step.lives
        self.events += step.events
        return list(step.events)

    def life(self, key: str) -> Life:
        return self.lives.by_key[key]

    def acts(self, key: str | None = None) -> list[str]:
        return [event.act.value for event in self.events if key is None or event.key == key]


@pytest.fixture
def course() -> Course:
    return Course()


def acts(events: list[Event]) -> list[str]:
    return [event.act.value for event in events]


# ---- up, down and again ---------------------------------------------------------------------------------


def test_hz_alarm_01_a_flag_that_flickers_is_one_row_and_one_alert(course: Course) -> None:
    """Every second step of a week: one raising, one alert, no resolution."""
    for n in range(7 * 24 * 4):
        course.step(NOW + n * 15 * MINUTE, *([COUNT] if n % 2 == 0 else []))
    assert course.acts() == ["raised", "notified", "escalated", "escalated"]
    assert course.life(COUNT.key).state is LifeState.RAISED


@pytest.mark.parametrize(
    ("example", "hold"),
    [
        (FEVER, 60 * MINUTE),
        (COUNT, 120 * MINUTE),
        (flag(FlagKind.FORECAST_MISMATCH, Urgency.THIS_WEEK), DAY),
        (flag(FlagKind.LABORATORY_VALUE, Urgency.NOTE), DAY),
    ],
    ids=lambda value: value.key if isinstance(value, Flag) else "",
)
def test_it_comes_down_after_its_hold_and_not_before(course: Course, example: Flag, hold: timedelta) -> None:
    course.step(NOW, example)
    assert "resolved" not in acts(course.step(NOW + hold - MINUTE))
    assert acts(course.step(NOW + hold)) == ["resolved"]
    assert course.life(example.key).closed == NOW + hold


@pytest.mark.parametrize("kind", [FlagKind.FEVER_REPEAT, FlagKind.ORAL_READING_NEEDED])
def test_a_request_ends_with_the_deed(course: Course, kind: FlagKind) -> None:
    course.step(NOW, flag(kind))
    assert acts(course.step(NOW + MINUTE)) == ["resolved"]


@pytest.mark.parametrize(("after", "number"), [(DAY - MINUTE, 1), (DAY, 1), (DAY + MINUTE, 2)])
def test_what_comes_again_within_a_day_continues_its_row(course: Course, after: timedelta, number: int) -> None:
    course.step(NOW, COUNT)
    course.step(NOW + 2 * HOUR)
    course.step(NOW + 2 * HOUR + after, COUNT)
    assert course.life(COUNT.key).id == number
    assert course.life(COUNT.key).is_open


@pytest.mark.parametrize(
    ("again", "act"), [(DAY - MINUTE, "suppressed"), (DAY, "notified")], ids=["within the refractory time", "after it"]
)
def test_hz_alarm_02_what_comes_again_is_not_told_at_once(course: Course, again: timedelta, act: str) -> None:
    course.step(NOW, COUNT)
    course.step(NOW + 3 * HOUR)
    assert acts(course.step(NOW + again, COUNT))[:2] == ["reopened", act]


def test_a_silenced_flag_that_stands_is_told_when_the_refractory_time_is_over(course: Course) -> None:
    course.step(NOW, COUNT)
    course.step(NOW + 3 * HOUR)
    course.step(NOW + 4 * HOUR, COUNT)
    assert course.life(COUNT.key).silenced is Silence.REFRACTORY
    assert acts(course.step(NOW + DAY, COUNT)) == ["notified"]


def test_the_refractory_time_outlives_the_row(course: Course) -> None:
    mismatch = flag(FlagKind.FORECAST_MISMATCH, Urgency.THIS_WEEK)
    course.step(NOW, mismatch)
    course.step(NOW + DAY)
    assert acts(course.step(NOW + 6 * DAY, mismatch)) == ["raised", "suppressed"]
    assert acts(course.step(NOW + 7 * DAY, mismatch)) == ["notified"]


@pytest.mark.parametrize("after", [MINUTE, HOUR, 2 * HOUR, 30 * HOUR])
def test_hz_alarm_03_call_now_is_told_each_time_it_goes_up(course: Course, after: timedelta) -> None:
    course.step(NOW, FEVER)
    course.step(NOW + HOUR)
    again = course.step(NOW + HOUR + after, FEVER)
    assert acts(again) in (["reopened", "notified"], ["raised", "notified"])
    assert again[-1].detail == "urgent"


def test_no_data_can_silence_a_call_now() -> None:
    """A site that states a refractory time for "call now" and counts fever against the budget changes nothing."""
    own = {**RULES.tables, "alarm_refractory": {"now_hours": Threshold(24.0, "C", "a mistake")}}
    mistaken = AlarmRules(own, RULES.stronger, RULES.requests, frozenset(FlagKind))
    lives, told = Lives(), 0
    for n in range(12):
        lives, events = follow(lives, [FEVER] if n % 2 == 0 else [], NOW + n * 2 * HOUR, mistaken)
        told += sum(event.act is Act.NOTIFIED for event in events)
    assert told == 6


def test_what_became_more_urgent_is_told_within_the_refractory_time_and_the_reverse_is_not(course: Course) -> None:
    kind = FlagKind.FORECAST_MISMATCH
    course.step(NOW, flag(kind, Urgency.THIS_WEEK))
    assert acts(course.step(NOW + HOUR, flag(kind))) == ["updated", "notified"]
    course.step(NOW + 4 * HOUR)
    assert acts(course.step(NOW + 5 * HOUR, flag(kind, Urgency.THIS_WEEK))) == ["reopened", "suppressed"]


def test_a_clock_that_was_set_back_neither_resolves_nor_silences(course: Course) -> None:
    course.step(NOW, COUNT)
    assert acts(course.step(NOW - 3 * DAY)) == []
    course.step(NOW + 3 * HOUR)
    assert acts(course.step(NOW - DAY, COUNT)) == ["reopened", "notified"]


# ---- what it says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moved", "updates"), [(0.049, 0), (0.05, 1), (-0.051, 1)])
def test_a_probability_that_moved_is_a_new_version(course: Course, moved: float, updates: int) -> None:
    kind = FlagKind.NEUTROPENIA_FORECAST
    course.step(NOW, flag(kind, probability=0.6))
    course.step(NOW + HOUR, flag(kind, probability=0.6 + moved))
    assert course.acts().count("updated") == updates
    assert course.life(kind).version == 1 + updates


@pytest.mark.parametrize(("after", "updates"), [(59 * MINUTE, 0), (60 * MINUTE, 1)])
def test_new_evidence_is_a_version_at_most_once_an_hour(course: Course, after: timedelta, updates: int) -> None:
    course.step(NOW, flag(reading=1.0))
    events = course.step(NOW + after, flag(reading=2.0))
    assert acts(events).count("updated") == updates
    assert "notified" not in acts(events)


def test_more_urgent_is_told_at_once_and_asks_anew(course: Course) -> None:
    kind = FlagKind.EARLY_WARNING_SCORE
    course.step(NOW, flag(kind))
    course.take(acknowledge(course.lives, 1, "A. Nurse", NOW + MINUTE))
    assert acts(course.step(NOW + 2 * MINUTE, flag(kind, Urgency.NOW))) == ["updated", "notified"]
    assert course.life(kind).state is LifeState.RAISED


def test_an_urgency_that_flickers_stays_at_its_peak(course: Course) -> None:
    kind = FlagKind.EARLY_WARNING_SCORE
    course.step(NOW, flag(kind, Urgency.NOW))
    for n in range(1, 9):
        course.step(NOW + n * 15 * MINUTE, flag(kind, Urgency.NOW if n % 2 == 0 else Urgency.TODAY))
    assert course.acts().count("notified") == 1
    assert course.life(kind).urgency is Urgency.NOW
    assert "updated" not in acts(course.step(NOW + 2 * HOUR + 59 * MINUTE, flag(kind)))
    assert acts(course.step(NOW + 3 * HOUR, flag(kind))) == ["updated"]
    assert course.life(kind).urgency is Urgency.TODAY


def test_a_note_is_kept_and_never_told(course: Course) -> None:
    course.step(NOW, flag(FlagKind.LABORATORY_VALUE, Urgency.NOTE))
    course.step(NOW + 10 * DAY, flag(FlagKind.LABORATORY_VALUE, Urgency.NOTE))
    assert course.acts() == ["raised"]


def test_of_two_flags_with_one_key_the_more_urgent_counts(course: Course) -> None:
    course.step(NOW, flag(FlagKind.EARLY_WARNING_SCORE), flag(FlagKind.EARLY_WARNING_SCORE, Urgency.NOW))
    assert [life.urgency for life in course.lives.up] == [Urgency.NOW]


def test_two_topics_of_a_kind_are_two_flags(course: Course) -> None:
    course.step(
        NOW, flag(FlagKind.LABORATORY_VALUE, topic="potassium"), flag(FlagKind.LABORATORY_VALUE, topic="sodium")
    )
    assert {life.key for life in course.lives.up} == {"laboratory_value/potassium", "laboratory_value/sodium"}


# ---- what replaces what ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        (flag(FlagKind.FEVER_REPEAT), FEVER),
        (flag(FlagKind.ORAL_READING_NEEDED), FEVER),
        (flag(FlagKind.NEUTROPENIA_FORECAST), COUNT),
        (flag(FlagKind.LEUKOPENIA_FORECAST), flag(FlagKind.LEUKOCYTES_LOW)),
        (flag(FlagKind.EARLY_WARNING_SCORE), flag(FlagKind.SEPSIS_SCREEN, Urgency.NOW)),
    ],
    ids=lambda one: one.kind,
)
def test_hz_alarm_04_the_weaker_gives_way_and_comes_back(course: Course, weaker: Flag, stronger: Flag) -> None:
    course.step(NOW, weaker)
    course.step(NOW + HOUR, weaker, stronger)
    assert course.life(weaker.key).superseded_by == stronger.key
    for n in range(2, 6):
        assert acts(course.step(NOW + n * HOUR, weaker, stronger)).count("raised") == 0
    for n in range(6, 9):
        course.step(NOW + n * HOUR, weaker)
    assert not course.life(stronger.key).is_open
    assert course.life(weaker.key).is_open
    assert course.acts(weaker.key).count("superseded") == 1
    assert course.acts(weaker.key).count("reopened") == 1


def test_the_stronger_one_that_is_up_is_named(course: Course) -> None:
    score = flag(FlagKind.EARLY_WARNING_SCORE)
    first, second = (flag(FlagKind.SEPSIS_SCREEN, Urgency.NOW, topic=topic) for topic in ("a", "b"))
    course.step(NOW, score, first)
    course.step(NOW + HOUR, score, second)
    assert course.life(score.key).superseded_by == second.key
    assert course.life(score.key).state is LifeState.SUPERSEDED


def test_call_now_is_never_replaced(course: Course) -> None:
    score, screen = flag(FlagKind.EARLY_WARNING_SCORE, Urgency.NOW), flag(FlagKind.SEPSIS_SCREEN, Urgency.NOW)
    course.step(NOW, score, screen)
    assert {life.key for life in course.lives.up} == {score.key, screen.key}
    assert course.acts().count("notified") == 2


def test_a_less_urgent_flag_replaces_nothing(course: Course) -> None:
    screen, score = flag(FlagKind.SEPSIS_SCREEN, Urgency.NOTE), flag(FlagKind.EARLY_WARNING_SCORE)
    course.step(NOW, screen, score)
    assert {life.key for life in course.lives.up} == {score.key, screen.key}


# ---- the alarm budget -----------------------------------------------------------------------------------


def test_hz_alarm_05_the_budget_is_kept_and_what_exceeds_it_stays_as_a_note(course: Course) -> None:
    """A statistical signal that comes every second day for 24 weeks: at most 0.25 alerts a week, nothing dropped."""
    for n in range(24 * 7):
        course.step(NOW + n * DAY, *([HEART] if n % 2 == 0 else []))
    told = [event.at for event in course.events if event.act is Act.NOTIFIED and event.detail == "budgeted"]
    assert 0 < len(told) <= 0.25 * 24
    assert all(sum(first <= at < first + 12 * 7 * DAY for at in told) <= 3 for first in told)
    raised = course.acts().count("raised") + course.acts().count("reopened")
    assert raised == 24 * 7 / 2
    over = [event for event in course.events if event.detail == "over_budget"]
    assert len(over) == raised - len(told)


def test_over_budget_it_is_up_and_shown_as_a_note(course: Course) -> None:
    for n in range(4):
        course.step(NOW + n * DAY, flag(FlagKind.BASELINE_CHANGE, topic=str(n)))
    last = course.life("change_from_baseline/3")
    assert (last.is_open, last.urgency, last.shown_urgency) == (True, Urgency.TODAY, Urgency.NOTE)
    freed = course.step(NOW + 12 * 7 * DAY, flag(FlagKind.BASELINE_CHANGE, topic="3"))
    assert "notified" in acts(freed)
    assert course.life("change_from_baseline/3").shown_urgency is Urgency.TODAY


def test_rules_on_measured_values_take_nothing_from_the_budget_and_never_give_way(course: Course) -> None:
    for n in range(12):
        course.step(NOW + 2 * n * DAY, COUNT)
        course.step(NOW + (2 * n + 1) * DAY)
    assert [event.detail for event in course.events if event.act is Act.NOTIFIED] == ["rule"] * 12


# ---- acknowledging and snoozing -------------------------------------------------------------------------


def test_an_acknowledgement_has_a_name_and_a_time(course: Course) -> None:
    course.step(NOW, COUNT)
    course.take(acknowledge(course.lives, 1, " A. Nurse ", NOW + MINUTE))
    life = course.life(COUNT.key)
    assert (life.state, life.acknowledged_by, life.acknowledged) == (LifeState.ACKNOWLEDGED, "A. Nurse", NOW + MINUTE)
    assert acts(course.step(NOW + 10 * HOUR, COUNT)) == []


@pytest.mark.parametrize("who", ["", "  ", "x" * 81, "a\nb"])
def test_no_act_without_a_name(course: Course, who: str) -> None:
    course.step(NOW, COUNT)
    with pytest.raises(LifeError) as caught:
        acknowledge(course.lives, 1, who, NOW)
    assert caught.value.reason == "no_name"


def test_what_is_down_or_unknown_cannot_be_acknowledged(course: Course) -> None:
    course.step(NOW, COUNT)
    course.step(NOW + 3 * HOUR)
    for number, reason in ((1, "not_open"), (2, "not_found")):
        with pytest.raises(LifeError) as caught:
            acknowledge(course.lives, number, "A. Nurse", NOW)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("example", "length", "earlier", "reason"),
    [
        (FEVER, HOUR, 0, "urgent"),
        (COUNT, timedelta(0), 0, "bad_length"),
        (COUNT, 12 * HOUR + MINUTE, 0, "too_long"),
        (COUNT, HOUR, 2, "too_often"),
    ],
)
def test_hz_alarm_06_a_snooze_has_limits(
    course: Course, example: Flag, length: timedelta, earlier: int, reason: str
) -> None:
    course.step(NOW, example)
    for n in range(earlier):
        course.take(snooze(course.lives, 1, NOW + n * HOUR, RULES, who="A. Nurse", length=MINUTE))
        course.tick(NOW + n * HOUR + MINUTE)
    with pytest.raises(LifeError) as caught:
        snooze(course.lives, 1, NOW + 3 * HOUR, RULES, who="A. Nurse", length=length)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("at", "woken"), [(12 * HOUR - MINUTE, False), (12 * HOUR, True), (-MINUTE, True)])
def test_a_snooze_ends_with_a_reminder_also_when_the_clock_was_set_back(
    course: Course, at: timedelta, *, woken: bool
) -> None:
    course.step(NOW, COUNT)
    course.take(snooze(course.lives, 1, NOW, RULES, who="A. Nurse", length=12 * HOUR))
    assert acts(course.step(NOW + at, COUNT)) == (["woken", "notified"] if woken else [])


def test_a_snooze_does_not_outlast_a_rise_to_call_now(course: Course) -> None:
    kind = FlagKind.EARLY_WARNING_SCORE
    course.step(NOW, flag(kind))
    course.take(snooze(course.lives, 1, NOW, RULES, who="A. Nurse", length=12 * HOUR))
    assert acts(course.step(NOW + MINUTE, flag(kind, Urgency.NOW))) == ["updated", "notified"]


@pytest.mark.parametrize(("after", "lapsed"), [(12 * HOUR - MINUTE, False), (12 * HOUR, True)])
def test_a_standing_call_now_is_told_again_after_an_old_acknowledgement(
    course: Course, after: timedelta, *, lapsed: bool
) -> None:
    course.step(NOW, FEVER)
    course.take(acknowledge(course.lives, 1, "A. Nurse", NOW))
    assert acts(course.step(NOW + after, FEVER)) == (["lapsed", "notified"] if lapsed else [])


def test_hz_alarm_09_a_closed_flag_stays_down_until_there_is_something_new(course: Course) -> None:
    course.step(NOW, FEVER)
    course.take(close(course.lives, 1, "Dr. B", NOW + MINUTE))
    assert (course.life(FEVER.key).state, course.life(FEVER.key).closed_by) == (LifeState.RESOLVED, "Dr. B")
    for n in range(1, 40):
        assert course.step(NOW + n * HOUR, FEVER) == []
    another = flag(FlagKind.FEVER, Urgency.NOW, reading=39.0)
    assert acts(course.step(NOW + 40 * HOUR, another)) == ["reopened", "notified"]
    assert course.life(FEVER.key).closed_by == ""


def test_a_closed_flag_that_becomes_more_urgent_is_up_again(course: Course) -> None:
    kind = FlagKind.EARLY_WARNING_SCORE
    course.step(NOW, flag(kind))
    course.take(close(course.lives, 1, "Dr. B", NOW + MINUTE))
    assert course.step(NOW + HOUR, flag(kind)) == []
    assert acts(course.step(NOW + HOUR, flag(kind, Urgency.NOW))) == ["reopened", "notified"]


def test_what_held_no_more_for_a_day_is_new_also_after_it_was_closed(course: Course) -> None:
    course.step(NOW, COUNT)
    course.take(close(course.lives, 1, "Dr. B", NOW + MINUTE))
    assert acts(course.step(NOW + DAY + HOUR, COUNT))[0] == "raised"


# ---- nobody reacts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "level", "minutes"),
    [
        (FEVER, Level.CAREGIVER, 5),
        (FEVER, Level.CLINIC, 10),
        (FEVER, Level.EMERGENCY, 20),
        (COUNT, Level.CAREGIVER, 120),
        (COUNT, Level.CLINIC, 480),
        (flag(FlagKind.FORECAST_MISMATCH, Urgency.THIS_WEEK), Level.CLINIC, 4320),
    ],
    ids=lambda value: value.key if isinstance(value, Flag) else str(value),
)
@pytest.mark.parametrize(("seconds", "reached"), [(-1, False), (0, True), (1, True)], ids=["below", "at", "above"])
def test_hz_alarm_07_what_nobody_answers_climbs(  # noqa: PLR0913 - a table of deadlines
    course: Course, example: Flag, level: Level, minutes: int, seconds: int, *, reached: bool
) -> None:
    course.step(NOW, example)
    climbed = course.tick(NOW + minutes * MINUTE + timedelta(seconds=seconds))
    assert (level in [event.detail for event in climbed]) is reached
    assert (course.life(example.key).level is level) is reached


@pytest.mark.parametrize("example", [FEVER, COUNT], ids=lambda one: one.key)
def test_an_answer_ends_the_climb(course: Course, example: Flag) -> None:
    course.step(NOW, example)
    course.take(acknowledge(course.lives, 1, "A. Nurse", NOW + MINUTE))
    assert course.tick(NOW + 9 * HOUR) == []


@pytest.mark.parametrize("answered", [False, True])
def test_an_alert_that_nobody_answered_climbs_also_after_the_flag_came_again(course: Course, *, answered: bool) -> None:
    course.step(NOW, COUNT)
    if answered:
        course.take(acknowledge(course.lives, 1, "A. Nurse", NOW + MINUTE))
    course.step(NOW + 3 * HOUR)
    course.step(NOW + 4 * HOUR, COUNT)
    climbed = [event.detail for event in course.tick(NOW + 8 * HOUR)]
    assert climbed == ([] if answered else ["clinic"])


def test_each_level_is_asked_once_and_named(course: Course) -> None:
    course.step(NOW, FEVER)
    for n in range(1, 60):
        course.tick(NOW + n * MINUTE)
    assert [event.detail for event in course.events if event.act is Act.ESCALATED] == [
        "caregiver",
        "clinic",
        "emergency",
    ]
    said = escalation(course.life(FEVER.key), UTC_ZONE)
    assert said is not None
    assert said.text.startswith("No answer since 09:00 on 2026-03-02: if you cannot reach")


# ---- who knows ------------------------------------------------------------------------------------------


def test_hz_alarm_08_who_knows_is_never_blurred(course: Course) -> None:
    course.step(NOW, COUNT)

    def said() -> str:
        return whereabouts(course.life(COUNT.key), UTC_ZONE).text

    assert said() == "Only on this phone: your clinic does not know of this."
    course.take(deliver(course.lives, 1, 1, NOW + MINUTE))
    assert (
        said() == "Delivered to your clinic, confirmed by 09:01 on 2026-03-02; no record that anybody has looked at it."
    )
    course.take(see(course.lives, 1, "A. Nurse", 1, NOW + 2 * MINUTE))
    assert said() == "Seen by A. Nurse at 09:02 on 2026-03-02."
    course.step(NOW + 2 * HOUR, flag(FlagKind.NEUTROPHILS_LOW, Urgency.NOW))
    assert said() == (
        "An older state of this was seen by A. Nurse at 09:02 on 2026-03-02; what changed since has not been seen."
    )
    course.take(deliver(course.lives, 1, course.life(COUNT.key).version, NOW + 3 * HOUR))
    assert said().startswith("Delivered to your clinic, confirmed by 12:00")
    course.step(NOW + 5 * HOUR)
    assert said().startswith("Your clinic has an older state of this, confirmed by 12:00")


def test_the_events_alone_give_the_state(course: Course) -> None:
    course.step(NOW, FEVER, HEART, flag(FlagKind.FEVER_REPEAT))
    course.take(acknowledge(course.lives, 1, "A. Nurse", NOW + MINUTE))
    course.step(NOW + 30 * HOUR)
    back = rebuilt(course.events)
    assert {key: life.state for key, life in back.by_key.items()} == {
        key: life.state for key, life in course.lives.by_key.items()
    }


# ---- the data -------------------------------------------------------------------------------------------


def test_every_threshold_has_a_mark_and_a_source() -> None:
    rows = [row for table in RULES.tables.values() for row in table.values()]
    assert rows
    assert all(row.mark in {"P", "S", "C", "A"} and row.source for row in rows)


def test_a_program_may_state_its_own_and_keeps_the_rest() -> None:
    program = load_program("neutropenia")
    shorter = {"alarm_snooze": {"longest_hours": Threshold(1.0, "C", "a site's plan")}}
    own = alarm_rules(replace(program, thresholds={**program.thresholds, **shorter}))
    assert own.value("alarm_snooze", "longest_hours") == 1.0
    assert own.value("alarm_snooze", "most_times") == alarm_rules(program).value("alarm_snooze", "most_times") == 2.0
    assert alarm_rules(program).value("alarm_snooze", "longest_hours") == 12.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e7])
def test_a_threshold_that_no_time_can_have_is_refused_when_it_is_read(value: float) -> None:
    program = load_program("neutropenia")
    wrong = {"alarm_hold": {"now_minutes": Threshold(value, "C", "a mistake")}}
    with pytest.raises(ProgramError) as caught:
        alarm_rules(replace(program, thresholds={**program.thresholds, **wrong}))
    assert caught.value.reason == "malformed"


@settings(max_examples=50)
@given(st.text(max_size=60), st.sampled_from(("supersedes", "requests", "budgeted", "alarm_hold", "schema")))
def test_any_pack_is_rules_or_a_typed_error(junk: str, name: str) -> None:
    shipped = PACK.read_text(encoding="utf-8")
    for text in (junk, shipped.replace(name, junk), shipped.replace("value = ", f"value = {junk}")):
        with contextlib.suppress(ProgramError):
            read_alarm_rules(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schema = 'edge-twin.rules/9'", "schema_unsupported"),
        ("schema = 'edge-twin.rules/1'", "malformed"),
        ("not toml", "malformed"),
    ],
)
def test_a_broken_pack_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        read_alarm_rules(text)
    assert caught.value.reason == reason
