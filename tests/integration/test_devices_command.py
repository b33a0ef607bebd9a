"""``edge-twin devices`` as a person or a script meets it, on the virtual radio.

Bars: every command ends with 0 or 1 and tells why; a pairing counts only with its proof; Ctrl-C ends a stream in
order, with the sensors stopped and the summary printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.pairing_desk import PairingDesk
from edge_twin_adapters.ble.peers.catalogue import SITE_PROFILES
from edge_twin_adapters.ble.peers.polar_strap import PolarStrapPeer
from edge_twin_adapters.ble.polar_control import Command
from edge_twin_adapters.ble.profiles import PROFILES
from edge_twin_app.commands.devices import chosen_sensors
from edge_twin_app.devices.pairing import Pairing
from edge_twin_app.devices.radio import Air, air
from edge_twin_app.devices.streaming import JsonLines, sources, watch
from edge_twin_app.devices.virtual_ward import VirtualWard
from edge_twin_app.errors import AppError

SETTINGS = """
schema = "edge-twin.settings/1"
time_zone = "Africa/Kampala"
program = "neutropenia"
store = "twin.db"
intake = "in"
[[sensor]]
kind = "glucose_sensor"
address = "C0:00:00:00:01:19"
[[sensor]]
kind = "chest_strap"
address = "C0:00:00:00:01:10"
"""
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_twin_app", "devices", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def devices(*arguments: str) -> subprocess.CompletedProcess[str]:
    process = started(*arguments)
    out, err = process.communicate(timeout=50)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def rows(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ended.stdout)["rows"]
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    return file


# scan


def test_scan_names_profiles_and_reads_broadcasts() -> None:
    ended = devices("scan", "--virtual", "--speed", "30", "--seconds", "2.5", "--json")
    assert ended.returncode == 0, ended.stderr
    found = rows(ended)
    profiles = {profile for row in found for profile in row["profiles"]}
    assert {"heart_rate", "pulse_oximeter", "health_thermometer", "continuous_glucose", "bthome"} <= profiles
    (room,) = (row for row in found if row["profiles"] == ["bthome"])
    assert {reading["name"] for reading in room["readings"]} >= {"ambient_temperature", "relative_humidity"}
    assert all(row["rssi_dbm"] < 0 and row["advertisements"] > 0 and not row["refused"] for row in found)


@pytest.mark.parametrize("limit", ["0", "nan", "inf", "soon"])
def test_a_time_limit_that_is_none_is_refused(limit: str) -> None:
    ended = devices("scan", "--virtual", f"--seconds={limit}")
    assert ended.returncode == 2
    assert "--seconds" in ended.stderr


# pair


def test_pairing_is_proved_told_and_remembered(settings: Path) -> None:
    ended = devices("pair", "glucose_sensor", "--virtual", "--settings", str(settings), "--json")
    assert ended.returncode == 0, ended.stderr
    account = {row["step"]: row["works"] for row in rows(ended)}
    assert account == dict.fromkeys(
        ("found", "connected", "refused_before", "paired", "encrypted", "bonded_reconnect"), True
    )
    listed = rows(devices("list", str(settings), "--json"))
    assert {row["device"]: row["bonded"] for row in listed} == {"ble:glucose_sensor": True, "ble:chest_strap": False}


async def test_without_a_refusal_nothing_is_proved() -> None:
    async with air(virtual=True, protected=False) as radio:
        pairing = Pairing(radio, radio.sensors[0].address)
        account = {step.step: step.works for step in await pairing.run(PairingDesk())}
    assert not pairing.proved
    assert (account["paired"], account["refused_before"], account["encrypted"]) == (True, None, None)


async def test_a_value_that_the_manual_calls_protected_is_the_proof() -> None:
    async with air(virtual=True, protected=True) as radio:
        cgm = next(sensor for sensor in radio.sensors if sensor.kind == "glucose_sensor")
        pairing = Pairing(radio, cgm.address, "2AA8")
        account = await pairing.run(PairingDesk())
    assert pairing.proved, account
    assert [step.detail for step in account if step.step == "encrypted"] == ["read of 2aa8"]


async def test_a_wrong_claim_of_protection_ends_the_account() -> None:
    async with air(virtual=True, protected=True) as radio:
        pairing = Pairing(radio, radio.sensors[0].address, "2A2B0000-0000-1000-8000-00805F9B34FB")
        account = await pairing.run(PairingDesk())
    assert not pairing.proved
    assert (account[-1].step, account[-1].works) == ("refused_before", False)


def test_a_sensor_that_is_not_there_is_told() -> None:
    ended = devices("pair", "cuff=C0:00:00:00:00:77", "--virtual", "--seconds", "1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "[timed_out]" in ended.stderr


# list


def test_list_of_a_site_that_never_ran(settings: Path) -> None:
    found = rows(devices("list", str(settings), "--json"))
    assert [row["device"] for row in found] == ["ble:glucose_sensor", "ble:chest_strap"]
    assert all(row["last_seen"] is None and row["wear"] == "unknown" and row["connections"] == 0 for row in found)
    assert not (settings.parent / "twin.db").exists()


# stream


def lines_until(process: subprocess.Popen[str], wanted: set[str]) -> list[dict[str, Any]]:
    """What a stream prints until all of these quantities came."""
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    while not wanted <= {line.get("name") for line in lines}:
        lines.append(json.loads(process.stdout.readline()))
    return lines


def test_stream_gives_lines_and_a_summary() -> None:
    process = started("stream", "chest_strap", "oximeter", "--virtual", "--json", "--seconds", "45")
    lines = lines_until(process, {"heart_rate", "oxygen_saturation", "battery_level"})
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    lines += [json.loads(line) for line in out.splitlines()]
    summary = {(row["device"], row["stream"]): row for row in lines[-1]["rows"]}
    strap = summary["ble:chest_strap", "heart_rate"]
    assert (strap["link"], strap["wear"], strap["connections"], strap["gaps"]) == ("up", "worn", 1, 0)
    assert strap["values"] >= 1
    assert strap["usable_share"] == 1.0


def test_the_table_has_a_line_for_each_stream_and_says_why_a_device_is_missing() -> None:
    ended = devices("stream", "chest_strap", "cuff=C0:00:00:00:00:77", "--virtual", "--seconds", "4")
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0].split()[:3] == ["device", "link", "stream"]
    assert any(line.startswith("ble:chest_strap  up") and "heart_rate" in line for line in lines)
    assert any(line.startswith("ble:cuff") and "connecting" in line for line in lines)
    assert "\x1b" not in ended.stdout


def test_interrupting_a_stream_ends_it_in_order() -> None:
    process = started("stream", "polar_strap", "--virtual", "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["source"] == "ble:polar_strap"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["rows"]
    assert "Traceback" not in err


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not holds():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.0)  # the very moment matters: the answer of the start is still on its way


@pytest.mark.parametrize("streams", [1, 2])
async def test_an_interrupted_stream_leaves_no_polar_sensor_measuring(
    streams: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[tuple[int, int]] = []
    async with VirtualWard(START) as ward:
        playing = asyncio.create_task(ward.play())
        (strap,) = (sensor for sensor in ward.peers if isinstance(sensor, PolarStrapPeer))
        answer = strap.sensor.answer

        def noted(request: bytes) -> bytes:
            requests.append((request[0], request[1]))
            return answer(request)

        monkeypatch.setattr(strap.sensor, "answer", noted)
        chosen = [sensor for sensor in ward.sensors if sensor.kind == "polar_strap"]
        radio = Air(ward.backends, ward.now, ward.sensors, virtual=True)
        watching = asyncio.create_task(watch(sources(chosen, radio, None), radio, None, JsonLines()))
        await until(lambda: len(strap.is_streaming) >= streams)
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(watching, 20.0)
        begun = {measurement for command, measurement in requests if command == Command.START}
        assert len(begun) >= streams
        assert begun == {measurement for command, measurement in requests if command == Command.STOP}
        assert not strap.is_streaming
        await until(lambda: strap.connection is None)
        playing.cancel()
        await asyncio.wait({playing})
    assert capsys.readouterr().out.splitlines()[-1].startswith('{"rows":')


@pytest.mark.parametrize(
    ("argument", "reason"), [("nose=AA:BB:CC:DD:EE:FF", "unknown_sensor"), ("nose", "unknown_sensor")]
)
def test_what_cannot_be_streamed_is_refused_by_name(argument: str, reason: str) -> None:
    ended = devices("stream", argument, "--virtual", "--seconds", "1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"[{reason}]" in ended.stderr


def test_a_command_without_sensors_is_refused() -> None:
    with pytest.raises(AppError) as caught:
        chosen_sensors((), None, Air())
    assert caught.value.reason == "no_sensors"


def test_every_virtual_sensor_has_a_kind_that_the_client_knows() -> None:
    assert set(SITE_PROFILES.values()) <= set(PROFILES)


# simulate


def test_simulate_accounts_for_every_record() -> None:
    ended = devices("simulate", "heart_rate", "--seconds", "60", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["closed"]
    assert {row["sensor"] for row in told["rows"]} >= {"v-heart_rate"}
    assert devices("simulate", "bogus", "--seconds", "10").returncode == 1


# doctor


def test_doctor_tells_each_part_and_that_the_virtual_radio_works() -> None:
    ended = devices("doctor", "--json")
    found = {row["name"]: row for row in rows(ended)}
    assert {"backend", "radio", "virtual_radio"} <= set(found)
    assert found["virtual_radio"]["works"], found["virtual_radio"]
    assert ended.returncode == (0 if found["radio"]["works"] else 1)
    assert all(row["detail"] for row in found.values())
    if sys.platform == "linux":
        assert {"adapter", "not_switched_off", "d_bus", "bluez", "permissions", "agent"} <= set(found)


async def test_the_finder_of_the_sources_is_shared() -> None:
    async with air(virtual=True) as radio:
        made = sources(radio.sensors, radio, None)
        finders = {id(source._finder) for source in made}
        assert len(finders) == 1
        assert isinstance(made[0]._finder, Finder)
