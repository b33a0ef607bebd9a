"""Xiaomi's scales, which broadcast what they weigh as service data of 181D (first) or 181B (second), both ways.

Layouts: custom-components/ble_monitor, ``miscale.py`` and its tests; theengs/decoder, ``XMTZC04HMKG_json.h`` and
``XMTZC05HM_json.h``. First: control u8, weight u16, Date Time. Second: unit u8, control u8, Date Time,
impedance u16 (Ohm), weight u16. A step is 0.005 kg, 0.01 lb or 0.01 jin; one jin is 0.5 kg.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from edge_twin.codes import BODY_IMPEDANCE, BODY_WEIGHT
from edge_twin.observation import Quality
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import write_steps, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import start_record
from edge_twin_adapters.ble.units import pounds_to_kilograms, times

# Bits of the control byte that both generations share.
_STABLE, _REMOVED = 0x20, 0x80
# First generation, in its only control byte.
_FIRST_POUNDS, _FIRST_JIN, _FIRST_OBJECT = 0x01, 0x10, 0x40
# Second generation: in the unit byte, then in the control byte.
_SECOND_POUNDS, _SECOND_KILOGRAMS, _SECOND_OBJECT = 0x01, 0x02, 0x04
_IMPEDANCE, _SECOND_JIN = 0x02, 0x40


class Unit(StrEnum):
    """What the scale shows."""

    KILOGRAM = "kg"
    POUND = "lb"
    JIN = "jin"


@dataclass(frozen=True, slots=True)
class Weighing:
    """What a scale broadcasts.

    Attributes:
        steps: the weight: 0.005 kg, 0.01 lb or 0.01 jin each.
        unit: what it shows.
        device_time: its clock, local and perhaps never set.
        stable: the weight has settled; before that it is no measurement.
        removed: nobody stands on it any more: the broadcast repeats an earlier weighing.
        thing: it weighs an object and not a person.
        impedance_ohm: of the body, or None when it was not measured.
    """

    steps: int
    unit: Unit
    device_time: DateTimeField
    stable: bool = True
    removed: bool = False
    thing: bool = False
    impedance_ohm: int | None = None


def decode_first(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """The body weight (kg) of a Mi Scale, from service data of 181D.

    A weight that has not settled, or is of a thing, is invalid; one that is repeated after the load was
    removed is questionable. Attributes: ``stable``, ``load`` (``person``, ``thing``), ``removed``,
    ``reported`` where it was converted, and those of :func:`date_time.place`.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``invalid_time``.
        ObservationError: ``naive_time``.
    """
    reader = Reader(payload)
    control, steps = reader.u8("control"), reader.u16("weight")
    stamp = read_date_time(reader)
    reader.finish()
    unit = Unit.POUND if control & _FIRST_POUNDS else Unit.JIN if control & _FIRST_JIN else Unit.KILOGRAM
    stable, removed, thing = bool(control & _STABLE), bool(control & _REMOVED), bool(control & _FIRST_OBJECT)
    return _observations(Weighing(steps, unit, stamp, stable, removed, thing), received, context)


def decode_second(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """The body weight (kg) and, once it is measured, the impedance (Ohm) of a Mi Body Composition Scale.

    From service data of 181B; quality, attributes and errors as :func:`decode_first`.
    """
    reader = Reader(payload)
    shown, control = reader.u8("unit"), reader.u8("control")
    stamp = read_date_time(reader)
    impedance, steps = reader.u16("impedance"), reader.u16("weight")
    reader.finish()
    unit = Unit.JIN if control & _SECOND_JIN else Unit.POUND if shown & _SECOND_POUNDS else Unit.KILOGRAM
    weighing = Weighing(
        steps,
        unit,
        stamp,
        stable=bool(control & _STABLE),
        removed=bool(control & _REMOVED),
        thing=bool(shown & _SECOND_OBJECT),
        impedance_ohm=impedance if control & _IMPEDANCE else None,
    )
    return _observations(weighing, received, context)


def _observations(weighing: Weighing, received: datetime, context: DecodeContext) -> list[Item]:
    record = start_record(weighing.device_time, received, context)
    record.attributes |= {
        "stable": "yes" if weighing.stable else "no",
        "removed": "yes" if weighing.removed else "no",
        "load": "thing" if weighing.thing else "person",
    }
    if weighing.removed:
        record.doubt(Quality.QUESTIONABLE)
    if weighing.thing or not weighing.stable:
        record.doubt(Quality.INVALID)
    kilograms, reported = _kilograms(weighing)
    if reported:
        record.add_converted(BODY_WEIGHT, kilograms, reported)
    else:
        record.add(BODY_WEIGHT, kilograms)
    if weighing.impedance_ohm is not None:
        record.add(BODY_IMPEDANCE, Decimal(weighing.impedance_ohm))
    return record.items


def _kilograms(weighing: Weighing) -> tuple[Decimal, str]:
    """The weight, and what the scale showed where that was no kilograms."""
    if weighing.unit is Unit.KILOGRAM:
        return times(weighing.steps, "0.005"), ""
    shown = times(weighing.steps, "0.01")
    kilograms = pounds_to_kilograms(shown) if weighing.unit is Unit.POUND else times(shown, "0.5")
    return kilograms, f"{shown} {weighing.unit}"


def steps_of_weight(weight: Decimal, unit: Unit) -> int:
    """The steps of a weight in the unit that the scale shows.

    Raises:
        AdapterError: ``not_representable`` or ``out_of_range``.
    """
    resolution = "0.005" if unit is Unit.KILOGRAM else "0.01"
    return int.from_bytes(write_steps(weight, resolution, 2, "weight"), "little")


def encode_first(weighing: Weighing) -> bytes:
    """The service data of a Mi Scale; it has no impedance.

    Raises:
        AdapterError: ``out_of_range`` or ``invalid_time``.
    """
    control = 0x02 | _control(weighing) | (_FIRST_OBJECT if weighing.thing else 0)
    control |= {Unit.KILOGRAM: 0, Unit.POUND: _FIRST_POUNDS, Unit.JIN: _FIRST_JIN}[weighing.unit]
    steps = write_unsigned(weighing.steps, 2, "weight")
    return bytes([control]) + steps + encode_date_time(weighing.device_time)


def encode_second(weighing: Weighing) -> bytes:
    """The service data of a Mi Body Composition Scale; errors as :func:`encode_first`."""
    shown = _SECOND_KILOGRAMS | (_SECOND_POUNDS if weighing.unit is Unit.POUND else 0)
    shown |= _SECOND_OBJECT if weighing.thing else 0
    control = _control(weighing) | (_SECOND_JIN if weighing.unit is Unit.JIN else 0)
    control |= 0x04 | (_IMPEDANCE if weighing.impedance_ohm is not None else 0)
    impedance = write_unsigned(weighing.impedance_ohm or 0, 2, "impedance")
    steps = write_unsigned(weighing.steps, 2, "weight")
    return bytes([shown, control]) + encode_date_time(weighing.device_time) + impedance + steps


def _control(weighing: Weighing) -> int:
    return (_STABLE if weighing.stable else 0) | (_REMOVED if weighing.removed else 0)
