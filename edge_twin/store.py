"""The store on the device: SQLite (WAL) with versioned migrations.

One writer thread owns a :class:`Store`. Rows are written in the caller's transaction, and other rooms
(the outbox) may join it through :attr:`Store.database`, so that a feature and the message that carries
it away are committed together or not at all. Times are integer microseconds since 1970, UTC.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database, Migrations

from edge_twin import codes
from edge_twin.contract import Coverage
from edge_twin.errors import StoreError
from edge_twin.features import Feature
from edge_twin.features.late import is_correction
from edge_twin.flag_store import FlagStore, add_flag_life
from edge_twin.jsonform import plain
from edge_twin.ledger_store import LedgerStore, add_ledger
from edge_twin.observation import DeviceEvent, Observation, Origin, Quality, observe
from edge_twin.store_times import from_us, maybe_time, to_us

migrations = Migrations("edge_twin")


@migrations()
def m001_first_schema(database: Database) -> None:
    """Observations, events, features, flags, forecasts and the comparison of forecasts with counts."""
    database.executescript("""
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
    """)


@migrations()
def m002_corrected_features(database: Database) -> None:
    """When a settled feature was last corrected, and the numbers that corrections replaced."""
    database.executescript("""
        ALTER TABLE features ADD COLUMN corrected_us INTEGER;
        CREATE TABLE superseded_features(
            name TEXT NOT NULL, start_us INTEGER NOT NULL, version INTEGER NOT NULL, value REAL,
            count INTEGER NOT NULL, valid_share REAL NOT NULL, reason TEXT NOT NULL, replaced_us INTEGER NOT NULL,
            PRIMARY KEY(name, start_us, version)) WITHOUT ROWID;
    """)


@migrations()
def m003_flag_life(database: Database) -> None:
    """Keys, states, versions and events of flags, and the runtime's heartbeat."""
    add_flag_life(database)


@migrations()
def m004_ledger(database: Database) -> None:
    """The hash chain of promises and outcomes."""
    add_ledger(database)


KNOWN_MIGRATIONS = frozenset(("m001_first_schema", "m002_corrected_features", "m003_flag_life", "m004_ledger"))


