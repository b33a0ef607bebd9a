"""What runs in the virtual machine: the project's client, through BlueZ, against virtual devices on a virtual radio.

Prints one line for each step that was shown; a failure prints its traceback and ends with status 1.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Site
from edge_twin_adapters.ble.bluez_agent import BluezAgent
from edge_twin_adapters.ble.frame import Item, long_uuid
from edge_twin_adapters.ble.pairing_desk import Capability, PairingDesk
from edge_twin_adapters.ble.profiles import CHEST_STRAP, THERMOMETER, Profile
from edge_twin_adapters.ble.source import BleSource, utc_now
from edge_twin_adapters.ble.virtual import VirtualThermometer
from tests.peers.bluez_vm.guest.locked import LockedStrap
from tests.peers.bluez_vm.guest.report import require, told
from tests.peers.bluez_vm.guest.sensors import SLOW, backfill, polar_stream
from tests.peers.bluez_vm.guest.vhci import VhciRadio, power_adapter

BATTERY_LEVEL = long_uuid("2a19")
RR_MS = (812.5, 750.0)
LIMIT_S = 600.0


class RecordingDesk(PairingDesk):
    """A desk that remembers what BlueZ asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def check(self, address: str) -> None:
        """Remember the question and answer it."""
        self.asked.append(address)
        super().check(address)


async def find(name: str) -> BLEDevice:
    """Look for a device by its advertised name."""
    device = await BleakScanner.find_device_by_name(name, timeout=SLOW.scan_s)
    require(device is not None, f"{name} is not seen")
    assert device is not None
    return device


def source(address: str, profile: Profile) -> BleSource:
    """The project's client of a device, with limits for a slow machine."""
    rng = random.Random(4)  # noqa: S311 - jitter of the back-off
    return BleSource(address, profile, clock=utc_now, rng=rng, times=SLOW)


async def until(items: AsyncGenerator[Item, None], wanted: Callable[[Item], bool]) -> list[Item]:
    """Items up to the first that is wanted, which is the last of the list."""
    seen: list[Item] = []
    async for item in items:
        seen.append(item)
        if wanted(item):
            return seen
    raise AssertionError(f"the stream ended after {seen}")


def is_value(name: str) -> Callable[[Item], bool]:
    """Whether an item is an observation of this name."""
    return lambda item: isinstance(item, Observation) and item.code.name == name


def is_event(kind: DeviceEventKind) -> Callable[[Item], bool]:
    """Whether an item is an event of this kind."""
    return lambda item: isinstance(item, DeviceEvent) and item.kind is kind


def value(items: list[Item]) -> float:
    """The value of the last item, which is an observation."""
    last = items[-1]
    assert isinstance(last, Observation)
    return last.value


async def scan(strap: LockedStrap) -> BLEDevice:
    """The strap is seen with its service and signal strength."""
    async with BleakScanner(service_uuids=[long_uuid("180d")]) as scanner:
        async for device, advertisement in scanner.advertisement_data():
            if device.address == strap.address:
                require(advertisement.local_name == strap.name, "another name")
                told(
                    "scan", f"name={strap.name!r} services={len(advertisement.service_uuids)} rssi={advertisement.rssi}"
                )
                return device
    raise AssertionError("the scan ended")


async def pair_and_read(device: BLEDevice, strap: LockedStrap, desk: RecordingDesk) -> None:
    """Pair through the agent; then the protected characteristic can be read, which it could not before."""
    async with BleakClient(device, timeout=SLOW.attempt_s) as client:
        require(not strap.is_encrypted, "encrypted before pairing")
        began = time.monotonic()
        with desk.expect(device.address):
            await client.pair()
        bond = await strap.bond()
        require(bond is not None and bond.ltk is not None, "the strap has no key")
        told("pair", f"seconds={time.monotonic() - began:.1f} agent_asked={len(desk.asked)}")
        percent = await protected_read(client, strap)
        told("encrypted_read", f"battery={percent} unencrypted_reads_refused={strap.refused_reads}")


async def protected_read(client: BleakClient, strap: LockedStrap) -> int:
    """Read the protected characteristic from the strap itself, not from what BlueZ remembers."""
    before = strap.encrypted_reads
    (percent,) = await client.read_gatt_char(BATTERY_LEVEL)
    require(strap.encrypted_reads > before, "the strap was not asked")
    require(percent == strap.battery_percent, f"the battery says {percent}")
    require(strap.is_encrypted, "the strap's side is not encrypted")
    return percent


