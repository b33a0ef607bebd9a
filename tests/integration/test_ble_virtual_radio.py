"""Real bleak clients and scanners against virtual peripherals on a Bumble link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import cast

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakCharacteristicNotFoundError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)
from bumble.att import Attribute
from bumble.core import UUID
from bumble.gatt import Characteristic, CharacteristicValue, Service

from edge_twin.observation import Site
from edge_twin_adapters.ble.backends import platform_backends
from edge_twin_adapters.ble.frame import long_uuid
from edge_twin_adapters.ble.virtual import VirtualPeripheral, VirtualRadio, VirtualStrap, VirtualThermometer
from edge_twin_adapters.errors import AdapterError

HEART_RATE = long_uuid("2a37")
TEMPERATURE = long_uuid("2a1c")
BATTERY = long_uuid("2a19")
LOCATION = long_uuid("2a38")


@asynccontextmanager
async def worn_strap() -> AsyncIterator[tuple[VirtualRadio, VirtualStrap]]:
    async with VirtualRadio() as radio:
        strap = VirtualStrap(radio)
        await strap.put_on()
        yield radio, strap


async def find(radio: VirtualRadio, name: str) -> BLEDevice:
    scanner = radio.backends().scanner
    assert scanner is not None
    device = await BleakScanner.find_device_by_name(name, timeout=5, backend=scanner)
    assert device is not None
    return device


async def client_of(radio: VirtualRadio, name: str) -> BleakClient:
    return BleakClient(await find(radio, name), timeout=5, backend=radio.backends().client)


async def test_scanner_finds_devices_by_name_address_and_service() -> None:
    async with worn_strap() as (radio, strap):
        thermometer = VirtualThermometer(radio)
        await thermometer.put_on()
        scanner = radio.backends().scanner
        assert scanner is not None
        found = await BleakScanner.discover(0.2, return_adv=True, backend=scanner)
        assert set(found) == {strap.address, thermometer.address}
        device, advertisement = found[strap.address]
        assert (device.name, advertisement.local_name) == (strap.name, strap.name)
        assert advertisement.service_uuids == [long_uuid("180d"), long_uuid("180f")]
        first = await BleakScanner.find_device_by_filter(
            lambda *_: True, timeout=5, service_uuids=[long_uuid("1809")], backend=scanner
        )
        assert first is not None
        assert first.address == thermometer.address
        assert await BleakScanner.find_device_by_address(strap.address.lower(), timeout=5, backend=scanner) is not None
        assert await BleakScanner.find_device_by_name("nobody", timeout=0.1, backend=scanner) is None


async def test_two_scanners_at_once_each_see_everything() -> None:
    async with worn_strap() as (radio, strap):
        devices = await asyncio.gather(find(radio, strap.name), find(radio, strap.name))
        assert {device.address for device in devices} == {strap.address}


async def test_client_reads_the_gatt_tree_and_values() -> None:
    async with worn_strap() as (radio, strap):
        async with await client_of(radio, strap.name) as client:
            assert (client.is_connected, client.name, client.mtu_size) == (True, strap.name, 247)
            measurement = client.services.get_characteristic(HEART_RATE)
            assert measurement is not None
            assert measurement.properties == ["notify"]
            assert measurement.max_write_without_response_size == 244
            assert [descriptor.uuid for descriptor in measurement.descriptors] == [long_uuid("2902")]
            assert await client.read_gatt_descriptor(measurement.descriptors[0]) == bytearray(2)
            assert await client.read_gatt_char(BATTERY) == bytearray([90])
            assert await client.read_gatt_char(LOCATION) == bytearray([1])
        assert not client.is_connected


async def test_att_errors_become_bleak_errors() -> None:
    async with worn_strap() as (radio, strap), await client_of(radio, strap.name) as client:
        with pytest.raises(BleakGATTProtocolError) as caught:
            await client.read_gatt_char(HEART_RATE)
        assert caught.value.code is BleakGATTProtocolErrorCode.READ_NOT_PERMITTED
        with pytest.raises(BleakGATTProtocolError) as caught:
            await client.write_gatt_char(LOCATION, b"\x02", response=True)
        assert caught.value.code is BleakGATTProtocolErrorCode.WRITE_NOT_PERMITTED
        with pytest.raises(BleakCharacteristicNotFoundError):
            await client.read_gatt_char(TEMPERATURE)
        with pytest.raises(BleakError, match="not subscribed"):
            await client.stop_notify(HEART_RATE)
        await client.start_notify(HEART_RATE, lambda *_: None)
        with pytest.raises(BleakError, match="already subscribed"):
            await client.start_notify(HEART_RATE, lambda *_: None)
        with pytest.raises(BleakError, match="already connected"):
            await client.connect()


async def test_nobody_at_the_address() -> None:
    async with worn_strap() as (radio, strap):
        client = BleakClient("C0:00:00:00:00:77", timeout=0.1, backend=radio.backends().client)
        with pytest.raises(BleakDeviceNotFoundError):
            await client.connect()
        with pytest.raises(BleakError, match="Not connected"):
            _ = client.mtu_size
        # The failed attempt leaves the radio usable.
        async with await client_of(radio, strap.name) as other:
            assert other.is_connected


async def test_a_cancelled_connect_leaves_the_radio_usable() -> None:
    async with worn_strap() as (radio, strap):
        client = BleakClient("C0:00:00:00:00:77", timeout=30, backend=radio.backends().client)
        attempt = asyncio.create_task(client.connect())
        await asyncio.sleep(0.02)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        async with await client_of(radio, strap.name) as other:
            assert other.is_connected


async def test_notifications_arrive_in_order_and_stop_when_unsubscribed() -> None:
    async with worn_strap() as (radio, strap), await client_of(radio, strap.name) as client:
        got: list[bytes] = []
        assert await strap.beats([1000.0]) == 0
        await client.start_notify(HEART_RATE, lambda _, value: got.append(bytes(value)))
        assert await strap.beats([1000.0 + n for n in range(30)]) == 4
        await client.read_gatt_char(BATTERY)
        assert [len(value) for value in got] == [20, 20, 20, 8]
        assert b"".join(value[2:] for value in got) == b"".join(
            round((1000 + n) * 1.024).to_bytes(2, "little") for n in range(30)
        )
        await client.stop_notify(HEART_RATE)
        assert not strap.is_subscribed
        assert await strap.beats([1000.0] * 9) == 0
        assert len(got) == 4


async def test_the_same_client_object_reconnects_after_a_loss() -> None:
    async with worn_strap() as (radio, strap):
        lost = asyncio.Event()
        client = BleakClient(
            await find(radio, strap.name), lambda _: lost.set(), timeout=5, backend=radio.backends().client
        )
        for _ in range(3):
            await client.connect()
            got: list[bytes] = []
            values = asyncio.Event()

            def receive(_: object, value: bytearray, got: list[bytes] = got, values: asyncio.Event = values) -> None:
                got.append(bytes(value))
                values.set()

            await client.start_notify(HEART_RATE, receive)
            assert await strap.send_raw(b"\x00\x3c")
            await values.wait()
            assert got == [b"\x00\x3c"]
            await strap.take_off()
            await lost.wait()
            lost.clear()
            assert not client.is_connected
            with pytest.raises(BleakError):
                await client.read_gatt_char(BATTERY)
            await strap.put_on()


async def test_a_disconnect_of_our_own_is_not_told_as_a_loss() -> None:
    async with worn_strap() as (radio, strap):
        losses: list[BleakClient] = []
        client = BleakClient(await find(radio, strap.name), losses.append, timeout=5, backend=radio.backends().client)
        await client.connect()
        await client.disconnect()
        await client.disconnect()
        # A strap that is still worn advertises again.
        assert (await find(radio, strap.name)).address == strap.address
        assert losses == []


async def test_a_link_that_goes_during_a_request_is_an_error_not_a_cancellation() -> None:
    async with VirtualRadio() as radio:
        asked = asyncio.Event()

        async def never(_connection: object) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return b""

        slow: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(0x2A19),
            Characteristic.Properties.READ | Characteristic.Properties.NOTIFY,
            Attribute.Permissions.READABLE,
            CharacteristicValue(read=never),
        )
        device = VirtualPeripheral(
            radio, "slow", "C0:00:00:00:00:05", [Service(UUID.from_16_bits(0x180F), [slow])], slow
        )
        await device.put_on()
        client = await client_of(radio, "slow")
        await client.connect()
        request = asyncio.create_task(client.read_gatt_char(BATTERY))
        await asked.wait()
        await device.take_off()
        with pytest.raises(BleakError, match="the link went"):
            await request


async def test_thermometer_indications_are_confirmed() -> None:
    async with VirtualRadio() as radio:
        thermometer = VirtualThermometer(radio)
        await thermometer.put_on()
        async with await client_of(radio, thermometer.name) as client:
            got: list[bytes] = []
            assert not await thermometer.measure(38.2)
            await client.start_notify(TEMPERATURE, lambda _, value: got.append(bytes(value)))
            assert await thermometer.measure(38.2, Site.ORAL)
            assert await thermometer.measure(Decimal("37.60"), None)
            assert got == [bytes.fromhex("047e0100ff06"), bytes.fromhex("00b00e00fe")]


async def test_an_indication_without_a_link_is_not_confirmed() -> None:
    async with VirtualRadio() as radio:
        thermometer = VirtualThermometer(radio)
        await thermometer.put_on()
        client = await client_of(radio, thermometer.name)
        await client.connect()
        await client.start_notify(TEMPERATURE, lambda *_: None)
        confirmed, _ = await asyncio.gather(thermometer.measure(38.2), thermometer.take_off())
        assert isinstance(confirmed, bool)
        assert not await thermometer.measure(38.2)


async def test_pace_is_asked_for_the_time_that_the_beats_last() -> None:
    async with worn_strap() as (radio, strap), await client_of(radio, strap.name) as client:
        await client.start_notify(HEART_RATE, lambda *_: None)
        waits: list[float] = []

        async def pace(seconds: float) -> None:
            waits.append(seconds)

        assert await strap.beats([1000.0] * 10, pace=pace) == 2
        assert waits == [9.0, 1.0]


async def test_pairing_bonds_and_unpairing_forgets() -> None:
    async with worn_strap() as (radio, strap), await client_of(radio, strap.name) as client:
        with pytest.raises(BleakError, match="no bond"):
            await client.unpair()
        await client.pair()
        connection = strap.connection
        assert connection is not None
        assert connection.is_encrypted
        await client.unpair()
        with pytest.raises(BleakError, match="no bond"):
            await client.unpair()


async def test_a_radio_that_is_off_has_no_backends() -> None:
    radio = VirtualRadio()
    with pytest.raises(AdapterError) as caught:
        radio.backends()
    assert caught.value.reason == "radio_off"
    platform = platform_backends()
    assert cast("tuple[None, None]", (platform.client, platform.scanner)) == (None, None)
