"""The outbox: what must reach the centre, in the same SQLite file as what it was distilled from.

The caller's row, the sequence number and the sealed message commit in one transaction; a row is deleted
only when the centre acknowledged it. Trap: a transaction that *reads* before it writes can meet
"database is locked" at once when the sync client writes in between (SQLITE_BUSY_SNAPSHOT); open it with
:func:`writing`, which takes the write lock first.

A sequence number that a rolled-back transaction used is used again. Its first message was never
committed, so never visible to the thread that sends.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from sqlite_utils import Database, Migrations

from edge_twin_sync import timestamps
from edge_twin_sync.acks import Ranges
from edge_twin_sync.envelope import PADDING, SIGNATURE_BYTES, TAG_BYTES
from edge_twin_sync.errors import EnvelopeError, OutboxError
from edge_twin_sync.records import MAX_RANGES, DropRecord, Schema, encode_batch
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import ALERT_PRIORITY, KEY_PRIORITY, PRIORITIES, Stream, evictable_for

DEFAULT_QUOTA: Final = 32 * 2**20  # bytes; about ten years of one day's 9 kB
MAX_BODY: Final = 65_536
_AFTER_EVICTION: Final = 0.9  # evict in blocks, down to this share of the quota
_NEWEST_PER_OLDEST: Final = 3
_OVERHEAD: Final = 80 + PADDING + TAG_BYTES + SIGNATURE_BYTES  # what sealing adds at most; 80 for the header
_PENDING, _QUARANTINED = 0, 2

_MIGRATIONS: Final = Migrations("edge_twin_sync")

RowId = tuple[int, int, int]  # epoch, stream, seq
_T = TypeVar("_T")


@_MIGRATIONS()
def outbox_v1(db: Database) -> None:
    """Tables of the outbox; the triggers keep the byte count right in every transaction."""
    statements = """
        CREATE TABLE outbox(
            epoch INTEGER, stream INTEGER, seq INTEGER, prio INTEGER NOT NULL, created_ms INTEGER NOT NULL,
            schema INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL, state INTEGER NOT NULL DEFAULT 0,
            last_rc INTEGER, PRIMARY KEY(epoch, stream, seq)) WITHOUT ROWID;
        CREATE INDEX outbox_next ON outbox(state, prio, created_ms);
        CREATE INDEX outbox_oldest ON outbox(stream, created_ms);
        CREATE TABLE outbox_seqs(
            epoch INTEGER, stream INTEGER, next INTEGER NOT NULL, acked_upto INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY(epoch, stream)) WITHOUT ROWID;
        CREATE TABLE outbox_counters(name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO outbox_counters VALUES ('bytes', 0), ('evicted', 0), ('quarantined', 0), ('refused', 0)
    """
    trigger = """
        CREATE TRIGGER outbox_{event} AFTER {event} ON outbox
        BEGIN UPDATE outbox_counters SET n = n {sign} {row}.bytes WHERE name = 'bytes'; END
    """
    for statement in statements.split(";"):
        db.execute(statement)
    db.execute(trigger.format(event="INSERT", sign="+", row="NEW"))
    db.execute(trigger.format(event="DELETE", sign="-", row="OLD"))


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that waits to be sent.

    Attributes:
        epoch, stream, seq: its id.
        priority: its lane, 0 is most urgent.
        body: the finished message; the same bytes every time it is sent.
    """

    epoch: int
    stream: Stream
    seq: int
    priority: int
    body: bytes

    @property
    def id(self) -> RowId:
        """(epoch, stream, seq)."""
        return self.epoch, int(self.stream), self.seq

    @property
    def is_urgent(self) -> bool:
        """Whether it may use the slots that are kept for alerts."""
        return self.priority <= ALERT_PRIORITY


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """Where every message that was ever produced is now; key announcements are not counted.

    Attributes:
        produced: sequence numbers given out.
        pending: waiting or in flight.
        evicted: given up for lack of room; the centre is told.
        quarantined: rows that the broker or the centre refused.
        refused: messages that found the quota full and were not taken.
        bytes: of all bodies in the outbox.
    """

    produced: int
    pending: int
    evicted: int
    quarantined: int
    refused: int
    bytes: int


def connect(path: Path) -> Database:
    """Open the device's database the way the outbox needs it: WAL, FULL, patient with other writers.

    The caller closes it.
    """
    connection = sqlite3.connect(path, timeout=30.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return Database(connection)


@contextlib.contextmanager
def writing(db: Database) -> Iterator[Database]:
    """A transaction that holds the write lock from its start; joins one that is open."""
    if db.conn.in_transaction:
        with db.atomic():
            yield db
        return
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.conn.commit()
    except BaseException:
        db.conn.rollback()
        raise


class Outbox:
    """The messages that have not been acknowledged.

    One object per database connection, so per thread; any number of them may share one file.

    Args:
        db: an open connection, see :func:`connect`; not closed here.
        sealer: the epoch of this process.
        quota_bytes: most bytes of bodies to keep.
    """

    def __init__(self, db: Database | sqlite3.Connection, sealer: Sealer, *, quota_bytes: int = DEFAULT_QUOTA) -> None:
        self._db = db if isinstance(db, Database) else Database(db)
        self._sealer = sealer
        self._quota = quota_bytes
        self._turn = 0
        with writing(self._db):  # several connections may open a new file at once
            _MIGRATIONS.apply(self._db)

    def enqueue(
        self, stream: Stream, schema: Schema, body: bytes, created: datetime, priority: int | None = None
    ) -> RowId:
        """Seal ``body`` and keep it until it is acknowledged.

        Inside the caller's open transaction it commits or vanishes with it; otherwise in its own.

        Args:
            stream: where it belongs.
            schema: of the records in ``body``.
            body: from :func:`records.encode_batch`.
            created: now, aware UTC.
            priority: lane; that of the stream by default.

        Raises:
            OutboxError: ``quota_full`` when nothing may be evicted for it, ``too_large``, ``bad_stream`` for
                the stream of keys. The caller's own rows in the transaction are untouched.
        """
        if stream is Stream.KEYS:
            raise OutboxError("keys are announced by the outbox itself", reason="bad_stream")
        if len(body) > MAX_BODY:
            self._count("refused", 1)
            raise OutboxError(f"a body has at most {MAX_BODY} bytes", reason="too_large")
        with writing(self._db):
            is_taken = self._make_room(stream, len(body) + _OVERHEAD, created)
            if is_taken:
                return self._append(stream, schema, body, created, PRIORITIES[stream] if priority is None else priority)
            self._count("refused", 1)
        raise OutboxError("the outbox is full of what may not be evicted", reason="quota_full")

    def next_batch(
        self, limit: int, exclude: Collection[RowId] = frozenset(), *, urgent_only: bool = False
    ) -> list[OutboxRow]:
        """Up to ``limit`` rows to send next, without those in ``exclude`` (the ones in flight).

        Keys and alerts first; then, lane by lane, the newest, with every fourth from the oldest end so that
        the backlog drains as well.
        """
        rows: list[OutboxRow] = []
        for priority in self._lanes():
            if len(rows) >= limit or (urgent_only and priority > ALERT_PRIORITY):
                break
            rows += self._lane(priority, limit - len(rows), exclude)
        return rows

    def ack(self, epoch: int, stream: int, upto: int, ranges: Ranges = ()) -> list[RowId]:
        """Delete what the centre committed: 1 to ``upto`` and ``ranges``; returns the deleted rows' ids.

        A quarantined row stays visible, although the centre has accounted for its number.
        """
        removed: list[RowId] = []
        with writing(self._db):
            for low, high in ((1, upto), *ranges):
                found = self._db.conn.execute(
                    "DELETE FROM outbox WHERE epoch=? AND stream=? AND seq BETWEEN ? AND ? AND state=? RETURNING seq",
                    (epoch, stream, low, high, _PENDING),
                ).fetchall()
                removed += [(epoch, stream, seq) for (seq,) in found]
            self._db.conn.execute(
                "UPDATE outbox_seqs SET acked_upto = max(acked_upto, ?) WHERE epoch=? AND stream=?",
                (upto, epoch, stream),
            )
        return removed

    def quarantine(self, row: RowId, code: int, created: datetime, *, known_to_centre: bool = False) -> bool:
        """Set a row aside that will never be taken, so that it blocks nothing; it stays visible.

        Args:
            row: its id.
            code: the broker's or the centre's reason, kept with the row.
            created: now, aware UTC.
            known_to_centre: the centre itself refused it; otherwise the drop ledger tells it of the gap.

        Returns:
            Whether the row was there and pending.
        """
        epoch, stream, seq = row
        with writing(self._db):
            changed = self._db.conn.execute(
                "UPDATE outbox SET state=?, last_rc=? WHERE epoch=? AND stream=? AND seq=? AND state=?",
                (_QUARANTINED, code, epoch, stream, seq, _PENDING),
            ).rowcount
            if not changed:
                return False
            self._count("quarantined", 1)
            # A refused ledger entry or key makes no further entry: the same refusal would meet it.
            if not known_to_centre and stream not in (Stream.EVENTS, Stream.KEYS):
                self._enter_drops([row], "quarantined", created)
        return True

    def holds(self, row: RowId) -> bool:
        """Whether a message is still here: it waits, is in flight, or was refused."""
        sql = "SELECT 1 FROM outbox WHERE epoch=? AND stream=? AND seq=?"
        return self._db.conn.execute(sql, row).fetchone() is not None

    def counts(self) -> OutboxCounts:
        """Where every message is now."""
        return read_counts(self._db)

    def is_empty(self) -> bool:
        """Whether nothing waits to be sent, keys included."""
        row = self._db.conn.execute("SELECT 1 FROM outbox WHERE state=? LIMIT 1", (_PENDING,)).fetchone()
        return row is None

    def _lanes(self) -> list[int]:
        """Priorities that have pending rows, most urgent first; one step of the index for each."""
        lanes: list[int] = []
        last = -1
        while True:
            (found,) = self._db.conn.execute(
                "SELECT min(prio) FROM outbox WHERE state=? AND prio>?", (_PENDING, last)
            ).fetchone()
            if found is None:
                return lanes
            lanes.append(last := found)

    def _lane(self, priority: int, limit: int, exclude: Collection[RowId]) -> list[OutboxRow]:
        depth = limit + len(exclude)
        newest = self._rows(priority, "DESC" if priority != KEY_PRIORITY else "ASC", depth, exclude)
        oldest = self._rows(priority, "ASC", depth, exclude) if priority > ALERT_PRIORITY else iter(())
        chosen: dict[RowId, OutboxRow] = {}
        while len(chosen) < limit:
            is_backfill = self._turn % (_NEWEST_PER_OLDEST + 1) == _NEWEST_PER_OLDEST
            first, second = (oldest, newest) if is_backfill else (newest, oldest)
            row = next((row for row in itertools.chain(first, second) if row.id not in chosen), None)
            if row is None:
                break
            chosen[row.id] = row
            self._turn += priority > ALERT_PRIORITY
        return list(chosen.values())

    def _rows(self, priority: int, order: str, depth: int, exclude: Collection[RowId]) -> Iterator[OutboxRow]:
        found = self._db.conn.execute(
            "SELECT epoch, stream, seq, prio, body FROM outbox WHERE state=? AND prio=?"  # noqa: S608 - constants
            f" ORDER BY created_ms {order}, epoch {order}, stream {order}, seq {order} LIMIT ?",
            (_PENDING, priority, depth),
        ).fetchall()  # an open cursor would hold an old snapshot, and the next write would meet "locked"
        rows = (OutboxRow(epoch, Stream(stream), seq, prio, body) for epoch, stream, seq, prio, body in found)
        return (row for row in rows if row.id not in exclude)

    def _append(self, stream: Stream, schema: int, body: bytes, created: datetime, priority: int) -> RowId:
        self._announce_epoch(created)
        epoch = self._sealer.epoch
        seq = self._next_seq(stream)
        try:
            message = self._sealer.seal(stream, seq=seq, schema=schema, priority=priority, body=body, time=created)
        except EnvelopeError as error:
            raise OutboxError(str(error), reason=error.reason) from error
        self._insert((epoch, int(stream), seq), priority, created, schema, message)
        return epoch, int(stream), seq

    def _announce_epoch(self, created: datetime) -> None:
        """The epoch's key goes before its first message, in the same transaction."""
        known = self._db.conn.execute(
            "SELECT 1 FROM outbox_seqs WHERE epoch=? AND stream=?", (self._sealer.epoch, Stream.KEYS)
        ).fetchone()
        if known is None:
            row = (self._sealer.epoch, int(Stream.KEYS), self._next_seq(Stream.KEYS))
            self._insert(row, KEY_PRIORITY, created, 0, self._sealer.announcement(created))

    def _next_seq(self, stream: Stream) -> int:
        (following,) = self._db.conn.execute(
            "INSERT INTO outbox_seqs(epoch, stream, next) VALUES (?, ?, 2)"
            " ON CONFLICT(epoch, stream) DO UPDATE SET next = next + 1 RETURNING next",
            (self._sealer.epoch, stream),
        ).fetchone()
        return int(following) - 1

    def _insert(self, row: RowId, priority: int, created: datetime, schema: int, message: bytes) -> None:
        self._db.conn.execute(
            "INSERT INTO outbox(epoch, stream, seq, prio, created_ms, schema, bytes, body) VALUES (?,?,?,?,?,?,?,?)",
            (*row, priority, timestamps.to_ms(created), schema, len(message), message),
        )

    def _make_room(self, stream: Stream, size: int, created: datetime) -> bool:
        """Evict, cheapest stream and oldest first, until ``size`` bytes fit; False when they cannot."""
        (used,) = self._db.conn.execute("SELECT n FROM outbox_counters WHERE name='bytes'").fetchone()
        if used + size <= self._quota:
            return True
        victims, freed = self._victims(stream, int(used + size - self._quota * _AFTER_EVICTION))
        if used - freed + size > self._quota:
            return False
        self._db.conn.executemany(
            "DELETE FROM outbox WHERE epoch=? AND stream=? AND seq=?", [row[:3] for row in victims]
        )
        lost = [row[:3] for row in victims if row[3] == _PENDING]  # a quarantined row was counted before
        self._count("evicted", len(lost))
        self._enter_drops(lost, "evicted", created)
        return True

    def _victims(self, stream: Stream, wanted: int) -> tuple[list[tuple[int, int, int, int]], int]:
        """Rows (id and state) that free ``wanted`` bytes or as many as there are, and how many they free."""
        victims: list[tuple[int, int, int, int]] = []
        freed = 0
        for candidate in evictable_for(stream):
            rows = self._db.conn.execute(
                "SELECT epoch, stream, seq, state, bytes FROM outbox WHERE stream=? ORDER BY created_ms, epoch, seq",
                (candidate,),
            )
            with contextlib.closing(rows):
                while freed < wanted and (row := rows.fetchone()) is not None:
                    victims.append(row[:4])
                    freed += row[4]
        return victims, freed

    def _enter_drops(self, rows: Sequence[RowId], cause: str, created: datetime) -> None:
        """Tell the centre which numbers will never come."""
        records = [
            DropRecord(stream, epoch, tuple(ranges), cause)
            for (epoch, stream), group in itertools.groupby(sorted(rows), key=lambda row: row[:2])
            for ranges in _chunks(_ranges(seq for _, _, seq in group), MAX_RANGES)
        ]
        for batch in _chunks(records, 3):  # 3 records of MAX_RANGES ranges stay below MAX_BODY
            body = encode_batch(Schema.DROPS_V1, batch)
            self._append(Stream.EVENTS, Schema.DROPS_V1, body, created, PRIORITIES[Stream.EVENTS])

    def _count(self, name: str, by: int) -> None:
        with writing(self._db):
            self._db.conn.execute("UPDATE outbox_counters SET n = n + ? WHERE name=?", (by, name))


def read_counts(db: Database) -> OutboxCounts:
    """Where every message of a device is now, from any connection to its database."""
    execute = db.conn.execute
    counters = dict(execute("SELECT name, n FROM outbox_counters").fetchall())
    produced = execute("SELECT coalesce(sum(next - 1), 0) FROM outbox_seqs WHERE stream<>?", (Stream.KEYS,))
    pending = execute("SELECT count(*) FROM outbox WHERE state=? AND stream<>?", (_PENDING, Stream.KEYS))
    return OutboxCounts(
        produced=produced.fetchone()[0],
        pending=pending.fetchone()[0],
        evicted=counters["evicted"],
        quarantined=counters["quarantined"],
        refused=counters["refused"],
        bytes=counters["bytes"],
    )


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Inclusive ranges of ascending ``numbers``."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
