"""The records that leave a device, as compact CBOR maps with integer keys.

A batch is ``[schema id, [record, ...]]`` of one schema. The schema id is ``family * 256 + version``; a
version is never changed once it was released, and a newer one may only add keys. Unknown keys are kept
(``extra``), an unknown schema is a typed error.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final, Self

from edge_twin.observation import Quality
from edge_twin_sync import record_codec as codec
from edge_twin_sync import strict_cbor
from edge_twin_sync.errors import CodecError, RecordError
from edge_twin_sync.flag_record import FlagStateRecord
from edge_twin_sync.record_codec import RecordMap
from edge_twin_sync.state_record import StateRecord
from edge_twin_sync.strict_cbor import CborValue

MAX_RECORDS: Final = 2048
MAX_RANGES: Final = 1024
BATCH_LIMITS: Final = strict_cbor.Limits(size=65_536, depth=9, items=65_536)

# Numbers instead of names that are sent daily; numbers are never reused.
_NAMES: Final = ("resting_heart_rate", "rmssd", "sdnn", "body_temperature", "absolute_neutrophil_count", "steps")
_NUMBER_OF_NAME: Final = {name: number for number, name in enumerate(_NAMES)}
_QUALITIES: Final = (Quality.GOOD, Quality.QUESTIONABLE, Quality.IMPLAUSIBLE, Quality.INVALID)


class Schema(IntEnum):
    """Schema ids: ``family * 256 + version``."""

    FEATURES_V1 = 0x0101
    FLAGS_V1 = 0x0201
    FLAGS_V2 = 0x0202
    STATES_V1 = 0x0301
    DROPS_V1 = 0x0401


class _FeatureKey(IntEnum):
    NAME, START, DURATION, VALUE, UNIT, QUALITY, COUNT, SUPERSEDES = range(8)


class _FlagKey(IntEnum):
    ID, KIND, TIME, URGENCY, PROBABILITY, REASON, WITHDRAWN = range(7)


class _DropKey(IntEnum):
    STREAM, EPOCH, RANGES, CAUSE = range(4)


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """One distilled number about the period ``start`` to ``end``.

    Attributes:
        name: name of the feature.
        start, end: the period, aware UTC; sent in milliseconds.
        value: in ``unit``; sent exactly.
        unit: UCUM unit.
        quality: how far it may be trusted.
        count: how many observations it rests on.
        supersedes: the store's id of the record that this one corrects, if any.
        extra: fields of a newer schema, kept as they came.
    """

    name: str
    start: datetime
    end: datetime
    value: float
    unit: str
    quality: Quality = Quality.GOOD
    count: int = 0
    supersedes: str | None = None
    extra: Mapping[int, CborValue] = field(default_factory=dict)

    def to_map(self) -> dict[int, CborValue]:
        """The record as a CBOR map; RecordError when a field cannot be sent."""
        start, end = codec.pack_time(self.start), codec.pack_time(self.end)
        if end < start:
            raise RecordError("a period ends before it starts", reason="bad_period")
        packed: dict[int, CborValue] = {
            **self.extra,
            _FeatureKey.NAME: _NUMBER_OF_NAME.get(self.name, codec.pack_text(self.name, "name")),
            _FeatureKey.START: start,
            _FeatureKey.DURATION: end - start,
            _FeatureKey.VALUE: codec.pack_number(self.value, self.name),
            _FeatureKey.UNIT: codec.pack_text(self.unit, "unit"),
            _FeatureKey.QUALITY: _QUALITIES.index(self.quality),
            _FeatureKey.COUNT: self.count,
        }
        if self.supersedes is not None:
            packed[_FeatureKey.SUPERSEDES] = codec.pack_text(self.supersedes, "supersedes")
        return packed

    @classmethod
    def from_map(cls, record: RecordMap) -> Self:
        """The record in a decoded map; RecordError ``bad_field`` when it is not one."""
        start = codec.integer(record, _FeatureKey.START, low=-(2**62), high=2**62)
        duration = codec.integer(record, _FeatureKey.DURATION, high=2**62)
        return cls(
            name=_read_name(record),
            start=codec.as_time(start, _FeatureKey.START),
            end=codec.as_time(start + duration, _FeatureKey.DURATION),
            value=codec.number(record, _FeatureKey.VALUE),
            unit=codec.text(record, _FeatureKey.UNIT),
            quality=_QUALITIES[codec.integer(record, _FeatureKey.QUALITY, high=len(_QUALITIES) - 1)],
            count=codec.integer(record, _FeatureKey.COUNT),
            supersedes=codec.text(record, _FeatureKey.SUPERSEDES) if _FeatureKey.SUPERSEDES in record else None,
            extra=codec.unknown_fields(record, _FeatureKey),
        )


def _read_name(record: RecordMap) -> str:
    if isinstance(record.get(_FeatureKey.NAME), str):
        return codec.text(record, _FeatureKey.NAME)
    return _NAMES[codec.integer(record, _FeatureKey.NAME, high=len(_NAMES) - 1)]


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """Version 1: a flag as it was raised, or, sent again under the same id, as it was withdrawn.

    Devices send version 2 (:class:`~edge_twin_sync.flag_record.FlagStateRecord`); this one stays readable.

    Attributes:
        id: the store's id of the flag.
        kind: what is flagged.
        time: when it was raised, aware UTC.
        urgency: the flag's urgency as its word.
        probability: probability of the event, 0 to 1, where the flag has one.
        reason: the sentence shown to people.
        withdrawn: when it came down, aware UTC; None while it is up.
        extra: fields of a newer schema, kept as they came.
    """

    id: str
    kind: str
    time: datetime
    urgency: str
    reason: str
    probability: float | None = None
    withdrawn: datetime | None = None
    extra: Mapping[int, CborValue] = field(default_factory=dict)

    def to_map(self) -> dict[int, CborValue]:
        """The record as a CBOR map; RecordError when a field cannot be sent."""
        packed: dict[int, CborValue] = {
            **self.extra,
            _FlagKey.ID: codec.pack_text(self.id, "id"),
            _FlagKey.KIND: codec.pack_text(self.kind, "kind"),
            _FlagKey.TIME: codec.pack_time(self.time),
            _FlagKey.URGENCY: codec.pack_text(self.urgency, "urgency"),
            _FlagKey.REASON: codec.pack_text(self.reason, "reason"),
        }
        if self.probability is not None:
            packed[_FlagKey.PROBABILITY] = codec.pack_probability(self.probability)
        if self.withdrawn is not None:
            packed[_FlagKey.WITHDRAWN] = codec.pack_time(self.withdrawn)
        return packed

    @classmethod
    def from_map(cls, record: RecordMap) -> Self:
        """The record in a decoded map; RecordError ``bad_field`` when it is not one."""
        probability = codec.probability(record, _FlagKey.PROBABILITY) if _FlagKey.PROBABILITY in record else None
        return cls(
            id=codec.text(record, _FlagKey.ID),
            kind=codec.text(record, _FlagKey.KIND),
            time=codec.time(record, _FlagKey.TIME),
            urgency=codec.text(record, _FlagKey.URGENCY),
            reason=codec.text(record, _FlagKey.REASON),
            probability=probability,
            withdrawn=codec.time(record, _FlagKey.WITHDRAWN) if _FlagKey.WITHDRAWN in record else None,
            extra=codec.unknown_fields(record, _FlagKey),
        )


@dataclass(frozen=True, slots=True)
class DropRecord:
    """The ledger of messages that will never come: evicted or quarantined on the device.

    Attributes:
        stream: number of their stream.
        epoch: their epoch.
        ranges: inclusive ranges of their sequence numbers.
        cause: ``evicted`` or ``quarantined``.
        extra: fields of a newer schema, kept as they came.
    """

    stream: int
    epoch: int
    ranges: tuple[tuple[int, int], ...]
    cause: str
    extra: Mapping[int, CborValue] = field(default_factory=dict)

    def to_map(self) -> dict[int, CborValue]:
        """The record as a CBOR map; RecordError when a field cannot be sent."""
        if len(self.ranges) > MAX_RANGES:
            raise RecordError(f"more than {MAX_RANGES} ranges", reason="too_many")
        return {
            **self.extra,
            _DropKey.STREAM: self.stream,
            _DropKey.EPOCH: self.epoch,
            _DropKey.RANGES: list(itertools.chain.from_iterable(self.ranges)),
            _DropKey.CAUSE: codec.pack_text(self.cause, "cause"),
        }

    @classmethod
    def from_map(cls, record: RecordMap) -> Self:
        """The record in a decoded map; RecordError ``bad_field`` when it is not one."""
        flat = codec.array(record, _DropKey.RANGES)
        if len(flat) % 2 or len(flat) > 2 * MAX_RANGES:
            raise codec.bad_field(_DropKey.RANGES)
        numbers = [codec.integer({_DropKey.RANGES: item}, _DropKey.RANGES, low=1) for item in flat]
        ranges = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if any(low > high for low, high in ranges):
            raise codec.bad_field(_DropKey.RANGES)
        return cls(
            stream=codec.integer(record, _DropKey.STREAM, high=255),
            epoch=codec.integer(record, _DropKey.EPOCH),
            ranges=ranges,
            cause=codec.text(record, _DropKey.CAUSE),
            extra=codec.unknown_fields(record, _DropKey),
        )


Record = FeatureRecord | FlagRecord | FlagStateRecord | StateRecord | DropRecord
_TYPES: Final[dict[int, type[Record]]] = {
    Schema.FEATURES_V1: FeatureRecord,
    Schema.FLAGS_V1: FlagRecord,
    Schema.FLAGS_V2: FlagStateRecord,
    Schema.STATES_V1: StateRecord,
    Schema.DROPS_V1: DropRecord,
}


def encode_batch(schema: Schema, records: Sequence[Record]) -> bytes:
    """The bytes of a batch of ``records``, all of ``schema``.

    Raises:
        RecordError: ``empty``, ``too_many``, ``mixed`` (a record of another schema), ``too_large``, or a
            field that cannot be sent.
    """
    if not 0 < len(records) <= MAX_RECORDS:
        raise RecordError(f"a batch has 1 to {MAX_RECORDS} records", reason="too_many" if records else "empty")
    if any(type(record) is not _TYPES[schema] for record in records):
        raise RecordError("a batch holds records of one schema", reason="mixed")
    body = strict_cbor.dumps([int(schema), [record.to_map() for record in records]])
    if len(body) > BATCH_LIMITS.size:
        raise RecordError(f"a batch has at most {BATCH_LIMITS.size} bytes", reason="too_large")
    return body


def decode_batch(body: bytes) -> tuple[Schema, list[Record]]:
    """Schema and records of a batch.

    Raises:
        RecordError: ``unknown_schema`` when this version does not know it, ``bad_batch`` or ``bad_field``
            when it does not fit, or the reason of the codec.
    """
    try:
        value = strict_cbor.loads(body, BATCH_LIMITS)
    except CodecError as error:
        raise RecordError(str(error), reason=error.reason) from error
    match value:
        case [int() as number, list() as items] if not isinstance(number, bool) and 0 < len(items) <= MAX_RECORDS:
            schema = _known_schema(number)
        case _:
            raise RecordError("not a batch of records", reason="bad_batch")
    return schema, [_decode_record(schema, item) for item in items]


def _known_schema(number: int) -> Schema:
    try:
        return Schema(number)
    except ValueError as error:
        raise RecordError(f"schema {number:#06x} is not known here", reason="unknown_schema") from error


def _decode_record(schema: Schema, item: CborValue) -> Record:
    if not isinstance(item, dict):
        raise RecordError("a record is a map", reason="bad_batch")
    return _TYPES[schema].from_map(item)
