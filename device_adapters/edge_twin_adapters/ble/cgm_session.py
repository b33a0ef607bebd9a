"""CGM Feature (2AA8), Status (2AA9), Session Start Time (2AAA) and Session Run Time (2AAB), both directions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from edge_twin_adapters.ble.cgm import STATUS
from edge_twin_adapters.ble.cgm_feature import FEATURES, CgmFeature, sample_remarks
from edge_twin_adapters.ble.crc import CRC_BYTES, with_crc, without_crc
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import joined, named_bits, read_signed, read_unsigned, write_signed, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.errors import DecodeError

FEATURE = "2aa8"
STATUS_CHARACTERISTIC = "2aa9"
SESSION_START = "2aaa"
SESSION_RUN_TIME = "2aab"

# What stands in place of the CRC in a feature without E2E-CRC (CGMS 1.0.2 section 3.2).
_NO_CRC = 0xFFFF
_ZONE_UNKNOWN = -128
_ZONE_STEP = timedelta(minutes=15)
# Time zones reach from UTC-12:00 to UTC+14:00 (GATT Time Zone, 2A0E).
_ZONE_STEPS = range(-48, 57)
# DST Offset (2A0D); 255 is unknown.
_DAYLIGHT = {0: timedelta(0), 2: timedelta(minutes=30), 4: timedelta(hours=1), 8: timedelta(hours=2)}
_BATTERY_LOW = 1 << 1


@dataclass(frozen=True, slots=True)
class SessionStart:
    """When a session began, as the sensor keeps it.

    Attributes:
        stamp: local time.
        zone_steps: offset from UTC in steps of 15 minutes, -128 for unknown.
        daylight: DST Offset: 0, 2, 4 or 8; 255 for unknown.
    """

    stamp: DateTimeField
    zone_steps: int
    daylight: int

    def moment(self, patient_zone: tzinfo | None) -> datetime | None:
        """The moment in UTC, or None where it cannot be told.

        Args:
            patient_zone: used where the sensor does not know its own offset.
        """
        zone: tzinfo | None = patient_zone
        if self.zone_steps in _ZONE_STEPS and self.daylight in _DAYLIGHT:
            zone = timezone(self.zone_steps * _ZONE_STEP + _DAYLIGHT[self.daylight])
        if zone is None or not self.stamp.has_date:
            return None
        try:
            moments = self.stamp.within(zone)
        except OverflowError:
            return None
        return moments[0] if moments else None


def read_cgm_feature(payload: bytes) -> CgmFeature:
    """The feature of a sensor, for :class:`edge_twin_adapters.ble.frame.DecodeContext`.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``wrong_crc``.
    """
    reader = Reader(payload)
    feature = CgmFeature(read_unsigned(reader, 3, "feature"), reader.u8("type and sample location"))
    told = reader.u16("CRC")
    reader.finish()
    if feature.has_crc:
        without_crc(payload)
    elif told != _NO_CRC:
        message = f"{told:#06x} in place of a CRC that the sensor does not have"
        raise DecodeError(message, reason="wrong_crc", offset=len(payload) - CRC_BYTES)
    return feature


def decode_cgm_feature(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event: ``cgm_feature sample_type=... sample_location=... features=...``.

    Raises:
        DecodeError: as :func:`read_cgm_feature`.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    feature = read_cgm_feature(payload)
    record = simple_record(received, context)
    words = sample_remarks(feature.type_and_location) | {"features": joined(named_bits(feature.bits, FEATURES))}
    record.status("cgm_feature " + " ".join(f"{key}={value}" for key, value in words.items()))
    return record.items


def decode_cgm_status(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event: ``cgm_status session_minutes=5 status=...``; ``BATTERY_LOW`` where it says so.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``wrong_crc``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(_checked(payload, 5, context))
    minutes, status = reader.u16("time offset"), read_unsigned(reader, 3, "status")
    reader.finish()
    record = simple_record(received, context)
    record.status(f"cgm_status session_minutes={minutes} status={joined(named_bits(status, STATUS))}")
    if status & _BATTERY_LOW:
        record.battery_low("glucose_sensor")
    return record.items


def read_session_start(payload: bytes, *, crc: bool | None = None) -> SessionStart:
    """When the session began.

    Args:
        payload: the value of 2AAA.
        crc: whether it ends with an E2E-CRC; None when this is not known.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``wrong_crc``, or ``invalid_time``.
    """
    reader = Reader(_without_optional_crc(payload, 9, crc=crc))
    stamp = read_date_time(reader)
    start = SessionStart(stamp, read_signed(reader, 1, "time zone"), reader.u8("DST offset"))
    reader.finish()
    return start


def decode_session_start(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event: ``cgm_session_start device_time=... start=...``.

    ``start`` is the moment in UTC, or ``unknown``; the client puts it into the context.

    Raises:
        DecodeError: as :func:`read_session_start`.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    crc = None if context.cgm_feature is None else context.cgm_feature.has_crc
    start = read_session_start(payload, crc=crc)
    moment = start.moment(context.patient_zone)
    told = "unknown" if moment is None else moment.astimezone(UTC).isoformat()
    record = simple_record(received, context)
    record.status(f"cgm_session_start device_time={start.stamp.text} start={told}")
    return record.items


def decode_session_run_time(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event: ``cgm_session_run_time hours=168``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``wrong_crc``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(_checked(payload, 2, context))
    hours = reader.u16("session run time")
    reader.finish()
    record = simple_record(received, context)
    record.status(f"cgm_session_run_time hours={hours}")
    return record.items


def _checked(payload: bytes, size: int, context: DecodeContext) -> bytes:
    crc = None if context.cgm_feature is None else context.cgm_feature.has_crc
    return _without_optional_crc(payload, size, crc=crc)


def _without_optional_crc(payload: bytes, size: int, *, crc: bool | None) -> bytes:
    """The first ``size`` bytes where a CRC follows them; else the payload, for the reader to judge."""
    expected = len(payload) == size + CRC_BYTES if crc is None else crc
    return without_crc(Reader(payload).take(len(payload), "value")) if expected else payload


def encode_cgm_feature(feature: CgmFeature) -> bytes:
    """The payload of a feature, with CRC or with what stands in its place.

    Raises:
        AdapterError: ``out_of_range``.
    """
    head = write_unsigned(feature.bits, 3, "feature")
    head += write_unsigned(feature.type_and_location, 1, "type and sample location")
    return with_crc(head) if feature.has_crc else head + _NO_CRC.to_bytes(CRC_BYTES, "little")


def encode_cgm_status(minutes: int, status: int, *, crc: bool = False) -> bytes:
    """The payload of a status.

    Args:
        minutes: since the session began.
        status: 24 bits, :data:`edge_twin_adapters.ble.cgm.STATUS`.
        crc: end with an E2E-CRC.

    Raises:
        AdapterError: ``out_of_range``.
    """
    body = write_unsigned(minutes, 2, "time offset") + write_unsigned(status, 3, "status")
    return with_crc(body) if crc else body


def encode_session_start(start: SessionStart, *, crc: bool = False) -> bytes:
    """The payload of a session start, also to write it; errors as :func:`encode_cgm_status`.

    Raises:
        AdapterError: ``out_of_range`` or ``invalid_time``.
    """
    body = encode_date_time(start.stamp) + write_signed(start.zone_steps, 1, "time zone")
    body += write_unsigned(start.daylight, 1, "DST offset")
    return with_crc(body) if crc else body


def encode_session_run_time(hours: int, *, crc: bool = False) -> bytes:
    """The payload of a session run time.

    Raises:
        AdapterError: ``out_of_range``.
    """
    body = write_unsigned(hours, 2, "session run time")
    return with_crc(body) if crc else body
