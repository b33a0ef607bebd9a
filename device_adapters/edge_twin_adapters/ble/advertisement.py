"""Devices that only broadcast: readings out of service data and manufacturer data, without a connection.

Broadcasts are neither authenticated nor encrypted: anyone nearby can send one. Listen to addresses that the
patient's plan names, and keep room sensors out of anything that matters. The table of devices stands in
docs/devices-vendor.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from edge_twin_adapters.ble import battery, bthome, mi_scale, room_sensor, scales, thermometer
from edge_twin_adapters.ble.frame import DecodeContext, Decoder, Item, short_uuid

_MI_SCALE_1_BYTES, _MI_SCALE_2_BYTES = 10, 13


def _decode_weight(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """181D: a Mi Scale by its length, else the layout of Weight Measurement (2A9D)."""
    known = len(payload) == _MI_SCALE_1_BYTES
    decoder = mi_scale.decode_first if known else scales.decode_weight
    return decoder(payload, received, context)


def _decode_composition(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """181B: a Mi Body Composition Scale by its length, else the layout of Body Composition Measurement (2A9C)."""
    known = len(payload) == _MI_SCALE_2_BYTES
    decoder = mi_scale.decode_second if known else scales.decode_body_composition
    return decoder(payload, received, context)


SERVICE_DATA: Mapping[str, Decoder] = MappingProxyType(
    {
        room_sensor.ENVIRONMENTAL_SENSING: room_sensor.decode_custom_firmware,
        room_sensor.MI_BEACON: room_sensor.decode_mi_beacon,
        bthome.SERVICE: bthome.decode_bthome,
        "181d": _decode_weight,
        "181b": _decode_composition,
        "1809": thermometer.decode_temperature,
        "180f": battery.decode_battery,
    }
)
MANUFACTURER_DATA: Mapping[int, Decoder] = MappingProxyType({room_sensor.RUUVI: room_sensor.decode_ruuvi})

_DEFAULT_CONTEXT = DecodeContext()


def decode_advertisement(
    service_data: Mapping[str, bytes],
    manufacturer_data: Mapping[int, bytes],
    received: datetime,
    *,
    context: DecodeContext | None = None,
) -> list[Item]:
    """Decode what an advertisement carries, as bleak hands it over (``AdvertisementData``).

    Args:
        service_data: by UUID, 16-bit or full, in any case.
        manufacturer_data: by company identifier.
        received: when it came, aware.
        context: provenance and what the payload leaves open.

    Returns:
        Observations and device events; empty when nothing of it is understood, since most advertisements
        are of no concern.

    Raises:
        DecodeError: a payload of a kind that is understood is malformed or encrypted; nothing of the
            advertisement was used.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    context = context or _DEFAULT_CONTEXT
    items: list[Item] = []
    for uuid, payload in service_data.items():
        if (decoder := SERVICE_DATA.get(short_uuid(uuid))) is not None:
            items += decoder(bytes(payload), received, context)
    for company, payload in manufacturer_data.items():
        if (decoder := MANUFACTURER_DATA.get(company)) is not None:
            items += decoder(bytes(payload), received, context)
    return items


class Repeats:
    """Remembers the last broadcast of each device; a sensor sends the same one many times over.

    Args:
        most: devices to remember; the one heard of longest ago is forgotten first.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._last: OrderedDict[str, tuple[Mapping[str, bytes], Mapping[int, bytes]]] = OrderedDict()

    def is_new(self, source: str, service_data: Mapping[str, bytes], manufacturer_data: Mapping[int, bytes]) -> bool:
        """Whether ``source`` now says something else than the last time."""
        said = (dict(service_data), dict(manufacturer_data))
        new = self._last.pop(source, None) != said
        self._last[source] = said
        if len(self._last) > self._most:
            self._last.popitem(last=False)
        return new
