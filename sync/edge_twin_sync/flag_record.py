"""Version 2 of the flag record: state, messages, evidence, probability with its horizon, CTCAE version.

Sentences travel as message ids with their values (:mod:`edge_twin.wording`), so that the centre shows any language
and no number is lost. A value is an integer, a float, a text, a time ``[ms, offset in minutes]`` or another message
``[id, name, value, ...]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import Final, Self, TypeAlias

from edge_twin.errors import FlagError
from edge_twin.flag import CtcaeTerm, CtcaeVersion, Evidence, Urgency
from edge_twin.flag_reading import PARTS, earlier_urgency
from edge_twin.flags.alarm_rules import Level
from edge_twin.flags.life import LifeState
from edge_twin.observation import Origin
from edge_twin.wording import Message, Text
from edge_twin_sync import record_codec as codec
from edge_twin_sync import timestamps
from edge_twin_sync.errors import RecordError
from edge_twin_sync.record_codec import RecordMap
from edge_twin_sync.strict_cbor import CborValue

MAX_MESSAGES: Final = 64
MAX_EVIDENCE: Final = 64
MAX_NESTING: Final = 3  # messages inside messages
_ODD: Final = 2

# Numbers on the wire; a place is never used again for something else.
_URGENCIES: Final = (Urgency.NOW, Urgency.TODAY, Urgency.THIS_WEEK, Urgency.NOTE)
_STATES: Final = (
    LifeState.RAISED,
    LifeState.ACKNOWLEDGED,
    LifeState.SNOOZED,
    LifeState.RESOLVED,
    LifeState.SUPERSEDED,
)
_LEVELS: Final = (Level.PATIENT, Level.CAREGIVER, Level.CLINIC, Level.EMERGENCY)
_ORIGINS: Final = (Origin.PATIENT_REPORTED, Origin.DEVICE, Origin.LAB, Origin.MODEL, Origin.CLINICIAN)

_Value: TypeAlias = "str | float | datetime | Message"


class _Key(IntEnum):
    ID, KIND, TIME, URGENCY, PROBABILITY, SENTENCE, CLOSED = range(7)  # as in version 1, which has a sentence
    TOPIC, STATE, VERSION, CHANGED, HORIZON, MESSAGES, EVIDENCE, CTCAE, BY, LEVEL = range(7, 17)


def todays_urgency(kind: str, word: str) -> str:
    """An urgency of version 1 in today's words (docs/formats.md); an unknown word stays as it is."""
    try:
        return earlier_urgency(kind, word).value
    except ValueError:
        return word


