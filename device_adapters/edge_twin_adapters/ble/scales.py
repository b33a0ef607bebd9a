"""Weight Measurement (2A9D), Weight Scale Service 1.0, and Body Composition Measurement (2A9C), BCS 1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from edge_twin.codes import (
    BASAL_METABOLISM,
    BODY_FAT,
    BODY_HEIGHT,
    BODY_IMPEDANCE,
    BODY_MASS_INDEX,
    BODY_WATER_MASS,
    BODY_WEIGHT,
    FAT_FREE_MASS,
    MUSCLE_MASS,
    MUSCLE_PERCENTAGE,
    SOFT_LEAN_MASS,
    Code,
)
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import read_user, write_optional, write_steps, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import Record, start_record
from edge_twin_adapters.ble.units import inches_to_metres, pounds_to_kilograms, times
from edge_twin_adapters.errors import AdapterError

WEIGHT = "2a9d"
BODY_COMPOSITION = "2a9c"

_IMPERIAL = 0x01
_TIME_STAMP = 0x02
_USER = 0x04
_BMI_AND_HEIGHT = 0x08
_MULTIPLE_PACKETS = 0x1000

# "Measurement Unsuccessful" in the weight and in the body fat percentage.
_UNSUCCESSFUL = 0xFFFF


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A 16-bit count: the size of a step and its unit, metric and imperial."""

    code: Code
    step: str
    unit: str
    imperial_step: str = ""
    imperial_unit: str = ""

    def take(self, reader: Reader) -> int:
        """The next count."""
        return reader.u16(self.code.name)

    def add(self, record: Record, count: int, *, imperial: bool) -> None:
        """Add the value of ``count`` steps to ``record``."""
        if not (imperial and self.imperial_unit):
            record.add(self.code, times(count, self.step))
            return
        shown = times(count, self.imperial_step)
        convert = pounds_to_kilograms if self.imperial_unit == "lb" else inches_to_metres
        record.add_converted(self.code, convert(shown), f"{shown} {self.imperial_unit}")

    def write(self, value: Decimal, *, imperial: bool) -> bytes:
        """``value`` (in pounds or inches where ``imperial``) as a count."""
        step = self.imperial_step if imperial and self.imperial_unit else self.step
        return write_steps(value, step, 2, self.code.name)


def _mass(code: Code) -> _Quantity:
    return _Quantity(code, "0.005", "kg", "0.01", "lb")


_WEIGHT = _mass(BODY_WEIGHT)
_BMI = _Quantity(BODY_MASS_INDEX, "0.1", "kg/m2")
_HEIGHT = _Quantity(BODY_HEIGHT, "0.001", "m", "0.1", "in")
_FAT = _Quantity(BODY_FAT, "0.1", "%")

# Flag bit and quantity, in the order of the fields.
_OPTIONAL: tuple[tuple[int, _Quantity], ...] = (
    (3, _Quantity(BASAL_METABOLISM, "1", "kJ")),
    (4, _Quantity(MUSCLE_PERCENTAGE, "0.1", "%")),
    (5, _mass(MUSCLE_MASS)),
    (6, _mass(FAT_FREE_MASS)),
    (7, _mass(SOFT_LEAN_MASS)),
    (8, _mass(BODY_WATER_MASS)),
    (9, _Quantity(BODY_IMPEDANCE, "0.1", "Ohm")),
    (10, _WEIGHT),
    (11, _HEIGHT),
)


