"""Nothing is lost and nothing counts twice when processes are killed without warning."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from edge_twin_sync.broker import EmbeddedBroker
from edge_twin_sync.sink import read_stats
from tests.sync_harness import House, gateway_process, run_python, wait_until

SENDER = str(Path(__file__).with_name("sync_sender.py"))


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as started:
        yield started


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [int(value) for (value,) in db.execute("SELECT value FROM features ORDER BY value")]


def produced(house: House) -> list[int]:
    with closing(sqlite3.connect(house.outbox_path)) as db:
        return [value for (value,) in db.execute("SELECT value FROM produced ORDER BY value")]


def waiting(house: House) -> int:
    with closing(sqlite3.connect(house.outbox_path)) as db:
        (count,) = db.execute("SELECT count(*) FROM outbox WHERE stream=1").fetchone()
    return int(count)


def flush(house: House, broker: EmbeddedBroker) -> None:
    with run_python(SENDER, str(house.device), str(broker.port), "0") as last:
        assert last.stdout is not None
        assert last.stdout.read().split() == ["started", "empty"]


def kill_during(house: House, broker: EmbeddedBroker, seconds: float) -> None:
    with run_python(SENDER, str(house.device), str(broker.port), "100000") as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "started\n"
        time.sleep(seconds)
        sender.kill()


@pytest.mark.timeout(120)
def test_a_device_killed_again_and_again_loses_nothing(tmp_path: Path, broker: EmbeddedBroker) -> None:
    house = House(tmp_path)
    rng = random.Random(11)  # noqa: S311 - repeatable, no secret
    with gateway_process(house, broker.port):
        for _ in range(4):
            kill_during(house, broker, rng.uniform(0.3, 0.9))
            made = produced(house)
            # What is neither stored nor waiting is lost. A message may be both: stored, not yet acknowledged.
            assert len(made) <= len(stored(house.central_path)) + waiting(house)
        flush(house, broker)
    assert len(made) > 50
    assert stored(house.central_path) == made
    assert waiting(house) == 0
    assert read_stats(house.central_path).messages == len(made)
    with closing(sqlite3.connect(house.central_path)) as db:
        assert db.execute("SELECT count(*) FROM epoch_keys").fetchone()[0] >= 4


@pytest.mark.timeout(120)
def test_device_centre_and_broker_killed_in_turn_lose_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    rng = random.Random(12)  # noqa: S311 - repeatable, no secret
    with ExitStack() as broker_life:
        broker = broker_life.enter_context(EmbeddedBroker())
        for victim in ("centre", "broker", "device"):
            with gateway_process(house, broker.port) as gateway:
                with run_python(SENDER, str(house.device), str(broker.port), "100000") as sender:
                    before = read_stats(house.central_path).messages
                    assert wait_until(lambda: read_stats(house.central_path).messages > before)  # noqa: B023
                    time.sleep(rng.uniform(0.1, 0.4))
                    if victim == "centre":
                        gateway.kill()
                    elif victim == "broker":
                        broker.stop()
                    time.sleep(rng.uniform(0.1, 0.4))
                    sender.kill()
                if victim == "broker":
                    broker.start()
        with gateway_process(house, broker.port):
            flush(house, broker)
    made = produced(house)
    assert len(made) > 50
    assert stored(house.central_path) == made
    assert waiting(house) == 0
