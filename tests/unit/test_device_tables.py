"""The parts of ``edge-twin devices`` without a radio: sightings, the board of streams, the list, the tables.

Bars: what a device says of itself cannot rewrite the terminal; a refused broadcast is told by its reason; the list
never writes to the database; what follows a lost link is not called worn.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bleak.backends.scanner import AdvertisementData

from edge_twin.codes import BATTERY_LEVEL, ECG, HEART_RATE
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality, Waveform, observe
from edge_twin.store import Store
from edge_twin_adapters.ble.bthome import count_of, encode_bthome
from edge_twin_adapters.ble.link import LinkState
from edge_twin_adapters.ble.pairing_desk import PairingDesk
from edge_twin_adapters.errors import AdapterError
from edge_twin_app.devices import findings
from edge_twin_app.devices.board import RATE_WINDOW_S, Board
from edge_twin_app.devices.known import known_rows, remember_bond
from edge_twin_app.devices.pairing import typed_passkey
from edge_twin_app.devices.scan import Sighting
from edge_twin_app.devices.streaming import fitted_lines, item_form
from edge_twin_app.devices.table import lines, printable, shown
from edge_twin_app.settings import Settings, load_settings

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STRAP = "ble:chest_strap"
SETTINGS = """
schema = "edge-twin.settings/1"
time_zone = "Africa/Kampala"
program = "neutropenia"
store = "twin.db"
intake = "in"
[[sensor]]
kind = "chest_strap"
address = "C0:00:00:00:01:10"
"""


def advertised(**fields: object) -> AdvertisementData:
    given: dict[str, Any] = {
        "local_name": None,
        "manufacturer_data": {},
        "service_data": {},
        "service_uuids": [],
        "tx_power": None,
        "rssi": -60,
        "platform_data": (),
    }
    return AdvertisementData(**{**given, **fields})


def beat(value: float, seconds: float = 0.0, quality: Quality = Quality.GOOD) -> Observation:
    return observe(HEART_RATE, value, NOW + timedelta(seconds=seconds), source=STRAP, quality=quality)


def event(kind: DeviceEventKind, seconds: float, detail: str = "") -> DeviceEvent:
    return DeviceEvent(kind, NOW + timedelta(seconds=seconds), STRAP, detail)


# sightings


def test_a_sighting_keeps_the_name_and_the_last_reading() -> None:
    sighting = Sighting("C0:00:00:00:01:1C")
    payload = encode_bthome([(0x02, count_of(0x02, Decimal(21)))])
    bthome = "0000fcd2-0000-1000-8000-00805f9b34fb"
    sighting.note(advertised(local_name="Room", service_data={bthome: payload}), NOW)
    sighting.note(advertised(rssi=-70), NOW)
    row = sighting.row()
    assert (row["name"], row["rssi_dbm"], row["advertisements"]) == ("Room", -70, 2)
    assert row["profiles"] == ["bthome"]
    assert [(one["name"], one["value"], one["unit"]) for one in row["readings"]] == [
        ("ambient_temperature", 21.0, "Cel")
    ]


def test_a_broadcast_that_cannot_be_read_is_told_by_its_reason() -> None:
    sighting = Sighting("C0:00:00:00:01:1C")
    sighting.note(advertised(service_data={"fcd2": b"\x40\x02"}), NOW)
    assert sighting.row()["refused"] == "truncated"
    sighting.note(advertised(manufacturer_data={0xFFFF: b"\x00"}), NOW)
    assert sighting.row()["profiles"] == ["bthome"]


# board


def test_rates_count_what_came_lately_and_samples_one_by_one() -> None:
    board = Board((STRAP,), 0.0)
    for second in range(20):
        board.note(beat(60.0 + second), float(second))
        samples = tuple((float(number),) for number in range(130))
        board.note(Waveform(ECG, NOW, 1 / 130, ("value",), samples, STRAP), float(second))
    rows = {row["stream"]: row for row in board.rows(19.5, ())}
    assert rows["heart_rate"]["per_second"] == pytest.approx(1.0, abs=0.1)
    assert rows["ecg"]["per_second"] == pytest.approx(130.0, abs=13.0)
    assert (rows["heart_rate"]["values"], rows["heart_rate"]["last"]) == (20, 79.0)
    assert {row["per_second"] for row in board.rows(20.0 + RATE_WINDOW_S, ())} == {0.0}


def test_gaps_refusals_and_useless_values_are_counted() -> None:
    board = Board((STRAP,), 0.0)
    board.note(event(DeviceEventKind.CONNECTED, 0.0), 0.0)
    assert board.all_connected
    board.note(beat(0.0, quality=Quality.INVALID), 1.0)
    board.note(beat(61.0), 2.0)
    board.note(DeviceEvent(DeviceEventKind.GAP, NOW, STRAP, "link", NOW + timedelta(seconds=4)), 3.0)
    board.note(event(DeviceEventKind.REFUSED, 4.0, "truncated"), 4.0)
    state = LinkState(STRAP, STRAP, "chest strap", last_reason="silent")
    (row,) = board.rows(5.0, (state,))
    assert (row["gaps"], row["gap_seconds"], row["refused"], row["usable_share"]) == (1, 4.0, 1, 0.5)
    assert row["link"] == "silent"


def test_a_device_that_never_came_has_a_line() -> None:
    board = Board((STRAP,), 0.0)
    (row,) = board.rows(1.0, ())
    assert (row["device"], row["stream"], row["usable_share"]) == (STRAP, "", None)
    assert not board.all_connected


def test_a_live_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 6)))
    fitted = fitted_lines([f"line {number} {'x' * 40}" for number in range(9)])
    assert len(fitted) == 5
    assert fitted[-1].startswith("(5 more lines")
    assert max(map(len, fitted)) == 19


def test_items_have_json_forms() -> None:
    gap = DeviceEvent(DeviceEventKind.GAP, NOW, STRAP, "link", NOW)
    forms = [item_form(beat(61.0)), item_form(gap), item_form(Waveform(ECG, NOW, 1.0, ("value",), ((1.0,),), STRAP))]
    assert [form["item"] for form in forms] == ["observation", "event", "waveform"]
    assert json.loads(json.dumps(forms))[1]["until"] == "2026-03-02T08:00:00Z"


# list


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    return load_settings(file)


def fill(settings: Settings, *events: DeviceEvent) -> None:
    store = Store(settings.store)
    with store.transaction():
        store.add_observations([beat(61.0, 5.0), observe(BATTERY_LEVEL, 55.0, NOW, source=STRAP)])
        store.add_observations([observe(BATTERY_LEVEL, 12.0, NOW, source="ble:thermometer")])
        store.add_events(events)
    store.close()


def test_the_list_says_when_a_sensor_was_last_seen_and_how_its_link_fared(settings: Settings) -> None:
    fill(
        settings,
        event(DeviceEventKind.CONNECTED, 0.0),
        event(DeviceEventKind.STATUS, 1.0, "wear state=not_worn before=worn"),
        event(DeviceEventKind.STATUS, 2.0, "wear state=worn before=not_worn"),
        event(DeviceEventKind.REFUSED, 3.0, "truncated"),
    )
    (row,) = known_rows(settings, NOW + timedelta(seconds=65))
    assert (row["last_seen"], row["seconds_ago"]) == ("2026-03-02T08:00:05Z", 60.0)
    assert (row["battery_percent"], row["wear"], row["bonded"]) == (55.0, "worn", False)
    assert (row["connections"], row["losses"], row["gaps"], row["refused"]) == (1, 0, 0, 1)


def test_a_lost_link_leaves_the_wear_unknown_and_is_no_sign_of_life(settings: Settings) -> None:
    fill(
        settings,
        event(DeviceEventKind.STATUS, 1.0, "wear state=worn before=not_worn"),
        event(DeviceEventKind.DISCONNECTED, 60.0, "link_lost"),
    )
    (row,) = known_rows(settings, NOW + timedelta(seconds=65))
    assert (row["wear"], row["losses"], row["seconds_ago"]) == ("unknown", 1, 60.0)


def test_the_list_does_not_write(settings: Settings) -> None:
    fill(settings)
    before = settings.store.read_bytes()
    known_rows(settings, NOW)
    assert settings.store.read_bytes() == before


def test_a_bond_is_remembered_in_the_database_of_the_client(settings: Settings) -> None:
    remember_bond(settings, settings.sensors[0])
    assert known_rows(settings, NOW)[0]["bonded"]
    with sqlite3.connect(settings.store) as database:
        assert database.execute("SELECT device, value FROM ble_values").fetchall() == [(STRAP, "yes")]
    database.close()


# tables


def test_a_device_cannot_rewrite_the_terminal() -> None:
    assert printable("H10\x1b[2J\r\n") == "H10\ufffd[2J\ufffd\ufffd"
    assert "\x1b" not in "\n".join(lines([{"name": "\x1b[31mred", "works": True}], ("name", "works")))


def test_cells() -> None:
    reading = {"name": "body_weight", "value": 70.5, "unit": "kg", "quality": "questionable"}
    assert [shown(value) for value in (None, "", True, 0, 2.0, [], ["a", "b"], [reading])] == [
        "-",
        "-",
        "yes",
        "0",
        "2",
        "-",
        "a, b",
        "body_weight 70.5 kg (questionable)",
    ]


# pairing and doctor


async def test_the_passkey_is_what_somebody_types() -> None:
    desk = PairingDesk()
    with desk.expect("aa:bb", typed_passkey(lambda _prompt: " 042137 ")):
        assert await desk.passkey("AA:BB") == 42137


async def test_a_passkey_that_is_no_number_is_refused() -> None:
    with pytest.raises(AdapterError) as caught:
        await typed_passkey(lambda _prompt: "abc")("AA:BB")
    assert caught.value.reason == "no_passkey"


def test_a_radio_that_is_switched_off_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "rfkill0"
    switch.mkdir()
    for name, text in (("type", "bluetooth\n"), ("soft", "1\n"), ("hard", "0\n")):
        (switch / name).write_text(text, encoding="ascii")
    monkeypatch.setattr(findings, "_SWITCHES", tmp_path)
    assert findings._switch() == ("not_switched_off", False, "blocked: rfkill0")
    (switch / "soft").write_text("0\n", encoding="ascii")
    assert findings._switch().works


def test_the_doctor_looks_in_the_order_in_which_things_are_needed() -> None:
    found = asyncio.run(findings.findings())
    names = [finding.name for finding in found]
    assert names[0] == "backend"
    assert names[-2:] == ["radio", "virtual_radio"]
