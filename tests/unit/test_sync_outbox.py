from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from edge_twin_sync import envelope
from edge_twin_sync.envelope import EpochKey, Header
from edge_twin_sync.errors import OutboxError
from edge_twin_sync.outbox import Outbox, RowId, connect, writing
from edge_twin_sync.records import DropRecord, Schema, decode_batch
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import Stream
from tests.sync_harness import NOW, House, feature_batch, flag_batch

ROW_BYTES = 300  # more than a sealed feature_batch


class Device:
    """A house with one open outbox."""

    def __init__(self, directory: Path, quota: int = 10**6) -> None:
        self.house = House(directory)
        self.key = EpochKey.generate()
        self.sealer = Sealer(self.house.keys, self.key)
        self.db = connect(self.house.outbox_path)
        self.outbox = Outbox(self.db, self.sealer, quota_bytes=quota)
        self.minutes = 0

    def put(self, stream: Stream = Stream.FEATURES, number: int = 0) -> RowId:
        self.minutes += 1
        schema, body = (
            (Schema.FLAGS_V1, flag_batch(number))
            if stream is Stream.ALERTS
            else (Schema.FEATURES_V1, feature_batch(number))
        )
        return self.outbox.enqueue(stream, schema, body, NOW + timedelta(minutes=self.minutes))

    def open(self, message: bytes) -> tuple[Header, bytes]:
        return envelope.open_(message, self.house.keys.identity.signing_key.public_key(), self.key)

    def drops(self) -> list[DropRecord]:
        bodies = [self.open(row.body)[1] for row in self.outbox.next_batch(1000) if row.stream is Stream.EVENTS]
        records = [record for body in bodies for record in decode_batch(body)[1]]
        return [record for record in records if isinstance(record, DropRecord)]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    with closing(made.db):
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Device]:
    """An outbox with room for about a dozen messages."""
    made = Device(tmp_path, quota=12 * ROW_BYTES)
    with closing(made.db):
        yield made


def test_a_message_is_sealed_once_and_its_key_goes_first(device: Device) -> None:
    device.put(number=61)
    key, message = device.outbox.next_batch(5)
    assert (key.stream, key.seq) == (Stream.KEYS, 1)
    header, body = device.open(message.body)
    assert header.id == (device.sealer.dev, device.sealer.epoch, Stream.FEATURES, 1)
    assert body == feature_batch(61)
    assert device.outbox.next_batch(5) == [key, message]


def test_numbers_count_per_stream(device: Device) -> None:
    ids = [device.put(stream) for stream in (Stream.FEATURES, Stream.ALERTS, Stream.FEATURES, Stream.ALERTS)]
    assert [seq for _, _, seq in ids] == [1, 1, 2, 2]


def test_the_caller_s_row_and_the_message_commit_or_vanish_together(device: Device) -> None:
    device.db.execute("CREATE TABLE features(value REAL)")
    with device.db.atomic():
        device.db.execute("INSERT INTO features VALUES (1)")
        device.put()
    with pytest.raises(RuntimeError), device.db.atomic():  # noqa: PT012 - the transaction is the subject
        device.db.execute("INSERT INTO features VALUES (2)")
        device.put()
        raise RuntimeError
    assert device.db.execute("SELECT count(*) FROM features").fetchone() == (1,)
    counts = device.outbox.counts()
    assert (counts.produced, counts.pending) == (1, 1)
    assert device.put()[2] == 2


def test_another_connection_sees_nothing_before_the_commit(device: Device) -> None:
    with closing(connect(device.house.outbox_path)) as other:
        watcher = Outbox(other, device.sealer)
        with device.db.atomic():
            device.put()
            assert watcher.is_empty()
        assert not watcher.is_empty()


def test_rows_survive_the_process_and_a_new_process_opens_a_new_epoch(device: Device) -> None:
    device.put()
    device.db.close()
    with closing(connect(device.house.outbox_path)) as db:
        outbox = Outbox(db, Sealer(device.house.keys))
        outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(2), NOW)
        epochs = {row.epoch for row in outbox.next_batch(10)}
        assert len(epochs) == 2
        assert outbox.counts().produced == 2


