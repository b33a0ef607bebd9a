"""A BLE source over the virtual radio: everything arrives, every loss is told, nothing stops the stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest

from edge_twin.codes import BATTERY_LEVEL, BODY_TEMPERATURE, HEART_RATE, RR_INTERVAL
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Site
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.source import CHEST_STRAP, THERMOMETER, BleSource, LinkTimes, Profile
from edge_twin_adapters.ble.virtual import VirtualRadio, VirtualStrap, VirtualThermometer
from edge_twin_adapters.errors import AdapterError
from edge_twin_adapters.recordings import load_recordings

START = datetime(2020, 5, 11, 6, 0, tzinfo=UTC)
# No battery: its one frame after connecting would only blur what is counted.
STRAP = replace(CHEST_STRAP, optional=())
QUICK = LinkTimes(scan_s=0.3, attempt_s=5.0, close_s=2.0)


class Clock:
    """Shows the time that it is told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class LargestJitter(random.Random):
    """Always waits for the whole bound, so that the bounds can be seen."""

    def uniform(self, a: float, b: float) -> float:
        del a
        return b


class Sleeper:
    """Notes how long it should sleep, and does not."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


def source_for(
    radio: VirtualRadio,
    device: str,
    profile: Profile = STRAP,
    *,
    clock: Callable[[], datetime] | None = None,
    **options: Any,  # noqa: ANN401 - passed on to the source
) -> BleSource:
    defaults: dict[str, Any] = {
        "rng": LargestJitter(),
        "sleep": Sleeper(),
        "context": DecodeContext(source="device"),
        "times": QUICK,
    }
    return BleSource(device, profile, clock=clock or Clock(), backends=radio.backends, **(defaults | options))


@asynccontextmanager
async def worn_strap() -> AsyncIterator[tuple[VirtualRadio, VirtualStrap]]:
    async with VirtualRadio() as radio:
        strap = VirtualStrap(radio)
        await strap.put_on()
        yield radio, strap


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until both ends of the link have seen what one of them did."""
    while not condition():  # noqa: ASYNC110 - the state of Bumble and of the source has no event to await
        await asyncio.sleep(0)


async def until(stream: AsyncGenerator[Item, None], done: Callable[[list[Item]], bool]) -> list[Item]:
    items: list[Item] = []
    while not done(items):
        items.append(await anext(stream))
    return items


async def take(stream: AsyncGenerator[Item, None], count: int) -> list[Item]:
    return await until(stream, lambda items: len(items) == count)


def kinds(items: list[Item]) -> list[DeviceEventKind]:
    return [item.kind for item in items if isinstance(item, DeviceEvent)]


def values(items: list[Item], code: object = RR_INTERVAL) -> list[float]:
    return [item.value for item in items if isinstance(item, Observation) and item.code is code]


def rmssd(intervals: list[float]) -> float:
    squares = [(later - earlier) ** 2 for earlier, later in pairwise(intervals)]
    return sqrt(sum(squares) / len(squares))


async def connected(stream: AsyncGenerator[Item, None], strap: VirtualStrap) -> None:
    (event,) = await take(stream, 1)
    assert isinstance(event, DeviceEvent)
    assert event.kind is DeviceEventKind.CONNECTED
    await strap.subscribed()


async def test_three_real_recordings_arrive_complete_in_order_and_with_their_rmssd() -> None:
    by_code = {recording.rr_code: recording for recording in load_recordings()}
    released = {"18eeb087fd": 60.224, "0527000462": 60.581, "de011c5888": 15.655}
    async with worn_strap() as (radio, strap):
        clock = Clock()
        source = source_for(radio, strap.name, clock=clock)

        async def pace(seconds: float) -> None:
            # The next packet leaves when the last one has arrived and its beats have passed.
            await eventually(lambda: source.counters.notifications == sent)
            clock.advance(seconds)

        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            sent = 0
            for rr_code, expected in released.items():
                intervals = by_code[rr_code].rr_ms
                packets = [intervals[at : at + 9] for at in range(0, len(intervals), 9)]
                for packet in packets:
                    sent += await strap.beats(packet, pace=pace)
                items = await take(stream, len(intervals) + len(packets))
                arrived = values(items)
                assert arrived == [round(interval * 1.024) * 1000 / 1024 for interval in intervals]
                assert rmssd(arrived) == pytest.approx(expected, rel=0.02)
                beats = [item for item in items if isinstance(item, Observation) and item.code is RR_INTERVAL]
                assert len({beat.id for beat in beats}) == len(intervals)
                for earlier, later in pairwise(beats):
                    step = (later.time - earlier.time) / timedelta(milliseconds=1)
                    assert step == pytest.approx(later.value, abs=0.01)
        assert source.counters.notifications == sent == 3 * 12
        assert source.counters.refused == source.counters.overflow == source.counters.gaps == 0