async def notify_and_reconnect(strap: LockedStrap) -> None:
    """Beats arrive decoded; after a lost link the same stream goes on, encrypted without a new pairing."""
    client = source(strap.address, CHEST_STRAP)
    async with aclosing(client.stream()) as items:
        first = await received(items, strap, RR_MS[0])
        told("notify", f"rr_ms={first} notifications={client.counters.notifications}")
        bond, reads = await strap.bond(), strap.encrypted_reads
        await strap.take_off()
        await until(items, is_event(DeviceEventKind.DISCONNECTED))
        await strap.put_on()
        seen = await until(items, is_value("battery_level"))
        require(any(map(is_event(DeviceEventKind.GAP), seen)), "no gap was told")
        require(value(seen) == strap.battery_percent and strap.encrypted_reads > reads, "no protected reading")
        require(strap.is_encrypted and await strap.bond() == bond, "not the same bond")
        again = await received(items, strap, RR_MS[1])
        told("reconnect", f"rr_ms={again} bonded=yes encrypted=yes reconnects={client.counters.reconnects}")


async def received(items: AsyncGenerator[Item, None], strap: LockedStrap, rr_ms: float) -> float:
    """Send a beat once the client listens: the interval that came out of it."""
    waiting = asyncio.ensure_future(until(items, is_value("rr_interval")))
    await strap.subscribed()
    await strap.beat(rr_ms)
    got = value(await waiting)
    require(got == rr_ms, f"{rr_ms} ms became {got}")
    return got


async def indicate(thermometer: VirtualThermometer) -> None:
    """A temperature arrives decoded and its confirmation reaches the thermometer."""
    async with aclosing(source(thermometer.address, THERMOMETER).stream()) as items:
        waiting = asyncio.ensure_future(until(items, is_value("body_temperature")))
        await thermometer.subscribed()
        confirmed = await thermometer.measure(38.4, Site.ORAL)
        got = value(await waiting)
        require(got == 38.4 and confirmed, f"38.4 became {got}, confirmed {confirmed}")
        told("indicate", f"celsius={got} confirmed=yes")


async def passkey_pair(strap: LockedStrap, desk: RecordingDesk) -> None:
    """The number on the device's display is typed; the key then counts as authenticated."""

    async def typed(_address: str) -> int:
        return await strap.display.number

    async with BleakClient(await find(strap.name), timeout=SLOW.attempt_s) as client:
        with desk.expect(strap.address, typed):
            await client.pair()
        await protected_read(client, strap)
        bond = await strap.bond()
        require(bond is not None and bond.ltk is not None and bond.ltk.authenticated, "the key is not authenticated")
        told("passkey_pair", f"authenticated=yes agent_asked={len(desk.asked)}")


async def bond_renewed(strap: LockedStrap, desk: RecordingDesk) -> None:
    """After this side removed its bond the two pair again, with another key."""
    old = await strap.bond()
    await BleakClient(await find(strap.name)).unpair()
    async with BleakClient(await find(strap.name), timeout=SLOW.attempt_s) as client:
        with desk.expect(strap.address):
            await client.pair()
        percent = await protected_read(client, strap)
    new = await strap.bond()
    require(new is not None and old is not None and new.ltk != old.ltk, "the old key")
    told("bond_renewed", f"battery={percent} another_key=yes")


async def stranger_refused(strap: LockedStrap, desk: RecordingDesk) -> None:
    """A device that nobody is pairing gets no bond, although BlueZ was told to pair."""
    asked = len(desk.asked)
    try:
        async with BleakClient(await find(strap.name), timeout=SLOW.attempt_s) as client:
            await client.pair()
    except BleakError as error:
        require(await strap.bond() is None and not strap.is_encrypted, "the stranger has a bond")
        require(len(desk.asked) > asked, "the agent was not asked")
        told("stranger_refused", f"error={type(error).__name__}")
        return
    raise AssertionError("the stranger was paired")


async def run() -> None:
    """All steps in order."""
    desk = RecordingDesk()
    async with asyncio.timeout(LIMIT_S), VhciRadio() as radio:
        told("adapter", f"address={await power_adapter()}")
        strap = LockedStrap(radio, "Ward strap", "C0:00:00:00:00:11", battery_percent=77)
        await strap.put_on()
        device = await scan(strap)
        async with BluezAgent(desk):
            await pair_and_read(device, strap, desk)
        await notify_and_reconnect(strap)
        async with BluezAgent(desk):
            await bond_renewed(strap, desk)
        await strap.take_off()
        thermometer = VirtualThermometer(radio, "Ward thermometer", "C0:00:00:00:00:12")
        await thermometer.put_on()
        await indicate(thermometer)
        await thermometer.take_off()
        shown = LockedStrap(radio, "Strap with display", "C0:00:00:00:00:13", battery_percent=66, display=True)
        await shown.put_on()
        async with BluezAgent(desk, Capability.KEYBOARD_ONLY):
            await passkey_pair(shown, desk)
            await shown.take_off()
            stranger = LockedStrap(radio, "Stranger", "C0:00:00:00:00:14", battery_percent=55, display=True)
            await stranger.put_on()
            await stranger_refused(stranger, desk)
            await stranger.take_off()
        await backfill(radio)
        await polar_stream(radio)


if __name__ == "__main__":
    asyncio.run(run())
    sys.exit(0)
