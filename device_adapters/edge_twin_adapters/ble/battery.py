"""Battery Level (2A19), Battery Service 1.0 section 3.1."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from edge_twin.codes import BATTERY_LEVEL
from edge_twin_adapters.ble.fields import write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.errors import AdapterError, DecodeError

CHARACTERISTIC = "2a19"

# Below this a strap may not last the coming night (assumed).
LOW_PERCENT = 20
_FULL_PERCENT = 100


def decode_battery(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """The charge (%), and a ``BATTERY_LOW`` event below 20 %.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, or ``out_of_range`` above 100 %.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    percent = reader.u8("battery level")
    reader.finish()
    if percent > _FULL_PERCENT:
        raise DecodeError(f"a battery cannot be {percent} % full", reason="out_of_range", offset=0)
    record = simple_record(received, context)
    record.add(BATTERY_LEVEL, Decimal(percent))
    if percent < LOW_PERCENT:
        record.battery_low(f"percent={percent}")
    return record.items


def encode_battery(percent: int) -> bytes:
    """The payload of a charge.

    Raises:
        AdapterError: ``out_of_range`` outside 0 to 100.
    """
    if not 0 <= percent <= _FULL_PERCENT:
        raise AdapterError(f"a battery cannot be {percent} % full", reason="out_of_range")
    return write_unsigned(percent, 1, "battery level")
