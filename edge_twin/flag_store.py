"""Flags in the store: where each stands, and every event that brought it there.

``flags`` holds one row for each life (:class:`~edge_twin.flags.life.Life`), ``flag_events`` what happened to it.
All methods run in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlite_utils import Database

from edge_twin.deadman import Heartbeat
from edge_twin.flag import Urgency
from edge_twin.flag_reading import earlier_urgency
from edge_twin.flags.alarm_rules import Level
from edge_twin.flags.life import Act, Due, Event, Life, LifeState, Lives, Silence, Step
from edge_twin.jsonform import canonical
from edge_twin.store_times import from_us, maybe_time, maybe_us, to_us

COUNTED = timedelta(days=366)  # alerts that a budget may still count; no window is longer

_TIMES = frozenset(("alerted", "last_alert", "acknowledged", "snoozed_until", "delivered", "seen"))
_WORDS: Mapping[str, type[Due | Silence | Urgency | Level]] = {
    "due": Due,
    "silenced": Silence,
    "last_alert_urgency": Urgency,
    "level": Level,
}
_COLUMNS = frozenset(
    ("id", "key", "raised", "form", "changed", "held", "peak_held", "state", "version", "closed"),
)
_REST = tuple(field.name for field in fields(Life) if field.name not in _COLUMNS)


def add_flag_life(database: Database) -> None:
    """Keys, states and versions of flags, their events, and the runtime's heartbeat.

    A flag of the first schema keeps its number; its urgency is put in today's words, and its sentences become
    messages of one argument. It counts as handed over exactly as far as it was.
    """
    for column in ("key TEXT", "state TEXT", "version INTEGER", "changed_us INTEGER", "held_us INTEGER"):
        database.execute(f"ALTER TABLE flags ADD COLUMN {column}")
    for column in ("peak_held_us INTEGER", "rest TEXT NOT NULL DEFAULT '{}'"):
        database.execute(f"ALTER TABLE flags ADD COLUMN {column}")
    for statement in _STATEMENTS:
        database.execute(statement)
    for row in list(database.query("SELECT * FROM flags ORDER BY id")):
        _carry_over(database, row)


_STATEMENTS = (
    "CREATE INDEX flags_by_key ON flags(key, id)",
    """CREATE TABLE flag_events(
        n INTEGER PRIMARY KEY, flag INTEGER NOT NULL, key TEXT NOT NULL, act TEXT NOT NULL, at_us INTEGER NOT NULL,
        by TEXT NOT NULL, detail TEXT NOT NULL, until_us INTEGER, body TEXT)""",
    "CREATE INDEX flag_events_by_act ON flag_events(act, at_us)",
    """CREATE TABLE flag_messages(
        flag INTEGER NOT NULL, version INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY(flag, version))""",
    """CREATE TABLE heartbeat(
        id INTEGER PRIMARY KEY CHECK(id = 1), step_us INTEGER NOT NULL, expected_us INTEGER NOT NULL)""",
)


def _carry_over(database: Database, row: Mapping[str, Any]) -> None:
    """A row of the first schema as a life with its events."""
    old = json.loads(row["body"])
    kind, word = row["kind"], row["urgency"]
    urgency = earlier_urgency(kind, word)
    body = canonical(_earlier_form(old, urgency)).decode()
    closed, version = row["withdrawn_us"], 1 if row["withdrawn_us"] is None else 2
    state = LifeState.RAISED if closed is None else LifeState.RESOLVED
    at = row["raised_us"]
    database.execute(
        """UPDATE flags SET key = kind, urgency = ?, body = ?, state = ?, version = ?, changed_us = ?, held_us = ?,
        peak_held_us = ?, rest = ? WHERE id = ?""",
        (urgency, body, state, version, at, closed or at, closed or at, _told_at(at, urgency), row["id"]),
    )
    events = [(Act.RAISED, at, "", body), (Act.NOTIFIED, at, "rule", None)]
    events += [] if closed is None else [(Act.RESOLVED, closed, "", None)]
    for act, when, detail, said in events:
        sql = "INSERT INTO flag_events(flag, key, act, at_us, by, detail, body) VALUES (?, ?, ?, ?, '', ?, ?)"
        database.execute(sql, (row["id"], kind, act, when, detail, said))


def _told_at(at: int, urgency: Urgency) -> str:
    """A flag of the first schema was told when it went up."""
    return json.dumps({"alerted": at, "last_alert": at, "last_alert_urgency": urgency})


def _earlier_form(old: Mapping[str, Any], urgency: Urgency) -> dict[str, Any]:
    parts = ("action", "reason", "clinician", "would_change", "limits", "data_quality")
    texts = {part: str(old.get(part, "")) for part in parts}
    messages = {part: _earlier_message(text) for part, text in texts.items()}
    new: dict[str, Any] = {"topic": "", "horizon": None, "contributions": [], "bound": None, "ctcae": []}
    return {**new, "evidence": [], **old, **texts, "urgency": urgency, "messages": old.get("messages") or messages}


def _earlier_message(text: str) -> list[dict[str, Any]]:
    return [{"id": "alarms.earlier", "arguments": {"text": text}}] if text else []


class FlagStore:
    """Flags of one device.

    Args:
        database: the store's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def lives(self) -> Lives:
        """Where the flags stand: the newest life of every key."""
        newest = "SELECT * FROM flags WHERE id IN (SELECT max(id) FROM flags GROUP BY key) ORDER BY id"
        found = [_life(row) for row in self._database.query(newest)]
        (highest,) = self._database.query("SELECT coalesce(max(id), 0) AS id FROM flags")
        return Lives({life.key: life for life in found}, self._counted(), highest["id"] + 1)

    def _counted(self) -> tuple[datetime, ...]:
        (last,) = self._database.query("SELECT coalesce(max(at_us), 0) AS us FROM flag_events")
        since = last["us"] - COUNTED // timedelta(microseconds=1)
        sql = "SELECT at_us FROM flag_events WHERE act = 'notified' AND detail = 'budgeted' AND at_us >= ? ORDER BY n"
        return tuple(from_us(row["at_us"]) for row in self._database.query(sql, [since]))

    def keep(self, before: Lives, step: Step) -> None:
        """Write what a step changed.

        Args:
            before: as :meth:`lives` gave it in this transaction.
            step: what followed from it.
        """
        for event in step.events:
            self._add(event)
        for key, life in step.lives.by_key.items():
            was = before.by_key.get(key)
            if was is None or replace(was, held=life.held, peak_held=life.peak_held) != life:
                self._put(life)
            elif life is not was:
                self._touch(life)

    def _touch(self, life: Life) -> None:
        """It holds on and nothing else: that is what most steps say of most flags."""
        row = (to_us(life.held), to_us(life.peak_held), life.id)
        self._database.execute("UPDATE flags SET held_us = ?, peak_held_us = ? WHERE id = ?", row)

    def _add(self, event: Event) -> None:
        body = None if event.form is None else canonical(event.form).decode()
        row = (event.flag, event.key, event.act, to_us(event.at), event.by, event.detail, maybe_us(event.until), body)
        sql = """INSERT INTO flag_events(flag, key, act, at_us, by, detail, until_us, body)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
        self._database.execute(sql, row)

    def _put(self, life: Life) -> None:
        row = (
            life.id, life.kind, to_us(life.raised), maybe_us(life.closed), life.urgency, life.form["probability"],
            canonical(life.form).decode(), life.key, life.state, life.version, to_us(life.changed), to_us(life.held),
            to_us(life.peak_held), _rest(life),
        )  # fmt: skip
        sql = """
            INSERT INTO flags(id, kind, raised_us, withdrawn_us, urgency, probability, body, key, state, version,
                changed_us, held_us, peak_held_us, rest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(id) DO UPDATE SET withdrawn_us=excluded.withdrawn_us, urgency=excluded.urgency,
                probability=excluded.probability, body=excluded.body, state=excluded.state, version=excluded.version,
                changed_us=excluded.changed_us, held_us=excluded.held_us, peak_held_us=excluded.peak_held_us,
                rest=excluded.rest"""
        self._database.execute(sql, row)

    def unsent(self) -> tuple[Life, ...]:
        """Flags of which the outbox does not have the newest version, oldest first."""
        sql = "SELECT * FROM flags WHERE sent < version ORDER BY raised_us, id"
        return tuple(_life(row) for row in self._database.query(sql))

    def mark_sent(self, lives: Iterable[Life]) -> None:
        """Note the hand-over of these versions, in the same transaction."""
        for life in lives:
            self._database.execute("UPDATE flags SET sent = ? WHERE id = ?", (life.version, life.id))

    def all(self) -> tuple[Life, ...]:
        """Every flag ever raised, oldest first."""
        return tuple(_life(row) for row in self._database.query("SELECT * FROM flags ORDER BY raised_us, id"))

    def events(self, flag: int | None = None) -> Iterator[Event]:
        """What happened, oldest first; to one flag or to all."""
        where, values = ("", []) if flag is None else ("WHERE flag = ?", [flag])
        for row in self._database.query(f"SELECT * FROM flag_events {where} ORDER BY n", values):  # noqa: S608 - a constant
            yield _event(row)

    def alerts(self, since: datetime, until: datetime) -> dict[str, int]:
        """Alerts made with ``since <= time < until``, by class, and those not made, by reason."""
        sql = """SELECT detail, count(*) AS n FROM flag_events WHERE act IN ('notified', 'suppressed') AND at_us >= ?
            AND at_us < ? GROUP BY detail ORDER BY detail"""
        rows = self._database.query(sql, [to_us(since), to_us(until)])
        return {row["detail"]: row["n"] for row in rows}

    # ---- on their way to the clinic -----------------------------------------------------------------

    def note_message(self, flag: int, version: int, message: str) -> None:
        """Remember which message carries a version of a flag, until it is known to have arrived."""
        self._database.execute("INSERT OR REPLACE INTO flag_messages VALUES (?, ?, ?)", (flag, version, message))

    def messages(self) -> tuple[tuple[int, int, str], ...]:
        """Flag, version and message of everything that is not known to have arrived, oldest first."""
        rows = self._database.query("SELECT * FROM flag_messages ORDER BY flag, version")
        return tuple((row["flag"], row["version"], row["message"]) for row in rows)

    def forget_message(self, flag: int, version: int) -> None:
        """It arrived."""
        self._database.execute("DELETE FROM flag_messages WHERE flag = ? AND version = ?", (flag, version))

    # ---- the runtime's heartbeat --------------------------------------------------------------------

    def beat(self, heartbeat: Heartbeat) -> None:
        """Leave the heartbeat of a completed step."""
        row = (to_us(heartbeat.step), to_us(heartbeat.expected))
        self._database.execute("INSERT OR REPLACE INTO heartbeat VALUES (1, ?, ?)", row)

    def heartbeat(self) -> Heartbeat | None:
        """The newest heartbeat, or None."""
        rows = self._database.query("SELECT * FROM heartbeat")
        return next((Heartbeat(from_us(row["step_us"]), from_us(row["expected_us"])) for row in rows), None)


def _rest(life: Life) -> str:
    values = {name: getattr(life, name) for name in _REST}
    packed = {name: to_us(value) if isinstance(value, datetime) else value for name, value in values.items()}
    return json.dumps({name: value for name, value in packed.items() if value not in ("", None, 0)}, sort_keys=True)


def _life(row: Mapping[str, Any]) -> Life:
    return Life(
        id=row["id"],
        key=row["key"],
        raised=from_us(row["raised_us"]),
        form=json.loads(row["body"]),
        changed=from_us(row["changed_us"]),
        held=from_us(row["held_us"]),
        peak_held=from_us(row["peak_held_us"]),
        state=LifeState(row["state"]),
        version=row["version"],
        closed=maybe_time(row["withdrawn_us"]),
        **{name: _unpacked(name, value) for name, value in json.loads(row["rest"]).items()},
    )


def _unpacked(name: str, value: Any) -> Any:  # noqa: ANN401 - fields of Life
    if name in _TIMES:
        return from_us(value)
    return _WORDS[name](value) if name in _WORDS else value


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        flag=row["flag"],
        key=row["key"],
        act=Act(row["act"]),
        at=from_us(row["at_us"]),
        by=row["by"],
        detail=row["detail"],
        until=maybe_time(row["until_us"]),
        form=None if row["body"] is None else json.loads(row["body"]),
    )
