"""What a source must remember over a restart: resume cursors, bonds, and which records came already.

Nothing is written before what it speaks of is safe: a cursor that runs ahead of its records loses them
(Gadgetbridge #478).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Protocol

# Over a year of a glucose meter, two weeks of a sensor that measures every five minutes.
MOST_DIGESTS = 4096


class LinkMemory(Protocol):
    """Where a source keeps what must survive a restart, by name of the device."""

    def values(self, device: str) -> dict[str, str]:
        """Everything that was kept of a device by name."""

    def digests(self, device: str) -> list[bytes]:
        """The records that came already, oldest first."""

    def keep(self, device: str, values: Mapping[str, str], digests: Iterable[bytes]) -> None:
        """Keep values (replacing those of the same name) and digests, all or nothing."""


class TransientMemory:
    """A memory that lasts as long as the object."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, str]] = {}
        self._digests: dict[str, dict[bytes, None]] = {}

    def values(self, device: str) -> dict[str, str]:
        """See :class:`LinkMemory`."""
        return dict(self._values.get(device, {}))

    def digests(self, device: str) -> list[bytes]:
        """See :class:`LinkMemory`."""
        return list(self._digests.get(device, {}))

    def keep(self, device: str, values: Mapping[str, str], digests: Iterable[bytes]) -> None:
        """See :class:`LinkMemory`."""
        self._values.setdefault(device, {}).update(values)
        known = self._digests.setdefault(device, {})
        known.update(dict.fromkeys(digests))
        for digest in list(known)[:-MOST_DIGESTS]:
            del known[digest]


class SqliteMemory:
    """A memory in a SQLite database, which may be that of the device's store.

    Args:
        connection: used from one thread at a time, and not inside an open transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        with connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS ble_values("
                "device TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, "
                "PRIMARY KEY(device, name)) WITHOUT ROWID"
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS ble_records("
                "id INTEGER PRIMARY KEY, device TEXT NOT NULL, digest BLOB NOT NULL, UNIQUE(device, digest))"
            )

    def values(self, device: str) -> dict[str, str]:
        """See :class:`LinkMemory`."""
        return dict(self._connection.execute("SELECT name, value FROM ble_values WHERE device = ?", (device,)))

    def digests(self, device: str) -> list[bytes]:
        """See :class:`LinkMemory`."""
        rows = self._connection.execute("SELECT digest FROM ble_records WHERE device = ? ORDER BY id", (device,))
        return [digest for (digest,) in rows]

    def keep(self, device: str, values: Mapping[str, str], digests: Iterable[bytes]) -> None:
        """See :class:`LinkMemory`."""
        with self._connection as database:
            database.executemany(
                "INSERT OR REPLACE INTO ble_values VALUES(?, ?, ?)",
                [(device, name, value) for name, value in values.items()],
            )
            database.executemany(
                "INSERT OR IGNORE INTO ble_records(device, digest) VALUES(?, ?)",
                [(device, digest) for digest in digests],
            )
            database.execute(
                "DELETE FROM ble_records WHERE device = ? AND id NOT IN "
                "(SELECT id FROM ble_records WHERE device = ? ORDER BY id DESC LIMIT ?)",
                (device, device, MOST_DIGESTS),
            )