async def test_a_temperature_arrives_as_the_thermometer_said_it() -> None:
    async with VirtualRadio() as radio:
        thermometer = VirtualThermometer(radio)
        await thermometer.put_on()
        # By address, and without the battery that the profile would like to have.
        async with aclosing(source_for(radio, thermometer.address, THERMOMETER).stream()) as stream:
            await take(stream, 1)
            await thermometer.subscribed()
            assert await thermometer.measure(38.2, Site.ORAL)
            (reading,) = await take(stream, 1)
        assert isinstance(reading, Observation)
        assert (reading.code, reading.value, reading.site) == (BODY_TEMPERATURE, 38.2, Site.ORAL)
        assert (reading.time, reading.source) == (START, "device")


async def test_a_loss_is_told_and_data_goes_on() -> None:
    async with worn_strap() as (radio, strap):
        clock = Clock()
        source = source_for(radio, strap.name, clock=clock)
        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            for minute in range(1, 4):
                clock.now = START + timedelta(minutes=10 * minute)
                await strap.beats([900.0])
                assert values(await take(stream, 2)) == pytest.approx([900.0], abs=0.5)
                last_frame = clock.now
                clock.advance(60)
                await strap.take_off()
                (lost,) = await take(stream, 1)
                clock.advance(120)
                await strap.put_on()
                gap, back = await take(stream, 2)
                await strap.subscribed()
                assert lost == DeviceEvent(
                    DeviceEventKind.DISCONNECTED, last_frame + timedelta(seconds=60), "device", "link_lost"
                )
                assert gap == DeviceEvent(DeviceEventKind.GAP, last_frame, "device", "link_lost", clock.now)
                assert back == DeviceEvent(DeviceEventKind.CONNECTED, clock.now, "device")
            counters = source.counters
        assert (counters.reconnects, counters.gaps, counters.notifications) == (3, 3, 3)


async def test_a_truncated_packet_is_refused_between_good_ones() -> None:
    async with worn_strap() as (radio, strap):
        source = source_for(radio, strap.name)
        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            for payload in (bytes.fromhex("103c0004"), bytes.fromhex("103c00"), bytes.fromhex("103c0004")):
                assert await strap.send_raw(payload)
            items = await take(stream, 5)
        assert values(items) == [1000.0, 1000.0]
        assert values(items, HEART_RATE) == [60.0, 60.0]
        assert [item.detail for item in items if isinstance(item, DeviceEvent)] == [
            "truncated characteristic=2a37 offset=2"
        ]
        assert kinds(items) == [DeviceEventKind.REFUSED]
        assert (source.counters.refused, source.counters.notifications) == (1, 3)
        # The clock stood still, and still no two readings are taken for one.
        assert len({item.id for item in items if isinstance(item, Observation)}) == 4


async def test_a_slow_consumer_loses_frames_but_is_told_how_many() -> None:
    async with worn_strap() as (radio, strap):
        source = source_for(radio, strap.name, capacity=5)
        assert source.pending == 0
        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            assert await strap.beats([1000.0] * 9 * 20) == 20
            await eventually(lambda: source.counters.notifications == 20)
            # Five frames and the gap that tells of the rest.
            assert source.pending == 6
            items = await take(stream, 5 * 10 + 1)
            assert source.pending == 0
            gap = items[-1]
            assert isinstance(gap, DeviceEvent)
            assert (gap.kind, gap.detail) == (DeviceEventKind.GAP, "overflow frames=15")
            assert source.counters.overflow == 15
            await strap.beats([800.0])
            assert len(values(await take(stream, 2))) == 1


async def test_a_low_battery_is_told_on_connection_and_on_change() -> None:
    async with VirtualRadio() as radio:
        strap = VirtualStrap(radio, battery_percent=15)
        await strap.put_on()
        async with aclosing(source_for(radio, strap.name, CHEST_STRAP).stream()) as stream:
            first = await take(stream, 3)
            assert kinds(first) == [DeviceEventKind.CONNECTED, DeviceEventKind.BATTERY_LOW]
            assert values(first, BATTERY_LEVEL) == [15.0]
            await strap.subscribed()
            subscribers = strap._device.gatt_server.subscribers
            await eventually(lambda: any(len(handles) == 2 for handles in subscribers.values()))
            await strap.set_battery(50)
            await strap.set_battery(10)
            *levels, lower = await take(stream, 3)
        assert values(levels, BATTERY_LEVEL) == [50.0, 10.0]
        assert isinstance(lower, DeviceEvent)
        assert lower.detail == "percent=10"


async def test_a_device_that_is_not_there_is_told_and_awaited() -> None:
    async with VirtualRadio() as radio:
        strap = VirtualStrap(radio)
        clock, sleeper = Clock(), Sleeper()
        times = replace(QUICK, scan_s=0.05)
        source = source_for(radio, strap.name, clock=clock, sleep=sleeper, times=times)
        async with aclosing(source.stream()) as stream:
            (missing,) = await take(stream, 1)
            assert missing == DeviceEvent(DeviceEventKind.DISCONNECTED, START, "device", "device_not_found")
            await eventually(lambda: len(sleeper.waits) >= 4)
            clock.advance(3600)
            await strap.put_on()
            gap, up = await take(stream, 2)
        assert isinstance(gap, DeviceEvent)
        assert (gap.kind, gap.time, gap.until) == (DeviceEventKind.GAP, START, clock.now)
        assert kinds([up]) == [DeviceEventKind.CONNECTED]
        assert sleeper.waits[:4] == [2.0, 4.0, 8.0, 16.0]
        assert source.counters.failed_attempts >= 4
        assert source.counters.reconnects == 0


