from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from edge_twin_sync import acks
from edge_twin_sync.acks import Ack, Reject
from edge_twin_sync.envelope import EpochKey
from edge_twin_sync.ingest import MAX_HELD, Ingest, Uplink
from edge_twin_sync.keys import CentreIdentity, DeviceRegistry, pair
from edge_twin_sync.outbox import Outbox, connect
from edge_twin_sync.records import DropRecord, Schema, encode_batch
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.sink import SqliteSink, read_stats
from edge_twin_sync.state_record import StateRecord
from edge_twin_sync.streams import Stream, ack_topic, uplink_topic
from tests.sync_harness import NOW, House, feature_batch, flag_batch


class Centre:
    """An ingest and a device whose outbox feeds it by hand."""

    def __init__(self, house: House, sink: SqliteSink, outbox: Outbox) -> None:
        self.house = house
        self.sink = sink
        self.outbox = outbox
        self.dev = house.keys.identity.dev
        self.now: datetime = NOW
        self.ingest = self.restarted()

    def restarted(self) -> Ingest:
        identity = CentreIdentity.load(self.house.centre)
        return Ingest(self.sink, identity, DeviceRegistry(self.house.centre), lambda: self.now)

    def uplinks(self) -> list[Uplink]:
        return [(uplink_topic(self.dev, row.stream), row.body) for row in self.outbox.next_batch(1000)]

    def acks(self) -> list[Ack]:
        answers = self.ingest.take_acks()
        assert {topic for topic, _ in answers} <= {ack_topic(self.dev)}
        return [acks.decode(payload, self.house.keys.ack_keys) for _, payload in answers]

    def ack(self, stream: Stream) -> Ack:
        [found] = [ack for ack in self.acks() if ack.stream is stream]
        return found

    def put(self, number: int, stream: Stream = Stream.FEATURES) -> None:
        self.outbox.enqueue(stream, Schema.FEATURES_V1, feature_batch(number), NOW)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    house = House(tmp_path)
    with closing(SqliteSink(house.central_path)) as sink, closing(connect(house.outbox_path)) as db:
        yield Centre(house, sink, Outbox(db, Sealer(house.keys)))


def test_what_arrives_is_stored_in_readable_columns_and_acknowledged(centre: Centre) -> None:
    centre.put(61)
    centre.outbox.enqueue(Stream.ALERTS, Schema.FLAGS_V1, flag_batch(1), NOW)
    state = StateRecord.from_covariance(NOW, ["ktr", "slope"], np.array([0.2, 3.0]), np.diag([0.04, 9.0]))
    centre.outbox.enqueue(Stream.STATES, Schema.STATES_V1, encode_batch(Schema.STATES_V1, [state]), NOW)
    centre.ingest.process(centre.uplinks())
    by_stream = {ack.stream: ack for ack in centre.acks()}
    assert {stream: ack.upto for stream, ack in by_stream.items() if stream is not Stream.KEYS} == {
        Stream.FEATURES: 1,
        Stream.ALERTS: 1,
        Stream.STATES: 1,
    }
    assert by_stream[Stream.KEYS].ranges == ((1, 1),)
    assert by_stream[Stream.FEATURES].server_time == NOW
    with closing(sqlite3.connect(centre.house.central_path)) as db:
        assert db.execute("SELECT name, value, unit, count FROM features").fetchall() == [
            ("resting_heart_rate", 61.0, "/min", 400)
        ]
        assert db.execute("SELECT kind, urgency, probability FROM flags").fetchall() == [
            ("neutropenia_ahead", "today", 0.62)
        ]
        assert db.execute("SELECT names FROM states").fetchall() == [('["ktr", "slope"]',)]
    assert centre.acks() == []


def test_a_duplicate_has_no_effect_and_is_answered_again(centre: Centre) -> None:
    centre.put(1)
    uplinks = centre.uplinks()
    for _ in range(3):
        centre.ingest.process([*uplinks, *uplinks])
        assert centre.ack(Stream.FEATURES).upto == 1
    stats = read_stats(centre.house.central_path)
    assert (stats.messages, stats.records, stats.duplicates, stats.refused) == (1, 1, 5, {})


