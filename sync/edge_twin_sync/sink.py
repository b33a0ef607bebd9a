"""Where the gateway keeps what arrived: SQLite here, behind a small interface for other databases.

``messages`` says what arrived, once; ``features``, ``flags`` and ``states`` hold the records in readable
columns; ``counters`` and ``audit`` what was refused. One transaction per group of messages.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from sqlite_utils import Database, Migrations

from edge_twin.jsonform import plain
from edge_twin.wording import english
from edge_twin_sync import timestamps
from edge_twin_sync.envelope import Header
from edge_twin_sync.flag_record import FlagStateRecord, todays_urgency
from edge_twin_sync.outbox import writing
from edge_twin_sync.records import DropRecord, FeatureRecord, FlagRecord, Record
from edge_twin_sync.state_record import StateRecord

MAX_AUDIT_ROWS: Final = 100_000  # a flood of forgeries is counted on, but does not fill the disk
_MIGRATIONS: Final = Migrations("edge_twin_central")

_MESSAGE: Final = ("dev", "epoch", "stream", "seq", "n")

MessageId = tuple[str, int, int, int]  # dev, epoch, stream, seq


@_MIGRATIONS()
def central_v1(db: Database) -> None:
    """Tables of the centre."""
    message = "dev TEXT, epoch INTEGER, stream INTEGER, seq INTEGER"
    record = f"{message}, n INTEGER"
    keys = ("PRIMARY KEY(dev, epoch, stream, seq)", "PRIMARY KEY(dev, epoch, stream, seq, n)")
    for statement in (
        (
            f"CREATE TABLE messages({message}, sha256 BLOB NOT NULL, schema INTEGER, device_ms INTEGER,"
            f" received_ms INTEGER, bytes INTEGER, reject INTEGER, {keys[0]}) WITHOUT ROWID"
        ),
        (
            f"CREATE TABLE features({record}, name TEXT, start_ms INTEGER, end_ms INTEGER, value REAL, unit TEXT,"
            f" quality TEXT, count INTEGER, supersedes TEXT, {keys[1]}) WITHOUT ROWID"
        ),
        (
            f"CREATE TABLE flags({record}, id TEXT, kind TEXT, time_ms INTEGER, urgency TEXT, probability REAL,"
            f" reason TEXT, withdrawn_ms INTEGER, {keys[1]}) WITHOUT ROWID"
        ),
        (
            f"CREATE TABLE states({record}, time_ms INTEGER, names TEXT, mean TEXT, covariance TEXT,"
            f" {keys[1]}) WITHOUT ROWID"
        ),
        (
            "CREATE TABLE gaps(dev TEXT, epoch INTEGER, stream INTEGER, low INTEGER, high INTEGER, cause TEXT,"
            " PRIMARY KEY(dev, epoch, stream, low, high)) WITHOUT ROWID"
        ),
        (
            "CREATE TABLE epoch_keys(dev TEXT, epoch INTEGER, announcement BLOB NOT NULL,"
            " PRIMARY KEY(dev, epoch)) WITHOUT ROWID"
        ),
        (
            "CREATE TABLE cursors(dev TEXT, epoch INTEGER, stream INTEGER, upto INTEGER NOT NULL,"
            " PRIMARY KEY(dev, epoch, stream)) WITHOUT ROWID"
        ),
        "CREATE TABLE counters(name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
        (
            "CREATE TABLE audit(n INTEGER PRIMARY KEY, time_ms INTEGER, topic TEXT, reason TEXT, sha256 BLOB,"
            " bytes INTEGER)"
        ),
    ):
        db.execute(statement)


@_MIGRATIONS()
def central_v2(db: Database) -> None:
    """Flags of version 2: state, topic, sentences as messages; urgencies of version 1 in today's words."""
    columns = ("topic TEXT", "state TEXT", "version INTEGER", "changed_ms INTEGER", "horizon_s INTEGER")
    for column in (*columns, "level TEXT", "by TEXT", "messages TEXT", "evidence TEXT", "ctcae TEXT"):
        db.execute(f"ALTER TABLE flags ADD COLUMN {column}")
    db.execute("UPDATE flags SET state = CASE WHEN withdrawn_ms IS NULL THEN 'raised' ELSE 'resolved' END, topic = ''")
    for row in list(db.query("SELECT DISTINCT kind, urgency FROM flags")):
        pair = (row["kind"], row["urgency"])
        db.execute("UPDATE flags SET urgency = ? WHERE kind = ? AND urgency = ?", (todays_urgency(*pair), *pair))


@dataclass(frozen=True, slots=True)
class GatewayStats:
    """What a gateway did, as its database tells.

    Attributes:
        messages: stored, each once.
        bytes: of these messages, sealed.
        records: stored records.
        duplicates: messages that had been stored before; they had no effect.
        rejected: authentic messages that cannot be used; stored as such.
        refused: messages that were not trusted, by reason.
    """

    messages: int
    bytes: int
    records: int
    duplicates: int
    rejected: int
    refused: dict[str, int]


