"""Raw frames kept before they are decoded, so that a decoder that was put right can be run again.

Bounded in bytes and in age. They hold everything that the sensors said, so they are health data like
the store's, and never leave the device by themselves. Off unless a site gives a file for them: a strap
with ECG and acceleration writes 77 MB a day (docs/performance.md), which a phone has no use for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_twin.errors import EdgeTwinError
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.interpreter import Interpreter
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.source import refusal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A frame's row beside its payload, its index entry included: measured, see docs/performance.md.
ROW_BYTES = 92
# How many frames are written before the bounds are looked at, and one commit makes them safe [C].
_BATCH = 64


class FrameStore:
    """A bounded store of frames in a SQLite file of its own.

    Args:
        path: file, made if absent.
        max_bytes: the oldest frames go when payloads and rows are more than this.
        max_age: older frames go.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int = 256_000_000, max_age: timedelta = timedelta(days=7)) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS frames("
            "id INTEGER PRIMARY KEY, device TEXT NOT NULL, characteristic TEXT NOT NULL, received_us INTEGER NOT NULL, "
            "monotonic_ns INTEGER NOT NULL, outgoing INTEGER NOT NULL, payload BLOB NOT NULL)"
        )
        self._database.execute("CREATE INDEX IF NOT EXISTS frames_by_age ON frames(received_us)")
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._size = self._measure()
        self._unsafe = 0

    def keeper(self, device: str) -> Callable[[Frame], None]:
        """A function that keeps the frames of one device, for ``BleSource(on_frame=...)``."""
        return lambda frame: self.keep(device, frame)

    def keep(self, device: str, frame: Frame) -> None:
        """Keep a frame; it survives a crash of the program at once and of the machine after a batch.

        Raises:
            sqlite3.Error: the disk is full.
        """
        self._database.execute(
            "INSERT INTO frames(device, characteristic, received_us, monotonic_ns, outgoing, payload) "
            "VALUES(?, ?, ?, ?, ?, ?)",
            (
                device,
                frame.characteristic,
                (frame.received - _EPOCH) // _MICROSECOND,
                frame.monotonic_ns,
                frame.outgoing,
                frame.payload,
            ),
        )
        self._database.commit()
        self._size += len(frame.payload) + ROW_BYTES
        self._unsafe += 1
        if self._unsafe >= _BATCH:
            self._unsafe = 0
            self._prune(frame.received)

    def frames(self, device: str, since: datetime | None = None) -> Iterator[Frame]:
        """The frames of one device in the order in which they came."""
        start = 0 if since is None else (since - _EPOCH) // _MICROSECOND
        rows = self._database.execute(
            "SELECT characteristic, payload, received_us, outgoing, monotonic_ns FROM frames "
            "WHERE device = ? AND received_us >= ? ORDER BY id",
            (device, start),
        )
        for characteristic, payload, received_us, outgoing, monotonic_ns in rows:
            received = _EPOCH + received_us * _MICROSECOND
            yield Frame(characteristic, payload, received, bool(outgoing), monotonic_ns)

    @property
    def size_bytes(self) -> int:
        """Payloads and rows together, as the bound counts them."""
        return self._size

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def _measure(self, where: str = "", *parameters: int) -> int:
        (size,) = self._database.execute(
            f"SELECT COALESCE(SUM(LENGTH(payload)), 0) + COUNT(*) * ? FROM frames {where}",  # noqa: S608 - our own clauses
            (ROW_BYTES, *parameters),
        ).fetchone()
        return int(size)

    def _prune(self, now: datetime) -> None:
        oldest_us = (now - self._max_age - _EPOCH) // _MICROSECOND
        with self._database:
            self._delete("received_us < ?", oldest_us)
            while self._size > self._max_bytes:
                self._delete("id IN (SELECT id FROM frames ORDER BY id LIMIT ?)", _BATCH)

    def _delete(self, which: str, parameter: int) -> None:
        self._size -= self._measure(f"WHERE {which}", parameter)
        self._database.execute(f"DELETE FROM frames WHERE {which}", (parameter,))  # noqa: S608 - our own clauses


def replay_frames(frames: Iterable[Frame], context: DecodeContext) -> Iterator[Item]:
    """Decode kept frames again, with what they tell of each other: the items of the original run.

    Frames that cannot be decoded give ``REFUSED`` events, as in the original run.

    Args:
        frames: of one device, in their order.
        context: as it was given to the source.
    """
    interpreter = Interpreter(context)
    for frame in frames:
        try:
            yield from interpreter.items(frame)
        except EdgeTwinError as error:
            yield refusal(frame, error, context.source)
    yield from interpreter.flush()
