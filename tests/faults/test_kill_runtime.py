"""SIGKILL in the middle of a run, and start again: nothing stored is lost, the centre has each message once.

The broker and the centre live on, as they would; the device process dies without a word.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_twin_sync.broker import EmbeddedBroker

PATIENCE_SECONDS = 200.0


def start(folder: Path, broker: EmbeddedBroker) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_twin_app", "run", "--out", str(folder), "--quiet"]
    command += ["--broker", f"{broker.host}:{broker.port}"]
    # A file, not a pipe: whoever inherits a pipe from a killed process would keep its reader waiting.
    with (folder.parent / "device.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True)


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    """Read without waiting for the writer; nothing while the table is not there yet."""
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            found = connection.execute(sql).fetchall()
        connection.close()
    except sqlite3.OperationalError:
        return []
    return found


def kill_after(process: subprocess.Popen[str], database: Path, observations: int) -> None:
    """SIGKILL once the store holds at least so many observations."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        counted = rows(database, "SELECT count(*) FROM observations")
        if counted and int(str(counted[0][0])) >= observations:
            break
        time.sleep(0.02)
    assert process.poll() is None, "the device ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30.0)


def ids(database: Path) -> set[object]:
    return {row[0] for row in rows(database, "SELECT id FROM observations")}


def run_with_kills(folder: Path, kills: tuple[int, ...]) -> dict[str, object]:
    """Kill the device at each of these store sizes, then let it finish; returns the summary."""
    database = folder / "edge-twin.db"
    stored: set[object] = set()
    with EmbeddedBroker() as broker:
        for observations in kills:
            kill_after(start(folder, broker), database, observations)
            now = ids(database)
            assert stored <= now
            stored = now
        finishing = start(folder, broker)
        assert finishing.wait(timeout=PATIENCE_SECONDS) == 0, (folder.parent / "device.log").read_text()
    assert stored <= ids(database)
    summary: dict[str, object] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def check_exactly_once(folder: Path, summary: dict[str, object]) -> None:
    sync = summary["sync"]
    assert isinstance(sync, dict)
    assert sync["lost"] == 0
    assert sync["pending"] == 0
    assert sync["stored"] == sync["produced"]
    repeated = rows(
        folder / "central.db", "SELECT count(*) FROM messages GROUP BY dev, epoch, stream, seq HAVING count(*) > 1"
    )
    assert repeated == []


@pytest.mark.timeout(400)
def test_a_killed_device_loses_nothing_and_the_centre_stores_each_message_once(tmp_path: Path) -> None:
    summary = run_with_kills(tmp_path / "out", (900, 3000))
    check_exactly_once(tmp_path / "out", summary)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_twenty_kills(tmp_path: Path) -> None:
    summary = run_with_kills(tmp_path / "out", tuple(range(300, 300 + 20 * 320, 320)))
    check_exactly_once(tmp_path / "out", summary)