class IngestSink(Protocol):
    """What the gateway needs of a database. Every method but ``transaction`` runs inside one."""

    def transaction(self) -> AbstractContextManager[object]:
        """A transaction; durable when the context ends without error."""

    def stored(self, message: MessageId) -> tuple[bytes, int | None] | None:
        """SHA-256 and reject code (None when used) of the message stored under this id, if any."""

    def add_message(self, header: Header, digest: bytes, size: int, received: datetime, reject: int | None) -> None:
        """Remember that a message arrived."""

    def add_records(self, header: Header, records: Sequence[Record]) -> None:
        """Store a message's records; drop records fill their gaps."""

    def announcement(self, dev: str, epoch: int) -> bytes | None:
        """The stored announcement of an epoch's key, if any."""

    def add_announcement(self, dev: str, epoch: int, announcement: bytes) -> None:
        """Store an announcement; the key inside stays wrapped."""

    def advance(self, dev: str, epoch: int, stream: int) -> int:
        """The number up to which every message of the stream arrived or is accounted for."""

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""

    def audit(self, topic: str, reason: str, digest: bytes, size: int, time: datetime) -> None:
        """Remember a message that was not trusted."""


class SqliteSink:
    """An :class:`IngestSink` in one SQLite file (WAL, FULL).

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        connection = sqlite3.connect(path, timeout=30.0)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        self._db = Database(connection)
        self._execute = connection.execute
        with writing(self._db):
            _MIGRATIONS.apply(self._db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[object]:
        """A transaction; durable when the context ends without error."""
        return writing(self._db)

    def stored(self, message: MessageId) -> tuple[bytes, int | None] | None:
        """SHA-256 and reject code (None when used) of the message stored under this id, if any."""
        row = self._execute(
            "SELECT sha256, reject FROM messages WHERE dev=? AND epoch=? AND stream=? AND seq=?", message
        ).fetchone()
        return None if row is None else (bytes(row[0]), row[1])

    def add_message(self, header: Header, digest: bytes, size: int, received: datetime, reject: int | None) -> None:
        """Remember that a message arrived."""
        times = timestamps.to_ms(header.device_time), timestamps.to_ms(received)
        self._execute(
            "INSERT OR IGNORE INTO messages VALUES (?,?,?,?,?,?,?,?,?,?)",
            (*header.id, digest, header.schema, *times, size, reject),
        )

    def add_records(self, header: Header, records: Sequence[Record]) -> None:
        """Store a message's records; drop records fill their gaps."""
        for number, record in enumerate(records):
            if isinstance(record, DropRecord):
                self._add_gaps(header.dev, record)
            else:
                table, columns = _columns(record)
                row = {**dict(zip(_MESSAGE, (*header.id, number), strict=True)), **columns}
                names, marks = ",".join(row), ",".join("?" * len(row))
                sql = f"INSERT OR IGNORE INTO {table}({names}) VALUES ({marks})"  # noqa: S608 - constants
                self._execute(sql, tuple(row.values()))
        self.count("records", len(records))

    def announcement(self, dev: str, epoch: int) -> bytes | None:
        """The stored announcement of an epoch's key, if any."""
        row = self._execute("SELECT announcement FROM epoch_keys WHERE dev=? AND epoch=?", (dev, epoch)).fetchone()
        return None if row is None else bytes(row[0])

    def add_announcement(self, dev: str, epoch: int, announcement: bytes) -> None:
        """Store an announcement; the key inside stays wrapped."""
        self._execute("INSERT OR IGNORE INTO epoch_keys VALUES (?,?,?)", (dev, epoch, announcement))

    def advance(self, dev: str, epoch: int, stream: int) -> int:
        """The number up to which every message of the stream arrived or is accounted for."""
        place = (dev, epoch, stream)
        row = self._execute("SELECT upto FROM cursors WHERE dev=? AND epoch=? AND stream=?", place).fetchone()
        before = upto = 0 if row is None else int(row[0])
        while (following := self._next_upto(place, upto)) > upto:
            upto = following
        if upto > before:
            self._execute("INSERT OR REPLACE INTO cursors VALUES (?,?,?,?)", (*place, upto))
        return upto

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self._execute(
            "INSERT INTO counters VALUES (?,?) ON CONFLICT(name) DO UPDATE SET n = n + excluded.n", (name, by)
        )

    def audit(self, topic: str, reason: str, digest: bytes, size: int, time: datetime) -> None:
        """Remember a message that was not trusted."""
        (last,) = self._execute("SELECT coalesce(max(n), 0) FROM audit").fetchone()
        if last < MAX_AUDIT_ROWS:
            self._execute(
                "INSERT INTO audit(time_ms, topic, reason, sha256, bytes) VALUES (?,?,?,?,?)",
                (timestamps.to_ms(time), topic, reason, digest, size),
            )

    def _next_upto(self, place: tuple[str, int, int], upto: int) -> int:
        """One step: over the messages that follow directly, then over a gap that begins there."""
        found = self._execute(
            "SELECT seq FROM messages WHERE dev=? AND epoch=? AND stream=? AND seq>? ORDER BY seq", (*place, upto)
        )
        with contextlib.closing(found):
            for (seq,) in found:
                if seq != upto + 1:
                    break
                upto = seq
        (high,) = self._execute(
            "SELECT max(high) FROM gaps WHERE dev=? AND epoch=? AND stream=? AND low<=? AND high>?",
            (*place, upto + 1, upto),
        ).fetchone()
        return upto if high is None else int(high)

    def _add_gaps(self, dev: str, record: DropRecord) -> None:
        for low, high in record.ranges:
            self._execute(
                "INSERT OR IGNORE INTO gaps VALUES (?,?,?,?,?,?)",
                (dev, record.epoch, record.stream, low, high, record.cause),
            )