def test_a_plain_sqlite_connection_serves_too(tmp_path: Path) -> None:
    house = House(tmp_path)
    with closing(sqlite3.connect(":memory:")) as connection:
        outbox = Outbox(connection, Sealer(house.keys))
        outbox.enqueue(Stream.ALERTS, Schema.FLAGS_V1, flag_batch(1), NOW)
        assert outbox.counts().pending == 1


def test_alerts_first_then_three_newest_for_each_oldest(device: Device) -> None:
    for number in range(8):
        device.put(number=number)
    device.put(Stream.METRICS)
    device.put(Stream.ALERTS)
    order = [(row.stream, row.seq) for row in device.outbox.next_batch(20)]
    features = [seq for stream, seq in order if stream is Stream.FEATURES]
    assert order[:2] == [(Stream.KEYS, 1), (Stream.ALERTS, 1)]
    assert order[-1] == (Stream.METRICS, 1)
    assert features == [8, 7, 6, 1, 5, 4, 3, 2]


def test_backfill_keeps_its_share_when_rows_are_taken_one_by_one(device: Device) -> None:
    for number in range(9):
        device.put(number=number)
    taken: list[RowId] = [row.id for row in device.outbox.next_batch(1)]
    features = []
    for _ in range(8):
        [row] = device.outbox.next_batch(1, frozenset(taken))
        taken.append(row.id)
        features.append(row.seq)
    assert features == [9, 8, 7, 1, 6, 5, 4, 2]


def test_what_is_in_flight_is_not_given_again_and_urgent_only_means_it(device: Device) -> None:
    device.put()
    device.put(Stream.ALERTS)
    urgent = device.outbox.next_batch(10, urgent_only=True)
    assert [row.stream for row in urgent] == [Stream.KEYS, Stream.ALERTS]
    rest = device.outbox.next_batch(10, {row.id for row in urgent})
    assert [row.stream for row in rest] == [Stream.FEATURES]


@given(upto=st.integers(0, 12), ranges=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=3))
@settings(max_examples=25, deadline=None)
def test_an_acknowledgement_deletes_exactly_what_it_names(
    tmp_path_factory: pytest.TempPathFactory, upto: int, ranges: list[tuple[int, int]]
) -> None:
    device = Device(tmp_path_factory.mktemp("ack"))
    with closing(device.db):
        for number in range(10):
            device.put(number=number)
        device.put(Stream.ALERTS)
        named = {*range(1, upto + 1), *(seq for low, high in ranges for seq in range(low, high + 1))}
        removed = device.outbox.ack(device.sealer.epoch, Stream.FEATURES, upto, tuple(ranges))
        assert sorted(seq for _, _, seq in removed) == sorted(named & set(range(1, 11)))
        left = {row.seq for row in device.outbox.next_batch(50) if row.stream is Stream.FEATURES}
        assert left == set(range(1, 11)) - named
        assert device.outbox.counts().pending == len(left) + 1
        assert device.outbox.ack(device.sealer.epoch + 1, Stream.ALERTS, 99) == []


def test_a_full_outbox_gives_up_metrics_then_old_features_then_states_and_tells(small: Device) -> None:
    for stream in (Stream.STATES, Stream.FEATURES, Stream.METRICS, Stream.FEATURES):
        for _ in range(2):
            small.put(stream)
    for number in range(8):
        small.put(Stream.ALERTS, number)
    kept = {(row.stream, row.seq) for row in small.outbox.next_batch(100)}
    dropped = {
        (record.stream, seq) for record in small.drops() for low, high in record.ranges for seq in range(low, high + 1)
    }
    assert {(Stream.ALERTS, seq) for seq in range(1, 9)} <= kept
    assert {(Stream.METRICS, 1), (Stream.METRICS, 2), (Stream.FEATURES, 1)} <= dropped
    assert {record.cause for record in small.drops()} == {"evicted"}
    by_stream = [sorted(seq for number, seq in dropped if number == stream) for stream in (1, 2)]
    assert by_stream[0] == list(range(1, len(by_stream[0]) + 1)), "the oldest features go first"
    assert not by_stream[1] or len(by_stream[0]) == 4, "states go only after every feature"
    counts = small.outbox.counts()
    assert counts.evicted == len(dropped)
    assert counts.produced == counts.pending + counts.evicted
    assert counts.bytes <= 12 * ROW_BYTES + ROW_BYTES


