"""BTHome version 2, unencrypted: service data of FCD2, in both directions.

Format: bthome.io/format; object lengths and factors: Bluetooth-Devices/bthome-ble, ``const.py``. Device
information u8 (bit 0 encrypted, bit 1 address included, bits 5-7 version), then objects: id u8 and as many
bytes as the id says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from edge_twin.codes import (
    AIR_PRESSURE,
    AMBIENT_TEMPERATURE,
    BATTERY_LEVEL,
    BODY_WEIGHT,
    CO2_CONCENTRATION,
    RELATIVE_HUMIDITY,
    VOC_MASS_CONCENTRATION,
    Code,
)
from edge_twin_adapters.ble.battery import LOW_PERCENT
from edge_twin_adapters.ble.fields import write_signed, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import Record, simple_record
from edge_twin_adapters.ble.units import pounds_to_kilograms, steps_of, times
from edge_twin_adapters.errors import AdapterError, DecodeError

SERVICE = "fcd2"

_ENCRYPTED, _ADDRESS, _VERSION_SHIFT, _VERSION = 0x01, 0x02, 5, 2
_PACKET_ID, _BATTERY_IS_LOW, _POUNDS = 0x00, 0x15, 0x07
_SAY_LENGTH = frozenset((0x53, 0x54))  # text and raw bytes


@dataclass(frozen=True, slots=True)
class Measure:
    """An object that becomes an observation.

    Attributes:
        code: what it measures; a temperature of BTHome is that of a room, never that of a body.
        step: size of one count in the code's unit (in lb for the object in lb).
        signed: two's complement.
    """

    code: Code
    step: str
    signed: bool = False


MEASURES: Mapping[int, Measure] = MappingProxyType(
    {
        0x01: Measure(BATTERY_LEVEL, "1"),
        0x02: Measure(AMBIENT_TEMPERATURE, "0.01", signed=True),
        0x03: Measure(RELATIVE_HUMIDITY, "0.01"),
        0x04: Measure(AIR_PRESSURE, "1"),  # counts 0.01 hPa
        0x06: Measure(BODY_WEIGHT, "0.01"),
        _POUNDS: Measure(BODY_WEIGHT, "0.01"),
        0x12: Measure(CO2_CONCENTRATION, "1"),
        0x13: Measure(VOC_MASS_CONCENTRATION, "1"),
        0x2E: Measure(RELATIVE_HUMIDITY, "1"),
        0x45: Measure(AMBIENT_TEMPERATURE, "0.1", signed=True),
        0x57: Measure(AMBIENT_TEMPERATURE, "1", signed=True),
        0x58: Measure(AMBIENT_TEMPERATURE, "0.35", signed=True),
    }
)


def _lengths() -> Mapping[int, int]:
    """Bytes of each object's value."""
    one = (*range(0x02), 0x09, *range(0x0F, 0x12), *range(0x15, 0x30), 0x3A, 0x46, 0x57, 0x58, 0x59, 0x60, 0x64)
    two = (0x02, 0x03, *range(0x06, 0x09), *range(0x0C, 0x0F), *range(0x12, 0x15), 0x3C, 0x3D, 0x3F, 0x40, 0x41)
    two += (*range(0x43, 0x46), *range(0x47, 0x4B), 0x51, 0x52, 0x56, 0x5A, 0x5D, 0x5E, 0x5F, 0x61)
    three = (0x04, 0x05, 0x0A, 0x0B, 0x42, 0x4B)
    four = (0x3E, *range(0x4C, 0x51), 0x55, 0x5B, 0x5C, 0x62, 0x63)
    sizes = ((1, one), (2, two), (3, three), (4, four))
    return MappingProxyType({number: size for size, numbers in sizes for number in numbers})


LENGTHS = _lengths()


def decode_bthome(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """What a sensor or scale broadcasts, taken at ``received``.

    Two objects of one kind are told apart by their sequence. Attributes: ``packet`` (the sensor's packet
    number), ``other_objects`` (ids that are understood and no measurement here), ``unknown_object`` for an
    id that is newer than this decoder: its length is not known, so that what follows is not read, as the
    format asks for. A battery that is low is an event as well.

    Raises:
        DecodeError: ``truncated``, ``too_long``, ``encrypted`` or ``unsupported_version``.
        ObservationError: ``naive_time``.
    """
    reader = Reader(payload)
    _read_information(reader)
    record = simple_record(received, context)
    found: list[tuple[int, int]] = []
    others: list[str] = []
    while reader.remaining:
        number = reader.u8("object id")
        size = reader.u8("length") if number in _SAY_LENGTH else LENGTHS.get(number)
        if size is None:
            record.attributes["unknown_object"] = f"0x{number:02x}"
            break
        raw = reader.take(size, "object value")
        if number == _PACKET_ID:
            record.attributes["packet"] = str(raw[0])
        elif number in MEASURES or number == _BATTERY_IS_LOW:
            signed = number in MEASURES and MEASURES[number].signed
            found.append((number, int.from_bytes(raw, "little", signed=signed)))
        else:
            others.append(f"0x{number:02x}")
    if others:
        record.attributes["other_objects"] = ",".join(others)
    for sequence, (number, count) in enumerate(found):
        _add(record, number, count, sequence)
    return record.items


def _read_information(reader: Reader) -> None:
    information = reader.u8("device information")
    if information >> _VERSION_SHIFT != _VERSION:
        message = f"BTHome version {information >> _VERSION_SHIFT}"
        raise DecodeError(message, reason="unsupported_version", offset=0)
    if information & _ENCRYPTED:
        raise DecodeError("the sensor encrypts, and no key is held", reason="encrypted", offset=0)
    if information & _ADDRESS:
        reader.take(6, "address")


def _add(record: Record, number: int, count: int, sequence: int) -> None:
    if number == _BATTERY_IS_LOW:
        if count:
            record.battery_low("bthome")
        return
    measure = MEASURES[number]
    value = times(count, measure.step)
    if number == _POUNDS:
        remarks = {"reported": f"{value} lb"}
        record.add(measure.code, pounds_to_kilograms(value), sequence=sequence, remarks=remarks)
        return
    record.add(measure.code, value, sequence=sequence)
    if measure.code is BATTERY_LEVEL and count < LOW_PERCENT:
        record.battery_low(f"percent={count}")


def encode_bthome(objects: Sequence[tuple[int, int]], *, packet: int | None = None) -> bytes:
    """The service data that a sensor broadcasts.

    Args:
        objects: id and count of each object, in rising order of the ids.
        packet: the sensor's packet number, 0 to 255.

    Raises:
        AdapterError: ``unsupported_frame`` for an object without a fixed length, ``out_of_range``.
    """
    parts = [bytes([_VERSION << _VERSION_SHIFT])]
    for number, count in ([] if packet is None else [(_PACKET_ID, packet)]) + list(objects):
        if number not in LENGTHS:
            raise AdapterError(f"no length of object 0x{number:02x}", reason="unsupported_frame")
        write = write_signed if number in MEASURES and MEASURES[number].signed else write_unsigned
        parts.append(bytes([number]) + write(count, LENGTHS[number], "object value"))
    return b"".join(parts)


def count_of(number: int, value: Decimal) -> int:
    """The count by which an object says ``value`` in the unit of its code (lb for the object in lb).

    Raises:
        AdapterError: ``not_representable``.
    """
    steps = steps_of(value, MEASURES[number].step)
    if steps != steps.to_integral_value():
        raise AdapterError(f"{value} is no multiple of {MEASURES[number].step}", reason="not_representable")
    return int(steps)
