"""A flag that has not earned trust: kept, told to nobody, escalated to nobody, in nobody's way."""

from __future__ import annotations

from datetime import timedelta

from edge_twin.flag import FlagKind
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.life import Act, Life, LifeState, Lives, Silence
from edge_twin.flags.lifecycle import follow, nothing_held_back, tick
from tests.unit.test_flag_life import COUNT, NOW, flag

RULES = alarm_rules()
FORECAST = flag(FlagKind.NEUTROPENIA_FORECAST, probability=0.6)


def silent(life: Life) -> Silence:
    return Silence.SILENT if life.kind in {FORECAST.kind, COUNT.kind} else Silence.NONE


def test_it_is_suppressed_once_and_told_when_trust_is_given() -> None:
    first = follow(Lives(), [FORECAST], NOW, RULES, silent)
    assert [event.act for event in first.events] == [Act.RAISED, Act.SUPPRESSED]
    again = follow(first.lives, [FORECAST], NOW + timedelta(minutes=15), RULES, silent)
    assert again.events == ()
    trusted = follow(again.lives, [FORECAST], NOW + timedelta(minutes=30), RULES, nothing_held_back)
    assert [event.act for event in trusted.events] == [Act.NOTIFIED]


def test_when_trust_is_taken_nobody_is_asked_any_more() -> None:
    told = follow(Lives(), [FORECAST], NOW, RULES, nothing_held_back)
    late = NOW + timedelta(hours=3)
    assert Act.ESCALATED in {event.act for event in tick(told.lives, late, RULES, nothing_held_back).events}
    assert tick(told.lives, late, RULES, silent).events == ()


def test_it_takes_no_other_flags_place() -> None:
    """A measured count replaces the forecast of it; were it held back, the forecast would stay."""

    def only_the_stronger(life: Life) -> Silence:
        return Silence.SILENT if life.kind is COUNT.kind else Silence.NONE

    usual = follow(Lives(), [FORECAST, COUNT], NOW, RULES, nothing_held_back)
    assert usual.lives.by_key[FORECAST.key].state is LifeState.SUPERSEDED
    held = follow(Lives(), [FORECAST, COUNT], NOW, RULES, only_the_stronger)
    assert held.lives.by_key[FORECAST.key].state is LifeState.RAISED
