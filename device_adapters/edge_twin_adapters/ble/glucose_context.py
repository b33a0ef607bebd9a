"""Glucose Measurement Context (2A34), Glucose Service 1.0.1 section 3.2, both directions.

The context has no time of its own: it belongs to the glucose record of the same sequence number, so it
becomes one event with that number and no observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edge_twin_adapters.ble.fields import read_sfloat, write_sfloats, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.ble.units import times

CHARACTERISTIC = "2a34"

_CARBOHYDRATE = 0x01
_MEAL = 0x02
_TESTER_HEALTH = 0x04
_EXERCISE = 0x08
_MEDICATION = 0x10
_LITRES = 0x20
_HBA1C = 0x40
_EXTENDED = 0x80

CARBOHYDRATES = {1: "breakfast", 2: "lunch", 3: "dinner", 4: "snack", 5: "drink", 6: "supper", 7: "brunch"}
MEALS = {1: "before_meal", 2: "after_meal", 3: "fasting", 4: "casual", 5: "bedtime"}
TESTERS = {1: "self", 2: "professional", 3: "laboratory", 15: "not_available"}
HEALTH = {
    1: "minor_issues",
    2: "major_issues",
    3: "menses",
    4: "stress",
    5: "no_issues",
    15: "not_available",
}
MEDICATIONS = {1: "rapid_insulin", 2: "short_insulin", 3: "intermediate_insulin", 4: "long_insulin", 5: "mixed_insulin"}

# An exercise that lasted longer than the field can say.
_OVERRUN = 0xFFFF
_LOW_NIBBLE = 0x0F


@dataclass(frozen=True, slots=True)
class GlucoseContext:
    """What a person told the meter about a record; None where nothing was told.

    Attributes:
        sequence: number of the glucose record that it belongs to.
        carbohydrate: kind (:data:`CARBOHYDRATES`) and amount in kg.
        meal: :data:`MEALS`.
        tester_health: tester in the low nibble (:data:`TESTERS`), health in the high one (:data:`HEALTH`).
        exercise: duration in s (65535: longer than that) and intensity in %.
        medication: kind (:data:`MEDICATIONS`) and amount in kg, or in L with ``litres``.
        litres: the unit of the medication.
        hba1c: in %.
    """

    sequence: int
    carbohydrate: tuple[int, Number] | None = None
    meal: int | None = None
    tester_health: int | None = None
    exercise: tuple[int, int] | None = None
    medication: tuple[int, Number] | None = None
    litres: bool = False
    hba1c: Number | None = None


def decode_glucose_context(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event: ``glucose_context record_sequence=7 meal=fasting carbohydrate_g=50 ...``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    told = read_glucose_context(payload)
    record = simple_record(received, context)
    words = {"record_sequence": str(told.sequence)} | _words(told)
    record.status("glucose_context " + " ".join(f"{key}={value}" for key, value in words.items()))
    return record.items


def read_glucose_context(payload: bytes) -> GlucoseContext:
    """The fields of a context.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    sequence = reader.u16("sequence number")
    if flags & _EXTENDED:
        reader.u8("extended flags")
    told = GlucoseContext(
        sequence,
        carbohydrate=_read_amount(reader, "carbohydrate") if flags & _CARBOHYDRATE else None,
        meal=reader.u8("meal") if flags & _MEAL else None,
        tester_health=reader.u8("tester and health") if flags & _TESTER_HEALTH else None,
        exercise=(reader.u16("duration"), reader.u8("intensity")) if flags & _EXERCISE else None,
        medication=_read_amount(reader, "medication") if flags & _MEDICATION else None,
        litres=bool(flags & _LITRES),
        hba1c=read_sfloat(reader, "HbA1c") if flags & _HBA1C else None,
    )
    reader.finish()
    return told


def _read_amount(reader: Reader, field: str) -> tuple[int, Number]:
    return reader.u8(field), read_sfloat(reader, f"{field} amount")


def _words(told: GlucoseContext) -> dict[str, str]:
    words: dict[str, str] = {}
    if told.carbohydrate is not None:
        words["carbohydrate"] = _name(CARBOHYDRATES, told.carbohydrate[0])
        words["carbohydrate_g"] = _thousandths(told.carbohydrate[1])
    if told.meal is not None:
        words["meal"] = _name(MEALS, told.meal)
    if told.tester_health is not None:
        words["tester"] = _name(TESTERS, told.tester_health & _LOW_NIBBLE)
        words["health"] = _name(HEALTH, told.tester_health >> 4)
    if told.exercise is not None:
        duration, intensity = told.exercise
        words["exercise_s"] = f"over_{_OVERRUN}" if duration == _OVERRUN else str(duration)
        words["exercise_percent"] = str(intensity)
    return words | _medication_words(told)


def _medication_words(told: GlucoseContext) -> dict[str, str]:
    words: dict[str, str] = {}
    if told.medication is not None:
        words["medication"] = _name(MEDICATIONS, told.medication[0])
        words["medication_ml" if told.litres else "medication_g"] = _thousandths(told.medication[1])
    if told.hba1c is not None:
        words["hba1c_percent"] = told.hba1c.value if isinstance(told.hba1c, Special) else f"{told.hba1c:f}"
    return words


def _name(names: Mapping[int, str], number: int) -> str:
    return names.get(number, f"reserved_{number}")


def _thousandths(amount: Number) -> str:
    """Kilograms as grams, litres as millilitres."""
    return amount.value if isinstance(amount, Special) else f"{times(amount, '1E3'):f}"


def encode_glucose_context(told: GlucoseContext) -> bytes:
    """The payload of a context.

    Raises:
        AdapterError: ``not_representable`` or ``out_of_range``.
    """
    flags = (
        (_CARBOHYDRATE if told.carbohydrate is not None else 0)
        | (_MEAL if told.meal is not None else 0)
        | (_TESTER_HEALTH if told.tester_health is not None else 0)
        | (_EXERCISE if told.exercise is not None else 0)
        | (_MEDICATION if told.medication is not None else 0)
        | (_LITRES if told.litres else 0)
        | (_HBA1C if told.hba1c is not None else 0)
    )
    payload = bytes([flags]) + write_unsigned(told.sequence, 2, "sequence number")
    payload += _write_amount(told.carbohydrate, "carbohydrate")
    payload += b"" if told.meal is None else write_unsigned(told.meal, 1, "meal")
    payload += b"" if told.tester_health is None else write_unsigned(told.tester_health, 1, "tester and health")
    if told.exercise is not None:
        duration, intensity = told.exercise
        payload += write_unsigned(duration, 2, "duration") + write_unsigned(intensity, 1, "intensity")
    return payload + _write_amount(told.medication, "medication") + write_sfloats(told.hba1c)


def _write_amount(amount: tuple[int, Number] | None, field: str) -> bytes:
    return b"" if amount is None else write_unsigned(amount[0], 1, field) + write_sfloats(amount[1])