def test_a_metric_never_displaces_a_feature(small: Device) -> None:
    while small.outbox.counts().bytes + ROW_BYTES < 12 * ROW_BYTES:
        small.put(Stream.FEATURES)
    with pytest.raises(OutboxError) as error:
        small.put(Stream.METRICS)
    assert error.value.reason == "quota_full"
    assert small.outbox.counts().evicted == 0
    small.put(Stream.STATES)
    assert small.outbox.counts().evicted > 0


def test_hz_sync_02_full_of_alerts_is_said_and_loses_nothing_of_the_caller(small: Device) -> None:
    small.db.execute("CREATE TABLE flags(id INTEGER)")
    refused = None
    for number in range(40):
        with small.db.atomic():
            small.db.execute("INSERT INTO flags VALUES (?)", [number])
            try:
                small.put(Stream.ALERTS, number)
            except OutboxError as error:
                refused = error
                break
    assert refused is not None
    assert refused.reason == "quota_full"
    counts = small.outbox.counts()
    assert counts.refused == 1
    assert counts.produced == counts.pending == number
    assert small.db.execute("SELECT count(*) FROM flags").fetchone() == (number + 1,)
    small.outbox.ack(small.sealer.epoch, Stream.ALERTS, number)
    assert small.put(Stream.ALERTS)[2] == number + 1


def test_a_body_that_no_broker_would_take_is_refused_at_once(device: Device) -> None:
    with pytest.raises(OutboxError) as error:
        device.outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, bytes(65_537), NOW)
    assert error.value.reason == "too_large"
    with pytest.raises(OutboxError) as keys:
        device.outbox.enqueue(Stream.KEYS, Schema.FEATURES_V1, b"x", NOW)
    assert keys.value.reason == "bad_stream"


def test_a_quarantined_row_blocks_nothing_stays_visible_and_is_told(device: Device) -> None:
    poison = device.put()
    device.put()
    assert device.outbox.quarantine(poison, 135, NOW)
    assert not device.outbox.quarantine(poison, 135, NOW)
    assert poison not in {row.id for row in device.outbox.next_batch(10)}
    [drop] = device.drops()
    assert (drop.stream, drop.ranges, drop.cause) == (Stream.FEATURES, ((1, 1),), "quarantined")
    device.outbox.ack(device.sealer.epoch, Stream.FEATURES, 2)
    state = device.db.execute("SELECT state, last_rc FROM outbox WHERE stream=1").fetchall()
    assert state == [(2, 135)]
    counts = device.outbox.counts()
    assert (counts.produced, counts.pending, counts.quarantined) == (3, 1, 1)


def test_the_ledger_does_not_report_on_itself(device: Device) -> None:
    device.outbox.quarantine(device.put(), 135, NOW)
    [ledger] = [row for row in device.outbox.next_batch(10) if row.stream is Stream.EVENTS]
    device.outbox.quarantine(ledger.id, 135, NOW)
    assert device.outbox.counts().produced == 2


def test_two_threads_may_write_at_once(device: Device) -> None:
    def work() -> None:
        with closing(connect(device.house.outbox_path)) as db:
            outbox = Outbox(db, device.sealer)
            for number in range(20):
                outbox.enqueue(Stream.FEATURES, Schema.FEATURES_V1, feature_batch(number), NOW)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(row.seq for row in device.outbox.next_batch(100) if row.stream is Stream.FEATURES)
    assert numbers == list(range(1, 61))


def test_writing_joins_an_open_transaction(device: Device) -> None:
    with pytest.raises(RuntimeError), writing(device.db) as db:  # noqa: PT012 - the transaction is the subject
        assert isinstance(db, Database)
        with writing(device.db):
            device.put()
        raise RuntimeError
    assert device.outbox.counts().produced == 0


def test_the_next_row_of_a_long_backlog_comes_from_the_index(device: Device) -> None:
    plan = device.db.execute(
        "EXPLAIN QUERY PLAN SELECT body FROM outbox WHERE state=0 AND prio=2"
        " ORDER BY created_ms DESC, epoch DESC, stream DESC, seq DESC LIMIT 5"
    ).fetchall()
    assert "outbox_next" in plan[0][3]
    assert not any("TEMP B-TREE" in row[3] for row in plan)
