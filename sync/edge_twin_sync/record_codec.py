"""Fields of compact records: reading a checked field out of a decoded map, and writing numbers small.

A number is written as an integer in thousandths when that is exact, and as the shortest float that is
exact otherwise; CBOR keeps the two apart, so nothing is lost and nothing needs a flag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from edge_twin.errors import ObservationError
from edge_twin_sync import timestamps
from edge_twin_sync.errors import RecordError
from edge_twin_sync.strict_cbor import CborValue

SCALE = 1000
MAX_TEXT = 512  # characters; a reason shown to a person fits
_EXACT_INTEGERS = 2**53

RecordMap = Mapping[int, CborValue]


def pack_number(value: float, what: str) -> int | float:
    """``value`` as exact thousandths where possible, else unchanged.

    Raises:
        RecordError: ``not_a_number`` for NaN or infinity.
    """
    if not math.isfinite(value):
        raise RecordError(f"{what} is not a finite number", reason="not_a_number")
    scaled = value * SCALE
    if abs(scaled) < _EXACT_INTEGERS and round(scaled) / SCALE == value:
        return round(scaled)
    return float(value)


def pack_time(time: datetime) -> int:
    """Milliseconds of ``time``.

    Raises:
        RecordError: ``naive_time`` when it has no zone.
    """
    try:
        return timestamps.to_ms(time)
    except ObservationError as error:
        raise RecordError(str(error), reason=error.reason) from error


def number(record: RecordMap, key: int) -> float:
    """The number under ``key``, written by :func:`pack_number`.

    Raises:
        RecordError: ``bad_field`` when it is missing or no finite number.
    """
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise bad_field(key)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise bad_field(key)
        return value
    if abs(value) >= _EXACT_INTEGERS:
        raise bad_field(key)
    return value / SCALE


def pack_probability(value: float) -> int | float:
    """A probability as a number.

    Raises:
        RecordError: ``bad_probability`` outside 0 to 1.
    """
    if not 0.0 <= value <= 1.0:
        raise RecordError("a probability lies between 0 and 1", reason="bad_probability")
    return pack_number(value, "probability")


def probability(record: RecordMap, key: int) -> float:
    """The probability under ``key``; RecordError ``bad_field`` when it is none."""
    value = number(record, key)
    if not 0.0 <= value <= 1.0:
        raise bad_field(key)
    return value


def integer(record: RecordMap, key: int, *, low: int = 0, high: int = 2**63 - 1) -> int:
    """The integer under ``key`` within [low, high]; RecordError ``bad_field`` otherwise."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise bad_field(key)
    return value


def text(record: RecordMap, key: int) -> str:
    """The text under ``key``, at most ``MAX_TEXT`` characters; RecordError ``bad_field`` otherwise."""
    value = record.get(key)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise bad_field(key)
    return value


def pack_text(value: str, what: str) -> str:
    """``value`` unchanged.

    Raises:
        RecordError: ``too_long`` beyond ``MAX_TEXT`` characters.
    """
    if len(value) > MAX_TEXT:
        raise RecordError(f"{what} has more than {MAX_TEXT} characters", reason="too_long")
    return value


def time(record: RecordMap, key: int) -> datetime:
    """The time under ``key`` in milliseconds; RecordError ``bad_field`` otherwise."""
    return as_time(integer(record, key, low=-(2**62), high=2**62), key)


def as_time(milliseconds: int, key: int) -> datetime:
    """The datetime of ``milliseconds``; RecordError ``bad_field`` naming ``key`` when there is none."""
    try:
        return timestamps.from_ms(milliseconds)
    except OverflowError as error:
        raise bad_field(key) from error


def raw(record: RecordMap, key: int, length: int) -> bytes:
    """Exactly ``length`` bytes under ``key``; RecordError ``bad_field`` otherwise."""
    value = record.get(key)
    if not isinstance(value, bytes) or len(value) != length:
        raise bad_field(key)
    return value


def array(record: RecordMap, key: int) -> list[CborValue]:
    """The array under ``key``; RecordError ``bad_field`` otherwise."""
    value = record.get(key)
    if not isinstance(value, list):
        raise bad_field(key)
    return value


def bad_field(key: int) -> RecordError:
    """The error for a field that is missing or of the wrong kind."""
    return RecordError(f"field {key} is missing or not what its schema says", reason="bad_field")


def unknown_fields(record: RecordMap, known: type) -> dict[int, CborValue]:
    """What a newer sender added; kept so that forwarding loses nothing."""
    keys = {int(member) for member in known}  # type: ignore[attr-defined]
    return {key: value for key, value in record.items() if key not in keys}