@dataclass(frozen=True, slots=True)
class FlagStateRecord:
    """A flag as it stands; sent again under the same id with a higher version whenever it changed.

    Attributes:
        id: number of the flag on its device, as text.
        kind, topic: what is flagged, and about what.
        time: when it was raised, aware UTC.
        changed: when it came to say what it says.
        urgency: as shown; ``note`` also when the alarm budget was spent.
        state: where it stands.
        version: rises with every change.
        probability, horizon: of the event, and within what time; None where the flag has none.
        closed: when it came down; None while it is up.
        level: who is asked to react.
        by: key of the flag that superseded it, or name of who closed or else acknowledged it; else empty.
        messages: sentences by part (:data:`edge_twin.flag_reading.PARTS`).
        evidence: what it rests on.
        ctcae: terms, all of one version.
        extra: fields of a newer schema, kept as they came.
    """

    id: str
    kind: str
    time: datetime
    changed: datetime
    urgency: Urgency
    state: LifeState
    version: int
    topic: str = ""
    probability: float | None = None
    horizon: timedelta | None = None
    closed: datetime | None = None
    level: Level = Level.PATIENT
    by: str = ""
    messages: Mapping[str, Text] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    ctcae: tuple[CtcaeTerm, ...] = ()
    extra: Mapping[int, CborValue] = field(default_factory=dict)

    def to_map(self) -> dict[int, CborValue]:
        """The record as a CBOR map; RecordError when a field cannot be sent."""
        packed: dict[int, CborValue] = {
            **self.extra,
            _Key.ID: codec.pack_text(self.id, "id"),
            _Key.KIND: codec.pack_text(self.kind, "kind"),
            _Key.TIME: codec.pack_time(self.time),
            _Key.CHANGED: codec.pack_time(self.changed),
            _Key.URGENCY: _URGENCIES.index(self.urgency),
            _Key.STATE: _STATES.index(self.state),
            _Key.VERSION: self.version,
            _Key.MESSAGES: _pack_parts(self.messages),
        }
        return packed | self._packed_options()

    def _packed_options(self) -> dict[int, CborValue]:
        """The fields that are absent when they say nothing."""
        options: dict[int, CborValue] = {}
        if self.topic:
            options[_Key.TOPIC] = codec.pack_text(self.topic, "topic")
        if self.probability is not None:
            options[_Key.PROBABILITY] = codec.pack_probability(self.probability)
        if self.horizon is not None:
            options[_Key.HORIZON] = self.horizon // timedelta(seconds=1)
        if self.closed is not None:
            options[_Key.CLOSED] = codec.pack_time(self.closed)
        if self.level is not Level.PATIENT:
            options[_Key.LEVEL] = _LEVELS.index(self.level)
        if self.by:
            options[_Key.BY] = codec.pack_text(self.by, "by")
        if self.evidence:
            options[_Key.EVIDENCE] = _few([_pack_evidence(one) for one in self.evidence], MAX_EVIDENCE)
        if self.ctcae:
            options[_Key.CTCAE] = _pack_ctcae(self.ctcae)
        return options

    @classmethod
    def from_map(cls, record: RecordMap) -> Self:
        """The record in a decoded map; RecordError ``bad_field`` when it is not one."""
        horizon = codec.integer(record, _Key.HORIZON, high=2**31) if _Key.HORIZON in record else None
        return cls(
            id=codec.text(record, _Key.ID),
            kind=codec.text(record, _Key.KIND),
            time=codec.time(record, _Key.TIME),
            changed=codec.time(record, _Key.CHANGED),
            urgency=_URGENCIES[codec.integer(record, _Key.URGENCY, high=len(_URGENCIES) - 1)],
            state=_STATES[codec.integer(record, _Key.STATE, high=len(_STATES) - 1)],
            version=codec.integer(record, _Key.VERSION, low=1),
            topic=codec.text(record, _Key.TOPIC) if _Key.TOPIC in record else "",
            probability=codec.probability(record, _Key.PROBABILITY) if _Key.PROBABILITY in record else None,
            horizon=None if horizon is None else timedelta(seconds=horizon),
            closed=codec.time(record, _Key.CLOSED) if _Key.CLOSED in record else None,
            level=_LEVELS[codec.integer(record, _Key.LEVEL, high=len(_LEVELS) - 1)]
            if _Key.LEVEL in record
            else _LEVELS[0],
            by=codec.text(record, _Key.BY) if _Key.BY in record else "",
            messages=_read_parts(codec.array(record, _Key.MESSAGES)),
            evidence=_read_evidence(record),
            ctcae=_read_ctcae(record),
            extra=codec.unknown_fields(record, _Key),
        )


# ---- messages -------------------------------------------------------------------------------------------


def _pack_parts(messages: Mapping[str, Text]) -> list[CborValue]:
    """``[number of the part, message, message, ..., number of the next part, ...]``."""
    packed: list[CborValue] = []
    for part, text in messages.items():
        if text:
            packed += [PARTS.index(part), *(_pack_message(message) for message in text)]
    return _few(packed, MAX_MESSAGES)


def _pack_message(message: Message) -> list[CborValue]:
    packed: list[CborValue] = [codec.pack_text(message.id, "message id")]
    for name, value in message.arguments:
        packed += [codec.pack_text(name, "name"), _pack_value(value)]
    return packed


