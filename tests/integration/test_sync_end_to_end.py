"""A device, a real broker and the gateway as its own process."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from edge_twin_sync import acks
from edge_twin_sync.acks import Ack
from edge_twin_sync.broker import HOST, EmbeddedBroker
from edge_twin_sync.client import SyncClient, SyncSettings
from edge_twin_sync.errors import TransportError
from edge_twin_sync.keys import CentreIdentity, DeviceRegistry
from edge_twin_sync.outbox import Outbox, connect, writing
from edge_twin_sync.paho_transport import MqttSettings, PahoTransport
from edge_twin_sync.records import Schema
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.sink import read_stats
from edge_twin_sync.streams import ALL_UPLINKS, Stream, ack_topic, status_topic, uplink_topic
from edge_twin_sync.transport import Connected, Received
from tests.sync_harness import NOW, House, feature_batch, flag_batch, gateway_process, wait_until

SETTINGS = SyncSettings(ack_timeout_s=0.5, poll_s=0.02)


class Device:
    """A device's outbox and client on a real connection."""

    def __init__(self, house: House, port: int) -> None:
        self.house = house
        self.sealer = Sealer(house.keys)
        self.db = connect(house.outbox_path)
        self.outbox = Outbox(self.db, self.sealer)
        dev = self.sealer.dev
        self.client = SyncClient(
            house.outbox_path,
            self.sealer,
            house.keys.ack_keys,
            link(port, dev, ack_topic(dev), status_topic(dev)),
            SETTINGS,
        )

    def put(self, numbers: range) -> None:
        with writing(self.db):
            for number in numbers:
                created = NOW + timedelta(minutes=number)
                self.outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(number), created)

    def close(self) -> None:
        self.client.stop()
        self.db.close()


def link(port: int, client_id: str, topic: str, status: str | None = None) -> PahoTransport:
    settings = MqttSettings(HOST, port, client_id, (topic,), status, backoff_scale=0.02)
    return PahoTransport(settings, random.Random(1))  # noqa: S311 - repeatable, no secret


@contextmanager
def attacker(port: int, topic: str = "nothing") -> Iterator[PahoTransport]:
    transport = link(port, "attacker", topic)
    transport.start()
    assert isinstance(transport.events.get(timeout=10), Connected)
    try:
        yield transport
    finally:
        transport.stop()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture
def device(house: House, broker: EmbeddedBroker) -> Iterator[Device]:
    made = Device(house, broker.port)
    yield made
    made.close()


def values(house: House) -> list[int]:
    with closing(sqlite3.connect(house.central_path)) as db:
        return [int(value) for (value,) in db.execute("SELECT value FROM features ORDER BY value")]


def test_two_hundred_messages_arrive_exactly_once(house: House, broker: EmbeddedBroker, device: Device) -> None:
    device.put(range(200))
    with gateway_process(house, broker.port):
        device.client.start()
        device.outbox.enqueue(Stream.ALERTS, Schema.FLAGS_V1, flag_batch(1), NOW)
        assert device.client.stop(flush_timeout_s=30)
    assert values(house) == list(range(200))
    stats = read_stats(house.central_path)
    assert (stats.messages, stats.refused, stats.rejected) == (201, {}, 0)
    assert device.outbox.counts().pending == 0


def test_a_gateway_killed_between_is_made_good(house: House, broker: EmbeddedBroker, device: Device) -> None:
    device.put(range(150))
    with gateway_process(house, broker.port) as gateway:
        device.client.start()
        assert wait_until(lambda: read_stats(house.central_path).messages > 20)
        gateway.kill()
    device.put(range(150, 200))
    with gateway_process(house, broker.port):
        assert device.client.wait_empty(40)
    assert values(house) == list(range(200))


def test_a_broker_that_forgets_everything_is_made_good(house: House, broker: EmbeddedBroker, device: Device) -> None:
    port = broker.port
    device.put(range(150))
    with gateway_process(house, port):
        device.client.start()
        assert wait_until(lambda: read_stats(house.central_path).messages > 20)
        broker.stop()
        device.put(range(150, 200))
        with EmbeddedBroker(port):
            assert device.client.wait_empty(40)
    assert values(house) == list(range(200))
    assert device.client.stats.connections >= 2


