"""A chest strap whose battery can be read over an encrypted link only, so that a reading proves the encryption."""

from __future__ import annotations

import asyncio

from bumble.att import ATT_Error, Attribute, ErrorCode
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.keys import PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate

from edge_twin_adapters.ble import heart_rate
from edge_twin_adapters.ble.virtual import VirtualPeripheral, VirtualRadio

HEART_RATE = UUID.from_16_bits(0x180D)
BATTERY = UUID.from_16_bits(0x180F)


class Display(PairingDelegate):
    """Shows a passkey, or is absent.

    Args:
        present: whether the device has a display.
    """

    def __init__(self, *, present: bool) -> None:
        super().__init__(self.DISPLAY_OUTPUT_ONLY if present else self.NO_OUTPUT_NO_INPUT)
        self.number: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def display_number(self, number: int, digits: int) -> None:  # noqa: ARG002 - Bumble's signature
        """Show the number of a pairing."""
        if not self.number.done():
            self.number.set_result(number)


class LockedStrap(VirtualPeripheral):
    """A strap that bonds.

    Args:
        radio: where the strap is.
        name: advertised local name.
        address: static random address.
        battery_percent: what the protected characteristic says.
        display: whether it shows a passkey, which then has to be typed on the other side.

    Attributes:
        battery_percent: as given.
        display: what it shows.
        refused_reads: reads of the protected characteristic without encryption.
        encrypted_reads: reads of it that were answered.
    """

    def __init__(
        self, radio: VirtualRadio, name: str, address: str, *, battery_percent: int, display: bool = False
    ) -> None:
        self.battery_percent = battery_percent
        self.display = Display(present=display)
        self.refused_reads = 0
        self.encrypted_reads = 0
        measurement: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(0x2A37), Characteristic.Properties.NOTIFY, Attribute.Permissions(0), _write_only()
        )
        battery: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(0x2A19),
            Characteristic.Properties.READ,
            Attribute.Permissions.READABLE,
            CharacteristicValue(read=self._read_battery),
        )
        services = [Service(HEART_RATE, [measurement]), Service(BATTERY, [battery])]
        super().__init__(radio, name, address, services, measurement)
        self._device.pairing_config_factory = lambda _: PairingConfig(
            sc=True, mitm=display, bonding=True, delegate=self.display
        )

    @property
    def is_encrypted(self) -> bool:
        """Whether the strap's own side of the link is encrypted."""
        return self.connection is not None and self.connection.is_encrypted

    async def bond(self) -> PairingKeys | None:
        """The keys that the strap keeps for its central, or None."""
        keystore = self._device.keystore
        kept = await keystore.get_all() if keystore is not None else []
        return kept[0][1] if kept else None

    async def beat(self, rr_ms: float) -> None:
        """Send one beat."""
        for packet in heart_rate.pack_beats([rr_ms]):
            await self.send_raw(packet)

    def _read_battery(self, connection: Connection) -> bytes:
        if not connection.is_encrypted:
            self.refused_reads += 1
            raise ATT_Error(ErrorCode.INSUFFICIENT_ENCRYPTION)
        self.encrypted_reads += 1
        return bytes([self.battery_percent])


def _write_only() -> CharacteristicValue[bytes]:
    return CharacteristicValue(read=_refuse)


def _refuse(_connection: Connection) -> bytes:
    raise ATT_Error(ErrorCode.READ_NOT_PERMITTED)
