"""The ledger in the device's store: entries are appended in the caller's transaction and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from edge_twin.jsonform import canonical
from edge_twin.ledger import GENESIS, Entered, Entry, Head, linked
from edge_twin.store_times import from_us, to_us


def add_ledger(database: Database) -> None:
    """The third schema."""
    database.execute("""CREATE TABLE ledger(
        number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
        refers INTEGER NOT NULL, body BLOB, body_digest BLOB NOT NULL, digest BLOB NOT NULL)""")
    database.execute("CREATE INDEX ledger_by_kind ON ledger(kind, at_us)")


class LedgerStore:
    """The chain of one device.

    Args:
        database: the store's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, kind: Entered, at: datetime, says: Mapping[str, Any], *, subject: str = "", refers: int = 0
    ) -> Entry:
        """Add an entry in the open transaction: one read and one row, however long the chain is.

        Args:
            kind: see :class:`~edge_twin.ledger.Entered`.
            at: aware UTC.
            says: the body, JSON values.
            subject: what it is about.
            refers: number of the promise that it answers.
        """
        last = self.last()
        previous, number = (last.digest, last.number) if last else (GENESIS, 0)
        entry = linked(previous, number + 1, at, kind, subject=subject, refers=refers, body=canonical(says))
        row = (entry.number, to_us(at), kind, subject, refers, entry.body, entry.body_digest, entry.digest)
        self._database.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return entry

    def last(self, kind: Entered | None = None, before: datetime | None = None) -> Entry | None:
        """The newest entry; of a kind; of those entered before a moment."""
        if kind is None:
            return self._first("SELECT * FROM ledger ORDER BY number DESC LIMIT 1", [])
        until = 2**62 if before is None else to_us(before)
        sql = "SELECT * FROM ledger WHERE kind = ? AND at_us < ? ORDER BY at_us DESC, number DESC LIMIT 1"
        return self._first(sql, [kind, until])

    def _first(self, sql: str, values: list[Any]) -> Entry | None:
        return next((_entry(row) for row in self._database.query(sql, values)), None)

    def head(self) -> Head:
        """The end of the chain, to be kept elsewhere."""
        last = self.last()
        return Head(last.number, last.digest.hex()) if last else Head(0, GENESIS.hex())

    def entries(self, kinds: Iterable[Entered] = (), after: int = 0) -> Iterator[Entry]:
        """Entries in their order; of some kinds, or all; those with a higher number than ``after``."""
        wanted = list(kinds)
        which = f"AND kind IN ({', '.join('?' * len(wanted))})" if wanted else ""
        sql = f"SELECT * FROM ledger WHERE number > ? {which} ORDER BY number"  # noqa: S608 - only question marks are put in
        return (_entry(row) for row in self._database.query(sql, [after, *wanted]))

    def drop_bodies(self, before: datetime, now: datetime) -> int:
        """Drop the curves of old forecasts, with a checkpoint that says so; the chain still holds.

        Args:
            before: forecasts entered earlier.
            now: aware UTC.

        Returns:
            How many were dropped.
        """
        where = "kind = 'forecast' AND at_us < ? AND body IS NOT NULL"
        sql = f"SELECT count(*) AS n, max(number) AS up_to FROM ledger WHERE {where}"  # noqa: S608 - a constant
        (found,) = self._database.query(sql, [to_us(before)])
        if found["n"]:
            self._database.execute(f"UPDATE ledger SET body = NULL WHERE {where}", [to_us(before)])  # noqa: S608 - as above
            self.append(Entered.CHECKPOINT, now, {"up_to": found["up_to"], "dropped": found["n"]})
        return int(found["n"])


def _entry(row: Mapping[str, Any]) -> Entry:
    body = None if row["body"] is None else bytes(row["body"])
    parts = (row["subject"], row["refers"], body, bytes(row["body_digest"]), bytes(row["digest"]))
    return Entry(row["number"], from_us(row["at_us"]), row["kind"], *parts)
