from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from edge_twin_sync import acks
from edge_twin_sync.acks import Ack
from edge_twin_sync.client import SyncClient, SyncSettings
from edge_twin_sync.gateway import Gateway
from edge_twin_sync.ingest import Ingest
from edge_twin_sync.keys import CentreIdentity, DeviceRegistry
from edge_twin_sync.memory_transport import MemoryBroker, MemoryTransport
from edge_twin_sync.outbox import Outbox, connect
from edge_twin_sync.paho_transport import backoff_s
from edge_twin_sync.records import Schema
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.sink import open_sink, read_stats
from edge_twin_sync.streams import ALL_UPLINKS, Stream, ack_topic
from tests.sync_harness import NOW, House, feature_batch, flag_batch, wait_until

FAST = SyncSettings(ack_timeout_s=0.2, longest_timeout_s=1.0, poll_s=0.02)


class Rig:
    """A device's client and, when asked for, a centre, on a broker in memory."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.broker = MemoryBroker()
        self.sealer = Sealer(house.keys)
        self.topic = ack_topic(self.sealer.dev)
        self.db = connect(house.outbox_path)
        self.outbox = Outbox(self.db, self.sealer)
        self.transport = MemoryTransport(self.broker, (self.topic,))
        self.client = SyncClient(house.outbox_path, self.sealer, house.keys.ack_keys, self.transport, FAST)
        self.listener = MemoryTransport(self.broker, (ALL_UPLINKS,))

    def put(self, number: int, stream: Stream = Stream.FEATURES) -> None:
        is_alert = stream is Stream.ALERTS
        schema, body = (
            (Schema.FLAGS_V1, flag_batch(number)) if is_alert else (Schema.FEATURES_V1, feature_batch(number))
        )
        self.outbox.enqueue(stream, schema, body, NOW + timedelta(minutes=number))

    @contextmanager
    def centre(self) -> Iterator[None]:
        stopping = threading.Event()
        thread = threading.Thread(target=self._serve, args=(stopping,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _serve(self, stopping: threading.Event) -> None:
        with open_sink(self.house.central_path) as sink:
            identity = CentreIdentity.load(self.house.centre)
            ingest = Ingest(sink, identity, DeviceRegistry(self.house.centre), lambda: NOW)
            Gateway(MemoryTransport(self.broker, (ALL_UPLINKS,)), ingest, coalesce_s=0.01).run(stopping)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(House(tmp_path))
    with closing(made.db):
        yield made
        made.client.stop()


def test_everything_goes_out_once_and_leaves_the_outbox(rig: Rig) -> None:
    for number in range(60):
        rig.put(number)
    with rig.centre():
        rig.client.start()
        rig.put(60, Stream.ALERTS)
        assert rig.client.stop(flush_timeout_s=20)
    stats = read_stats(rig.house.central_path)
    assert (stats.messages, stats.records, stats.refused) == (61, 61, {})
    assert rig.outbox.counts().pending == 0
    assert rig.client.stats.acked == 62  # the epoch's key too


def test_puback_alone_deletes_nothing(rig: Rig) -> None:
    rig.put(1)
    rig.client.start()
    assert wait_until(lambda: rig.client.stats.resent >= 2)
    assert rig.outbox.counts().pending == 1
    assert not rig.client.wait_empty(0.01)


def test_a_lost_message_and_a_lost_acknowledgement_are_made_good(rig: Rig) -> None:
    rng = random.Random(3)  # noqa: S311 - repeatable, no secret
    rig.broker.is_lost = lambda _topic, _payload: rng.random() < 0.3
    for number in range(40):
        rig.put(number)
    with rig.centre():
        rig.client.start()
        assert rig.client.wait_empty(30)
    stats = read_stats(rig.house.central_path)
    assert stats.messages == 40
    assert rig.client.stats.resent > 0


def test_a_new_connection_sends_everything_in_flight_again(rig: Rig) -> None:
    rig.client = SyncClient(
        rig.house.outbox_path,
        rig.sealer,
        rig.house.keys.ack_keys,
        rig.transport,
        SyncSettings(poll_s=0.02, ack_timeout_s=3600.0),
    )
    rig.put(1)
    rig.client.start()
    assert wait_until(lambda: rig.client.stats.sent == 2)
    rig.broker.disconnect(rig.transport, "cut")
    rig.broker.connect(rig.transport)
    assert wait_until(lambda: rig.client.stats.resent == 2)
    assert rig.client.stats.connections == 2


def test_an_alert_finds_a_slot_though_nothing_is_acknowledged(rig: Rig) -> None:
    rig.listener.start()
    for number in range(50):
        rig.put(number)
    rig.client.start()
    assert wait_until(lambda: rig.client.stats.sent >= 16)
    rig.put(99, Stream.ALERTS)
    rig.client.notify()
    assert wait_until(lambda: _received(rig.listener, "/a") == 1)
    distinct = {event.payload for event in list(rig.listener.events.queue) if hasattr(event, "payload")}
    assert len(distinct) <= 20


def _received(listener: MemoryTransport, ending: str) -> int:
    return sum(getattr(event, "topic", "").endswith(ending) for event in list(listener.events.queue))


def test_a_refused_publish_is_quarantined_and_blocks_nothing(rig: Rig) -> None:
    rig.broker.reason_code = lambda topic: 135 if topic.endswith("/a") else 0
    rig.put(1, Stream.ALERTS)
    rig.put(2)
    with rig.centre():
        rig.client.start()
        assert rig.client.wait_empty(20)
    counts = rig.outbox.counts()
    assert (counts.pending, counts.quarantined) == (0, 1)
    assert rig.client.stats.quarantined == 1
    assert read_stats(rig.house.central_path).messages == 2  # the feature and the ledger of the drop


def test_nobody_listening_is_no_refusal(rig: Rig) -> None:
    rig.broker.reason_code = lambda _topic: 16
    rig.put(1)
    rig.client.start()
    assert wait_until(lambda: rig.client.stats.resent >= 2)
    assert rig.outbox.counts().pending == 1
    assert rig.outbox.counts().quarantined == 0


def test_what_the_centre_cannot_use_is_quarantined(rig: Rig) -> None:
    rig.outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, b"poison", NOW)
    rig.put(1)
    with rig.centre():
        rig.client.start()
        assert rig.client.wait_empty(20)
    assert rig.outbox.counts().quarantined == 1
    stats = read_stats(rig.house.central_path)
    assert (stats.messages, stats.rejected) == (1, 1)


@pytest.mark.parametrize("attack", ["stranger", "flipped", "other device", "noise"])
def test_a_forged_acknowledgement_deletes_nothing(rig: Rig, attack: str) -> None:
    rig.put(1)
    own = CentreIdentity.load(rig.house.centre).ack_key
    dev = "aaaaaaaaaaaaaaaaaaaaaaaaaa" if attack == "other device" else rig.sealer.dev
    ack = Ack(dev, rig.sealer.epoch, Stream.FEATURES, 9, (), (), NOW)
    payload = acks.encode(ack, CentreIdentity.generate().ack_key if attack == "stranger" else own)
    if attack == "flipped":
        payload = payload[:20] + bytes([payload[20] ^ 1]) + payload[21:]
    if attack == "noise":
        payload = b"\x00" * 70
    rig.client.start()
    assert wait_until(lambda: rig.client.stats.sent >= 2)
    rig.broker.route(rig.topic, payload)
    assert wait_until(lambda: rig.client.stats.forged_acks == 1)
    assert rig.outbox.counts().pending == 1


def test_the_rows_of_an_earlier_process_go_out_with_their_own_key(rig: Rig) -> None:
    rig.put(1)
    later = Sealer(rig.house.keys)
    Outbox(rig.db, later).enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(2), NOW)
    rig.client = SyncClient(rig.house.outbox_path, later, rig.house.keys.ack_keys, rig.transport, FAST)
    with rig.centre():
        rig.client.start()
        assert rig.client.wait_empty(20)
    assert read_stats(rig.house.central_path).messages == 2


def test_stop_without_start_and_twice_is_harmless(rig: Rig) -> None:
    assert not rig.client.stop()
    assert not rig.client.stop()


def test_backoff_is_full_jitter_up_to_five_minutes() -> None:
    assert [backoff_s(n, 1.0, lambda _low, high: high) for n in (0, 1, 2, 8, 9, 10**6)] == [1, 2, 4, 256, 300, 300]
    waits = [backoff_s(5, 0.5, random.Random(1).uniform) for _ in range(5)]  # noqa: S311 - repeatable, no secret
    assert all(0 <= wait <= 16 for wait in waits)
