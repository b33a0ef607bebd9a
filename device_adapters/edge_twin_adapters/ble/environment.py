"""Environmental Sensing: temperature, humidity, pressure, VOC and CO2 of the air, both directions.

One number each (GATT Specification Supplement); none of them is a measurement of the patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from edge_twin.codes import (
    AIR_PRESSURE,
    AMBIENT_TEMPERATURE,
    CO2_CONCENTRATION,
    RELATIVE_HUMIDITY,
    VOC_CONCENTRATION,
    Code,
)
from edge_twin.observation import Quality
from edge_twin_adapters.ble.fields import read_signed, read_unsigned, write_signed, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Decoder, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.ble.units import steps_of, times
from edge_twin_adapters.errors import AdapterError


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a characteristic counts.

    Attributes:
        code: what it measures.
        size: bytes.
        step: size of one count in the unit of the code.
        signed: two's complement.
        unknown: the count that means "not known", or None.
        at_least: the count that means "this much or more", or None.
    """

    code: Code
    size: int
    step: str
    signed: bool = False
    unknown: int | None = None
    at_least: int | None = None


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "2a6e": Quantity(AMBIENT_TEMPERATURE, 2, "0.01", signed=True, unknown=-0x8000),
        "2a6f": Quantity(RELATIVE_HUMIDITY, 2, "0.01", unknown=0xFFFF),
        "2a6d": Quantity(AIR_PRESSURE, 4, "0.1"),
        "2be7": Quantity(VOC_CONCENTRATION, 2, "1", unknown=0xFFFF, at_least=0xFFFE),
        "2b8c": Quantity(CO2_CONCENTRATION, 2, "1", unknown=0xFFFF, at_least=0xFFFE),
    }
)


def decoder_of(quantity: Quantity) -> Decoder:
    """A decoder that gives one observation in the unit of the code.

    The count that means "not known" is a ``GAP``; the one that means "this much or more" is questionable
    and carries ``limit = at_least``. The decoder raises DecodeError (``truncated``, ``trailing_bytes``,
    ``too_long``) and ObservationError (``naive_time``).
    """

    def decode_quantity(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
        reader = Reader(payload)
        read = read_signed if quantity.signed else read_unsigned
        count = read(reader, quantity.size, quantity.code.name)
        reader.finish()
        record = simple_record(received, context)
        if count == quantity.unknown:
            record.gap(quantity.code.name, "value_not_known")
            return record.items
        if count == quantity.at_least:
            record.attributes["limit"] = "at_least"
            record.doubt(Quality.QUESTIONABLE)
        record.add(quantity.code, times(count, quantity.step))
        return record.items

    return decode_quantity


DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {characteristic: decoder_of(quantity) for characteristic, quantity in QUANTITIES.items()}
)


def encode_environment(characteristic: str, value: Decimal | None) -> bytes:
    """The payload of one of :data:`QUANTITIES`.

    Args:
        characteristic: its 16-bit UUID in lower case.
        value: in the unit of its code; None for "not known".

    Raises:
        AdapterError: ``unknown_characteristic``, ``not_representable`` (no whole number of steps, or
            there is no count for "not known"), or ``out_of_range``.
    """
    quantity = QUANTITIES.get(characteristic)
    if quantity is None:
        raise AdapterError(f"{characteristic} is not of the environment", reason="unknown_characteristic")
    count = quantity.unknown if value is None else _count(quantity, value)
    if count is None:
        raise AdapterError(f"{quantity.code.name} has no word for not known", reason="not_representable")
    write = write_signed if quantity.signed else write_unsigned
    return write(count, quantity.size, quantity.code.name)


def _count(quantity: Quantity, value: Decimal) -> int:
    steps = steps_of(value, quantity.step)
    if not steps.is_finite() or steps != steps.to_integral_value():
        raise AdapterError(f"{value} is no multiple of {quantity.step}", reason="not_representable")
    return int(steps)