async def test_a_link_that_is_up_but_silent_is_made_anew() -> None:
    async with worn_strap() as (radio, strap):
        sleeper = Sleeper()
        source = source_for(radio, strap.name, replace(STRAP, silence_s=0.05), sleep=sleeper)
        async with aclosing(source.stream()) as stream:
            items = await until(stream, lambda items: kinds(items).count(DeviceEventKind.CONNECTED) == 3)
        lost = [i for i in items if isinstance(i, DeviceEvent) and i.kind is DeviceEventKind.DISCONNECTED]
        assert [event.detail for event in lost] == ["silent", "silent"]
        # Connections that bring nothing count as failures: the waits grow.
        assert sleeper.waits[:2] == [2.0, 4.0]


async def test_a_device_without_the_required_characteristic_is_refused_and_not_told_as_connected() -> None:
    async with worn_strap() as (radio, strap):
        sleeper = Sleeper()
        source = source_for(radio, strap.name, THERMOMETER, sleep=sleeper)
        async with aclosing(source.stream()) as stream:
            (event,) = await take(stream, 1)
            assert isinstance(event, DeviceEvent)
            assert (event.kind, event.detail) == (DeviceEventKind.DISCONNECTED, "link_failed")
            await eventually(lambda: source.counters.failed_attempts >= 2)


async def consume(source: BleSource, seen: list[Item]) -> None:
    async with aclosing(source.stream()) as stream:
        async for item in stream:
            seen.append(item)  # noqa: PERF401 - each item must be seen as it comes


@pytest.mark.parametrize("turns", range(0, 400, 10))
async def test_a_cancellation_at_any_moment_of_connecting_is_obeyed(turns: int) -> None:
    async with worn_strap() as (radio, strap):
        consumer = asyncio.create_task(consume(source_for(radio, strap.name), []))
        await eventually(lambda: strap.connection is not None)
        for _ in range(turns):
            await asyncio.sleep(0)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await eventually(lambda: strap.connection is None)


async def test_cancelling_the_consumer_closes_the_link() -> None:
    async with worn_strap() as (radio, strap):
        source = source_for(radio, strap.name)
        seen: list[Item] = []
        consumer = asyncio.create_task(consume(source, seen))
        await eventually(lambda: kinds(seen) == [DeviceEventKind.CONNECTED])
        with pytest.raises(AdapterError) as caught:
            await anext(source.stream())
        assert caught.value.reason == "already_streaming"
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await eventually(lambda: strap.connection is None)
        # The source can be read again, and tells that it was not listening.
        async with aclosing(source.stream()) as stream:
            assert kinds(await take(stream, 2)) == [DeviceEventKind.GAP, DeviceEventKind.CONNECTED]


async def test_aclose_hands_out_what_waits_and_ends_the_stream() -> None:
    async with worn_strap() as (radio, strap):
        source = source_for(radio, strap.name)
        await source.aclose()
        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            await strap.beats([1000.0] * 18)
            await eventually(lambda: source.counters.notifications == 2)
            await source.aclose()
            rest = [item async for item in stream]
        assert len(values(rest)) == 18
        await eventually(lambda: strap.connection is None)


async def test_frames_are_kept_before_they_are_decoded() -> None:
    async with worn_strap() as (radio, strap):
        kept: list[Frame] = []
        source = source_for(radio, strap.name, on_frame=kept.append)
        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            await strap.send_raw(b"\x10\x3c\x00")
            await take(stream, 1)
        assert kept == [Frame(kept[0].characteristic, b"\x10\x3c\x00", START)]


async def test_a_keeper_that_fails_ends_the_stream_and_closes_the_link() -> None:
    def full(_: Frame) -> None:
        message = "disk full"
        raise OSError(message)

    async with worn_strap() as (radio, strap):
        source = source_for(radio, strap.name, on_frame=full)
        async with aclosing(source.stream()) as stream:
            await connected(stream, strap)
            await strap.beats([1000.0])
            with pytest.raises(OSError, match="disk full"):
                await take(stream, 1)
        await eventually(lambda: strap.connection is None)


async def test_an_error_of_the_link_task_reaches_the_consumer() -> None:
    async with worn_strap() as (radio, strap):
        naive = source_for(radio, strap.name, clock=lambda: START.replace(tzinfo=None))
        async with aclosing(naive.stream()) as stream:
            with pytest.raises(Exception, match="time zone"):
                await take(stream, 1)
