"""CGM Measurement (2AA7), Continuous Glucose Monitoring Service 1.0.2 section 3.1, both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_twin.codes import GLUCOSE_INTERSTITIAL
from edge_twin.observation import Quality, as_utc
from edge_twin_adapters.ble.cgm_feature import glucose_code, is_control_solution, sample_remarks
from edge_twin_adapters.ble.crc import CRC_BYTES, with_crc, without_crc
from edge_twin_adapters.ble.fields import read_sfloat, write_sfloats, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.record import Record
from edge_twin_adapters.errors import DecodeError

CHARACTERISTIC = "2aa7"

_TREND = 0x01
_QUALITY = 0x02
_WARNING_OCTET = 0x20
_CALIBRATION_OCTET = 0x40
_STATUS_OCTET = 0x80

# Size, flags, concentration and time offset are always there.
_SHORTEST_RECORD = 6

# Sensor Status Annunciation, three octets in this order: status, calibration and temperature, warning.
STATUS = {
    0: "session_stopped",
    1: "battery_low",
    2: "sensor_type_incorrect",
    3: "sensor_malfunction",
    4: "device_specific_alert",
    5: "device_fault",
    8: "time_synchronisation_required",
    9: "calibration_not_allowed",
    10: "calibration_recommended",
    11: "calibration_required",
    12: "temperature_too_high",
    13: "temperature_too_low",
    14: "calibration_pending",
    16: "below_patient_low",
    17: "above_patient_high",
    18: "below_hypo",
    19: "above_hyper",
    20: "fall_exceeded",
    21: "rise_exceeded",
    22: "below_device_range",
    23: "above_device_range",
}
# What each bit does to the quality: chosen here. Alerts on the patient say nothing against the value.
_INVALID = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 12 | 1 << 13 | 1 << 22 | 1 << 23
_QUESTIONABLE = 1 << 8 | 1 << 11 | 1 << 14
_BATTERY_LOW = 1 << 1


@dataclass(frozen=True, slots=True)
class CgmRecord:
    """One record of a CGM.

    Attributes:
        concentration: glucose in mg/dL, or a special value.
        minutes: since the session began, 0 to 65535.
        status: 24 bits, :data:`STATUS`; an octet without a set bit is not sent.
        trend: in mg/dL per minute, None when it was not sent.
        quality: in %, None when it was not sent.
    """

    concentration: Number
    minutes: int
    status: int = 0
    trend: Number | None = None
    quality: Number | None = None


def decode_cgm_measurement(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One glucose concentration (mg/dL) for each record; a special one is a ``GAP``.

    The time of a record is the session start of the context plus its offset. Without a session start
    it is the time of reception and the record is questionable. The E2E-CRC is required where the
    feature of the context has it, refused where it has not, and checked if it is there where the
    feature is not known. All records are decoded or none.

    Attributes: ``session_minutes``, ``measurement_status`` (names of all bits that are set),
    ``trend_mg_dl_min``, ``quality_percent``, ``sample_type``, ``sample_location``, ``time_source``,
    ``time_reason``, ``recorded = stored``.

    Raises:
        DecodeError: ``truncated``, ``bad_size`` (a record whose size disagrees with its flags),
            ``wrong_crc``, or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    moment = as_utc(received)
    records = list(read_cgm_records(payload, crc=None if context.cgm_feature is None else context.cgm_feature.has_crc))
    return [item for one in records for item in _items(one, moment, context)]


def read_cgm_records(payload: bytes, *, crc: bool | None = None) -> Iterator[CgmRecord]:
    """The records of a payload, oldest first as the device sent them.

    Args:
        payload: one or more records.
        crc: whether each ends with an E2E-CRC; None when this is not known.

    Raises:
        DecodeError: as :func:`decode_cgm_measurement`.
    """
    # An empty payload has no record: the reader says what is missing.
    start = Reader(payload).offset
    while start < len(payload) or start == 0:
        size = Reader(payload[start : start + 1]).u8("size")
        if size < _SHORTEST_RECORD:
            raise DecodeError(f"a record of {size} bytes", reason="bad_size", offset=start)
        octets = payload[start : start + size]
        if len(octets) < size:
            message = f"a record needs {size} bytes, {len(octets)} are left"
            raise DecodeError(message, reason="truncated", offset=start)
        yield _read_record(octets, start, crc=crc)
        start += size


def _read_record(octets: bytes, start: int, *, crc: bool | None) -> CgmRecord:
    flags = octets[1]
    body = _SHORTEST_RECORD + (flags & (_WARNING_OCTET | _CALIBRATION_OCTET | _STATUS_OCTET)).bit_count()
    body += 2 * (flags & (_TREND | _QUALITY)).bit_count()
    sizes = {None: (body, body + CRC_BYTES), True: (body + CRC_BYTES,), False: (body,)}[crc]
    if len(octets) not in sizes:
        message = f"a record of {len(octets)} bytes whose flags announce {' or '.join(map(str, sizes))}"
        raise DecodeError(message, reason="bad_size", offset=start)
    reader = Reader(octets if len(octets) == body else without_crc(octets, offset=start))
    reader.take(2, "size and flags")
    concentration = read_sfloat(reader, "concentration")
    minutes = reader.u16("time offset")
    octet_bits = ((_STATUS_OCTET, 0), (_CALIBRATION_OCTET, 8), (_WARNING_OCTET, 16))
    status = sum(reader.u8("sensor status") << shift for bit, shift in octet_bits if flags & bit)
    trend = read_sfloat(reader, "trend") if flags & _TREND else None
    quality = read_sfloat(reader, "quality") if flags & _QUALITY else None
    return CgmRecord(concentration, minutes, status, trend, quality)


def _items(one: CgmRecord, received: datetime, context: DecodeContext) -> list[Item]:
    record = _place(one, received, context)
    record.attributes["session_minutes"] = str(one.minutes)
    if one.status:
        record.note_status("measurement_status", one.status, STATUS, questionable=_QUESTIONABLE, invalid=_INVALID)
    for name, number in (("trend_mg_dl_min", one.trend), ("quality_percent", one.quality)):
        if number is not None:
            record.attributes[name] = number.value if isinstance(number, Special) else f"{number:f}"
    code = GLUCOSE_INTERSTITIAL
    if context.cgm_feature is not None:
        specimen = context.cgm_feature.type_and_location
        code = glucose_code(specimen, molar=False)
        record.attributes.update(sample_remarks(specimen))
        if is_control_solution(specimen):
            record.doubt(Quality.INVALID)
    record.add(code, one.concentration, sequence=one.minutes)
    if one.status & _BATTERY_LOW:
        record.battery_low("glucose_sensor")
    return record.items


def _place(one: CgmRecord, received: datetime, context: DecodeContext) -> Record:
    start = context.cgm_session_start
    moment = None if start is None else as_utc(start) + timedelta(minutes=one.minutes)
    reason = "session_start_unknown" if moment is None else ""
    if moment is not None and moment - received > context.clock_tolerance:
        reason = "device_clock_ahead"
    if moment is None or reason:
        record = Record(received, context.source, {"time_source": "received", "time_reason": reason})
        record.doubt(Quality.QUESTIONABLE)
        return record
    record = Record(moment, context.source, {"time_source": "device"})
    if received - moment > context.clock_tolerance:
        record.note_stored()
    return record


def encode_cgm_measurement(records: Sequence[CgmRecord], *, crc: bool = False) -> bytes:
    """The payload of one or more records.

    Args:
        records: oldest first.
        crc: end each with its E2E-CRC.

    Raises:
        AdapterError: ``not_representable`` or ``out_of_range``.
    """
    return b"".join(_encode_record(one, crc=crc) for one in records)


def _encode_record(one: CgmRecord, *, crc: bool) -> bytes:
    octets = [(_STATUS_OCTET, 0), (_CALIBRATION_OCTET, 8), (_WARNING_OCTET, 16)]
    sent = [(bit, one.status >> shift & 0xFF) for bit, shift in octets if one.status >> shift & 0xFF]
    flags = (_TREND if one.trend is not None else 0) | (_QUALITY if one.quality is not None else 0)
    flags |= sum(bit for bit, _ in sent)
    body = write_sfloats(one.concentration) + write_unsigned(one.minutes, 2, "time offset")
    body += bytes(octet for _, octet in sent) + write_sfloats(one.trend, one.quality)
    size = 2 + len(body) + (CRC_BYTES if crc else 0)
    record = bytes([size, flags]) + body
    return with_crc(record) if crc else record