def _columns(record: FeatureRecord | FlagRecord | FlagStateRecord | StateRecord) -> tuple[str, dict[str, object]]:
    """Table and readable columns of a record."""
    ms = timestamps.to_ms
    match record:
        case FeatureRecord(name=name, start=start, end=end, value=value, unit=unit):
            period = {"name": name, "start_ms": ms(start), "end_ms": ms(end), "value": value, "unit": unit}
            rest = {"quality": record.quality.value, "count": record.count, "supersedes": record.supersedes}
            return "features", {**period, **rest}
        case FlagRecord():
            return "flags", _first_flag(record)
        case FlagStateRecord():
            return "flags", _flag(record)
        case StateRecord(time=time, names=names, mean=mean):
            texts = {"names": names, "mean": mean, "covariance": record.covariance().tolist()}
            return "states", {"time_ms": ms(time), **{name: json.dumps(part) for name, part in texts.items()}}


def _first_flag(record: FlagRecord) -> dict[str, object]:
    """A flag of version 1, its urgency in today's words."""
    withdrawn = None if record.withdrawn is None else timestamps.to_ms(record.withdrawn)
    return {
        "id": record.id,
        "kind": record.kind,
        "time_ms": timestamps.to_ms(record.time),
        "urgency": todays_urgency(record.kind, record.urgency),
        "probability": record.probability,
        "reason": record.reason,
        "withdrawn_ms": withdrawn,
        "topic": "",
        "state": "raised" if withdrawn is None else "resolved",
    }


def _flag(record: FlagStateRecord) -> dict[str, object]:
    """A flag of version 2; its reason is also kept as a sentence of the reference language."""
    said = {part: plain(text) for part, text in record.messages.items()}
    return {
        "id": record.id,
        "kind": record.kind,
        "time_ms": timestamps.to_ms(record.time),
        "urgency": record.urgency.value,
        "probability": record.probability,
        "reason": english(record.messages.get("reason", ())),
        "withdrawn_ms": None if record.closed is None else timestamps.to_ms(record.closed),
        "topic": record.topic,
        "state": record.state.value,
        "version": record.version,
        "changed_ms": timestamps.to_ms(record.changed),
        "horizon_s": None if record.horizon is None else round(record.horizon.total_seconds()),
        "level": record.level.value,
        "by": record.by,
        "messages": json.dumps(said, ensure_ascii=False),
        "evidence": json.dumps(plain(record.evidence), ensure_ascii=False),
        "ctcae": json.dumps(plain(record.ctcae), ensure_ascii=False),
    }


def read_stats(path: Path) -> GatewayStats:
    """The statistics in a centre's database file, also while a gateway writes to it."""
    with contextlib.closing(_reader(path)) as connection:
        counters = dict(connection.execute("SELECT name, n FROM counters").fetchall())
        stored = "SELECT count(*), coalesce(sum(bytes), 0) FROM messages WHERE reject IS NULL"
        messages, size = connection.execute(stored).fetchone()
        (rejected,) = connection.execute("SELECT count(*) FROM messages WHERE reject IS NOT NULL").fetchone()
    prefix = "refused:"
    return GatewayStats(
        messages=messages,
        bytes=size,
        records=counters.get("records", 0),
        duplicates=counters.get("duplicates", 0),
        rejected=rejected,
        refused={name.removeprefix(prefix): n for name, n in counters.items() if name.startswith(prefix)},
    )


def _reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0)
    connection.execute("PRAGMA query_only=ON")
    return connection


@contextlib.contextmanager
def open_sink(path: Path) -> Iterator[SqliteSink]:
    """A sink that is closed at the end."""
    sink = SqliteSink(path)
    try:
        yield sink
    finally:
        sink.close()
