"""The demonstration through mosquitto, the broker of hubs and production, named by ``--broker``."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_twin_sync.broker import HOST, free_port

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.skipif(MOSQUITTO is None, reason="the broker mosquitto is not installed"),
    pytest.mark.timeout(120),
]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    number = free_port()
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {number} {HOST}\nallow_anonymous true\npersistence false\n", encoding="utf-8")
    with subprocess.Popen([str(MOSQUITTO), "-c", str(configuration)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline and not listens(number):
            time.sleep(0.05)
        yield number
        process.terminate()


def listens(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, number)) == 0


def test_every_message_reaches_the_centre_through_mosquitto(tmp_path: Path, port: int) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "edge_twin_app", "run", "--out", str(out), "--broker", f"{HOST}:{port}", "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended.stderr
    sync = json.loads((out / "summary.json").read_text(encoding="utf-8"))["sync"]
    assert sync["produced"] == sync["stored"] > 50
    assert sync["lost"] == sync["pending"] == 0
