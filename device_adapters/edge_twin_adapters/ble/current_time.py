"""Current Time (2A2B), Current Time Service 1.1, both directions: reading and setting the clock of a device."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from edge_twin.observation import as_utc
from edge_twin_adapters.ble.date_time import DateTimeField, as_field, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import joined, named_bits, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.errors import DecodeError

CHARACTERISTIC = "2a2b"

ADJUSTED = {0: "manual", 1: "external_reference", 2: "time_zone", 3: "daylight_saving"}
_SUNDAY = 7
_FRACTIONS = 256


@dataclass(frozen=True, slots=True)
class CurrentTime:
    """What a device's clock shows.

    Attributes:
        stamp: local time.
        weekday: 1 Monday to 7 Sunday, 0 unknown.
        fractions: 1/256 s.
        adjusted: 8 bits, :data:`ADJUSTED`: why the clock was last changed.
    """

    stamp: DateTimeField
    weekday: int
    fractions: int
    adjusted: int


def read_current_time(payload: bytes) -> CurrentTime:
    """The fields of a Current Time.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, or ``invalid_time``.
    """
    reader = Reader(payload)
    stamp = read_date_time(reader)
    at = reader.offset
    weekday = reader.u8("day of week")
    if weekday > _SUNDAY:
        raise DecodeError(f"a week has no day {weekday}", reason="invalid_time", offset=at)
    now = CurrentTime(stamp, weekday, reader.u8("fractions"), reader.u8("adjust reason"))
    reader.finish()
    return now


def decode_current_time(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event: ``clock device_time=... offset_s=... adjusted=...``.

    ``offset_s`` is how far the device's clock is ahead of the receiver's, or ``unknown`` where the
    patient's zone or the date is not known.

    Raises:
        DecodeError: as :func:`read_current_time`.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    now = read_current_time(payload)
    record = simple_record(received, context)
    offset = _offset(now, as_utc(received), context.patient_zone)
    told = "unknown" if offset is None else f"{offset.total_seconds():.3f}"
    adjusted = joined(named_bits(now.adjusted, ADJUSTED))
    record.status(f"clock device_time={now.stamp.text} offset_s={told} adjusted={adjusted}")
    return record.items


def _offset(now: CurrentTime, received: datetime, zone: tzinfo | None) -> timedelta | None:
    """Device minus receiver; of two moments in autumn the one nearer to the receiver's."""
    if zone is None or not now.stamp.has_date:
        return None
    try:
        moments = now.stamp.within(zone)
    except OverflowError:
        return None
    fraction = timedelta(seconds=now.fractions / _FRACTIONS)
    return min((moment + fraction - received for moment in moments), key=abs, default=None)


def encode_current_time(now: CurrentTime) -> bytes:
    """The payload of a Current Time.

    Raises:
        AdapterError: ``out_of_range`` or ``invalid_time``.
    """
    head = encode_date_time(now.stamp) + write_unsigned(now.weekday, 1, "day of week")
    return head + write_unsigned(now.fractions, 1, "fractions") + write_unsigned(now.adjusted, 1, "adjust reason")


def clock_setting(moment: datetime, zone: tzinfo) -> CurrentTime:
    """What to write so that a device shows ``moment`` in ``zone``, set by an external reference.

    Args:
        moment: aware.
        zone: of the patient.

    Raises:
        ObservationError: ``naive_time`` for a moment without time zone.
    """
    local = as_utc(moment).astimezone(zone)
    return CurrentTime(as_field(local), local.isoweekday(), local.microsecond * _FRACTIONS // 1_000_000, 0b10)
