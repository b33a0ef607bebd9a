"""Battery Level (2A19), Battery Service 1.0 section 3.1."""

from __future__ import annotations

from datetime import datetime

from edge_twin.observation import DeviceEvent, DeviceEventKind, as_utc
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.errors import DecodeError

CHARACTERISTIC = "2a19"

# Below this a strap may not last the coming night (assumed).
LOW_PERCENT = 20
_FULL_PERCENT = 100


def decode_battery(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """A ``BATTERY_LOW`` event below 20 %, else nothing.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, or ``out_of_range`` above 100 %.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    percent = reader.u8("battery level")
    reader.finish()
    if percent > _FULL_PERCENT:
        raise DecodeError(f"a battery cannot be {percent} % full", reason="out_of_range", offset=0)
    if percent >= LOW_PERCENT:
        return []
    return [DeviceEvent(DeviceEventKind.BATTERY_LOW, as_utc(received), context.source, f"percent={percent}")]