def decode_weight(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Body weight (kg) and, if sent, body mass index (kg/m2) and height (m).

    Pounds and inches are converted exactly and kept as ``reported``. The scale's word for an
    unsuccessful measurement is a ``GAP``. Attributes: ``user`` and the time attributes of
    :func:`edge_twin_adapters.ble.date_time.place`.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``invalid_time``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    weight = _WEIGHT.take(reader)
    record = _start(reader, flags, received, context)
    counts = [(part, part.take(reader)) for part in (_BMI, _HEIGHT)] if flags & _BMI_AND_HEIGHT else []
    reader.finish()
    return _finish(record, [(_WEIGHT, weight), *counts], imperial=bool(flags & _IMPERIAL))


def decode_body_composition(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Body fat (%) and whatever else the flags announce, in the units of the codes.

    As :func:`decode_weight`; the first part of a measurement that takes two packets says
    ``packets = multiple``.

    Raises:
        DecodeError: as :func:`decode_weight`.
        ObservationError: as there.
    """
    reader = Reader(payload)
    flags = reader.u16("flags")
    fat = _FAT.take(reader)
    record = _start(reader, flags, received, context)
    if flags & _MULTIPLE_PACKETS:
        record.attributes["packets"] = "multiple"
    counts = [(part, part.take(reader)) for bit, part in _OPTIONAL if flags >> bit & 1]
    reader.finish()
    return _finish(record, [(_FAT, fat), *counts], imperial=bool(flags & _IMPERIAL))


def _start(reader: Reader, flags: int, received: datetime, context: DecodeContext) -> Record:
    """The record at its time, once the fields that both characteristics share are read."""
    stamp = read_date_time(reader) if flags & _TIME_STAMP else None
    user = read_user(reader) if flags & _USER else None
    record = start_record(stamp, received, context)
    if user is not None:
        record.attributes["user"] = user
    return record


def _finish(record: Record, counts: Sequence[tuple[_Quantity, int]], *, imperial: bool) -> list[Item]:
    """The observations, or one gap when the scale says that it did not succeed."""
    main, count = counts[0]
    if count == _UNSUCCESSFUL:
        record.gap(main.code.name, "unsuccessful")
        return record.items
    for quantity, steps in counts:
        quantity.add(record, steps, imperial=imperial)
    return record.items


def encode_weight(  # noqa: PLR0913 - one keyword for each field of the characteristic
    weight: Decimal | None,
    *,
    imperial: bool = False,
    device_time: DateTimeField | None = None,
    user: int | None = None,
    body_mass_index: Decimal | None = None,
    height: Decimal | None = None,
) -> bytes:
    """The payload of a weight measurement.

    Args:
        weight: in kg, or in lb with ``imperial``; None for an unsuccessful measurement.
        imperial: pounds and inches.
        device_time: what the scale's clock shows.
        user: user index, 255 for unknown.
        body_mass_index: in kg/m2, together with ``height``.
        height: in m, or in inches.

    Raises:
        AdapterError: ``not_representable``, ``out_of_range``, ``invalid_time``, or ``incomplete`` when
            only one of index and height is given.
    """
    if (body_mass_index is None) != (height is None):
        raise AdapterError("body mass index and height go together", reason="incomplete")
    flags = _shared_flags(imperial=imperial, device_time=device_time, user=user)
    main = _encode_main(_WEIGHT, weight, imperial=imperial)
    tail = encode_date_time(device_time) + write_optional(user, 1, "user index")
    if body_mass_index is not None and height is not None:
        flags |= _BMI_AND_HEIGHT
        tail += _BMI.write(body_mass_index, imperial=imperial) + _HEIGHT.write(height, imperial=imperial)
    return bytes([flags]) + main + tail


def encode_body_composition(  # noqa: PLR0913 - one keyword for each part of the characteristic
    body_fat: Decimal | None,
    values: Mapping[Code, Decimal],
    *,
    imperial: bool = False,
    device_time: DateTimeField | None = None,
    user: int | None = None,
    multiple_packets: bool = False,
) -> bytes:
    """The payload of a body composition measurement.

    Args:
        body_fat: in %, or None for an unsuccessful measurement.
        values: the optional values by code, in the unit of the code (lb and inches with ``imperial``).
        imperial: pounds and inches.
        device_time: what the scale's clock shows.
        user: user index, 255 for unknown.
        multiple_packets: the measurement goes on in a second packet.

    Raises:
        AdapterError: ``not_representable``, ``out_of_range``, ``invalid_time``, or ``unknown_code`` for a
            value that the characteristic has no field for.
    """
    known = {quantity.code for _, quantity in _OPTIONAL}
    if unknown := set(values) - known:
        names = sorted(code.name for code in unknown)
        raise AdapterError(f"no field for {', '.join(names)}", reason="unknown_code")
    flags = _shared_flags(imperial=imperial, device_time=device_time, user=user)
    flags |= _MULTIPLE_PACKETS if multiple_packets else 0
    tail = encode_date_time(device_time) + write_optional(user, 1, "user index")
    for bit, quantity in _OPTIONAL:
        if (value := values.get(quantity.code)) is not None:
            flags |= 1 << bit
            tail += quantity.write(value, imperial=imperial)
    return write_unsigned(flags, 2, "flags") + _encode_main(_FAT, body_fat, imperial=imperial) + tail


def _shared_flags(*, imperial: bool, device_time: DateTimeField | None, user: int | None) -> int:
    flags = _IMPERIAL if imperial else 0
    return flags | (_TIME_STAMP if device_time is not None else 0) | (_USER if user is not None else 0)


def _encode_main(quantity: _Quantity, value: Decimal | None, *, imperial: bool) -> bytes:
    if value is None:
        return write_unsigned(_UNSUCCESSFUL, 2, quantity.code.name)
    return quantity.write(value, imperial=imperial)
