"""Flags in the store: the first schema opens and keeps its rows, and what is written is what was folded."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin.deadman import Heartbeat
from edge_twin.flag import FlagKind, Urgency
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.life import LifeState, Lives, Step, rebuilt
from edge_twin.flags.lifecycle import acknowledge, follow, tick
from edge_twin.store import Store
from edge_twin.store_times import to_us
from edge_twin.wording import english
from tests.unit.test_flag_life import COUNT, FEVER, HEART

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RULES = alarm_rules()

# The statements of the first schema, as its code ran them.
FIRST_SCHEMA = """
    CREATE TABLE _sqlite_migrations(
        id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT, UNIQUE(migration_set, name));
    INSERT INTO _sqlite_migrations(migration_set, name, applied_at)
        VALUES ('edge_twin', 'm001_first_schema', '2026-01-01');
    CREATE TABLE observations(
        id TEXT PRIMARY KEY, code TEXT NOT NULL, value REAL NOT NULL, time_us INTEGER NOT NULL,
        source TEXT NOT NULL, quality TEXT NOT NULL, origin TEXT NOT NULL, attributes TEXT NOT NULL,
        sequence INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX observations_by_code ON observations(code, time_us);
    CREATE TABLE events(
        time_us INTEGER NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, detail TEXT NOT NULL, until_us INTEGER);
    CREATE TABLE features(
        name TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, value REAL, unit TEXT NOT NULL,
        count INTEGER NOT NULL, valid_share REAL NOT NULL, reason TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 1, sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(name, start_us));
    CREATE TABLE flags(
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, raised_us INTEGER NOT NULL, withdrawn_us INTEGER,
        urgency TEXT NOT NULL, probability REAL, body TEXT NOT NULL,
        sent INTEGER NOT NULL DEFAULT 0 /* 0 nothing, 1 its raising, 2 its withdrawal too */);
    CREATE TABLE forecasts(made_us INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE comparisons(
        observation TEXT PRIMARY KEY, value REAL NOT NULL, lower REAL NOT NULL, upper REAL NOT NULL,
        made_us INTEGER NOT NULL);
    CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def old_body(kind: str, urgency: str) -> str:
    """A flag as the first schema kept it."""
    form = {
        "kind": kind, "time": "2026-03-02T09:00:00Z", "urgency": urgency, "action": "Call your team now.",
        "reason": "Temperature 38.4 °C by mouth.", "origin": "device", "probability": None,
        "evidence": [{"name": "body_temperature", "value": 38.4, "unit": "Cel", "time": "2026-03-02T09:00:00Z",
                      "origin": "device"}],
    }  # fmt: skip
    return json.dumps(form)


OLD_ROWS = (
    ("fever_repeat_reading", to_us(NOW), to_us(NOW) + 1, "attention", 2),
    ("fever_under_chemotherapy", to_us(NOW), None, "urgent", 1),
    ("anc_below_0_5_within_7_days", to_us(NOW), None, "soon", 0),
    ("forecast_mismatch", to_us(NOW), None, "attention", 1),
    ("resting_heart_rate_above_baseline", to_us(NOW), None, "attention", 0),
)


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST_SCHEMA)
        connection.execute("INSERT INTO counters VALUES ('event_gap', 3)")
        for kind, raised, withdrawn, urgency, sent in OLD_ROWS:
            connection.execute(
                "INSERT INTO flags(kind, raised_us, withdrawn_us, urgency, body, sent) VALUES (?, ?, ?, ?, ?, ?)",
                (kind, raised, withdrawn, urgency, old_body(kind, urgency), sent),
            )
    connection.close()
    return path


def test_the_first_schema_opens_and_keeps_its_rows(old_file: Path) -> None:
    store = Store(old_file)
    lives = {life.kind: life for life in store.flags.all()}
    assert [life.id for life in store.flags.all()] == [1, 2, 3, 4, 5]
    assert {kind: life.urgency for kind, life in lives.items()} == {
        FlagKind.FEVER_REPEAT: Urgency.TODAY,
        FlagKind.FEVER: Urgency.NOW,
        FlagKind.NEUTROPENIA_FORECAST: Urgency.TODAY,
        FlagKind.FORECAST_MISMATCH: Urgency.THIS_WEEK,
        FlagKind.RESTING_HEART_RATE: Urgency.TODAY,
    }
    assert lives[FlagKind.FEVER_REPEAT].state is LifeState.RESOLVED
    assert lives[FlagKind.FEVER].form["reason"] == "Temperature 38.4 °C by mouth."
    assert [life.id for life in store.flags.unsent()] == [3, 5]
    assert store.counters() == {"event_gap": 3}
    assert store.flags.heartbeat() is None
    store.close()


def test_events_of_the_first_schema_are_told_as_they_were(old_file: Path) -> None:
    store = Store(old_file)
    back, kept = rebuilt(store.flags.events()), store.flags.lives()
    assert {key: comparable(back, key) for key in back.by_key} == {key: comparable(kept, key) for key in kept.by_key}
    store.close()


def test_old_flags_go_on_living(old_file: Path) -> None:
    store = Store(old_file)
    later = NOW + timedelta(hours=1)
    before = store.flags.lives()
    step = follow(before, [FEVER], later, RULES)
    store.flags.keep(before, step)
    assert "raised" not in [event.act.value for event in step.events]
    assert store.flags.lives().by_key["fever_under_chemotherapy"].id == 2
    store.close()
    again = Store(old_file)  # and the migration ran once
    assert len(again.flags.all()) == len(OLD_ROWS)
    again.close()


def test_an_old_sentence_is_a_message_of_one_argument(old_file: Path) -> None:
    store = Store(old_file)
    form = store.flags.all()[1].form
    assert form["messages"]["action"] == [{"id": "alarms.earlier", "arguments": {"text": "Call your team now."}}]
    assert english([]) == ""
    store.close()


# ---- writing and reading --------------------------------------------------------------------------------


def comparable(lives: Lives, key: str) -> dict[str, object]:
    """A life without what is not part of the history."""
    life = lives.by_key[key]
    values = {name: getattr(life, name) for name in life.__dataclass_fields__ if name not in {"held", "peak_held"}}
    return {**values, "form": json.loads(json.dumps(life.form))}


def keep(store: Store, step: Step, before: Lives) -> Lives:
    store.flags.keep(before, step)
    return store.flags.lives()


def test_what_was_written_comes_back_and_its_events_give_it_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "edge-twin.db")
    lives = keep(store, follow(store.flags.lives(), [FEVER, COUNT, HEART], NOW, RULES), store.flags.lives())
    lives = keep(store, acknowledge(lives, 1, "A. Nurse", NOW), lives)
    lives = keep(store, tick(lives, NOW + timedelta(hours=9), RULES), lives)
    lives = keep(store, follow(lives, [COUNT], NOW + timedelta(hours=30), RULES), lives)
    back = rebuilt(store.flags.events())
    assert back.next_id == lives.next_id
    assert back.counted == lives.counted
    for key in lives.by_key:
        assert comparable(back, key) == comparable(lives, key)
    assert lives.by_key[COUNT.key].held == NOW + timedelta(hours=30)
    store.close()


def test_alerts_are_counted_by_class(tmp_path: Path) -> None:
    store = Store(tmp_path / "edge-twin.db")
    keep(store, follow(store.flags.lives(), [FEVER, COUNT, HEART], NOW, RULES), store.flags.lives())
    assert store.flags.alerts(NOW, NOW + timedelta(days=1)) == {"budgeted": 1, "rule": 1, "urgent": 1}
    assert store.flags.alerts(NOW - timedelta(days=1), NOW) == {}
    store.close()


def test_the_newest_heartbeat_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "edge-twin.db")
    for hour in (0, 1):
        step = NOW + timedelta(hours=hour)
        store.flags.beat(Heartbeat(step, step + timedelta(minutes=16)))
    assert store.flags.heartbeat() == Heartbeat(NOW + timedelta(hours=1), NOW + timedelta(hours=1, minutes=16))
    store.close()
