"""Small thermometers for rooms that only broadcast, in both directions. None of them measures a person.

Layouts, each checked against the tests of custom-components/ble_monitor or of theengs/decoder:

- ATC1441 and pvvx firmware (service data 181A): ble_monitor ``atc.py``; esphome ``pvvx_mithermometer.cpp``.
- Xiaomi MiBeacon (service data FE95), unencrypted: ble_monitor ``xiaomi.py``; theengs ``LYWSDCGQ_json.h``.
- RuuviTag data format 5 (manufacturer 0499): ruuvi/ruuvi-sensor-protocols, ``dataformat_05.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from edge_twin.codes import AIR_PRESSURE, AMBIENT_TEMPERATURE, BATTERY_LEVEL, RELATIVE_HUMIDITY, Code
from edge_twin_adapters.ble.battery import LOW_PERCENT
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import Record, simple_record
from edge_twin_adapters.ble.units import times
from edge_twin_adapters.errors import AdapterError, DecodeError

ENVIRONMENTAL_SENSING = "181a"
MI_BEACON = "fe95"
RUUVI = 0x0499

_ADDRESS_BYTES = 6
# Temperature, humidity, battery mV, battery %, counter, flags; ATC1441 is big-endian and has no flags.
_PVVX = struct.Struct("<6shHHBBB")
_ATC = struct.Struct(">6shBBHB")
_ENCRYPTED_SIZES = frozenset((8, 11))  # of ATC1441 and pvvx

_MI_ENCRYPTED, _MI_ADDRESS, _MI_CAPABILITY, _MI_OBJECT = 0x0008, 0x0010, 0x0020, 0x0040
_MI_IO_CAPABILITY = 0x20

_RUUVI = struct.Struct(">BhHHhhhHBH6s")
_RUUVI_FORMAT = 5
_RUUVI_LOWEST_PA = 50_000
_RUUVI_LOWEST_MV = 1600
# What a RuuviTag sends for a quantity that it did not measure.
_NO_TEMPERATURE, _NO_HUMIDITY, _NO_PRESSURE, _NO_POWER = -0x8000, 0xFFFF, 0xFFFF, 0x7FF


def decode_custom_firmware(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Temperature, humidity and charge of a thermometer with ATC1441 or pvvx firmware.

    Attributes: ``packet`` (its counter), ``battery_mv``, and ``flags`` (pvvx: trigger and reed switch).

    Raises:
        DecodeError: ``encrypted``, or ``unsupported_frame`` for any other length.
        ObservationError: ``naive_time``.
    """
    if len(payload) == _PVVX.size:
        _, temperature, humidity, millivolt, percent, counter, flags = _PVVX.unpack(payload)
        values, remarks = (times(temperature, "0.01"), times(humidity, "0.01")), {"flags": str(flags)}
    elif len(payload) == _ATC.size:
        _, temperature, humidity, percent, millivolt, counter = _ATC.unpack(payload)
        values, remarks = (times(temperature, "0.1"), Decimal(humidity)), {}
    else:
        encrypted = len(payload) in _ENCRYPTED_SIZES
        reason = "encrypted" if encrypted else "unsupported_frame"
        raise DecodeError(f"no layout of {len(payload)} bytes", reason=reason, offset=min(len(payload), _PVVX.size))
    record = simple_record(received, context)
    record.attributes |= remarks | {"packet": str(counter), "battery_mv": str(millivolt)}
    record.add(AMBIENT_TEMPERATURE, values[0])
    record.add(RELATIVE_HUMIDITY, values[1])
    _add_charge(record, percent)
    return record.items


def _add_charge(record: Record, percent: int) -> None:
    record.add(BATTERY_LEVEL, Decimal(percent))
    if percent < LOW_PERCENT:
        record.battery_low(f"percent={percent}")


# Object type: what its value is made of, each a signed or unsigned number of ten steps in the unit.
_MI_OBJECTS: Mapping[int, tuple[tuple[Code, bool], ...]] = MappingProxyType(
    {
        0x1004: ((AMBIENT_TEMPERATURE, True),),
        0x1006: ((RELATIVE_HUMIDITY, False),),
        0x100D: ((AMBIENT_TEMPERATURE, True), (RELATIVE_HUMIDITY, False)),
    }
)
_MI_CHARGE = 0x100A


