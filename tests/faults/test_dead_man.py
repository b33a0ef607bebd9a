"""SIGKILL the runtime: the watcher, a process of its own, notices after the limit and writes nothing."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin.deadman import Heartbeat
from edge_twin.errors import StoreError
from edge_twin.store import Store
from edge_twin_adapters.fhir import anc_observation
from edge_twin_app.cli import main
from edge_twin_app.commands.watch import read_heartbeat

PATIENCE_SECONDS = 50.0
SETTINGS = """\
schema = "edge-twin.settings/1"
time_zone = "Europe/Berlin"
program = "neutropenia"
store = "edge-twin.db"
intake = "intake"
models = "models"
members = 50
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "intake").mkdir()
    count = anc_observation(2.5, datetime.now(UTC) - timedelta(hours=1))
    (tmp_path / "intake" / "count.json").write_text(json.dumps(count), encoding="utf-8")
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    return settings


@pytest.fixture
def runtime(site: Path) -> Iterator[subprocess.Popen[str]]:
    with (site.parent / "log").open("ab") as log:
        command = [sys.executable, "-m", "edge_twin_app", "run", "--settings", str(site)]
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
    yield process
    process.kill()
    process.wait(timeout=30.0)


def first_heartbeat(process: subprocess.Popen[str], store: Path) -> Heartbeat:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := seen(store):
            return found
        time.sleep(0.1)
    raise AssertionError((store.parent / "log").read_text(encoding="utf-8"))


def seen(store: Path) -> Heartbeat | None:
    try:
        return read_heartbeat(store)
    except StoreError:  # the file is being made
        return None


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_hz_deadman_02_a_killed_runtime_is_noticed_by_another_process(
    site: Path, runtime: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = site.parent / "edge-twin.db"
    heartbeat = first_heartbeat(runtime, store)
    limit = heartbeat.expected + timedelta(minutes=30)
    assert watch(site, limit) == 0
    runtime.send_signal(signal.SIGKILL)
    runtime.wait(timeout=30.0)
    before = digest(store)
    assert watch(site, limit) == 0
    assert capsys.readouterr().out == ""
    assert watch(site, limit + timedelta(seconds=1)) == 3
    assert "runtime: stopped [today] Do not wait for this phone" in capsys.readouterr().out
    assert digest(store) == before


def watch(site: Path, at: datetime) -> int:
    return main(["watch", "--once", "--settings", str(site), "--at", at.isoformat()])


def test_the_watcher_is_a_command_of_its_own(site: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "edge_twin_app",
        "watch",
        "--once",
        "--json",
        "--store",
        str(site.parent / "none.db"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30.0)
    assert done.returncode == 3
    assert json.loads(done.stdout)["kind"] == "runtime_stopped"
    assert not (site.parent / "none.db").exists()


def test_a_store_that_was_closed_in_order_is_read_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "edge-twin.db"
    store = Store(path)
    assert read_heartbeat(path) is None
    now = datetime(2026, 3, 2, tzinfo=UTC)
    store.flags.beat(Heartbeat(now, now))
    store.close()
    assert read_heartbeat(path) == Heartbeat(now, now)
    path.write_text("this is not a database, and long enough to be looked at as one" * 20)
    with pytest.raises(StoreError) as caught:
        read_heartbeat(path)
    assert caught.value.reason == "unavailable"


@pytest.mark.parametrize("text", ["tomorrow", "2026-03-02T10:00:00"])
def test_a_moment_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(SystemExit):
        main(["watch", "--once", "--store", "x", "--at", text])
