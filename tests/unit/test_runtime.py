"""The loop: bad sources stop nobody, nothing waits unbounded, and results leave once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes, runtime
from edge_twin.contract import Dose
from edge_twin.deadman import Heartbeat
from edge_twin.errors import EdgeTwinError, StoreError
from edge_twin.features import NIGHT_HEART_RATE
from edge_twin.flag import FlagKind
from edge_twin.flags.life import Act, LifeState
from edge_twin.flags.lifecycle import acknowledge
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, observe
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.runtime import Item, Outgoing, Plan, Runtime
from edge_twin.store import Store

START = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
Maker = Callable[..., Observation]


class Clock:
    def __init__(self) -> None:
        self.now = START + timedelta(hours=8)

    def __call__(self) -> datetime:
        return self.now


class Listed:
    """A source that yields a list, after failing a stated number of times."""

    def __init__(self, name: str, items: Sequence[Item], failures: int = 0) -> None:
        self.name = name
        self._items = items
        self._failures = failures

    async def stream(self) -> AsyncIterator[Item]:
        if self._failures > 0:
            self._failures -= 1
            raise OSError
        for item in self._items:
            yield item
            await asyncio.sleep(0)


class Collecting:
    """An outlet that refuses a stated number of times and then keeps what it is given."""

    def __init__(self, refusals: int = 0) -> None:
        self.taken: list[Outgoing] = []
        self._refusals = refusals

    def put(self, outgoing: Outgoing) -> None:
        if self._refusals > 0:
            self._refusals -= 1
            raise EdgeTwinError("full", reason="quota_full")
        self.taken.append(outgoing)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


@pytest.fixture
def plan(program: Program, model: ReducedModel, docetaxel: Dose) -> Plan:
    return Plan("UTC", program, model, (docetaxel,), members=100)


def beats(start: datetime, count: int = 120, rr_ms: float = 1000.0) -> list[Item]:
    return [
        observe(codes.RR_INTERVAL, rr_ms, start + timedelta(milliseconds=rr_ms * n), source="strap")
        for n in range(count)
    ]


async def test_beats_become_the_nights_heart_rate_and_leave_once(store: Store, plan: Plan) -> None:
    outlet = Collecting()
    await Runtime(store, plan, [Listed("strap", beats(START))], clock=Clock(), outlet=outlet).run()
    (night,) = [f for f in store.features() if f.name == NIGHT_HEART_RATE]
    assert night.value == pytest.approx(60.0)
    sent = [(feature.key, version) for outgoing in outlet.taken for feature, version in outgoing.features]
    last = [feature for outgoing in outlet.taken for feature, _ in outgoing.features if feature.key == night.key][-1]
    assert last == night
    assert len(sent) == len(set(sent))


async def test_one_bad_source_never_stops_the_others(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch, temperature: Maker
) -> None:
    monkeypatch.setattr(runtime, "RESTART_SECONDS", (0.0,))
    sources = [Listed("bad", [temperature(36.6, START)], failures=3), Listed("strap", beats(START))]
    await Runtime(store, plan, sources, clock=Clock()).run()
    assert len(store.observations(code=codes.RR_INTERVAL)) == 120
    assert len(store.observations(code=codes.BODY_TEMPERATURE)) == 1
    failures = list(store.database.query("SELECT detail FROM events WHERE source = 'bad'"))
    assert [row["detail"] for row in failures] == ["source_failed OSError"] * 3


async def test_hz_flag_01_it_goes_up_comes_down_and_both_leave(store: Store, plan: Plan, temperature: Maker) -> None:
    clock, outlet = Clock(), Collecting()
    hot = temperature(38.5, START)
    await Runtime(store, plan, [Listed("thermometer", [hot])], clock=clock, outlet=outlet).run()
    assert FlagKind.FEVER in {life.kind for life in store.flags.lives().up}
    clock.now += timedelta(days=2)
    cool = temperature(36.5, clock.now)
    await Runtime(store, plan, [Listed("thermometer", [cool])], clock=clock, outlet=outlet).run()
    assert FlagKind.FEVER not in {life.kind for life in store.flags.lives().up}
    changes = [c for outgoing in outlet.taken for c in outgoing.flags if c.form["kind"] == FlagKind.FEVER]
    assert [change.closed is None for change in changes] == [True, False]


async def test_hz_sync_03_a_refusing_outlet_loses_nothing(store: Store, plan: Plan, temperature: Maker) -> None:
    clock, outlet = Clock(), Collecting(refusals=1)
    source = Listed("thermometer", [temperature(38.5, START), temperature(38.6, START + timedelta(hours=1))])
    await Runtime(store, plan, [source], clock=clock, outlet=outlet).run()
    clock.now += timedelta(days=1)
    await Runtime(store, plan, [Listed("none", [])], clock=clock, outlet=outlet).run()
    assert store.counters()["outlet_quota_full"] == 1
    kinds = [change.form["kind"] for outgoing in outlet.taken for change in outgoing.flags]
    assert kinds.count(FlagKind.FEVER) >= 1
    names = [feature.name for outgoing in outlet.taken for feature, _ in outgoing.features]
    assert names.count("oral_temperature_max_day") == 1


async def test_the_queue_is_bounded(store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "QUEUE_SIZE", 16)
    largest = 0
    original = Runtime._absorb

    def watch(self: Runtime, batch: Sequence[Observation | DeviceEvent]) -> bool:
        nonlocal largest
        largest = max(largest, len(batch))
        return original(self, batch)

    monkeypatch.setattr(Runtime, "_absorb", watch)
    sources = [Listed(f"strap{n}", beats(START + timedelta(minutes=5 * n))) for n in range(4)]
    await Runtime(store, plan, sources, clock=Clock()).run()
    assert len(store.observations()) == 480
    assert 0 < largest <= 17


async def test_a_count_is_held_against_the_forecast_made_before_it(store: Store, plan: Plan, count: Maker) -> None:
    clock = Clock()
    first = count(4.0, clock.now - timedelta(hours=1))
    await Runtime(store, plan, [Listed("lab", [first])], clock=clock).run()
    assert store.coverage().seen == 0

    class Later(Listed):
        async def stream(self) -> AsyncIterator[Item]:
            clock.now += timedelta(days=1)
            async for item in super().stream():
                yield item

    second = count(0.9, clock.now + timedelta(hours=20))
    await Runtime(store, plan, [Later("lab", [second])], clock=clock).run()
    assert store.coverage().seen == 1


async def test_late_data_correct_the_feature(store: Store, plan: Plan) -> None:
    clock = Clock()
    await Runtime(store, plan, [Listed("strap", beats(START))], clock=clock).run()
    clock.now += timedelta(days=3)
    late = beats(START + timedelta(hours=1), rr_ms=1200.0)
    await Runtime(store, plan, [Listed("strap", late)], clock=clock).run()
    (night,) = [f for f in store.features() if f.name == NIGHT_HEART_RATE]
    assert night.value == pytest.approx(50.0)


async def test_a_full_disk_ends_the_runtime_with_its_name(store: Store, plan: Plan) -> None:
    pages = next(iter(store.database.query("PRAGMA page_count")))["page_count"]
    store.database.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError) as caught:
        await Runtime(store, plan, [Listed("strap", beats(START, 20_000, 300.0))], clock=Clock()).run()
    assert caught.value.reason == "disk_full"


async def test_refused_frames_are_counted(store: Store, plan: Plan) -> None:
    refused = DeviceEvent(DeviceEventKind.REFUSED, START, "strap", "truncated")
    await Runtime(store, plan, [Listed("strap", [refused, *beats(START)])], clock=Clock()).run()
    assert store.counters()["event_refused"] == 1
    assert len(store.observations()) == 120


async def test_the_clock_alone_calls_for_a_step_when_a_second_reading_is_overdue(
    store: Store, plan: Plan, temperature: Maker
) -> None:
    clock = Clock()
    first = temperature(38.1, clock.now)
    overdue = asyncio.Event()

    class Waiting(Listed):
        async def stream(self) -> AsyncIterator[Item]:
            yield first
            await asyncio.sleep(0.05)
            clock.now += timedelta(minutes=80)
            await asyncio.wait_for(overdue.wait(), 5.0)

    looping = Runtime(store, plan, [Waiting("thermometer", [])], clock=clock, tick_seconds=0.02)
    running = asyncio.create_task(looping.run())
    while FlagKind.FEVER not in {life.kind for life in store.flags.lives().up}:
        assert not running.done()
        await asyncio.sleep(0.02)
    overdue.set()
    await running
    assert FlagKind.FEVER_REPEAT not in {life.kind for life in store.flags.lives().up}


# ---- the life of a flag in the loop ---------------------------------------------------------------------


class Ticking(Listed):
    """A source that lets the clock run while the runtime ticks, and then ends."""

    def __init__(self, items: Sequence[Item], clock: Clock, minutes: Sequence[float]) -> None:
        super().__init__("ticking", items)
        self._clock = clock
        self._minutes = minutes

    async def stream(self) -> AsyncIterator[Item]:
        async for item in super().stream():
            yield item
        await asyncio.sleep(0.3)
        for minutes in self._minutes:
            self._clock.now += timedelta(minutes=minutes)
            await asyncio.sleep(0.1)


async def test_hz_alarm_07_in_the_loop_an_unanswered_call_climbs_between_two_steps(
    store: Store, plan: Plan, temperature: Maker
) -> None:
    clock, outlet = Clock(), Collecting()
    source = Ticking([temperature(38.5, clock.now)], clock, [5.0, 5.0])
    await Runtime(store, plan, [source], clock=clock, outlet=outlet, tick_seconds=0.02).run()
    climbed = [event for event in store.flags.events() if event.act is Act.ESCALATED]
    assert [event.detail for event in climbed] == ["caregiver", "clinic"]
    levels = [life.level for out in outlet.taken for life in out.flags if life.kind is FlagKind.FEVER]
    assert levels == ["patient", "caregiver", "clinic"]


async def test_an_acknowledgement_of_another_process_is_seen(store: Store, plan: Plan, temperature: Maker) -> None:
    clock = Clock()
    await Runtime(store, plan, [Listed("t", [temperature(38.5, clock.now)])], clock=clock).run()
    other = Store(store_path(store))
    with other.transaction():
        before = other.flags.lives()
        other.flags.keep(before, acknowledge(before, before.by_key[FlagKind.FEVER].id, "A. Nurse", clock.now))
    other.close()
    clock.now += timedelta(hours=1)
    await Runtime(store, plan, [Listed("t", [temperature(38.6, clock.now)])], clock=clock).run()
    life = store.flags.lives().by_key[FlagKind.FEVER]
    assert (life.state, life.acknowledged_by) == (LifeState.ACKNOWLEDGED, "A. Nurse")


def store_path(store: Store) -> Path:
    (row,) = store.database.query("PRAGMA database_list")
    return Path(row["file"])


async def test_every_step_leaves_a_heartbeat(store: Store, plan: Plan, temperature: Maker) -> None:
    clock = Clock()
    await Runtime(store, plan, [Listed("t", [temperature(36.6, clock.now)])], clock=clock, tick_seconds=60.0).run()
    assert store.flags.heartbeat() == Heartbeat(clock.now, clock.now + timedelta(minutes=16))


async def test_hz_deadman_03_after_a_restart_the_gap_is_told_once_and_kept(
    store: Store, plan: Plan, temperature: Maker
) -> None:
    clock = Clock()
    await Runtime(store, plan, [Listed("t", [temperature(36.6, clock.now)])], clock=clock).run()
    clock.now += timedelta(hours=5)
    for _ in range(2):
        await Runtime(store, plan, [Listed("t", [temperature(36.7, clock.now)])], clock=clock).run()
        clock.now += timedelta(minutes=20)
    (stopped,) = [life for life in store.flags.all() if life.kind is FlagKind.RUNTIME_STOPPED]
    assert "has not looked at your data since 10:00 on 2026-03-10" in stopped.form["reason"]
    clock.now += timedelta(hours=2)  # a look every quarter of an hour, so that no new gap is told
    store.flags.beat(Heartbeat(clock.now, clock.now))
    await Runtime(store, plan, [Listed("t", [temperature(36.7, clock.now)])], clock=clock).run()
    assert store.flags.lives().by_key[FlagKind.RUNTIME_STOPPED].state is LifeState.RESOLVED


async def test_a_runtime_without_data_looks_as_well(store: Store, plan: Plan) -> None:
    clock = Clock()
    await Runtime(store, plan, [Ticking([], clock, [16.0])], clock=clock, tick_seconds=0.02).run()
    heartbeat = store.flags.heartbeat()
    assert heartbeat is not None
    assert heartbeat.step == clock.now
