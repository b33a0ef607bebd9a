"""Bad input through the whole device: each refused with a reason, counted, and nothing else is lost.

The device is the production wiring on the virtual radio; only the data are bad. What a forged message or an
unknown device meets at the centre stands in tests/integration/test_sync_end_to_end.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes
from edge_twin.contract import Refusal
from edge_twin.flag import FlagKind
from edge_twin.observation import Quality
from edge_twin_adapters.ble.source import LinkTimes
from edge_twin_adapters.ble.virtual import VirtualRadio, VirtualStrap, VirtualThermometer
from edge_twin_adapters.fhir import anc_observation
from edge_twin_app.demonstration.clock import CourseClock
from edge_twin_app.device import Device, Surroundings
from edge_twin_app.settings import load_settings
from edge_twin_sync.keys import pair
from edge_twin_sync.outbox import read_counts

START = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
SETTINGS = """
schema = "edge-twin.settings/1"
time_zone = "Europe/Berlin"
program = "neutropenia"
store = "twin.db"
intake = "intake"
members = 100
[[sensor]]
kind = "chest_strap"
address = "C0:00:00:00:00:01"
[[sensor]]
kind = "thermometer"
address = "C0:00:00:00:00:02"
[[dose]]
time = "2026-03-02T09:00:00Z"
drug = "docetaxel"
amount_mg = 135
infusion_minutes = 60
[sync]
host = "127.0.0.1"
port = 9
keys = "keys/device"
"""
TRUNCATED_HEART_RATE = bytes.fromhex("103c00")  # flags promise RR intervals; half of one comes
NOT_A_NUMBER_CELSIUS = bytes.fromhex("00ffff7f00")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not holds():  # noqa: ASYNC110 - counters raise no event
            await asyncio.sleep(0.005)


def counts_file(folder: Path) -> None:
    """Two good counts around a wrong unit, an impossible value and a number that is none."""
    bad_unit = dict(anc_observation(5.0, START), valueQuantity={"value": 5.0, "unit": "mg/dL", "code": "mg/dL"})
    no_number = dict(anc_observation(5.0, START), valueQuantity={"value": "high", "code": "10*9/L"})
    resources = [
        anc_observation(4.0, START - timedelta(days=1)),
        bad_unit,
        anc_observation(5300.0, START - timedelta(hours=3)),
        no_number,
        anc_observation(3.5, START - timedelta(hours=2)),
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}
    folder.mkdir(exist_ok=True)
    (folder / "counts.part").write_text(json.dumps(bundle), encoding="utf-8")
    (folder / "counts.part").rename(folder / "counts.json")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    pair(tmp_path / "keys" / "device", tmp_path / "keys" / "centre")
    (tmp_path / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


async def play(home: Path, device: Device, radio: VirtualRadio, clock: CourseClock) -> None:
    strap, thermometer = VirtualStrap(radio), VirtualThermometer(radio)
    running = asyncio.create_task(device.run())
    for peer in (strap, thermometer):
        await peer.put_on()
        await asyncio.wait_for(peer.subscribed(), 10.0)
    heart, warmth = device.sensors["chest_strap"], device.sensors["thermometer"]
    await strap.beats([800.0] * 45, pace=clock.pace)
    await strap.send_raw(TRUNCATED_HEART_RATE)
    await strap.beats([800.0] * 45, pace=clock.pace)
    await until(lambda: heart.counters.notifications == 11)
    await thermometer.send_raw(NOT_A_NUMBER_CELSIUS)
    await thermometer.measure(38.5)
    await until(lambda: warmth.counters.notifications == 2)
    counts_file(home / "intake")
    await until(lambda: device.intake.files_read == 1)
    await device.runtime.settled()
    await device.end_sources()
    await running


async def test_each_is_refused_and_counted_and_nothing_else_is_lost(home: Path) -> None:
    clock = CourseClock(START)
    async with VirtualRadio() as radio:
        around = Surroundings(
            clock=clock, backends=radio.backends, link_times=LinkTimes(backoff_base_s=0.02), poll_seconds=0.01
        )
        with Device(load_settings(home / "settings.toml"), around) as device:
            await play(home, device, radio, clock)
            store, last = device.store, device.runtime.last
            details = [
                row["detail"] for row in store.database.query("SELECT detail FROM events WHERE kind = 'refused'")
            ]
            beats = store.observations(code=codes.RR_INTERVAL)
            counts = store.observations(code=codes.NEUTROPHILS)
            warm = store.observations(code=codes.BODY_TEMPERATURE)
            waiting = read_counts(store.database)
            assert store.counters()["event_refused"] == 4
    assert sorted(detail.split()[0] for detail in details) == [
        "not_a_number",
        "not_a_number",
        "truncated",
        "wrong_unit",
    ]
    assert len(beats) == 90
    assert [reading.value for reading in warm] == [38.5]
    assert sorted(c.value for c in counts if c.quality is Quality.GOOD) == [3.5, 4.0]
    assert [c.value for c in counts if c.quality is Quality.IMPLAUSIBLE] == [5300.0]
    assert last is not None
    assert Refusal.IMPLAUSIBLE_DATA in last.refusals
    assert FlagKind.FEVER in {flag.kind for flag in last.flags}
    assert waiting.produced == waiting.pending > 0