def test_forged_unknown_and_replayed_messages_change_nothing(
    house: House, broker: EmbeddedBroker, device: Device, tmp_path: Path
) -> None:
    device.put(range(3))
    rows = {row.stream: row for row in device.outbox.next_batch(10)}
    genuine = rows[Stream.FEATURES].body
    topic = uplink_topic(device.sealer.dev, Stream.FEATURES)
    stranger = House(tmp_path / "stranger")
    with gateway_process(house, broker.port), attacker(broker.port) as transport:
        device.client.start()
        assert device.client.wait_empty(20)
        transport.publish(topic, genuine)  # a replay
        transport.publish(topic, genuine[:-1] + bytes([genuine[-1] ^ 1]))
        transport.publish(uplink_topic(stranger.keys.identity.dev, Stream.FEATURES), genuine)
        assert wait_until(lambda: sum(read_stats(house.central_path).refused.values()) == 2)
        assert wait_until(lambda: read_stats(house.central_path).duplicates >= 1)
        DeviceRegistry(house.centre).revoke(device.sealer.dev)
        transport.publish(topic, genuine)
        assert wait_until(lambda: read_stats(house.central_path).refused.get("revoked_device") == 1)
    stats = read_stats(house.central_path)
    assert stats.messages == 3
    assert stats.refused == {"forged": 1, "unknown_device": 1, "revoked_device": 1}


def test_a_forged_acknowledgement_on_the_wire_deletes_nothing(broker: EmbeddedBroker, device: Device) -> None:
    device.put(range(3))
    device.client.start()
    ack = Ack(device.sealer.dev, device.sealer.epoch, Stream.FEATURES, 3, (), (), NOW)
    with attacker(broker.port) as transport:
        assert wait_until(lambda: device.client.stats.sent >= 3)
        transport.publish(ack_topic(device.sealer.dev), acks.encode(ack, CentreIdentity.generate().ack_key))
        assert wait_until(lambda: device.client.stats.forged_acks == 1)
    assert device.outbox.counts().pending == 3


def test_the_broker_and_its_listeners_read_nothing(house: House, broker: EmbeddedBroker, device: Device) -> None:
    with attacker(broker.port, "et/#") as transport, gateway_process(house, broker.port):
        device.outbox.enqueue(Stream.ALERTS, Schema.FLAGS_V1, flag_batch(1), NOW)
        device.client.start()
        assert device.client.wait_empty(20)
        seen = [event for event in list(transport.events.queue) if isinstance(event, Received)]
    assert any(event.topic.endswith("up/a") for event in seen)
    assert not any(b"neutropenia" in event.payload for event in seen)


def test_a_device_tells_when_it_comes_and_goes(house: House, broker: EmbeddedBroker, device: Device) -> None:
    with attacker(broker.port, status_topic(device.sealer.dev)) as transport:
        device.client.start()
        assert wait_until(lambda: device.client.stats.connections == 1)
        device.client.stop()
        said = [transport.events.get(timeout=10) for _ in range(2)]
    assert [event.payload for event in said if isinstance(event, Received)] == [b"online", b"offline"]


def test_the_gateway_ends_on_sigterm_and_is_idempotent_about_it(house: House, broker: EmbeddedBroker) -> None:
    with gateway_process(house, broker.port) as gateway:
        gateway.terminate()
        assert gateway.wait(20) == 0


@pytest.mark.parametrize("arguments", [["--broker", "nowhere"], ["--broker", "h:x"], []])
def test_the_gateway_explains_wrong_arguments(house: House, arguments: list[str]) -> None:
    call = [sys.executable, "-m", "edge_twin_sync.gateway", "--database", "d", "--centre", "c", *arguments]
    run = subprocess.run(call, capture_output=True, text=True, check=False, env={"PYTHONPATH": "sync:."})
    assert run.returncode == 2
    assert "--broker" in run.stderr


def test_a_transport_without_a_broker_says_so_and_stops(broker: EmbeddedBroker) -> None:
    port = broker.port
    broker.stop()
    transport = link(port, "lonely", ALL_UPLINKS)
    transport.start()
    with pytest.raises(TransportError) as error:
        transport.publish("x", b"")
    assert error.value.reason == "not_connected"
    transport.stop()
    transport.stop()


def test_a_taken_port_is_an_error_and_nothing_listens_beyond_this_machine(broker: EmbeddedBroker) -> None:
    assert broker.host == "127.0.0.1"
    second = EmbeddedBroker(broker.port)
    with pytest.raises(OSError, match="use"):
        second.start()
    second.close()
