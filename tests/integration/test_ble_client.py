"""The BLE client against virtual sensors: nothing is lost, nothing comes twice, and every failure is told."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Waveform
from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.fleet import Fleet
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.frames import FrameStore, replay_frames
from edge_twin_adapters.ble.link import LinkSecurity, LinkTimes, Pairing
from edge_twin_adapters.ble.peers.accounting import Account, account
from edge_twin_adapters.ble.peers.catalogue import make_sensor
from edge_twin_adapters.ble.peers.faults import Fault, FaultKind
from edge_twin_adapters.ble.peers.peer import VirtualPeer
from edge_twin_adapters.ble.peers.polar_strap import PolarStrapPeer
from edge_twin_adapters.ble.peers.recording import RecordingPeer
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.polar_control import encode_stopped, stop_request
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.profiles import PROFILES, Profile
from edge_twin_adapters.ble.source import BleSource
from edge_twin_adapters.ble.state import LinkMemory, SqliteMemory, TransientMemory
from edge_twin_adapters.ble.virtual import VirtualRadio

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = 3600.0
QUICK = LinkTimes(scan_s=2.0, attempt_s=5.0, close_s=1.0, backoff_base_s=0.0, stall_s=0.1, job_s=2.0)
PROFILE_OF = {"polar": "polar_strap", "cgm": "glucose_sensor", "glucose": "glucose_meter", "blood_pressure": "cuff"}


class Bench:
    """A radio, a time, sensors, and what came from each."""

    def __init__(self, radio: VirtualRadio) -> None:
        self.radio = radio
        self.time = SimulatedTime(START)
        self.items: dict[str, list[Item]] = {}
        self._reading: dict[str, tuple[BleSource, asyncio.Task[None]]] = {}

    async def sensor(self, kind: str, *, protected: bool = False) -> VirtualPeer:
        made = make_sensor(kind, self.radio, self.time, seed=7, protected=protected)
        assert isinstance(made, VirtualPeer)
        await made.begin()
        return made

    def source(self, sensor: VirtualPeer, profile: Profile, **options: Any) -> BleSource:  # noqa: ANN401 - passed on
        defaults: dict[str, Any] = {
            "rng": random.Random(1),  # noqa: S311 - jitter
            "context": DecodeContext(source=sensor.name, patient_zone=UTC),
            "times": QUICK,
        }
        return BleSource(
            sensor.address, profile, clock=self.time.now, backends=self.radio.backends, **(defaults | options)
        )

    def read(self, source: BleSource) -> list[Item]:
        """Consume a source beside the test; the list grows."""
        seen = self.items.setdefault(source.name, [])

        async def consume() -> None:
            async with aclosing(source.stream()) as stream:
                async for item in stream:
                    seen.append(item)

        self._reading[source.name] = (source, asyncio.create_task(consume()))
        return seen

    async def close(self, source: BleSource) -> None:
        """End a source in order."""
        _, task = self._reading.pop(source.name)
        await source.aclose()
        await task

    async def kill(self, source: BleSource) -> None:
        """End a source as a crash does: nothing that waits is handed out."""
        _, task = self._reading.pop(source.name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def close_all(self) -> None:
        for source, _ in tuple(self._reading.values()):
            await self.close(source)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with VirtualRadio() as radio:
        made = Bench(radio)
        try:
            yield made
        finally:
            await made.close_all()


async def settle(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions have no events
            await asyncio.sleep(0.001)


def profile_of(kind: str) -> Profile:
    return PROFILES[PROFILE_OF.get(kind, kind)]


def accounts(sensor: VirtualPeer, items: list[Item]) -> dict[str, Account]:
    return {one.stream: one for one in account(sensor.name, sensor.ledger, items)}


def events(items: list[Item], kind: DeviceEventKind) -> list[DeviceEvent]:
    return [item for item in items if isinstance(item, DeviceEvent) and item.kind is kind]


def details(items: list[Item], kind: DeviceEventKind) -> list[str]:
    return [event.detail for event in events(items, kind)]


def observations(items: list[Item]) -> list[Observation]:
    return [item for item in items if isinstance(item, Observation)]


@pytest.mark.parametrize("kind", ["cgm", "glucose"])
async def test_what_was_recorded_before_the_first_connection_is_fetched(kind: str) -> None:
    async with bench() as table:
        sensor = await table.sensor(kind)
        await table.time.run(12 * HOUR)
        source = table.source(sensor, profile_of(kind))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        (one,) = accounts(sensor, items).values()
        assert one.is_closed
        assert one.once == one.measured > 2
        assert source.counters.backfill_failures == source.counters.refused == 0


async def test_live_records_and_the_same_ones_from_storage_are_one() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        source = table.source(sensor, profile_of("cgm"))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.time.run(2 * HOUR)
        assert source.counters.duplicates == 0
        await sensor.take_off()
        await sensor.put_on()
        await settle(lambda: source.counters.backfills == 2)
        await table.close(source)
        one = accounts(sensor, items)["glucose_interstitial"]
        assert (one.once, one.is_closed) == (24, True)
        # Live values never move the cursor (Gadgetbridge #478): everything was asked for again.
        assert source.counters.duplicates == 24


async def test_a_spot_check_that_is_told_and_stored_is_one() -> None:
    async with bench() as table:
        sensor = await table.sensor("spot_oximeter")
        await table.time.run(3 * HOUR)
        memory = TransientMemory()
        for round_ in (1, 2):
            source = table.source(sensor, profile_of("spot_oximeter"), memory=memory)
            items = table.read(source)
            await settle(lambda source=source: source.counters.backfills == 1)  # type: ignore[misc] # mypy cannot infer a lambda with a default
            await table.time.run(HOUR)
            await table.close(source)
            one = accounts(sensor, items)["oxygen_saturation"]
            assert (one.once, one.is_closed) == (3 + round_, True)


@pytest.mark.parametrize("after", [0, 3, 60, 100])
async def test_a_stalled_backfill_is_resumed_and_nothing_is_lost_or_doubled(after: int) -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        await table.time.run(12 * HOUR)
        sensor.stall_after(after)
        source = table.source(sensor, profile_of("cgm"))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        one = accounts(sensor, items)["glucose_interstitial"]
        assert (one.once, one.measured, one.is_closed) == (144, 144, True)
        assert source.counters.backfill_failures == 1


async def test_a_backfill_that_stalls_for_good_is_told_and_live_values_go_on() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        assert isinstance(sensor, RecordingPeer)
        await table.time.run(HOUR)

        async def silent(_request: object) -> None:
            """Answer nothing."""

        sensor.store._carry_out = silent  # type: ignore[method-assign, assignment]
        times = replace(QUICK, stall_s=0.02, retry_s=1e9)
        source = table.source(sensor, profile_of("cgm"), times=times, sleep=table.time.sleep)
        items = table.read(source)
        await settle(lambda: source.counters.backfill_failures == 3)
        await table.time.run(HOUR)
        assert source.state.connected
        await table.close(source)
        assert "backfill_stalled origin=stored" in details(items, DeviceEventKind.GAP)
        assert sum(o.code.name == "glucose_interstitial" for o in observations(items)) == 12


async def test_a_link_lost_in_the_middle_of_a_backfill_is_resumed() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        await table.time.run(24 * HOUR)
        source = table.source(sensor, profile_of("cgm"))
        items = table.read(source)
        await settle(lambda: source.counters.notifications > 150)
        assert source.counters.backfills == 0
        await sensor.take_off()
        await sensor.put_on()
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        one = accounts(sensor, items)["glucose_interstitial"]
        assert (one.once, one.measured, one.is_closed) == (288, 288, True)
        # Pieces that were answered in full are not asked for again.
        assert source.counters.duplicates < 150


@pytest.mark.parametrize("orderly", [True, False])
async def test_a_restart_resumes_where_records_are_safe(tmp_path: Path, *, orderly: bool) -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        await table.time.run(6 * HOUR)
        file = tmp_path / "state.db"
        every: list[Item] = []
        for _ in range(3):
            with sqlite3.connect(file) as connection:
                source = table.source(sensor, profile_of("cgm"), memory=SqliteMemory(connection))
                items = table.read(source)
                await settle(lambda source=source: source.counters.backfills == 1)  # type: ignore[misc] # mypy cannot infer a lambda with a default
                await settle(lambda source=source: source.pending == 0)  # type: ignore[misc] # mypy cannot infer a lambda with a default
                await (table.close(source) if orderly else table.kill(source))
                every = items
            connection.close()
            await table.time.run(6 * HOUR)
        one = accounts(sensor, every)["glucose_interstitial"]
        assert (one.once, one.repeated, one.unknown) == (18 * 12, 0, 0)
        assert source.counters.duplicates == 0


async def test_a_cursor_waits_until_the_records_are_stored() -> None:
    async with bench() as table:
        sensor = await table.sensor("glucose")
        await table.time.run(24 * HOUR)
        memory, safe = TransientMemory(), asyncio.Event()

        async def stored() -> None:
            await safe.wait()

        source = table.source(sensor, profile_of("glucose"), memory=memory, stored=stored)
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1 and source.pending == 0)
        assert len(observations(items)) >= 6
        assert memory.values(source.name) == {}
        assert memory.digests(source.name) == []
        safe.set()
        await settle(lambda: bool(memory.values(source.name)))
        assert memory.values(source.name)["cursor stored 2a18"] == str(len(sensor.ledger))


async def test_damaged_records_are_asked_for_again() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        await table.time.run(2 * HOUR)
        for kind in (FaultKind.CORRUPT, FaultKind.WRONG_CRC, FaultKind.DROP):
            await sensor.inject(Fault(0.0, kind, sensor.name, 1))
        source = table.source(sensor, profile_of("cgm"))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        one = accounts(sensor, items)["glucose_interstitial"]
        assert (one.once, one.is_closed) == (24, True)
        assert source.counters.refused == 2
        assert source.counters.backfill_failures == 1


async def test_a_record_that_is_damaged_for_good_is_told_and_holds_up_nothing() -> None:
    async with bench() as table:
        sensor = await table.sensor("glucose")
        await table.time.run(24 * HOUR)
        await sensor.inject(Fault(0.0, FaultKind.CORRUPT, sensor.name, 1))
        for _ in range(2):
            # Six records and three contexts: the first one of each report is damaged.
            sensor._spoilt.extend([None] * 8)  # type: ignore[list-item] # nothing is spoilt
            await sensor.inject(Fault(0.0, FaultKind.CORRUPT, sensor.name, 1))
        source = table.source(sensor, profile_of("glucose"))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        assert "records_lost count=1 origin=stored" in details(items, DeviceEventKind.GAP)
        assert accounts(sensor, items)["glucose"].once == 5


async def test_a_new_count_of_the_records_starts_from_nothing() -> None:
    async with bench() as table:
        sensor = await table.sensor("glucose")
        await table.time.run(24 * HOUR)
        memory = TransientMemory()
        memory.keep(sensor.name, {"cursor stored 2a18": "5000"}, ())
        source = table.source(sensor, profile_of("glucose"), memory=memory)
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        assert accounts(sensor, items)["glucose"].once == len(sensor.ledger)


async def test_a_new_session_of_a_glucose_sensor_is_another_count() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        await table.time.run(2 * HOUR)
        memory = TransientMemory()
        memory.keep(sensor.name, {"cursor stored 2aa7": "90", "epoch stored 2aa7": "00ff"}, ())
        source = table.source(sensor, profile_of("cgm"), memory=memory)
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        assert accounts(sensor, items)["glucose_interstitial"].once == 24


@pytest.mark.parametrize("kind", ["thermometer", "blood_pressure", "cgm", "glucose"])
async def test_a_protected_sensor_is_paired_with_when_it_asks_for_it(kind: str) -> None:
    async with bench() as table:
        sensor = await table.sensor(kind, protected=True)
        source = table.source(sensor, profile_of(kind))
        items = table.read(source)
        await settle(lambda: source.state.connected and bool(events(items, DeviceEventKind.CONNECTED)))
        await table.time.run(6 * HOUR)
        if source.profile.stored is not None:
            before = source.counters.backfills
            await sensor.take_off()
            await sensor.put_on()
            await settle(lambda: source.counters.backfills == before + 1)
        await settle(lambda: all(one.waiting == 0 for one in accounts(sensor, items).values()))
        await table.close(source)
        (one,) = accounts(sensor, items).values()
        assert one.is_closed
        assert one.once == one.measured > 0


async def test_pairing_that_is_not_allowed_is_told() -> None:
    async with bench() as table:
        sensor = await table.sensor("thermometer", protected=True)
        source = table.source(sensor, profile_of("thermometer"), security=LinkSecurity(Pairing.NEVER))
        items = table.read(source)
        await settle(lambda: source.counters.failed_attempts >= 2)
        assert details(items, DeviceEventKind.DISCONNECTED) == ["pairing_not_allowed"]


async def test_encryption_is_proved_by_a_value_that_was_refused_before() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm", protected=True)
        required = LinkSecurity(Pairing.REQUIRED)
        profile = replace(profile_of("cgm"), protected="2aa8")
        memory = TransientMemory()
        source = table.source(sensor, profile, security=required, memory=memory)
        table.read(source)
        await settle(lambda: source.state.encrypted is True)
        await table.close(source)
        # After a restart the bond is known, and the key of the link is used without pairing again.
        source = table.source(sensor, profile, security=required, memory=memory)
        table.read(source)
        await settle(lambda: source.state.encrypted is True)


async def test_a_subscription_that_was_refused_once_proves_encryption_too() -> None:
    async with bench() as table:
        sensor = await table.sensor("thermometer", protected=True)
        profile, required = replace(profile_of("thermometer"), reads=()), LinkSecurity(Pairing.REQUIRED)
        source = table.source(sensor, profile, security=required)
        items = table.read(source)
        await settle(lambda: source.state.encrypted is True)
        await table.time.run(HOUR)
        await settle(lambda: len(observations(items)) >= 3)
        assert accounts(sensor, items)["body_temperature"].once == 2


async def test_a_request_that_is_refused_because_another_runs_is_made_again() -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm")
        assert isinstance(sensor, RecordingPeer)
        await table.time.run(HOUR)
        sensor.store._running = True  # of a client before, until somebody aborts it
        source = table.source(sensor, profile_of("cgm"))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.close(source)
        assert accounts(sensor, items)["glucose_interstitial"].once == 12
        assert (source.counters.backfill_failures, source.counters.reconnects) == (1, 0)


async def test_without_proof_of_encryption_nothing_is_taken_where_it_is_required() -> None:
    async with bench() as table:
        sensor = await table.sensor("heart_rate")
        profile = replace(PROFILES["chest_strap"], protected="2a38")
        source = table.source(sensor, profile, security=LinkSecurity(Pairing.REQUIRED))
        items = table.read(source)
        await settle(lambda: source.counters.failed_attempts >= 2)
        assert details(items, DeviceEventKind.DISCONNECTED) == ["not_encrypted"]
        assert observations(items) == []


@pytest.mark.parametrize("repair", [True, False])
async def test_a_lost_bond_is_told_and_renewed_only_where_that_is_allowed(*, repair: bool) -> None:
    async with bench() as table:
        sensor = await table.sensor("cgm", protected=True)
        source = table.source(sensor, profile_of("cgm"), security=LinkSecurity(repair=repair))
        items = table.read(source)
        await settle(lambda: source.counters.backfills == 1)
        await table.time.run(HOUR)
        await sensor.inject(Fault(0.0, FaultKind.LOST_BOND, sensor.name))
        await sensor.put_on()

        def words() -> list[str]:
            return [detail for detail in details(items, DeviceEventKind.STATUS) if detail.startswith("bond_lost")]

        await settle(lambda: bool(words()))
        assert words() == [f"bond_lost pairing_again={'allowed' if repair else 'not_allowed'}"]
        if repair:
            await settle(lambda: source.counters.backfills == 2)
            await table.time.run(HOUR)
            await table.close(source)
            assert accounts(sensor, items)["glucose_interstitial"].once == 24
        else:
            before = source.counters.failed_attempts
            await settle(lambda: source.counters.failed_attempts >= before + 3)
            assert source.state.last_reason == "bond_lost"
            assert len(words()) == 1


async def connected_polar(table: Bench, **options: Any) -> tuple[PolarStrapPeer, BleSource, list[Item]]:  # noqa: ANN401 - passed on
    sensor = await table.sensor("polar")
    assert isinstance(sensor, PolarStrapPeer)
    source = table.source(sensor, profile_of("polar"), **options)
    items = table.read(source)
    await settle(lambda: len(sensor.is_streaming) == 2 and source.state.connected)
    return sensor, source, items


async def test_polar_streams_are_started_decoded_and_stopped_on_exit() -> None:
    async with bench() as table:
        sensor, source, items = await connected_polar(table)
        await table.time.run(60.0)
        await settle(lambda: source.pending == 0)
        stopped: list[bool] = []
        forget = sensor.sensor.power_off
        sensor.sensor.power_off = lambda: stopped.append(not sensor.is_streaming) or forget()  # type: ignore[func-returns-value, method-assign]
        await table.close(source)
        await settle(lambda: bool(stopped))
        assert stopped == [True]
        counts = accounts(sensor, items)
        assert {name: one.is_closed for name, one in counts.items()} == dict.fromkeys(counts, True)
        assert counts["ecg"].once > 100
        assert counts["acceleration"].once >= 59
        waves = [item for item in items if isinstance(item, Waveform)]
        assert source.counters.waveforms == len(waves)
        assert source.counters.samples == sum(len(wave.samples) for wave in waves)
        assert {wave.attributes["time_source"] for wave in waves} == {"device"}


async def test_polar_streams_go_on_after_a_loss_and_the_hole_is_told() -> None:
    async with bench() as table:
        sensor, source, items = await connected_polar(table, sleep=asyncio.sleep)
        await table.time.run(30.0)
        await sensor.inject(Fault(0.0, FaultKind.DISCONNECT, sensor.name, 20.0))
        await table.time.run(25.0)
        await settle(lambda: len(sensor.is_streaming) == 2)
        await table.time.run(30.0)
        await table.close(source)
        counts = accounts(sensor, items)
        assert {name: one.is_closed for name, one in counts.items()} == dict.fromkeys(counts, True)
        assert counts["ecg"].in_gap > 20
        assert any(detail == "stream_restarted stream=ecg" for detail in details(items, DeviceEventKind.GAP))


async def test_a_measurement_that_the_sensor_stops_is_started_again() -> None:
    async with bench() as table:
        times = replace(QUICK, retry_s=0.05)
        sensor, source, items = await connected_polar(table, times=times)
        await table.time.run(10.0)
        sensor.sensor.answer(stop_request(Measurement.ECG))
        sensor._armed.pop(Measurement.ECG)
        await sensor.send(sensor._control, encode_stopped([Measurement.ECG]))
        await settle(lambda: len(sensor.is_streaming) == 2)
        await table.time.run(10.0)
        await table.close(source)
        assert "measurement_stopped stream=ecg" in details(items, DeviceEventKind.GAP)
        counts = accounts(sensor, items)
        assert {name: one.is_closed for name, one in counts.items()} == dict.fromkeys(counts, True)
        assert counts["ecg"].once > 20


async def test_a_control_point_that_does_not_answer_costs_no_heart_beat() -> None:
    async with bench() as table:
        sensor = await table.sensor("polar")
        assert isinstance(sensor, PolarStrapPeer)

        async def silent(_answer: bytes) -> None:
            """Answer nothing."""

        sensor._indicate_answer = silent  # type: ignore[method-assign, assignment]
        source = table.source(sensor, profile_of("polar"), times=replace(QUICK, job_s=0.05, retry_s=60.0))
        items = table.read(source)
        await settle(lambda: any("acc" in detail for detail in details(items, DeviceEventKind.GAP)))
        await table.time.run(30.0)
        await table.close(source)
        assert "measurement_not_started stream=ecg" in details(items, DeviceEventKind.GAP)
        assert accounts(sensor, items)["rr_interval"].once > 25
        assert source.counters.reconnects == 0


async def test_a_scan_that_hears_nothing_is_started_anew() -> None:
    async with bench() as table:
        finder = Finder(table.radio.backends, replace(QUICK, scan_s=0.5, watchdog_s=0.05))
        assert await finder.find("nobody") is None
        assert finder.restarts >= 2
        sensor = await table.sensor("heart_rate")
        one, two = await asyncio.gather(finder.find(sensor.address), finder.find(sensor.name))
        assert one is not None
        assert two is not None
        assert one.address == two.address == sensor.address


async def test_a_clock_that_is_reset_is_seen_and_the_stream_stays_where_it_was() -> None:
    async with bench() as table:
        sensor, source, items = await connected_polar(table)
        await table.time.run(30.0)
        before = table.time.now()
        await sensor.inject(Fault(0.0, FaultKind.CLOCK_RESET, sensor.name))
        await table.time.run(30.0)
        await table.close(source)
        jumps = [detail for detail in details(items, DeviceEventKind.STATUS) if detail.startswith("clock_jump")]
        assert len(jumps) == 1
        years = (datetime(2019, 1, 1, tzinfo=UTC) - before) / timedelta(seconds=1)
        assert float(jumps[0].partition("=")[2]) == pytest.approx(years, abs=2.0)
        ecg = [item for item in items if isinstance(item, Waveform) and item.code.name == "ecg"]
        for earlier, later in itertools.pairwise(ecg):
            assert abs((later.start - earlier.end) / timedelta(seconds=1)) < 0.1
        counts = accounts(sensor, items)
        assert {name: one.is_closed for name, one in counts.items()} == dict.fromkeys(counts, True)
        assert not any("samples_missing" in detail for detail in details(items, DeviceEventKind.GAP))


async def test_one_bad_device_does_not_disturb_the_others() -> None:
    async with bench() as table:
        strap, thermometer = await table.sensor("heart_rate"), await table.sensor("thermometer")
        finder = Finder(table.radio.backends, QUICK)

        def full(_frame: object) -> None:
            message = "disk full"
            raise OSError(message)

        good = table.source(strap, PROFILES["chest_strap"], finder=finder)
        bad = table.source(thermometer, PROFILES["thermometer"], finder=finder, on_frame=full)
        absent = BleSource(
            "C0:00:00:00:00:77",
            PROFILES["cuff"],
            clock=table.time.now,
            rng=random.Random(2),  # noqa: S311 - jitter
            backends=table.radio.backends,
            times=QUICK,
            finder=finder,
        )
        fleet = Fleet([good, bad, absent], clock=table.time.now, sleep=lambda _: asyncio.sleep(0.01))
        items: list[Item] = []

        async def consume() -> None:
            async with aclosing(fleet.stream()) as stream:
                async for item in stream:
                    items.append(item)  # noqa: PERF401 - each item must be seen as it comes

        reading = asyncio.create_task(consume())
        await settle(lambda: good.state.connected)
        await table.time.run(120.0)
        await settle(lambda: len([d for d in details(items, DeviceEventKind.REFUSED) if "source_failed" in d]) >= 2)
        await table.time.run(120.0)
        await settle(lambda: any(e.source == absent.name for e in events(items, DeviceEventKind.DISCONNECTED)))
        assert next(state.connected for state in fleet.states) is True
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        mine = [item for item in items if getattr(item, "source", "") == good.name]
        assert accounts(strap, mine)["rr_interval"].is_closed
        assert good.counters.reconnects == good.counters.gaps == 0


async def test_kept_frames_give_the_same_items_again(tmp_path: Path) -> None:
    async with bench() as table:
        kept = FrameStore(tmp_path / "frames.db")
        sensor, source, items = await connected_polar(table, on_frame=kept.keeper("strap"))
        await table.time.run(30.0)
        await sensor.inject(Fault(0.0, FaultKind.CLOCK_RESET, sensor.name))
        await table.time.run(30.0)
        await table.close(source)
        again = list(replay_frames(kept.frames("strap"), DecodeContext(source=sensor.name, patient_zone=UTC)))
        kept.close()
        link = {DeviceEventKind.CONNECTED, DeviceEventKind.DISCONNECTED}
        assert again == [item for item in items if not (isinstance(item, DeviceEvent) and item.kind in link)]
        assert sum(isinstance(item, Waveform) for item in again) > 150


async def test_a_snapshot_tells_what_the_link_is_like() -> None:
    async with bench() as table:
        sensor = await table.sensor("heart_rate")
        source = table.source(sensor, PROFILES["chest_strap"])
        assert source.state.rssi_dbm is None
        table.read(source)
        await settle(lambda: sensor.listens(sensor._battery))
        await sensor.set_battery(55)
        await table.time.run(5.0)
        state = source.state
        assert (state.connected, state.mtu, state.battery_percent) == (True, 247, 55.0)
        assert state.rssi_dbm is not None
        assert state.wear == "worn"
        assert state.last_seen is not None
        await table.close(source)
        assert (source.state.connected, source.state.mtu, source.state.wear) == (False, None, "unknown")


def test_a_memory_is_one_of_two(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as connection:
        memories: list[LinkMemory] = [TransientMemory(), SqliteMemory(connection)]
        for memory in memories:
            assert memory.values("a") == {}
            memory.keep("a", {"x": "1"}, [b"one", b"two"])
            memory.keep("a", {"x": "2", "y": "3"}, [b"two", b"three"])
            memory.keep("b", {}, [b"one"])
            assert memory.values("a") == {"x": "2", "y": "3"}
            assert memory.digests("a") == [b"one", b"two", b"three"]
            assert memory.digests("b") == [b"one"]
    connection.close()