class Store:
    """The device's database.

    Attributes:
        database: for other rooms that join a transaction.
        flags: the flags in it.
        ledger: the hash chain of promises and outcomes in it.

    Args:
        path: file, made if absent.

    Raises:
        StoreError: ``unavailable`` when the file cannot be opened, ``schema_newer`` when a later version
            of the program wrote it.
    """

    def __init__(self, path: Path) -> None:
        try:
            # The runtime computes in worker threads but touches the store in one at a time.
            connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
            self.database = Database(connection, execute_plugins=False)
            self.database.enable_wal()
            self.database.execute("PRAGMA synchronous=FULL")
            _refuse_newer(self.database)
            migrations.apply(self.database)
            self.flags = FlagStore(self.database)
            self.ledger = LedgerStore(self.database)
        except sqlite3.Error as error:
            raise StoreError(f"cannot open {path.name}: {error}", reason="unavailable") from error

    def close(self) -> None:
        """Release the file."""
        self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested use makes savepoints.

        The outermost one takes the write lock first: a transaction that read before it wrote could meet a
        writer in another thread half-way (SQLITE_BUSY_SNAPSHOT), and waiting would not help it.

        Raises:
            StoreError: ``disk_full`` or ``database`` when SQLite refuses; nothing of the block is kept.
        """
        nested = self.database.conn.in_transaction
        try:
            if nested:
                with self.database.atomic():
                    yield
                return
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.commit()
            except BaseException:
                self.database.rollback()
                raise
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
            raise StoreError(str(error), reason="disk_full" if full else "database") from error

    # ---- observations -------------------------------------------------------------------------------

    def add_observations(self, observations: Iterable[Observation]) -> list[Observation]:
        """Keep readings; returns those that were not there yet."""
        return [o for o in observations if self._add_observation(o)]

    def _add_observation(self, o: Observation) -> bool:
        row = (
            o.id,
            o.code.name,
            o.value,
            to_us(o.time),
            o.source,
            o.quality,
            o.origin,
            _text(o.attributes),
            o.sequence,
        )
        sql = "INSERT OR IGNORE INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        return self.database.execute(sql, row).rowcount == 1

    def observations(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        code: codes.Code | None = None,
        without: Iterable[codes.Code] = (),
    ) -> tuple[Observation, ...]:
        """Readings with ``since <= time < until``, oldest first; all codes but ``without`` when ``code`` is None."""
        low = to_us(since) if since else -(2**62)
        high = to_us(until) if until else 2**62
        left_out = {unwanted.name for unwanted in without}
        names = (code.name,) if code else tuple(name for name in codes.names() if name not in left_out)
        marks = ", ".join("?" * len(names))
        sql = f"SELECT * FROM observations WHERE code IN ({marks}) AND time_us >= ? AND time_us < ?"  # noqa: S608 - only question marks are put in
        found = [_observation(row) for row in self.database.query(sql, [*names, low, high])]
        return tuple(sorted(found, key=lambda o: (o.time, o.source, o.code.code, o.sequence)))

    def first_observation(
        self, code: codes.Code, *, since: datetime, until: datetime | None = None
    ) -> Observation | None:
        """The oldest reading with ``since <= time < until``, or None."""
        sql = "SELECT * FROM observations WHERE code = ? AND time_us >= ? AND time_us < ? ORDER BY time_us LIMIT 1"
        rows = self.database.query(sql, [code.name, to_us(since), to_us(until) if until else 2**62])
        return next((_observation(row) for row in rows), None)

    def first_time(self, since: datetime) -> datetime | None:
        """Time of the oldest reading at or after ``since``, of whatever kind; None without one."""
        found = (self.first_observation(code, since=since) for name in codes.names() if (code := codes.by_name(name)))
        return min((reading.time for reading in found if reading is not None), default=None)

    def observation_span(self) -> tuple[datetime, datetime] | None:
        """Times of the oldest and the newest reading, or None for an empty store."""
        row = next(iter(self.database.query("SELECT min(time_us) AS low, max(time_us) AS high FROM observations")))
        return None if row["low"] is None else (from_us(row["low"]), from_us(row["high"]))

    def observation_counts(self) -> dict[str, int]:
        """Number of readings of each kind."""
        rows = self.database.query("SELECT code, count(*) AS n FROM observations GROUP BY code ORDER BY code")
        return {row["code"]: row["n"] for row in rows}

    def add_events(self, events: Iterable[DeviceEvent]) -> None:
        """Keep what devices told besides values."""
        for event in events:
            until = to_us(event.until) if event.until else None
            row = (to_us(event.time), event.kind, event.source, event.detail, until)
            self.database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", row)

    # ---- features -----------------------------------------------------------------------------------

    def put_features(self, features: Iterable[Feature], at: datetime | None = None) -> int:
        """Keep new and changed features; a changed one supersedes its earlier version and is unsent again.

        Args:
            features: of any version; the store numbers its own.
            at: when they were made, aware UTC. A number of a settled period that they replace is kept beside
                (:meth:`superseded_features`), and its successor says when it was corrected. None tells neither.
        """
        return sum(self._put_feature(feature, at) for feature in features)

    def _put_feature(self, f: Feature, at: datetime | None) -> bool:
        corrected = None if at is None else self._correct(f, at)
        row = (f.name, to_us(f.start), to_us(f.end), f.value, f.unit, f.count, f.valid_share, f.reason, corrected)
        sql = """
            INSERT INTO features(name, start_us, end_us, value, unit, count, valid_share, reason, corrected_us)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(name, start_us) DO UPDATE SET end_us=excluded.end_us, value=excluded.value, unit=excluded.unit,
                count=excluded.count, valid_share=excluded.valid_share, reason=excluded.reason,
                version=version + 1, sent=0, corrected_us=coalesce(excluded.corrected_us, corrected_us)
            WHERE (end_us, value, count, valid_share, reason)
                IS NOT (excluded.end_us, excluded.value, excluded.count, excluded.valid_share, excluded.reason)"""
        return self.database.execute(sql, row).rowcount == 1

    def _correct(self, later: Feature, at: datetime) -> int | None:
        """Keep what a correction replaces; its time in microseconds, or None when ``later`` corrects nothing."""
        sql = "SELECT * FROM features WHERE name = ? AND start_us = ?"
        key = (later.name, to_us(later.start))
        for row in self.database.query(sql, key):
            if is_correction(_feature(row), later, at):
                kept = (*key, row["version"], row["value"], row["count"], row["valid_share"], row["reason"], to_us(at))
                self.database.execute("INSERT INTO superseded_features VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)
                return to_us(at)
        return None

    def superseded_features(self) -> list[dict[str, Any]]:
        """Numbers of settled periods that late or amended data replaced, by start, name and version.

        Each with ``name``, ``start``, ``version``, ``value``, ``count``, ``valid_share``, ``reason`` and ``replaced``.
        """
        rows = self.database.query("SELECT * FROM superseded_features ORDER BY start_us, name, version")
        return [
            {**row, "start": from_us(row.pop("start_us")), "replaced": from_us(row.pop("replaced_us"))} for row in rows
        ]

    def features(
        self,
        since: datetime | None = None,
        *,
        until: datetime | None = None,
        names: Iterable[str] | None = None,
        without: Iterable[str] = (),
    ) -> tuple[Feature, ...]:
        """The newest version of every feature with ``since <= start < until``, by start and name.

        Args:
            since: None for all.
            until: None for all.
            names: these alone; None for all.
            without: left out.
        """
        chosen = self._feature_names() if names is None else tuple(names)
        wanted = [name for name in chosen if name not in frozenset(without)]
        sql = f"""SELECT * FROM features WHERE name IN ({", ".join("?" * len(wanted))}) AND start_us >= ?
            AND start_us < ? ORDER BY start_us, name"""  # noqa: S608 - only question marks are put in
        low, high = to_us(since) if since else -(2**62), to_us(until) if until else 2**62
        return tuple(_feature(row) for row in self.database.query(sql, [*wanted, low, high]))

    def _feature_names(self) -> tuple[str, ...]:
        """By leaps through the primary key; DISTINCT would read every row."""
        sql = "SELECT min(name) AS name FROM features WHERE name > ?"
        found, name = [], ""
        while (name := next(iter(self.database.query(sql, [name])))["name"]) is not None:
            found.append(name)
        return tuple(found)

    def unsent_features(self, names: Iterable[str], ended_by: datetime) -> tuple[tuple[Feature, int], ...]:
        """Features whose period is over and whose newest version was not handed to the outbox, with that version."""
        wanted = list(names)
        sql = f"""SELECT * FROM features WHERE sent = 0 AND end_us <= ? AND name IN ({", ".join("?" * len(wanted))})
            ORDER BY start_us, name"""  # noqa: S608 - only question marks are put in
        return tuple((_feature(row), row["version"]) for row in self.database.query(sql, [to_us(ended_by), *wanted]))

    def mark_sent(self, features: Iterable[Feature]) -> None:
        """Note that these versions were handed to the outbox, in the same transaction as the hand-over."""
        for feature in features:
            key = (feature.name, to_us(feature.start))
            self.database.execute("UPDATE features SET sent = 1 WHERE name = ? AND start_us = ?", key)

    # ---- forecasts, comparisons ---------------------------------------------------------------------

    def put_forecast(self, made: datetime, form: dict[str, Any]) -> None:
        """Keep a step's output (as JSON form) under the time at which it was made."""
        body = json.dumps(form, separators=(",", ":"))
        self.database.execute("INSERT OR REPLACE INTO forecasts VALUES (?, ?)", (to_us(made), body))

    def forecasts(self) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """Every kept output, oldest first."""
        for row in self.database.query("SELECT * FROM forecasts ORDER BY made_us"):
            yield from_us(row["made_us"]), json.loads(row["body"])

    def compare(self, count: Observation, band: tuple[float, float], made: datetime) -> None:
        """Note how a count fared against the interval that had been forecast for it before it came."""
        # A limit contradicts the interval only when all of the interval lies above it.
        value = min(count.value, band[1]) if count.limit_sign else count.value
        row = (count.id, value, *band, to_us(made))
        self.database.execute("INSERT OR IGNORE INTO comparisons VALUES (?, ?, ?, ?, ?)", row)

    def coverage(self) -> Coverage:
        """How many counts were compared and how many lay inside."""
        sql = "SELECT count(*) AS seen, coalesce(sum(value BETWEEN lower AND upper), 0) AS inside FROM comparisons"
        row = next(iter(self.database.query(sql)))
        return Coverage(row["seen"], row["inside"])

    # ---- counters -----------------------------------------------------------------------------------

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter of what was refused, dropped or retried."""
        sql = "INSERT INTO counters VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = value + excluded.value"
        self.database.execute(sql, (name, by))

    def counters(self) -> dict[str, int]:
        """All counters."""
        return {row["name"]: row["value"] for row in self.database.query("SELECT * FROM counters ORDER BY name")}


def _text(attributes: object) -> str:
    return json.dumps(plain(attributes), sort_keys=True, ensure_ascii=False)


def _refuse_newer(database: Database) -> None:
    known = {migration.name for migration in migrations.applied(database)} | {
        migration.name for migration in migrations.pending(database)
    }
    unknown = known - KNOWN_MIGRATIONS
    if unknown:
        raise StoreError(f"the store was written by a newer version ({min(unknown)})", reason="schema_newer")


def _observation(row: dict[str, Any]) -> Observation:
    code = codes.by_name(row["code"])
    if code is None:
        raise StoreError(f"the store holds an unknown code {row['code']}", reason="unknown_code")
    return observe(
        code,
        row["value"],
        from_us(row["time_us"]),
        source=row["source"],
        quality=Quality(row["quality"]),
        origin=Origin(row["origin"]),
        attributes=json.loads(row["attributes"]),
        sequence=row["sequence"],
    )


def _feature(row: dict[str, Any]) -> Feature:
    return Feature(
        name=row["name"],
        value=row["value"],
        unit=row["unit"],
        start=from_us(row["start_us"]),
        end=from_us(row["end_us"]),
        count=row["count"],
        valid_share=row["valid_share"],
        reason=row["reason"],
        version=row["version"],
        corrected=maybe_time(row["corrected_us"]),
    )