def test_order_does_not_matter_and_gaps_are_shown(centre: Centre) -> None:
    for number in range(1, 8):
        centre.put(number)
    key, *messages = sorted(centre.uplinks(), key=lambda uplink: uplink[0].endswith("/f"))
    by_seq = dict(zip([7, 6, 5, 1, 4, 3, 2], messages, strict=True))
    centre.ingest.process([by_seq[7], by_seq[3], by_seq[4], key])
    ack = centre.ack(Stream.FEATURES)
    assert (ack.upto, ack.ranges) == (0, ((3, 4), (7, 7)))
    centre.ingest.process([by_seq[1], by_seq[2], by_seq[6]])
    ack = centre.ack(Stream.FEATURES)
    assert (ack.upto, ack.ranges) == (4, ((6, 6),))
    centre.ingest.process([by_seq[5]])
    assert centre.ack(Stream.FEATURES).upto == 7


def test_more_ranges_than_fit_come_in_several_acknowledgements(centre: Centre) -> None:
    for number in range(80):
        centre.put(number)
    rows = [row for row in centre.outbox.next_batch(200) if row.seq % 2 == 0 or row.stream is Stream.KEYS]
    centre.ingest.process([(uplink_topic(centre.dev, row.stream), row.body) for row in rows])
    parts = [ack for ack in centre.acks() if ack.stream is Stream.FEATURES]
    assert [len(part.ranges) for part in parts] == [32, 8]
    assert {low for part in parts for low, _ in part.ranges} == set(range(2, 81, 2))


def test_evicted_numbers_do_not_stop_the_count(centre: Centre) -> None:
    for number in range(1, 5):
        centre.put(number)
    messages = {row.seq: row for row in centre.outbox.next_batch(100) if row.stream is Stream.FEATURES}
    epoch = messages[1].epoch
    drop = DropRecord(int(Stream.FEATURES), epoch, ((1, 1), (3, 3)), "evicted")
    centre.outbox.enqueue(Stream.EVENTS, Schema.DROPS_V1, encode_batch(Schema.DROPS_V1, [drop]), NOW)
    centre.ingest.process(
        [uplink for uplink in centre.uplinks() if uplink[1] not in (messages[1].body, messages[3].body)]
    )
    assert centre.ack(Stream.FEATURES).upto == 4


def test_a_restarted_centre_opens_messages_of_a_known_epoch(centre: Centre) -> None:
    centre.put(1)
    centre.ingest.process(centre.uplinks())
    centre.put(2)
    centre.ingest = centre.restarted()
    centre.ingest.process([uplink for uplink in centre.uplinks() if uplink[0].endswith("/f")])
    assert centre.ack(Stream.FEATURES).upto == 2


def test_without_its_key_a_message_waits_in_a_bounded_place(centre: Centre) -> None:
    for number in range(MAX_HELD + 10):
        centre.put(number)
    key, *messages = sorted(centre.uplinks(), key=lambda uplink: uplink[0].endswith("/f"))
    centre.ingest.process(messages)
    assert centre.acks() == []
    centre.ingest.process([key])
    centre.acks()
    assert read_stats(centre.house.central_path).messages == MAX_HELD


def test_hz_sync_01_every_forged_byte_is_refused_audited_and_disturbs_no_other(centre: Centre) -> None:
    centre.put(1)
    key, (topic, message) = sorted(centre.uplinks(), key=lambda uplink: uplink[0].endswith("/f"))
    forged = [bytes([*message[:n], message[n] ^ 1, *message[n + 1 :]]) for n in range(len(message))]
    centre.ingest.process([key, *((topic, payload) for payload in forged), (topic, message)])
    stats = read_stats(centre.house.central_path)
    assert stats.messages == 1
    assert sum(stats.refused.values()) == len(message)
    with closing(sqlite3.connect(centre.house.central_path)) as db:
        assert db.execute("SELECT count(*) FROM audit").fetchone() == (len(message),)


