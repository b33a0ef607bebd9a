"""A device that distils and syncs until it is killed: ``sync_sender.py DIRECTORY PORT COUNT``.

Writes COUNT feature rows, each with its message in one transaction, while the sync client runs; then
waits for an empty outbox, prints ``empty`` and ends.
"""

from __future__ import annotations

import random
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from edge_twin_sync.client import SyncClient, SyncSettings
from edge_twin_sync.keys import DeviceKeys
from edge_twin_sync.outbox import Outbox, connect, writing
from edge_twin_sync.paho_transport import MqttSettings, PahoTransport
from edge_twin_sync.records import FeatureRecord, Schema, encode_batch
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import Stream, ack_topic


def main() -> None:
    directory, port, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    keys = DeviceKeys.load(directory)
    sealer = Sealer(keys)
    topic = ack_topic(keys.identity.dev)
    settings = MqttSettings("127.0.0.1", port, keys.identity.dev, (topic,), backoff_scale=0.05)
    path = directory / "twin.db"
    with closing(connect(path)) as db:
        outbox = Outbox(db, sealer)
        db.execute("CREATE TABLE IF NOT EXISTS produced(value INTEGER PRIMARY KEY)")
        transport = PahoTransport(settings, random.Random(port))  # noqa: S311 - repeatable, no secret
        client = SyncClient(path, sealer, keys.ack_keys, transport, SyncSettings(ack_timeout_s=0.5, poll_s=0.02))
        client.start()
        print("started", flush=True)  # noqa: T201 - the test waits for this line
        for _ in range(count):
            with writing(db):
                value = db.execute("INSERT INTO produced(value) VALUES (NULL) RETURNING value").fetchone()[0]
                now = datetime.now(UTC)
                record = FeatureRecord("steps", now, now, float(value), "{steps}")
                outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, encode_batch(Schema.FEATURES_V1, [record]), now)
            time.sleep(0.002)
        if client.stop(flush_timeout_s=40):
            print("empty", flush=True)  # noqa: T201 - the test waits for this line


if __name__ == "__main__":
    main()
