"""The life cycle under any order of steps, clocks, people and restarts (hypothesis): what must always hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from edge_twin.errors import LifeError
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.life import Act, Event, LifeState, Lives, Silence, Step, rebuilt
from edge_twin.flags.lifecycle import acknowledge, close, deliver, follow, see, snooze, tick
from edge_twin.store import Store
from tests.unit.test_flag_life import flag
from tests.unit.test_flag_store import comparable

RULES = alarm_rules()
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KINDS = (
    FlagKind.FEVER,
    FlagKind.FEVER_REPEAT,
    FlagKind.NEUTROPHILS_LOW,
    FlagKind.NEUTROPENIA_FORECAST,
    FlagKind.RESTING_HEART_RATE,
    FlagKind.BASELINE_CHANGE,
    FlagKind.SEPSIS_SCREEN,
    FlagKind.EARLY_WARNING_SCORE,
)
flags = st.builds(
    flag,
    st.sampled_from(KINDS),
    st.sampled_from(Urgency),
    probability=st.sampled_from((None, 0.4, 0.43, 0.6)),
    reading=st.sampled_from((1.0, 2.0)),
    topic=st.sampled_from(("", "a")),
)
gaps = st.sampled_from([timedelta(minutes=m) for m in (0, 1, 5, 15, 60, 121, 480, 1441, 10_081, -30, -1500)])


@contextmanager
def refused(*reasons: str) -> Iterator[None]:
    """An act may be refused for these reasons and no other."""
    try:
        yield
    except LifeError as error:
        if error.reason not in reasons:
            raise


class LifeMachine(RuleBasedStateMachine):
    """Steps, clocks and people in any order, on a real store."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "edge-twin.db"
        self.now = START
        self.memory = Lives()
        self.history: list[Event] = []

    @initialize()
    def open(self) -> None:
        self.store = Store(self.path)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def keep(self, step: Step) -> Step:
        """Both ways at once: in memory, and through the store."""
        with self.store.transaction():
            self.store.flags.keep(self.store.flags.lives(), step)
        self.memory = step.lives
        self.history += step.events
        return step

    @rule(gap=gaps, holding=st.lists(flags, max_size=5))
    def steps(self, gap: timedelta, holding: list[Flag]) -> None:
        self.now += gap
        before = self.memory
        step = self.keep(follow(before, holding, self.now, RULES))
        told = {event.key for event in step.events if event.act is Act.NOTIFIED}
        for held in holding:
            life = self.memory.by_key[held.key]
            covered = life.superseded_by and self.memory.by_key[life.superseded_by].is_open
            assert life.is_open or covered or life.closed_by, "a flag that holds is up, covered or closed by a person"
            if held.urgency is Urgency.NOW and not life.closed_by:
                assert life.is_open, "call now is never replaced"
                assert life.shown_urgency is Urgency.NOW
                was = before.by_key.get(held.key)
                fresh = was is None or not was.is_open or was.urgency is not Urgency.NOW
                assert not fresh or held.key in told, "call now is told in the step in which it goes up"

    @rule(gap=gaps)
    def ticks(self, gap: timedelta) -> None:
        self.now += gap
        self.keep(tick(self.memory, self.now, RULES))

    @rule(number=st.integers(1, 12))
    def acknowledges(self, number: int) -> None:
        with refused("not_found", "not_open"):
            self.keep(acknowledge(self.memory, number, "A. Nurse", self.now))

    @rule(number=st.integers(1, 12), hours=st.sampled_from((-1, 1, 12, 13)))
    def snoozes(self, number: int, hours: int) -> None:
        length = timedelta(hours=hours)
        with refused("not_found", "not_open", "urgent", "bad_length", "too_long", "too_often"):
            self.keep(snooze(self.memory, number, self.now, RULES, who="A. Nurse", length=length))

    @rule(number=st.integers(1, 12))
    def closes(self, number: int) -> None:
        with refused("not_found", "not_open"):
            self.keep(close(self.memory, number, "Dr. B", self.now))

    @rule(number=st.integers(1, 12), version=st.integers(1, 3))
    def delivers_and_sees(self, number: int, version: int) -> None:
        with refused("not_found"):
            self.keep(deliver(self.memory, number, version, self.now))
            self.keep(see(self.memory, number, "A. Nurse", version, self.now))

    @rule()
    def restarts(self) -> None:
        self.store.close()
        self.store = Store(self.path)
        self.memory = self.store.flags.lives()

    @invariant()
    def the_store_holds_what_is_in_memory_and_the_events_give_both(self) -> None:
        if not hasattr(self, "store"):
            return
        kept, back = self.store.flags.lives(), rebuilt(self.store.flags.events())
        assert kept.by_key.keys() == self.memory.by_key.keys() == back.by_key.keys()
        for key, life in self.memory.by_key.items():
            assert comparable(kept, key) == comparable(self.memory, key) == comparable(back, key)
            assert kept.by_key[key].held == life.held
        assert kept.next_id == back.next_id == self.memory.next_id

    @invariant()
    def at_most_one_row_of_a_key_is_up_and_no_flag_is_lost(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = self.store.flags.all()
        up = [life.key for life in rows if life.is_open]
        assert len(up) == len(set(up))
        raised = [event.flag for event in self.history if event.act is Act.RAISED]
        assert sorted(raised) == sorted(life.id for life in rows)

    @invariant()
    def call_now_is_never_silent(self) -> None:
        for life in self.memory.by_key.values():
            if life.is_open and life.urgency is Urgency.NOW:
                assert life.state is not LifeState.SNOOZED
                assert life.silenced is Silence.NONE
                assert life.alerted is not None

    @invariant()
    def the_budget_is_kept(self) -> None:
        for first in self.memory.counted:
            window = [at for at in self.memory.counted if first <= at < first + RULES.budget_window]
            assert len(window) <= RULES.allowance


def limits(examples: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def test_any_order() -> None:
    run_state_machine_as_test(LifeMachine, settings=limits(12))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_any_order_for_long() -> None:
    run_state_machine_as_test(LifeMachine, settings=limits(400))