def test_unknown_and_revoked_devices_are_refused(centre: Centre, tmp_path: Path) -> None:
    centre.put(1)
    other = pair(tmp_path / "other", tmp_path / "elsewhere")
    message = centre.uplinks()[-1][1]
    DeviceRegistry(centre.house.centre).revoke(centre.dev)
    centre.ingest.process([(uplink_topic(other.identity.dev, Stream.FEATURES), message), *centre.uplinks()])
    stats = read_stats(centre.house.central_path)
    assert stats.refused == {"unknown_device": 1, "revoked_device": 2}
    assert stats.messages == 0
    assert centre.acks() == []


def test_a_message_replayed_elsewhere_is_refused(centre: Centre, tmp_path: Path) -> None:
    """Across devices, across streams, and on topics that are no uplink."""
    other = pair(tmp_path / "other", centre.house.centre)
    centre.put(1)
    centre.ingest.process(centre.uplinks())
    key, (_, message) = sorted(centre.uplinks(), key=lambda uplink: uplink[0].endswith("/f"))
    stolen = [
        (uplink_topic(other.identity.dev, Stream.FEATURES), message),
        (uplink_topic(centre.dev, Stream.ALERTS), message),
        (uplink_topic(other.identity.dev, Stream.KEYS), key[1]),
        ("et/v1/status", message),
    ]
    centre.ingest.process(stolen)
    stats = read_stats(centre.house.central_path)
    assert stats.refused == {"topic_mismatch": 4}
    assert stats.messages == 1


def test_the_same_number_with_other_bytes_is_a_conflict_not_a_duplicate(centre: Centre, tmp_path: Path) -> None:
    """A database restored while its process kept its epoch."""
    key = EpochKey.generate()
    bodies = []
    for copy in range(2):
        with closing(connect(tmp_path / f"{copy}.db")) as db:
            outbox = Outbox(db, Sealer(centre.house.keys, key))
            outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(copy), NOW)
            bodies.append([(uplink_topic(centre.dev, row.stream), row.body) for row in outbox.next_batch(9)])
    centre.ingest.process(bodies[0])
    centre.acks()
    centre.ingest.process(bodies[1])
    ack = centre.ack(Stream.FEATURES)
    assert ack.rejects == ((1, Reject.CONFLICT),)
    stats = read_stats(centre.house.central_path)
    assert stats.refused == {"conflict": 2}  # the message and its epoch's second announcement
    assert stats.duplicates == 0
    with closing(sqlite3.connect(centre.house.central_path)) as db:
        assert db.execute("SELECT value FROM features").fetchall() == [(0.0,)]


def test_authentic_but_unusable_messages_are_rejected_for_good(centre: Centre) -> None:
    for body in (b"no batch", b"\x82\x19\x7f\x7f\x81\xa0"):
        centre.outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, body, NOW)
    centre.outbox.enqueue(Stream.FEATURES, Schema.FLAGS_V1, feature_batch(1), NOW)
    for _ in range(2):
        centre.ingest.process(centre.uplinks())
        ack = centre.ack(Stream.FEATURES)
        assert ack.rejects == ((1, Reject.UNDECODABLE), (2, Reject.UNKNOWN_SCHEMA), (3, Reject.UNDECODABLE))
        assert ack.upto == 3
    assert read_stats(centre.house.central_path).rejected == 3


def test_when_the_database_refuses_nothing_is_owed_and_the_group_can_come_again(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        centre.put(number)
    calls = 0
    add = SqliteSink.add_records

    def full(sink: SqliteSink, *arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise sqlite3.OperationalError("database or disk is full")
        add(sink, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteSink, "add_records", full)
    with pytest.raises(sqlite3.OperationalError):
        centre.ingest.process(centre.uplinks())
    assert centre.acks() == []
    assert read_stats(centre.house.central_path).messages == 0
    centre.ingest.process(centre.uplinks())
    assert centre.ack(Stream.FEATURES).upto == 3
