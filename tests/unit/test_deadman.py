"""The dead man's notice: at, below and above its limit, in words that ask for a deed (hazard HZ-DEADMAN-01)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from edge_twin.deadman import Heartbeat, check
from edge_twin.flag import FlagKind, Urgency
from edge_twin.flags.alarm_rules import alarm_rules

STEP = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EXPECTED = STEP + timedelta(minutes=16)
BERLIN = ZoneInfo("Europe/Berlin")
RULES = alarm_rules()
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("after", "stopped"), [(-SECOND, False), (timedelta(0), False), (SECOND, True)])
def test_hz_deadman_01_half_an_hour_after_the_missed_step(after: timedelta, *, stopped: bool) -> None:
    found = check(Heartbeat(STEP, EXPECTED), EXPECTED + timedelta(minutes=30) + after, BERLIN, RULES)
    assert (found is not None) is stopped


def test_it_says_since_when_and_what_to_do() -> None:
    found = check(Heartbeat(STEP, EXPECTED), STEP + timedelta(hours=5), BERLIN, RULES)
    assert found is not None
    assert (found.kind, found.urgency, found.time) == (FlagKind.RUNTIME_STOPPED, Urgency.TODAY, EXPECTED)
    assert found.action.startswith("Do not wait for this phone: measure your temperature")
    assert found.reason == (
        "This phone has not looked at your data since 10:00 on 2026-03-02. "
        "It should have looked by 10:16 on 2026-03-02."
    )
    assert "since 10:00 on 2026-03-02" in found.clinician
    assert found.bound is not None
    assert (found.bound.id, found.bound.value) == ("dead_man.grace_minutes", 30.0)


def test_a_runtime_that_never_looked_is_told() -> None:
    found = check(None, STEP, BERLIN, RULES)
    assert found is not None
    assert found.reason == "This phone has not looked at your data yet."


@pytest.mark.parametrize(("minutes", "told"), [(5, False), (5.01, True), (2000, True)])
def test_a_clock_that_was_set_back_is_told_and_not_taken_for_life(minutes: float, *, told: bool) -> None:
    found = check(Heartbeat(STEP, EXPECTED), STEP - timedelta(minutes=minutes), BERLIN, RULES)
    assert (found is not None) is told
    assert found is None or "cannot be said" in found.reason
