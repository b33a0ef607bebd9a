"""Sensors with storage and streams, read by the project's client through BlueZ and held against their ledgers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

from edge_twin_adapters.ble.bluez_agent import BluezAgent
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.link import LinkTimes
from edge_twin_adapters.ble.pairing_desk import PairingDesk
from edge_twin_adapters.ble.peers.accounting import Account, account
from edge_twin_adapters.ble.peers.catalogue import make_sensor
from edge_twin_adapters.ble.peers.peer import VirtualPeer
from edge_twin_adapters.ble.peers.polar_strap import PolarStrapPeer
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.profiles import GLUCOSE_SENSOR, POLAR_STRAP, Profile
from edge_twin_adapters.ble.source import BleSource
from edge_twin_adapters.ble.virtual import VirtualRadio
from tests.peers.bluez_vm.guest.report import require, told

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STORED_S = 12 * 3600.0
STREAMED_S = 10.0
# An emulated processor is some thirty times slower than a real one.
SLOW = LinkTimes(
    scan_s=60.0, attempt_s=90.0, close_s=15.0, backoff_base_s=0.5, backoff_cap_s=4.0, job_s=60.0, stall_s=60.0
)
WAIT_S = 180.0


async def made(kind: str, radio: VirtualRadio, time: SimulatedTime, *, protected: bool = False) -> VirtualPeer:
    """A sensor that is switched on."""
    sensor = make_sensor(kind, radio, time, seed=7, protected=protected)
    assert isinstance(sensor, VirtualPeer)
    await sensor.begin()
    return sensor


@asynccontextmanager
async def reading(
    sensor: VirtualPeer, profile: Profile, time: SimulatedTime
) -> AsyncIterator[tuple[BleSource, list[Item]]]:
    """Read a sensor beside the body; the list grows, and is complete after the body."""
    context = DecodeContext(source=sensor.name, patient_zone=UTC)
    rng = random.Random(4)  # noqa: S311 - jitter of the back-off
    source = BleSource(sensor.address, profile, clock=time.now, rng=rng, context=context, times=SLOW)
    seen: list[Item] = []

    async def consume() -> None:
        async with aclosing(source.stream()) as stream:
            async for item in stream:
                seen.append(item)  # noqa: PERF401 - each item must be seen as it comes

    task = asyncio.create_task(consume())
    try:
        yield source, seen
    finally:
        await source.aclose()
        await task


async def settle(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - the conditions have no events
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise AssertionError(what) from error


def counted(sensor: VirtualPeer, items: list[Item], stream: str) -> Account:
    """What the sensor measured in a stream against what came: everything once."""
    found = {one.stream: one for one in account(sensor.name, sensor.ledger, items)}[stream]
    require(found.is_closed and found.once == found.measured > 0, f"{stream}: {found}")
    return found


async def backfill(radio: VirtualRadio) -> None:
    """The client pairs with a glucose sensor because it refuses its values, and fetches half a day of records."""
    time, desk = SimulatedTime(START), PairingDesk()
    sensor = await made("cgm", radio, time, protected=True)
    await time.run(STORED_S)
    async with BluezAgent(desk), reading(sensor, GLUCOSE_SENSOR, time) as (source, items):
        with desk.expect(sensor.address):
            await settle(lambda: source.counters.backfills == 1, f"no back-fill: {source.state}")
        require(sensor.connection is not None and sensor.connection.is_encrypted, "the sensor's side is not encrypted")
    records = counted(sensor, items, "glucose_interstitial")
    await sensor.take_off()
    told("backfill", f"records={records.measured} once={records.once} refused={source.counters.refused} encrypted=yes")


def streams_when_the_link_goes(sensor: PolarStrapPeer) -> list[frozenset[Measurement]]:
    """Filled, when the sensor loses its link, with what it streams at that moment."""
    seen: list[frozenset[Measurement]] = []
    forget = sensor.sensor.power_off

    def power_off() -> None:
        seen.append(sensor.is_streaming)
        forget()

    sensor.sensor.power_off = power_off  # type: ignore[method-assign] # looks on at the moment that counts
    return seen


async def polar_stream(radio: VirtualRadio) -> None:
    """ECG at 130 Hz and compressed acceleration at 50 Hz in real time, stopped by the client when it leaves."""
    time = SimulatedTime(START, speed=1.0)
    sensor = await made("polar", radio, time)
    assert isinstance(sensor, PolarStrapPeer)
    async with reading(sensor, POLAR_STRAP, time) as (source, items):
        await settle(lambda: len(sensor.is_streaming) == 2 and source.state.connected, f"no stream: {source.state}")
        await time.run(STREAMED_S)
        await asyncio.sleep(1.0)
        left = streams_when_the_link_goes(sensor)
    await settle(lambda: bool(left), f"the link is still up: {source.state}")
    require(left == [frozenset()], f"left streaming: {left}")
    ecg, acceleration = counted(sensor, items, "ecg"), counted(sensor, items, "acceleration")
    await sensor.take_off()
    told("polar_stream", f"ecg_frames={ecg.once} acceleration_frames={acceleration.once} stopped=yes")