def decode_mi_beacon(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Temperature, humidity and charge of a Xiaomi thermometer that does not encrypt.

    A beacon without an object says nothing. Attributes: ``packet`` (its frame counter), ``product``, and
    ``other_objects`` for objects that are no measurement here.

    Raises:
        DecodeError: ``truncated``, ``too_long``, ``encrypted``, or ``bad_length`` for an object whose length
            is not that of its type.
        ObservationError: ``naive_time``.
    """
    reader = Reader(payload)
    control, product = reader.u16("frame control"), reader.u16("product id")
    counter = reader.u8("frame counter")
    if control & _MI_OBJECT and control & _MI_ENCRYPTED:
        raise DecodeError("the sensor encrypts, and no key is held", reason="encrypted", offset=0)
    if control & _MI_ADDRESS:
        reader.take(_ADDRESS_BYTES, "address")
    if control & _MI_CAPABILITY and reader.u8("capability") & _MI_IO_CAPABILITY:
        reader.u8("input and output capability")
    objects = []
    while control & _MI_OBJECT and reader.remaining:
        objects.append(_read_mi_object(reader))
    reader.finish()
    record = simple_record(received, context)
    record.attributes |= {"packet": str(counter), "product": f"0x{product:04x}"}
    if others := [f"0x{kind:04x}" for kind, _ in objects if kind not in _MI_OBJECTS and kind != _MI_CHARGE]:
        record.attributes["other_objects"] = ",".join(others)
    for kind, value in objects:
        _add_mi_object(record, kind, value)
    return record.items


def _read_mi_object(reader: Reader) -> tuple[int, bytes]:
    offset = reader.offset
    kind, size = reader.u16("object type"), reader.u8("object length")
    value = reader.take(size, "object value")
    expected = 1 if kind == _MI_CHARGE else 2 * len(_MI_OBJECTS.get(kind, ())) or size
    if size != expected:
        raise DecodeError(f"object 0x{kind:04x} of {size} bytes", reason="bad_length", offset=offset)
    return kind, value


def _add_mi_object(record: Record, kind: int, value: bytes) -> None:
    if kind == _MI_CHARGE:
        _add_charge(record, value[0])
    for index, (code, signed) in enumerate(_MI_OBJECTS.get(kind, ())):
        count = int.from_bytes(value[2 * index : 2 * index + 2], "little", signed=signed)
        record.add(code, times(count, "0.1"))


def decode_ruuvi(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Temperature, humidity and air pressure of a RuuviTag; what it marks as invalid is a ``GAP``.

    Acceleration is left out: the tag lies in a room. Attributes: ``packet`` (its sequence number),
    ``movements`` and ``battery_mv`` where it says so.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, or ``unsupported_version``.
        ObservationError: ``naive_time``.
    """
    reader = Reader(payload)
    version = payload[0] if payload else reader.u8("data format")
    if version != _RUUVI_FORMAT:
        raise DecodeError(f"RuuviTag data format {version}", reason="unsupported_version", offset=0)
    fields = _RUUVI.unpack(reader.take(_RUUVI.size, "data format 5"))
    reader.finish()
    _, temperature, humidity, pressure, _, _, _, power, movements, sequence, _ = fields
    record = simple_record(received, context)
    record.attributes |= {"packet": str(sequence), "movements": str(movements)}
    if power >> 5 != _NO_POWER:
        record.attributes["battery_mv"] = str(_RUUVI_LOWEST_MV + (power >> 5))
    _add_or_gap(record, AMBIENT_TEMPERATURE, times(temperature, "0.005"), valid=temperature != _NO_TEMPERATURE)
    _add_or_gap(record, RELATIVE_HUMIDITY, times(humidity, "0.0025"), valid=humidity != _NO_HUMIDITY)
    _add_or_gap(record, AIR_PRESSURE, Decimal(_RUUVI_LOWEST_PA + pressure), valid=pressure != _NO_PRESSURE)
    return record.items


def _add_or_gap(record: Record, code: Code, value: Decimal, *, valid: bool) -> None:
    if valid:
        record.add(code, value)
    else:
        record.gap(code.name, "value_not_known")


def encode_pvvx(  # noqa: PLR0913 - one keyword for each field of the frame, named at every call
    *, temperature: int, humidity: int, millivolt: int = 3000, percent: int = 100, counter: int = 0, flags: int = 0
) -> bytes:
    """Service data of a thermometer with pvvx firmware; counts of 0.01 Cel and 0.01 %.

    Raises:
        AdapterError: ``out_of_range``.
    """
    return _packed(_PVVX, bytes(_ADDRESS_BYTES), temperature, humidity, millivolt, percent, counter, flags)


def encode_atc1441(*, temperature: int, humidity: int, percent: int = 100, counter: int = 0) -> bytes:
    """Service data of a thermometer with ATC1441 firmware; counts of 0.1 Cel and 1 %; errors as :func:`encode_pvvx`."""
    return _packed(_ATC, bytes(_ADDRESS_BYTES), temperature, humidity, percent, 3000, counter)


def encode_mi_beacon(kind: int, value: bytes, *, counter: int = 0) -> bytes:
    """Service data of a Xiaomi thermometer (product 01AA) with one object.

    Raises:
        AdapterError: ``out_of_range`` for a value of more than 255 bytes.
    """
    head = _packed(struct.Struct("<HHB"), 0x2050, 0x01AA, counter) + bytes(_ADDRESS_BYTES)
    return head + _packed(struct.Struct("<HB"), kind, len(value)) + value


def encode_ruuvi(*, temperature: int, humidity: int, pressure: int, sequence: int = 0) -> bytes:
    """Manufacturer data of a RuuviTag; counts of 0.005 Cel, 0.0025 % and Pa above 50 000.

    Raises:
        AdapterError: ``out_of_range``.
    """
    power = (3000 - _RUUVI_LOWEST_MV) << 5
    still = (0, 0, 1000)  # lying flat, in milli-g
    return _packed(
        _RUUVI, _RUUVI_FORMAT, temperature, humidity, pressure, *still, power, 0, sequence, bytes(_ADDRESS_BYTES)
    )


def _packed(layout: struct.Struct, *fields: int | bytes) -> bytes:
    try:
        return layout.pack(*fields)
    except struct.error as error:
        raise AdapterError(f"a field does not fit: {error}", reason="out_of_range") from error
