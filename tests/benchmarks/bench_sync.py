"""Sync: ``python -m tests.benchmarks.bench_sync`` from the project's root. Sealing, queueing, and the whole way out.

End to end means: durable outbox, real broker (iotcore), gateway in a process of its own, its commit, its signed
acknowledgement, deletion of the row. Figures inform; nothing is asserted.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edge_twin_sync import envelope
from edge_twin_sync.broker import EmbeddedBroker
from edge_twin_sync.client import SyncClient, SyncSettings
from edge_twin_sync.envelope import EpochKey
from edge_twin_sync.outbox import Outbox, connect, writing
from edge_twin_sync.paho_transport import MqttSettings, PahoTransport
from edge_twin_sync.records import Schema
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import Stream, ack_topic
from tests.sync_harness import NOW, House, feature_batch, gateway_process

MESSAGES = 3000
SINGLE = 100


def microseconds(work: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return 1e6 * (time.perf_counter() - started) / times


def sealing(house: House) -> None:
    key, body = EpochKey.generate(), feature_batch(1)
    sealer = Sealer(house.keys, key)
    public = house.keys.identity.signing_key.public_key()

    def seal() -> bytes:
        return sealer.seal(Stream.FEATURES, seq=1, schema=Schema.FEATURES_V1, priority=2, body=body, time=NOW)

    message = seal()
    print(f"one feature: {len(body)} B of record, {len(message)} B on the wire")
    opening = microseconds(lambda: envelope.open_(message, public, key), 1000)
    print(f"seal {microseconds(seal, 2000):.0f} µs, verify and open {opening:.0f} µs")


def end_to_end(window: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        sealer, body = Sealer(house.keys), feature_batch(1)
        database = connect(house.outbox_path)
        outbox = Outbox(database, sealer)

        def enqueue() -> object:
            return outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, body, NOW)

        alone = microseconds(enqueue, SINGLE)
        with writing(database):
            grouped = microseconds(enqueue, MESSAGES - SINGLE)
        with EmbeddedBroker() as broker, gateway_process(house, broker.port):
            dev = sealer.dev
            settings = MqttSettings(broker.host, broker.port, dev, (ack_topic(dev),), receive_maximum=window)
            transport = PahoTransport(settings, random.Random(1))  # noqa: S311 - jitter
            client = SyncClient(house.outbox_path, sealer, house.keys.ack_keys, transport, SyncSettings(window=window))
            started = time.perf_counter()
            client.start()
            emptied = client.stop(120.0)
            rate = MESSAGES / (time.perf_counter() - started)
        database.close()
    print(f"enqueue, own durable commit {alone:.0f} µs, grouped {grouped:.0f} µs")
    print(f"end to end, window {window}: {rate:.0f} messages/s, everything acknowledged: {emptied}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sealing(House(Path(folder)))
    for window in (20, 100):
        end_to_end(window)


if __name__ == "__main__":
    main()
