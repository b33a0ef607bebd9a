"""Glucose Measurement (2A18), Glucose Service 1.0.1 section 3.1, both directions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from edge_twin.observation import Quality
from edge_twin_adapters.ble.cgm_feature import glucose_code, is_control_solution, sample_remarks
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import (
    read_sfloat,
    read_signed,
    write_optional,
    write_sfloats,
    write_signed,
    write_unsigned,
)
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.record import Record, start_record
from edge_twin_adapters.ble.units import times
from edge_twin_adapters.errors import AdapterError, DecodeError

CHARACTERISTIC = "2a18"

_TIME_OFFSET = 0x01
_CONCENTRATION = 0x02
_MOLES = 0x04
_STATUS = 0x08
_CONTEXT_FOLLOWS = 0x10

# Sensor Status Annunciation.
STATUS = {
    0: "battery_low",
    1: "sensor_malfunction",
    2: "sample_insufficient",
    3: "strip_insertion_error",
    4: "strip_type_incorrect",
    5: "result_too_high",
    6: "result_too_low",
    7: "temperature_too_high",
    8: "temperature_too_low",
    9: "read_interrupted",
    10: "device_fault",
    11: "time_fault",
}
# What each bit does to the quality: chosen here. Battery and time do not change the concentration.
_INVALID = sum(1 << bit for bit in range(1, 11))
_QUESTIONABLE = 1 << 11
_BATTERY_LOW = 1 << 0

# kg/L in mg/dL, and mol/L in mmol/L: powers of ten, so the conversion is exact.
_MG_PER_DL = "1E5"
_MMOL_PER_L = "1E3"


def decode_glucose(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One glucose concentration, mg/dL or mmol/L under the code of its specimen.

    A special concentration is a ``GAP``, and so is a record without one. A meter sends records on
    request only, so one whose device time is not believed has no known time: kept, never used.

    Attributes: ``record_sequence`` (links to Glucose Measurement Context), ``sample_type``,
    ``sample_location``, ``measurement_status`` (names of all bits that are set), ``context`` if it
    follows, and the time attributes of :func:`edge_twin_adapters.ble.date_time.place`; the time offset
    is part of the device time. Control solution is ``INVALID``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``invalid_time``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    sequence = reader.u16("sequence number")
    stamp = _read_stamp(reader, offset_present=bool(flags & _TIME_OFFSET))
    concentration = read_sfloat(reader, "concentration") if flags & _CONCENTRATION else Special.NAN
    specimen = reader.u8("type and sample location") if flags & _CONCENTRATION else 0
    status = reader.u16("sensor status") if flags & _STATUS else None
    reader.finish()
    record = start_record(stamp, received, context)
    if record.attributes["time_source"] != "device":
        record.note_stored()
    record.attributes["record_sequence"] = str(sequence)
    if flags & _CONTEXT_FOLLOWS:
        record.attributes["context"] = "follows"
    _note(record, specimen, status)
    record.add(glucose_code(specimen, molar=bool(flags & _MOLES)), _scaled(concentration, flags), sequence=sequence)
    return record.items


def _read_stamp(reader: Reader, *, offset_present: bool) -> DateTimeField:
    """Base time plus time offset: what the clock of the user showed."""
    at = reader.offset
    base = read_date_time(reader)
    minutes = read_signed(reader, 2, "time offset") if offset_present else 0
    try:
        return base.plus_minutes(minutes)
    except OverflowError as error:
        message = f"no clock shows {base.text} {minutes:+} min"
        raise DecodeError(message, reason="invalid_time", offset=at) from error


def _note(record: Record, specimen: int, status: int | None) -> None:
    if specimen:
        record.attributes.update(sample_remarks(specimen))
    if specimen and is_control_solution(specimen):
        record.doubt(Quality.INVALID)
    if status is not None:
        record.note_status("measurement_status", status, STATUS, questionable=_QUESTIONABLE, invalid=_INVALID)
        if status & _BATTERY_LOW:
            record.battery_low("glucose_meter")


def _scaled(concentration: Number, flags: int) -> Number:
    if isinstance(concentration, Special):
        return concentration
    return times(concentration, _MMOL_PER_L if flags & _MOLES else _MG_PER_DL)


def encode_glucose(  # noqa: PLR0913 - one keyword for each field of the characteristic
    sequence: int,
    device_time: DateTimeField,
    *,
    concentration: Number | None,
    molar: bool = False,
    type_and_location: int = 0x11,
    offset_minutes: int | None = None,
    status: int | None = None,
    context_follows: bool = False,
) -> bytes:
    """The payload of a glucose record.

    Args:
        sequence: record number, 0 to 65535.
        device_time: base time.
        concentration: in kg/L, or in mol/L with ``molar``, as the field counts; None leaves it out.
        molar: the unit.
        type_and_location: specimen in the low nibble, location in the high one.
        offset_minutes: time offset, -32768 to 32767.
        status: 16 bits, :data:`STATUS`.
        context_follows: a Glucose Measurement Context of this sequence number comes next.

    Raises:
        AdapterError: ``not_representable``, ``out_of_range`` or ``invalid_time``.
    """
    flags = (
        (_TIME_OFFSET if offset_minutes is not None else 0)
        | (_CONCENTRATION if concentration is not None else 0)
        | (_MOLES if molar else 0)
        | (_STATUS if status is not None else 0)
        | (_CONTEXT_FOLLOWS if context_follows else 0)
    )
    head = bytes([flags]) + write_unsigned(sequence, 2, "sequence number") + encode_date_time(device_time)
    offset = b"" if offset_minutes is None else write_signed(offset_minutes, 2, "time offset")
    sample = b"" if concentration is None else write_unsigned(type_and_location, 1, "type and sample location")
    return head + offset + write_sfloats(concentration) + sample + write_optional(status, 2, "sensor status")


def mg_per_dl(value: Decimal) -> Decimal:
    """A concentration in mg/dL in the unit of the field, kg/L.

    Raises:
        AdapterError: ``not_representable`` for a negative or special one.
    """
    if not value.is_finite() or value < 0:
        raise AdapterError(f"{value} is no concentration", reason="not_representable")
    return times(value, "1E-5")


def mmol_per_l(value: Decimal) -> Decimal:
    """A concentration in mmol/L in the unit of the field, mol/L; errors as :func:`mg_per_dl`."""
    return times(mg_per_dl(value), "1E2")
