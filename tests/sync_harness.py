"""What the sync tests share: a paired device and centre in a directory, and processes around them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_twin_sync.keys import DeviceKeys, pair
from edge_twin_sync.records import FeatureRecord, FlagRecord, Schema, encode_batch

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)


def feature(number: int) -> FeatureRecord:
    """A feature whose value tells which one it is."""
    return FeatureRecord("resting_heart_rate", NOW - timedelta(hours=8), NOW, float(number), "/min", count=400)


def feature_batch(number: int) -> bytes:
    return encode_batch(Schema.FEATURES_V1, [feature(number)])


def flag_batch(number: int) -> bytes:
    flag = FlagRecord(f"flag-{number}", "neutropenia_ahead", NOW, "soon", "ANC is forecast below 0.5", 0.62)
    return encode_batch(Schema.FLAGS_V1, [flag])


class House:
    """A device and a centre that know each other, with their files."""

    def __init__(self, directory: Path) -> None:
        self.device = directory / "device"
        self.centre = directory / "centre"
        self.keys: DeviceKeys = pair(self.device, self.centre)
        self.outbox_path = self.device / "twin.db"
        self.central_path = self.centre / "central.db"


@contextlib.contextmanager
def gateway_process(house: House, port: int) -> Iterator[subprocess.Popen[str]]:
    """The gateway as its own process, ready; terminated (or already killed) at the end."""
    arguments = ["--database", str(house.central_path), "--centre", str(house.centre), "--broker", f"127.0.0.1:{port}"]
    with run_python("-m", "edge_twin_sync.gateway", *arguments) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": True}
        yield process


@contextlib.contextmanager
def run_python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that sees this tree; terminated at the end if it still runs."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "sync")])
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def wait_until(condition: Callable[[], bool], timeout: float = 20.0) -> bool:
    """Whether ``condition`` came true within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
