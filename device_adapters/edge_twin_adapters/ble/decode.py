"""One entry point for the values of all characteristics that are understood.

A new profile is one module with a decoder and one line in the table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from edge_twin_adapters.ble import battery, heart_rate, polar, polar_control, thermometer, vendor
from edge_twin_adapters.ble.frame import DecodeContext, Decoder, Item, short_uuid
from edge_twin_adapters.errors import DecodeError

DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {
        heart_rate.CHARACTERISTIC: heart_rate.decode_heart_rate,
        thermometer.CHARACTERISTIC: thermometer.decode_temperature,
        battery.CHARACTERISTIC: battery.decode_battery,
        polar.CHARACTERISTIC: polar.decode_pmd,
        polar_control.CHARACTERISTIC: polar_control.decode_control_point,
    }
)

_DEFAULT_CONTEXT = DecodeContext()


def decode(
    characteristic: str,
    payload: bytes,
    received: datetime,
    *,
    context: DecodeContext | None = None,
) -> list[Item]:
    """Decode one value of a characteristic.

    Args:
        characteristic: its UUID, 16-bit (``"2A37"``) or full, in any case.
        payload: the value as it came over the air.
        received: when it came, aware.
        context: provenance and what the payload leaves open.

    Returns:
        Observations, waveforms and device events, oldest first; empty when the value says nothing new.

    Raises:
        DecodeError: with the offset of the field that is wrong; nothing of the payload was used.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    context = context or _DEFAULT_CONTEXT
    uuid = short_uuid(characteristic)
    if (decoder := DECODERS.get(uuid)) is not None:
        return decoder(bytes(payload), received, context)
    if (described := context.vendor.get(uuid)) is not None:
        return vendor.decode_vendor(described, bytes(payload), received, context)
    raise DecodeError(f"no decoder for {characteristic}", reason="unknown_characteristic", offset=0)