def _pack_value(value: _Value) -> CborValue:
    if isinstance(value, Message):
        return _pack_message(value)
    if isinstance(value, datetime):
        offset = value.utcoffset() or timedelta(0)
        return [codec.pack_time(value), offset // timedelta(minutes=1)]
    if isinstance(value, str):
        return codec.pack_text(value, "value")
    codec.pack_number(value, "value")  # refuses what is no finite number
    return value  # an integer stays one: a sentence shows 75 and 75.0 differently


def _read_parts(items: list[CborValue]) -> dict[str, Text]:
    parts: dict[str, Text] = {}
    part = ""
    for item in _few(items, MAX_MESSAGES):
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < len(PARTS):
            part = PARTS[item]
        elif part:
            parts[part] = (*parts.get(part, ()), _read_message(item, MAX_NESTING))
        else:
            raise codec.bad_field(_Key.MESSAGES)
    return parts


def _read_message(item: CborValue, nesting: int) -> Message:
    if not isinstance(item, list) or len(item) % 2 == 0 or nesting == 0:
        raise codec.bad_field(_Key.MESSAGES)
    names = [_text_of(name) for name in item[1::2]]
    values = [_read_value(value, nesting - 1) for value in item[2::2]]
    return Message(_text_of(item[0]), tuple(zip(names, values, strict=True)))


def _read_value(item: CborValue, nesting: int) -> _Value:
    if isinstance(item, list):
        return _read_time(item) if item and isinstance(item[0], int) else _read_message(item, nesting)
    if isinstance(item, str):
        return _text_of(item)
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise codec.bad_field(_Key.MESSAGES)
    codec.number({0: item} if isinstance(item, float) else {0: 0}, 0)
    return item


def _read_time(item: list[CborValue]) -> datetime:
    ms = codec.integer(dict(enumerate(item)), 0, low=-(2**62), high=2**62)
    offset = codec.integer(dict(enumerate(item)), 1, low=-24 * 60 + 1, high=24 * 60 - 1)
    try:
        return timestamps.from_ms(ms).astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError as error:
        raise codec.bad_field(_Key.MESSAGES) from error


def _text_of(item: CborValue) -> str:
    return codec.text({_Key.MESSAGES: item}, _Key.MESSAGES)


# ---- evidence and terms ---------------------------------------------------------------------------------


def _pack_evidence(one: Evidence) -> CborValue:
    packed: list[CborValue] = [
        codec.pack_text(one.name, "name"),
        codec.pack_number(one.value, one.name),
        codec.pack_text(one.unit, "unit"),
        codec.pack_time(one.time),
        _ORIGINS.index(one.origin),
    ]
    return [*packed, codec.pack_time(one.start)] if one.start else packed


def _read_evidence(record: RecordMap) -> tuple[Evidence, ...]:
    items = codec.array(record, _Key.EVIDENCE) if _Key.EVIDENCE in record else []
    return tuple(_evidence_of(item) for item in _few(items, MAX_EVIDENCE))


def _evidence_of(item: CborValue) -> Evidence:
    if not isinstance(item, list):
        raise codec.bad_field(_Key.EVIDENCE)
    fields: RecordMap = dict(enumerate(item))
    return Evidence(
        name=codec.text(fields, 0),
        value=codec.number(fields, 1),
        unit=codec.text(fields, 2),
        time=codec.time(fields, 3),
        origin=_ORIGINS[codec.integer(fields, 4, high=len(_ORIGINS) - 1)],
        start=codec.time(fields, 5) if 5 in fields else None,  # noqa: PLR2004 - the sixth field
    )


def _pack_ctcae(terms: tuple[CtcaeTerm, ...]) -> list[CborValue]:
    """``[version, term, range or 0, term, range or 0, ...]``: one version for all."""
    packed: list[CborValue] = [terms[0].ctcae_version.value]
    for term in terms:
        packed += [codec.pack_text(term.term, "term"), term.grade_range or 0]
    return packed


def _read_ctcae(record: RecordMap) -> tuple[CtcaeTerm, ...]:
    items = codec.array(record, _Key.CTCAE) if _Key.CTCAE in record else []
    if not items:
        return ()
    if len(items) % _ODD == 0:
        raise codec.bad_field(_Key.CTCAE)
    try:
        version = CtcaeVersion(codec.text({_Key.CTCAE: items[0]}, _Key.CTCAE))
        names = [codec.text({_Key.CTCAE: item}, _Key.CTCAE) for item in items[1::2]]
        ranges = [codec.integer({_Key.CTCAE: item}, _Key.CTCAE, high=4) for item in items[2::2]]
        return tuple(CtcaeTerm(name, version, low or None) for name, low in zip(names, ranges, strict=True))
    except (ValueError, FlagError) as error:
        raise codec.bad_field(_Key.CTCAE) from error


def _few(items: list[CborValue], most: int) -> list[CborValue]:
    """``items`` unchanged, or a refusal when they are more than fit."""
    if len(items) > most:
        raise RecordError(f"more than {most} items in a flag", reason="too_many")
    return items
