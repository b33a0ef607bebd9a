"""``edge-twin devices list``: the sensors of a site and what its database knows of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_twin.codes import BATTERY_LEVEL
from edge_twin.jsonform import time_text
from edge_twin.observation import DeviceEventKind
from edge_twin.store import Store
from edge_twin.store_times import from_us
from edge_twin_adapters.ble.profiles import PROFILES
from edge_twin_adapters.ble.security import is_bonded, note_bond
from edge_twin_adapters.ble.state import SqliteMemory
from edge_twin_app.settings import Sensor, Settings

_WEAR = "wear state="


def source_name(sensor: Sensor) -> str:
    """The name of a sensor in observations and events."""
    return f"ble:{sensor.kind}"


def known_rows(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """A row for each sensor of the settings.

    Args:
        settings: of the site; its database is only read, and may not exist yet.
        now: for the age of what was last seen, aware.
    """
    with _reading(settings.store) as database:
        return [_row(sensor, database, now) for sensor in settings.sensors]


def remember_bond(settings: Settings, sensor: Sensor) -> None:
    """Keep that this sensor was paired with; the client then takes a refusal for a lost bond."""
    settings.store.parent.mkdir(parents=True, exist_ok=True)
    store = Store(settings.store)
    try:
        note_bond(SqliteMemory(store.database.conn), source_name(sensor))
    finally:
        store.close()


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The database without the right to change it; an empty one where there is none."""
    there = path.exists()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro" if there else ":memory:", uri=there)) as database:
        yield database


def _row(sensor: Sensor, database: sqlite3.Connection, now: datetime) -> dict[str, Any]:
    name = source_name(sensor)
    profile = PROFILES.get(sensor.kind)
    seen = _last_seen(database, name)
    return {
        "device": name,
        "address": sensor.address,
        "profile": "" if profile is None else profile.name,
        "bonded": is_bonded(_remembered(database, name)),
        "last_seen": None if seen is None else time_text(seen),
        "seconds_ago": None if seen is None else round((now - seen).total_seconds(), 1),
        "battery_percent": _battery(database, name),
        "wear": _wear(database, name),
        **_link_figures(database, name),
    }


def _query(database: sqlite3.Connection, table: str, sql: str, values: Sequence[object]) -> list[Any]:
    """Rows, or none in a database that has no such table yet."""
    known = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return database.execute(sql, tuple(values)).fetchall() if known else []


def _last_seen(database: sqlite3.Connection, name: str) -> datetime | None:
    """The newest reading, or the newest event that is no failure to connect."""
    readings = _query(database, "observations", "SELECT max(time_us) FROM observations WHERE source = ?", (name,))
    lost = (DeviceEventKind.DISCONNECTED.value, DeviceEventKind.GAP.value)
    sql = "SELECT max(time_us) FROM events WHERE source = ? AND kind NOT IN (?, ?)"
    times = [row[0] for row in (*readings, *_query(database, "events", sql, (name, *lost))) if row[0] is not None]
    return from_us(max(times)) if times else None


def _battery(database: sqlite3.Connection, name: str) -> float | None:
    sql = "SELECT value FROM observations WHERE source = ? AND code = ? ORDER BY time_us DESC LIMIT 1"
    found = _query(database, "observations", sql, (name, BATTERY_LEVEL.name))
    return float(found[0][0]) if found else None


def _wear(database: sqlite3.Connection, name: str) -> str:
    """The last change that was told; a link that was lost since then leaves it unknown."""
    sql = """SELECT kind, detail FROM events WHERE source = ? AND (kind = ? OR (kind = ? AND detail LIKE ?))
             ORDER BY time_us DESC, rowid DESC LIMIT 1"""
    status, lost = DeviceEventKind.STATUS.value, DeviceEventKind.DISCONNECTED.value
    found = _query(database, "events", sql, (name, lost, status, f"{_WEAR}%"))
    if not found or found[0][0] == lost:
        return "unknown"
    return str(found[0][1]).removeprefix(_WEAR).split()[0]


def _remembered(database: sqlite3.Connection, name: str) -> dict[str, str]:
    return dict(_query(database, "ble_values", "SELECT name, value FROM ble_values WHERE device = ?", (name,)))


def _link_figures(database: sqlite3.Connection, name: str) -> Mapping[str, int]:
    """How often what happened to the link, over everything that is kept."""
    sql = "SELECT kind, count(*) FROM events WHERE source = ? GROUP BY kind"
    counts = dict(_query(database, "events", sql, (name,)))
    names = {"connections": "connected", "losses": "disconnected", "gaps": "gap", "refused": "refused"}
    return {key: int(counts.get(kind, 0)) for key, kind in names.items()}
