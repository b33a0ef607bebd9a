"""The account of records, simulated time and the clock of a virtual sensor, without a radio."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from edge_twin.codes import BODY_TEMPERATURE, RR_INTERVAL
from edge_twin.observation import DeviceEvent, DeviceEventKind, observe
from edge_twin_adapters.ble.date_time import DateTimeField
from edge_twin_adapters.ble.frame import Item
from edge_twin_adapters.ble.peers.accounting import Account, account
from edge_twin_adapters.ble.peers.device_clock import DeviceClock
from edge_twin_adapters.ble.peers.ledger import Fate, Ledger
from edge_twin_adapters.ble.peers.signals import BeatTrain, ElectrocardiogramSignal, recorded_beats
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.errors import AdapterError

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reading(key: str, celsius: float) -> Item:
    return observe(BODY_TEMPERATURE, celsius, START, source="t", attributes={"device_time": key})


def beat(second: float, interval_ms: float) -> Item:
    return observe(RR_INTERVAL, interval_ms, at(second), source="s")


def event(kind: DeviceEventKind, start: float, end: float, detail: str) -> Item:
    return DeviceEvent(kind, at(start), "s", detail, at(end))


def only(ledger: Ledger, items: list[Item]) -> Account:
    (one,) = account("sensor", ledger, items)
    return one


def temperatures(*fates: Fate) -> Ledger:
    ledger = Ledger()
    for index, fate in enumerate(fates):
        ledger.add("body_temperature", at(index), (36.0 + index,), key=f"k{index}", fate=fate)
    return ledger


def test_every_way_in_which_a_record_can_end_is_counted_apart() -> None:
    ledger = temperatures(*[Fate.SENT] * 4, Fate.STORED)
    items = [reading("k0", 36.0), reading("k1", 37.0), reading("k1", 37.0), reading("k2", 99.0), reading("k9", 36.0)]
    one = only(ledger, items)
    assert (one.once, one.repeated, one.altered, one.missing, one.waiting, one.unknown) == (1, 1, 1, 1, 1, 1)
    assert one.unexplained == (ledger.of("body_temperature")[3],)
    assert not one.is_closed


def test_a_lost_link_explains_what_is_lost_and_not_what_is_stored() -> None:
    gap = event(DeviceEventKind.GAP, 0, 10, "link_lost")
    one = only(temperatures(Fate.LOST, Fate.STORED), [gap])
    assert (one.in_gap, one.waiting) == (1, 1)
    told = event(DeviceEventKind.GAP, 0, 10, "records_lost count=1 origin=stored")
    assert only(temperatures(Fate.STORED), [told]).in_gap == 1


@pytest.mark.parametrize(
    ("detail", "start", "covered"),
    [
        ("link_lost", 0, 1),
        ("samples_missing stream=rr_interval", 0, 1),
        ("samples_missing stream=ecg", 0, 0),
        ("x", 6, 0),
    ],
)
def test_a_gap_covers_its_own_stream_and_its_own_time(detail: str, start: float, covered: int) -> None:
    ledger = Ledger()
    ledger.add("rr_interval", at(5), (800.0,), fate=Fate.LOST)
    one = only(ledger, [event(DeviceEventKind.GAP, start, 9, detail)])
    assert (one.in_gap, one.missing) == (covered, 1 - covered)


def test_a_damaged_record_counts_as_refused_only_where_something_was_refused() -> None:
    refusal = DeviceEvent(DeviceEventKind.REFUSED, at(1), "s", "truncated")
    assert only(temperatures(Fate.CORRUPTED), [refusal]).refused == 1
    assert only(temperatures(Fate.CORRUPTED), []).missing == 1


def test_equal_values_without_a_key_are_told_apart_by_their_time() -> None:
    ledger = Ledger()
    for second in (1, 2, 3, 4):
        ledger.add("rr_interval", at(second), (800.0,), fate=Fate.LOST)
    one = only(ledger, [beat(1, 800.0), beat(4, 800.0), event(DeviceEventKind.GAP, 1.5, 3.5, "link_lost")])
    assert (one.once, one.in_gap, one.missing) == (2, 2, 0)
    late = only(ledger, [beat(30, 800.0)] * 4)
    assert (late.once, late.unknown) == (4, 0)
    assert only(ledger, [beat(500, 800.0)]).unknown == 1


async def test_simulated_time_does_what_is_due_in_order_and_lets_sleepers_wake() -> None:
    time = SimulatedTime(START)
    seen: list[tuple[str, float]] = []

    def note(what: str) -> None:
        seen.append((what, (time.now() - START).total_seconds()))

    async def every_two() -> float | None:
        note("step")
        return 2.0 if len(seen) < 6 else None

    async def sleeper() -> None:
        await time.sleep(3.0)
        note("woken")

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    time.schedule(every_two, 1.0)
    await time.run(6.0)
    assert seen == [("step", 1.0), ("woken", 3.0), ("step", 3.0), ("step", 5.0)]
    assert time.now() == at(6)
    await task


async def test_simulated_time_is_no_faster_than_it_is_told() -> None:
    time = SimulatedTime(START, speed=1000.0)

    async def often() -> float:
        return 1.0

    time.schedule(often)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await time.run(50.0)
    assert loop.time() - began >= 0.04


def test_a_device_clock_is_local_and_can_be_wrong() -> None:
    now = [START]
    clock = DeviceClock(lambda: now[0], ZoneInfo("Europe/Berlin"))
    assert clock.field == DateTimeField(2026, 3, 2, 9, 0, 0)
    assert clock.nanoseconds % 1_000_000_000 == 0
    clock.reset()
    now[0] += timedelta(hours=1)
    assert clock.field == DateTimeField(2019, 1, 1, 1, 0, 0)
    assert not clock.is_set
    clock.set(DateTimeField(0, 0, 0, 10, 0, 0))
    assert not clock.is_set
    clock.set(DateTimeField(2026, 3, 2, 10, 0, 0))
    assert clock.is_set
    clock.set(DateTimeField(2026, 3, 2, 10, 5, 0))
    assert clock.local == datetime(2026, 3, 2, 10, 5)  # noqa: DTZ001 - a device's clock has no zone


def test_beats_keep_their_order_and_their_sum() -> None:
    train = BeatTrain([1000.0, 500.0])
    got = [unit for _ in range(30) for unit in train.during(1.0)]
    assert got[:4] == [1024, 512, 1024, 512]
    assert 30 * 1024 - 1024 < sum(got) <= 30 * 1024
    with pytest.raises(AdapterError):
        BeatTrain([])
    with pytest.raises(AdapterError):
        BeatTrain([800.0, 0.0])


def test_the_electrocardiogram_has_one_peak_for_each_beat() -> None:
    intervals = recorded_beats()[:60]
    signal = ElectrocardiogramSignal(intervals, 130.0, seed=1)
    length = int(sum(intervals) / 1000 * 130) - 1
    samples = signal.samples(0, length)
    peaks = [i for i in range(1, length - 1) if samples[i] > 600 and samples[i - 1] < samples[i] >= samples[i + 1]]
    assert len(peaks) == pytest.approx(len(intervals), abs=1)
