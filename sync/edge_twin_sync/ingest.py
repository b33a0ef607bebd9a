"""What the centre does with a message: verify, remove duplicates, open, decode, store, owe an answer.

No network and no clock of its own. :meth:`Ingest.process` commits a group of messages in one transaction;
only then do their acknowledgements exist. The order of messages does not matter.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from edge_twin_sync import acks, envelope
from edge_twin_sync.acks import Ack, Ranges, Reject
from edge_twin_sync.envelope import EpochKey, Header, SealedMessage
from edge_twin_sync.errors import EnvelopeError, RecordError
from edge_twin_sync.keys import CentreIdentity, DeviceRegistry
from edge_twin_sync.records import DropRecord, Record, decode_batch
from edge_twin_sync.sink import IngestSink
from edge_twin_sync.streams import Stream, ack_topic, parse_uplink

_LOG = logging.getLogger(__name__)
MAX_HELD: Final = 256  # verified messages that wait for their epoch's key; others are sent again
_KEY_CACHE: Final = 4096
_FLUSH_AT: Final = 8  # half of a device's window for bulk: it need not wait for the coalescing time

Uplink = tuple[str, bytes]  # topic and payload
StreamId = tuple[str, int, Stream]  # dev, epoch, stream


@dataclass(slots=True)
class _Owed:
    """What will be answered for one stream of one device."""

    seqs: set[int] = field(default_factory=set)
    rejects: dict[int, Reject] = field(default_factory=dict)


class Ingest:
    """The centre's judgement on incoming messages.

    Args:
        sink: where they are stored.
        centre: the keys that open messages and sign acknowledgements.
        registry: the devices that are accepted.
        clock: now, aware UTC.
    """

    def __init__(
        self, sink: IngestSink, centre: CentreIdentity, registry: DeviceRegistry, clock: Callable[[], datetime]
    ) -> None:
        self._sink = sink
        self._centre = centre
        self._kid = centre.recipient.kid
        self._registry = registry
        self._clock = clock
        self._owed: dict[StreamId, _Owed] = {}
        self._fresh: dict[StreamId, _Owed] = {}
        self._keys: OrderedDict[tuple[str, int], EpochKey] = OrderedDict()
        self._held: dict[tuple[str, int], list[Uplink]] = {}

    def process(self, group: Sequence[Uplink]) -> None:
        """Judge and commit ``group``; afterwards its acknowledgements are owed.

        A message that is not trusted is counted and audited and disturbs no other.

        Raises:
            sqlite3.Error: the database refused; nothing is stored or owed, and the group may be given again.
        """
        self._fresh = {}
        with self._sink.transaction():
            for topic, payload in group:
                self._judge(topic, payload)
        for stream, fresh in self._fresh.items():
            owed = self._owed.setdefault(stream, _Owed())
            owed.seqs |= fresh.seqs
            owed.rejects |= fresh.rejects

    @property
    def is_answer_due(self) -> bool:
        """Whether some device waits for so much that the coalescing time should not be waited for."""
        return any(len(owed.seqs) >= _FLUSH_AT for owed in self._owed.values())

    def take_acks(self) -> list[Uplink]:
        """Topic and signed payload of every acknowledgement owed; they are not owed afterwards."""
        answers: list[Uplink] = []
        with self._sink.transaction():
            for (dev, epoch, stream), owed in self._owed.items():
                upto = self._sink.advance(dev, epoch, stream)
                ranges = _ranges_above(upto, owed.seqs)
                rejects = tuple(sorted(owed.rejects.items()))
                parts = max(1, -(-len(ranges) // acks.MAX_RANGES), -(-len(rejects) // acks.MAX_REJECTS))
                for part in range(parts):
                    ack = Ack(
                        dev,
                        epoch,
                        stream,
                        upto,
                        ranges[part * acks.MAX_RANGES : (part + 1) * acks.MAX_RANGES],
                        rejects[part * acks.MAX_REJECTS : (part + 1) * acks.MAX_REJECTS],
                        self._clock(),
                    )
                    answers.append((ack_topic(dev), acks.encode(ack, self._centre.ack_key)))
        self._owed = {}
        return answers

    def _judge(self, topic: str, payload: bytes) -> None:
        try:
            place = parse_uplink(topic)
            if place is None:
                raise EnvelopeError("not an uplink topic", reason="topic_mismatch")  # noqa: TRY301 - one way to refuse
            dev, stream = place
            if stream is Stream.KEYS:
                self._take_key(dev, payload)
            else:
                self._take_message(dev, stream, topic, payload)
        except EnvelopeError as error:
            self._refuse(topic, payload, error)

    def _refuse(self, topic: str, payload: bytes, error: EnvelopeError) -> None:
        _LOG.warning("refused a message on %s: %s", topic, error)
        self._sink.count(f"refused:{error.reason}")
        self._sink.audit(topic, error.reason, hashlib.sha256(payload).digest(), len(payload), self._clock())

    def _take_key(self, dev: str, payload: bytes) -> None:
        public = self._registry.lookup(dev)
        announcement = envelope.parse_announcement(payload)
        if announcement.dev != dev:
            raise EnvelopeError("the topic belongs to another device", reason="topic_mismatch")
        envelope.verify_announcement(announcement, public)
        key = envelope.accept_announcement(announcement, self._kid, self._centre.recipient_key)
        stored = self._sink.announcement(dev, key.epoch)
        if stored is not None and stored != payload:
            raise EnvelopeError("the epoch was announced with another key", reason="conflict")
        self._sink.add_announcement(dev, key.epoch, payload)
        self._remember(dev, key)
        # The announcement is number 1 of its stream and accounted for by being stored.
        self._owe((dev, key.epoch, Stream.KEYS), 1)
        for topic, held in self._held.pop((dev, key.epoch), ()):
            self._judge(topic, held)

    def _take_message(self, dev: str, stream: Stream, topic: str, payload: bytes) -> None:
        public = self._registry.lookup(dev)
        sealed = envelope.parse(payload)
        header = sealed.header
        if header.dev != dev or header.stream is not stream:
            raise EnvelopeError("the topic belongs to another device or stream", reason="topic_mismatch")
        envelope.verify(sealed, public)
        digest = hashlib.sha256(payload).digest()
        stored = self._sink.stored(header.id)
        if stored is not None:
            self._take_again(header, digest, *stored)
            return
        key = self._key(dev, header.epoch)
        if key is None:
            self._hold(header, topic, payload)
        else:
            self._store(sealed, key, digest, len(payload))

    def _take_again(self, header: Header, digest: bytes, stored: bytes, reject: int | None) -> None:
        """A message whose id is known: a duplicate is answered again, other bytes are refused."""
        if digest != stored:
            self._owe(_stream(header), header.seq, Reject.CONFLICT)
            raise EnvelopeError("the same id with other bytes", reason="conflict")
        self._sink.count("duplicates")
        self._owe(_stream(header), header.seq, None if reject is None else Reject(reject))

    def _store(self, sealed: SealedMessage, key: EpochKey, digest: bytes, size: int) -> None:
        body = envelope.decrypt(sealed, key)
        header = sealed.header
        records, reject = _decode(header, body)
        self._sink.add_message(header, digest, size, self._clock(), reject)
        self._sink.add_records(header, records)
        self._owe(_stream(header), header.seq, reject)
        for record in records:
            if isinstance(record, DropRecord) and record.stream in set(Stream):
                self._fresh.setdefault((header.dev, record.epoch, Stream(record.stream)), _Owed())

    def _owe(self, stream: StreamId, seq: int, reject: Reject | None = None) -> None:
        owed = self._fresh.setdefault(stream, _Owed())
        if reject is None:
            owed.seqs.add(seq)
        else:
            owed.rejects[seq] = reject

    def _hold(self, header: Header, topic: str, payload: bytes) -> None:
        """Keep a message until its key comes; beyond the bound it is not answered, so it is sent again."""
        if sum(map(len, self._held.values())) < MAX_HELD:
            self._held.setdefault((header.dev, header.epoch), []).append((topic, payload))

    def _key(self, dev: str, epoch: int) -> EpochKey | None:
        cached = self._keys.get((dev, epoch))
        if cached is not None:
            self._keys.move_to_end((dev, epoch))
            return cached
        payload = self._sink.announcement(dev, epoch)
        if payload is None:
            return None
        announcement = envelope.parse_announcement(payload)
        key = envelope.accept_announcement(announcement, self._kid, self._centre.recipient_key)
        self._remember(dev, key)
        return key

    def _remember(self, dev: str, key: EpochKey) -> None:
        self._keys[dev, key.epoch] = key
        if len(self._keys) > _KEY_CACHE:
            self._keys.popitem(last=False)


def _stream(header: Header) -> StreamId:
    return header.dev, header.epoch, header.stream


def _decode(header: Header, body: bytes) -> tuple[list[Record], Reject | None]:
    """The records, or why an authentic message will never be used."""
    try:
        schema, records = decode_batch(body)
    except RecordError as error:
        _LOG.warning("cannot use an authentic message: %s", error)
        return [], Reject.UNKNOWN_SCHEMA if error.reason == "unknown_schema" else Reject.UNDECODABLE
    return (records, None) if schema == header.schema else ([], Reject.UNDECODABLE)


def _ranges_above(upto: int, seqs: set[int]) -> Ranges:
    """Inclusive ranges of those ``seqs`` that ``upto`` does not cover."""
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seq for seq in seqs if seq > upto):
        if ranges and seq == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return tuple(ranges)
