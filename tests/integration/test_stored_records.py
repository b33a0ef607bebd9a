"""A whole device with a glucose sensor: what was stored, across a crash, is in the store exactly once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_twin.codes import GLUCOSE_INTERSTITIAL
from edge_twin_adapters.ble.link import LinkTimes, Pairing
from edge_twin_adapters.ble.peers.catalogue import make_sensor
from edge_twin_adapters.ble.peers.peer import VirtualPeer
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.virtual import VirtualRadio
from edge_twin_app.device import Device, Surroundings
from edge_twin_app.errors import AppError
from edge_twin_app.settings import load_settings

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SETTINGS = """
schema = "edge-twin.settings/1"
time_zone = "UTC"
store = "data/edge-twin.db"
intake = "intake"
frames = "data/frames.db"
members = 100
program = "neutropenia"

[[sensor]]
kind = "glucose_sensor"
address = "v-cgm"
pair_again = true
"""


async def until(device: Device, backfills: int) -> None:
    async with asyncio.timeout(30):
        while device.sensors["glucose_sensor"].counters.backfills < backfills:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.005)


async def test_records_survive_a_crash_once(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    settings = load_settings(tmp_path / "settings.toml")
    assert settings.sensors[0].security.repair
    time = SimulatedTime(START)
    async with VirtualRadio() as radio:
        sensor = make_sensor("cgm", radio, time, seed=7)
        assert isinstance(sensor, VirtualPeer)
        await sensor.begin()
        around = Surroundings(
            clock=time.now, backends=radio.backends, link_times=LinkTimes(backoff_base_s=0.02), poll_seconds=0.01
        )
        for hours, orderly in ((6, False), (12, True), (18, True)):
            await time.run(6 * 3600.0)
            with Device(settings, around) as device:
                running = asyncio.create_task(device.run())
                await until(device, 1)
                await device.runtime.settled()
                stored = device.store.observations(code=GLUCOSE_INTERSTITIAL)
                assert len(stored) == hours * 12
                # Once the records are in the store, the cursor follows.
                source = device.sensors["glucose_sensor"]
                async with asyncio.timeout(10):
                    while "cursor stored 2aa7" not in device._memory.values(source.name):  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.005)
                if orderly:
                    await device.end_sources()
                else:
                    running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                # Without a cursor the first record is asked for beforehand, to learn its number.
                assert source.counters.duplicates == (hours == 6)
                assert device._frames is not None
                assert sum(1 for _ in device._frames.frames(source.name)) > 72


def test_a_sensor_names_how_it_is_paired_with(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS + 'pairing = "required"\n', encoding="utf-8")
    assert load_settings(file).sensors[0].security.pairing is Pairing.REQUIRED
    for wrong in ('pairing = "perhaps"\n', 'pair_again = "yes"\n'):
        file.write_text(SETTINGS.replace("pair_again = true\n", "") + wrong, encoding="utf-8")
        with pytest.raises(AppError) as caught:
            load_settings(file)
        assert caught.value.reason == "settings_malformed"
