"""Blood Pressure Measurement (2A35) and Intermediate Cuff Pressure (2A36), Blood Pressure Service 1.1.1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_twin.codes import (
    CUFF_PRESSURE,
    DIASTOLIC_PRESSURE,
    MEAN_ARTERIAL_PRESSURE,
    PULSE_RATE_CUFF,
    SYSTOLIC_PRESSURE,
    Code,
)
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import read_sfloat, read_user, write_optional, write_sfloats
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.record import Record, start_record
from edge_twin_adapters.ble.units import kilopascals_to_mmhg

MEASUREMENT = "2a35"
INTERMEDIATE_CUFF = "2a36"

_KILOPASCAL = 0x01
_TIME_STAMP = 0x02
_PULSE_RATE = 0x04
_USER = 0x08
_STATUS = 0x10

# BLS 1.1.1, Measurement Status; bits 3 and 4 are one number: the pulse rate is in range, above or below.
STATUS = {
    0: "movement",
    1: "cuff_loose",
    2: "irregular_pulse",
    3: "pulse_above_range",
    4: "pulse_below_range",
    5: "improper_position",
}
# What each bit does to the quality: chosen here.
_INVALID = 1 << 0 | 1 << 1
_QUESTIONABLE = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5


@dataclass(frozen=True, slots=True)
class CuffReading:
    """The numbers of one measurement.

    Attributes:
        systolic: systolic pressure; in 2A36 the pressure of the cuff at this moment.
        diastolic: diastolic pressure; unused in 2A36.
        mean: mean arterial pressure; NaN in many devices, unused in 2A36.
        pulse: pulse rate per minute, None when it was not sent.
        kilopascal: the pressures are in kPa instead of mmHg.
    """

    systolic: Number
    diastolic: Number = Special.NAN
    mean: Number = Special.NAN
    pulse: Number | None = None
    kilopascal: bool = False


def decode_blood_pressure(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Systolic, diastolic and mean pressure (mm[Hg]) and pulse rate (/min).

    A special systolic or diastolic value means that the measurement failed: one ``GAP``, no value.
    Without a mean pressure (NaN in many devices) there is no observation of it and the others carry
    ``mean_arterial_pressure = <special>``.

    Attributes: ``measurement_status`` (names of all bits that are set), ``user``, the time attributes of
    :func:`edge_twin_adapters.ble.date_time.place`, and ``reported`` (the number in kPa) where it was
    converted. With movement or a loose cuff the quality is ``INVALID``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``invalid_time``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reading, record = _read(payload, received, context)
    failed = [part.value for part in (reading.systolic, reading.diastolic) if isinstance(part, Special)]
    if failed:
        record.gap("blood_pressure", failed[0])
        return record.items
    if isinstance(reading.mean, Special):
        record.attributes[MEAN_ARTERIAL_PRESSURE.name] = reading.mean.value
    _add(record, SYSTOLIC_PRESSURE, reading.systolic, reading)
    _add(record, DIASTOLIC_PRESSURE, reading.diastolic, reading)
    if not isinstance(reading.mean, Special):
        _add(record, MEAN_ARTERIAL_PRESSURE, reading.mean, reading)
    _add_pulse(record, reading)
    return record.items


def decode_intermediate_cuff(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """The pressure in the cuff while it deflates (mm[Hg]): never a blood pressure.

    Raises:
        DecodeError: as :func:`decode_blood_pressure`.
        ObservationError: as there.
    """
    reading, record = _read(payload, received, context)
    _add(record, CUFF_PRESSURE, reading.systolic, reading)
    _add_pulse(record, reading)
    return record.items


def _read(payload: bytes, received: datetime, context: DecodeContext) -> tuple[CuffReading, Record]:
    reader = Reader(payload)
    flags = reader.u8("flags")
    systolic, diastolic, mean = (read_sfloat(reader, name) for name in ("systolic", "diastolic", "mean pressure"))
    stamp = read_date_time(reader) if flags & _TIME_STAMP else None
    pulse = read_sfloat(reader, "pulse rate") if flags & _PULSE_RATE else None
    user = read_user(reader) if flags & _USER else None
    status = reader.u16("measurement status") if flags & _STATUS else None
    reader.finish()
    record = start_record(stamp, received, context)
    if user is not None:
        record.attributes["user"] = user
    if status is not None:
        record.note_status("measurement_status", status, STATUS, questionable=_QUESTIONABLE, invalid=_INVALID)
    return CuffReading(systolic, diastolic, mean, pulse, kilopascal=bool(flags & _KILOPASCAL)), record


def _add_pulse(record: Record, reading: CuffReading) -> None:
    if reading.pulse is not None:
        record.add(PULSE_RATE_CUFF, reading.pulse)


def _add(record: Record, code: Code, pressure: Number, reading: CuffReading) -> None:
    if isinstance(pressure, Special) or not reading.kilopascal:
        record.add(code, pressure)
    else:
        record.add_converted(code, kilopascals_to_mmhg(pressure), f"{pressure:f} kPa")


def encode_blood_pressure(
    reading: CuffReading,
    *,
    device_time: DateTimeField | None = None,
    user: int | None = None,
    status: int | None = None,
) -> bytes:
    """The payload of 2A35 or 2A36; a field that is None is left out.

    Args:
        reading: pressures and pulse rate; for 2A36 the cuff pressure and the pulse rate.
        device_time: what the device's clock shows.
        user: user index, 255 for unknown.
        status: 16 bits, :data:`STATUS`.

    Raises:
        AdapterError: ``not_representable``, ``out_of_range`` or ``invalid_time``.
    """
    flags = (
        (_KILOPASCAL if reading.kilopascal else 0)
        | (_TIME_STAMP if device_time is not None else 0)
        | (_PULSE_RATE if reading.pulse is not None else 0)
        | (_USER if user is not None else 0)
        | (_STATUS if status is not None else 0)
    )
    pressures = write_sfloats(reading.systolic, reading.diastolic, reading.mean)
    tail = write_sfloats(reading.pulse) + write_optional(user, 1, "user index") + write_optional(status, 2, "status")
    return bytes([flags]) + pressures + encode_date_time(device_time) + tail
