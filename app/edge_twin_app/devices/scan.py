"""``edge-twin devices scan``: who advertises, what it seems to be, and what it says without a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from edge_twin.observation import Observation
from edge_twin_adapters.ble.advertisement import decode_advertisement
from edge_twin_adapters.ble.backends import BackendFactory
from edge_twin_adapters.ble.frame import DecodeContext, Item, short_uuid
from edge_twin_adapters.errors import DecodeError
from edge_twin_app.devices.radio import radio_errors

# Bluetooth SIG, Assigned Numbers, 3.4.2; feee is the member number of Polar Electro.
SERVICES = MappingProxyType(
    {
        "180d": "heart_rate",
        "1809": "health_thermometer",
        "1822": "pulse_oximeter",
        "1810": "blood_pressure",
        "181d": "weight_scale",
        "181b": "body_composition",
        "1808": "glucose",
        "181f": "continuous_glucose",
        "1814": "running_speed_cadence",
        "181a": "environmental_sensing",
        "180f": "battery",
        "180a": "device_information",
        "1805": "current_time",
        "feee": "polar",
        "fcd2": "bthome",
        "fe95": "mi_beacon",
    }
)
MANUFACTURERS = MappingProxyType({0x0499: "ruuvi_tag"})


@dataclass(slots=True)
class Sighting:
    """What was heard of one device.

    Attributes:
        address: as the platform writes it.
        name: as advertised; empty where it says none.
        rssi_dbm: strength of the last advertisement.
        advertisements: how many were heard.
        profiles: names of the services and broadcast formats that it shows and we know.
        readings: the last value of each quantity that its broadcasts carry.
        refused: why its last broadcast could not be read; empty when it could.
    """

    address: str
    name: str = ""
    rssi_dbm: int | None = None
    advertisements: int = 0
    profiles: set[str] = field(default_factory=set)
    readings: dict[str, Observation] = field(default_factory=dict)
    refused: str = ""

    def note(self, advertisement: AdvertisementData, received: datetime) -> None:
        """Take in an advertisement."""
        self.name = advertisement.local_name or self.name
        self.rssi_dbm = advertisement.rssi
        self.advertisements += 1
        self.profiles |= profiles_of(advertisement)
        self._read(advertisement, received)

    def _read(self, advertisement: AdvertisementData, received: datetime) -> None:
        context = DecodeContext(source=f"ble:{self.address}")
        try:
            items = decode_advertisement(
                advertisement.service_data, advertisement.manufacturer_data, received, context=context
            )
        except DecodeError as error:
            self.refused = error.reason
            return
        self._keep(items)

    def _keep(self, items: Sequence[Item]) -> None:
        if items:
            self.refused = ""
        for item in items:
            if isinstance(item, Observation):
                self.readings[item.code.name] = item

    def row(self) -> dict[str, Any]:
        """The row of the table and of ``--json``."""
        return {
            "address": self.address,
            "name": self.name,
            "rssi_dbm": self.rssi_dbm,
            "advertisements": self.advertisements,
            "profiles": sorted(self.profiles),
            "readings": [reading_row(reading) for _, reading in sorted(self.readings.items())],
            "refused": self.refused,
        }


def reading_row(reading: Observation) -> dict[str, Any]:
    """An observation as the commands print it."""
    return {
        "name": reading.code.name,
        "value": reading.value,
        "unit": reading.code.unit,
        "quality": reading.quality.value,
    }


def profiles_of(advertisement: AdvertisementData) -> set[str]:
    """What the listed services and the broadcast data say the device is."""
    listed = {short_uuid(uuid) for uuid in (*advertisement.service_uuids, *advertisement.service_data)}
    makers = {MANUFACTURERS[company] for company in advertisement.manufacturer_data if company in MANUFACTURERS}
    return {SERVICES[uuid] for uuid in listed if uuid in SERVICES} | makers


async def scan(backends: BackendFactory, seconds: float, clock: Callable[[], datetime]) -> list[Sighting]:
    """Listen for so long; the devices heard, strongest first.

    Args:
        backends: of the radio.
        seconds: how long to listen.
        clock: time of reception.

    Raises:
        AppError: ``bluetooth_unavailable``.
    """
    heard: dict[str, Sighting] = {}

    def on_advertisement(device: BLEDevice, advertisement: AdvertisementData) -> None:
        sighting = heard.setdefault(device.address, Sighting(device.address))
        sighting.note(advertisement, clock())

    scanner = backends().scanner
    options: BleakScanner.ExtraArgs = {} if scanner is None else {"backend": scanner}
    with radio_errors():
        async with BleakScanner(on_advertisement, **options):
            await asyncio.sleep(seconds)
    return sorted(heard.values(), key=lambda one: (-(one.rssi_dbm or -128), one.address))
