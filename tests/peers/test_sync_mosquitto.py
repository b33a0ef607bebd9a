"""The same way out through mosquitto, the broker of hubs and production."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_twin_sync.broker import HOST, free_port
from edge_twin_sync.client import SyncClient, SyncSettings
from edge_twin_sync.outbox import Outbox, connect
from edge_twin_sync.paho_transport import MqttSettings, PahoTransport
from edge_twin_sync.records import Schema
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.sink import read_stats
from edge_twin_sync.streams import Stream, ack_topic, status_topic
from tests.sync_harness import NOW, House, feature_batch, flag_batch, gateway_process, wait_until

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="the broker mosquitto is not installed")

ACL = "topic readwrite et/#\n"
NO_ALERTS = "topic deny et/v1/+/up/a\ntopic readwrite et/#\n"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def mosquitto(directory: Path, acl: str) -> Iterator[int]:
    port = free_port()
    rules, configuration = directory / "acl", directory / "mosquitto.conf"
    rules.write_text(acl, "utf-8")
    rules.chmod(0o644)
    directory.chmod(0o755)
    configuration.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\npersistence false\nacl_file {rules}\nuser root\n", "utf-8"
    )
    with subprocess.Popen([str(MOSQUITTO), "-c", str(configuration)], stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until(lambda: listens(port))
            yield port
        finally:
            process.terminate()


@pytest.fixture
def port(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    yield from mosquitto(tmp_path, getattr(request, "param", ACL))


def synced(house: House, port: int) -> tuple[Outbox, SyncClient]:
    sealer = Sealer(house.keys)
    outbox = Outbox(connect(house.outbox_path), sealer)
    settings = MqttSettings(
        HOST, port, sealer.dev, (ack_topic(sealer.dev),), status_topic(sealer.dev), backoff_scale=0.02
    )
    transport = PahoTransport(settings, random.Random(2))  # noqa: S311 - repeatable, no secret
    fast = SyncSettings(ack_timeout_s=0.5, poll_s=0.02)
    return outbox, SyncClient(house.outbox_path, sealer, house.keys.ack_keys, transport, fast)


def test_two_hundred_messages_arrive_exactly_once_through_mosquitto(tmp_path: Path, port: int) -> None:
    house = House(tmp_path / "house")
    outbox, client = synced(house, port)
    with closing(outbox._db), gateway_process(house, port):
        client.start()
        for number in range(200):
            outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(number), NOW)
        assert client.stop(flush_timeout_s=30)
        assert outbox.counts().pending == 0
    stats = read_stats(house.central_path)
    assert (stats.messages, stats.records, stats.refused) == (200, 200, {})


@pytest.mark.parametrize("port", [NO_ALERTS], indirect=True)
def test_a_publish_that_mosquitto_denies_is_quarantined(tmp_path: Path, port: int) -> None:
    """The denial is PUBACK reason 135; paho reports it as published."""
    house = House(tmp_path / "house")
    outbox, client = synced(house, port)
    with closing(outbox._db), gateway_process(house, port):
        outbox.enqueue(Stream.ALERTS, Schema.FLAGS_V1, flag_batch(1), NOW)
        outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(1), NOW)
        client.start()
        assert client.stop(flush_timeout_s=30)
        assert outbox._db.execute("SELECT stream, last_rc FROM outbox WHERE state=2").fetchall() == [(0, 135)]
    assert read_stats(house.central_path).messages == 2  # the feature, and the ledger that names the gap
