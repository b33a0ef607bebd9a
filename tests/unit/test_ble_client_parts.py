"""The parts of the BLE client that need no radio: clocks, gaps, wear, identities, bounds."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.codes import HEART_RATE, OXYGEN_SATURATION
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation
from edge_twin_adapters.ble.blood_pressure import CuffReading, encode_blood_pressure
from edge_twin_adapters.ble.cgm import CgmRecord, encode_cgm_measurement
from edge_twin_adapters.ble.cgm_session import SessionStart, encode_session_start
from edge_twin_adapters.ble.clock_map import ClockMap
from edge_twin_adapters.ble.date_time import as_field
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.frames import ROW_BYTES, FrameStore, replay_frames
from edge_twin_adapters.ble.gaps import GapMerger
from edge_twin_adapters.ble.heart_rate import encode_heart_rate
from edge_twin_adapters.ble.ieee11073 import Special
from edge_twin_adapters.ble.interpreter import Interpreter
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.oximeter import Oximetry, encode_continuous
from edge_twin_adapters.ble.polar import encode_pmd
from edge_twin_adapters.ble.polar_control import Setting
from edge_twin_adapters.ble.polar_session import choose_settings
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.profiles import PROFILES
from edge_twin_adapters.ble.state import MOST_DIGESTS, TransientMemory
from edge_twin_adapters.ble.thermometer import encode_temperature
from edge_twin_adapters.ble.wear import Wear, WearTracker

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CONTEXT = DecodeContext(source="device", patient_zone=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def frame(characteristic: str, payload: bytes, seconds: float = 0.0) -> Frame:
    return Frame(characteristic, payload, at(seconds))


def details(items: list[Item]) -> list[str]:
    return [item.detail for item in items if isinstance(item, DeviceEvent)]


# --- clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 20.0, 100.0])
def test_a_clock_that_drifts_is_followed_through_jitter_and_outliers(drift_ppm: float) -> None:
    rng = random.Random(5)  # noqa: S311 - noise
    clock = ClockMap()
    worst = 0.0
    for second in range(4 * 3600):
        device = 1000.0 + second * (1.0 + drift_ppm * 1e-6)
        latency = rng.expovariate(1 / 0.03) + (rng.uniform(0.5, 1.5) if rng.random() < 0.1 else 0.0)
        reading = clock.add(device, 7e8 + second + latency)
        assert reading.jump_s is None
        if second > 3600:
            worst = max(worst, abs(reading.host_s - (7e8 + second)))
    # The first frame alone would be wrong by 1.4 s after four hours at 100 ppm.
    assert worst < 0.1
    assert -clock.drift * 1e6 == pytest.approx(drift_ppm, abs=15.0)


@pytest.mark.parametrize("jump_s", [-3e8, -1800.0, -5.0, 5.0, 86400.0])
def test_a_clock_that_is_set_is_noticed_with_the_second_frame(jump_s: float) -> None:
    clock = ClockMap()
    for second in range(100):
        clock.add(5e8 + second, 7e8 + second)
    first = clock.add(5e8 + 100 + jump_s, 7e8 + 100)
    second_ = clock.add(5e8 + 101 + jump_s, 7e8 + 101)
    assert (first.believed, first.jump_s, first.host_s) == (False, None, 7e8 + 100)
    assert second_.jump_s == pytest.approx(jump_s, abs=0.01)
    assert clock.add(5e8 + 102 + jump_s, 7e8 + 102).host_s == pytest.approx(7e8 + 102, abs=0.01)


def test_a_damaged_time_is_no_jump() -> None:
    clock = ClockMap()
    for second in range(100):
        clock.add(5e8 + second, 7e8 + second)
    assert not clock.add(9e9, 7e8 + 100).believed
    after = clock.add(5e8 + 101, 7e8 + 101)
    assert (after.believed, after.jump_s) == (True, None)


def test_a_burst_that_was_held_up_keeps_its_times() -> None:
    clock = ClockMap()
    for second in range(100):
        clock.add(5e8 + second, 7e8 + second)
    for second in range(100, 106):
        assert clock.add(5e8 + second, 7e8 + 110).host_s == pytest.approx(7e8 + second, abs=0.01)


def test_an_empty_map_places_nothing() -> None:
    with pytest.raises(LookupError):
        ClockMap().host(1.0)


# --- gaps --------------------------------------------------------------------------------------------


def gap(start_s: float, end_s: float, detail: str = "not_a_number oxygen_saturation") -> DeviceEvent:
    return DeviceEvent(DeviceEventKind.GAP, at(start_s), "device", detail, at(end_s))


def test_gaps_that_follow_each_other_are_one() -> None:
    merger = GapMerger("device")
    assert [piece for second in range(10) for piece in merger.add(gap(second, second))] == []
    assert merger.holds
    assert merger.passed(at(15)) == []
    assert merger.passed(at(20)) == [gap(0, 9)]
    assert not merger.holds
    assert merger.flush() == []


def test_a_long_gap_is_told_while_it_lasts_without_a_hole() -> None:
    merger = GapMerger("device")
    pieces = [piece for second in range(200) for piece in merger.add(gap(second, second))] + merger.flush()
    assert pieces == [gap(0, 60), gap(60, 120), gap(120, 180), gap(180, 199)]


def test_a_rest_of_no_length_is_not_told_again() -> None:
    merger = GapMerger("device")
    assert merger.add(gap(0, 0)) == []
    assert [piece for second in range(1, 61) for piece in merger.add(gap(second, second))] == [gap(0, 60)]
    assert merger.flush() == []


def test_stored_gaps_far_apart_stay_apart() -> None:
    merger = GapMerger("device")
    assert merger.add(gap(7200, 7200)) == []
    assert merger.add(gap(0, 0)) == [gap(7200, 7200)]
    assert merger.flush() == [gap(0, 0)]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60))
def test_every_moment_of_a_gap_lies_in_what_is_told(seconds: list[int]) -> None:
    merger = GapMerger("device")
    pieces = [piece for second in seconds for piece in merger.add(gap(second, second))] + merger.flush()
    for second in seconds:
        assert any(piece.time <= at(second) <= (piece.until or piece.time) for piece in pieces)
    assert len(pieces) <= len(seconds)


def test_an_oximeter_off_the_finger_tells_two_gaps_a_minute() -> None:
    interpreter = Interpreter(CONTEXT)
    off = encode_continuous(Oximetry(Special.NAN, Special.NAN), sensor_status=1 << 11)
    on = encode_continuous(Oximetry(Decimal(97), Decimal(60)), sensor_status=0)
    items: list[Item] = interpreter.items(frame("2a5f", on))
    for second in range(1, 121):
        items += interpreter.items(frame("2a5f", off, second))
    for second in range(121, 140):
        items += interpreter.items(frame("2a5f", on, second))
    gaps = [item for item in items if isinstance(item, DeviceEvent) and item.kind is DeviceEventKind.GAP]
    assert len(gaps) == 4
    for name in ("oxygen_saturation", "pulse_rate"):
        mine = [one for one in gaps if one.detail.endswith(name)]
        assert (mine[0].time, mine[-1].until) == (at(1), at(120))
        assert mine[0].until == mine[1].time


# --- wear --------------------------------------------------------------------------------------------


def reading(code: object = HEART_RATE, **attributes: str) -> Observation:
    return Observation(code, 60.0, START, "device", attributes=MappingProxyType(attributes))  # type: ignore[arg-type]


def test_wear_is_told_when_it_ends_and_when_it_begins_again() -> None:
    wear = WearTracker()
    assert wear.note(reading()) is None
    assert wear.note(reading(contact="yes")) is None
    assert wear.state is Wear.WORN
    assert wear.note(reading(contact="no")) == "wear state=not_worn before=worn"
    assert wear.note(reading(contact="no")) is None
    assert wear.note(reading(contact="yes")) == "wear state=worn before=not_worn"
    wear.forget()
    assert wear.note(reading(contact="no")) == "wear state=not_worn before=unknown"


def test_an_optical_sensor_is_not_believed_to_be_worn() -> None:
    wear = WearTracker()
    assert wear.note(reading(contact="yes", blocker="no")) is None
    assert wear.state is Wear.UNKNOWN
    assert wear.note(reading(contact="no", blocker="no")) == "wear state=not_worn before=unknown"


def test_an_oximeter_says_by_its_status_whether_a_finger_is_in_it() -> None:
    wear = WearTracker()
    wear.note(reading(OXYGEN_SATURATION, sensor_status="none"))
    assert wear.state is Wear.WORN
    told = wear.note(reading(OXYGEN_SATURATION, sensor_status="signal_poor,sensor_displaced"))
    assert told == "wear state=not_worn before=worn"


def test_contact_lost_is_an_event_of_the_stream() -> None:
    interpreter = Interpreter(CONTEXT)
    items: list[Item] = []
    for second, contact in enumerate([True, False, False, True]):
        items += interpreter.items(frame("2a37", encode_heart_rate(60, [], contact=contact), second))
    assert details(items) == ["wear state=not_worn before=worn", "wear state=worn before=not_worn"]


# --- what is one record ------------------------------------------------------------------------------


def cgm(*minutes: int) -> bytes:
    return encode_cgm_measurement([CgmRecord(Decimal(100), minute) for minute in minutes])


def minutes_of(items: list[Item]) -> list[str]:
    return [item.attributes["session_minutes"] for item in items if isinstance(item, Observation)]


def test_records_packed_in_another_way_are_the_same_records() -> None:
    interpreter = Interpreter(CONTEXT)
    assert minutes_of(interpreter.items(frame("2aa7", cgm(5, 10)))) == ["5", "10"]
    assert minutes_of(interpreter.items(frame("2aa7", cgm(10, 15)))) == ["15"]
    assert interpreter.items(frame("2aa7", cgm(5))) == []
    assert interpreter.duplicates == 2
    # A packet is taken whole or not at all.
    with pytest.raises(Exception, match="bytes"):
        interpreter.items(frame("2aa7", cgm(20) + cgm(25)[:-1]))
    assert minutes_of(interpreter.items(frame("2aa7", cgm(20)))) == ["20"]


def test_the_same_minute_of_another_session_is_another_record() -> None:
    interpreter = Interpreter(CONTEXT)
    assert interpreter.items(frame("2aa7", cgm(5)))
    start = encode_session_start(SessionStart(as_field(START), 0, 0))
    assert details(interpreter.items(frame("2aaa", start)))
    assert minutes_of(interpreter.items(frame("2aa7", cgm(5)))) == ["5"]
    # What a device says of itself is told once.
    assert interpreter.items(frame("2aaa", start)) == []


def test_an_indication_that_is_sent_again_is_one_reading() -> None:
    interpreter = Interpreter(CONTEXT)
    stamped = encode_temperature(Decimal("37.2"), device_time=as_field(START))
    assert len(interpreter.items(frame("2a1c", stamped))) == 1
    assert interpreter.items(frame("2a1c", stamped, 60)) == []
    # Without a time of the device two equal readings may be two.
    plain = encode_temperature(Decimal("37.2"))
    assert len(interpreter.items(frame("2a1c", plain, 70)) + interpreter.items(frame("2a1c", plain, 80))) == 2


def test_readings_without_a_date_are_never_taken_for_one_another() -> None:
    interpreter = Interpreter(CONTEXT)
    undated = as_field(START).__class__(0, 3, 2, 8, 0, 0)
    payload = encode_blood_pressure(CuffReading(Decimal(120), Decimal(80), Decimal(93)), device_time=undated)
    assert len(interpreter.items(frame("2a35", payload))) == 3
    assert len(interpreter.items(frame("2a35", payload, 5))) == 3


def test_known_records_of_an_earlier_run_are_not_given_again() -> None:
    first = Interpreter(CONTEXT)
    first.items(frame("2aa7", cgm(5)))
    later = Interpreter(CONTEXT, first.take_digests())
    assert minutes_of(later.items(frame("2aa7", cgm(5, 10)))) == ["10"]
    assert len(later.take_digests()) == 1
    assert later.take_digests() == []


def test_a_polar_frame_that_comes_twice_is_one_and_is_not_remembered_over_a_restart() -> None:
    interpreter = Interpreter(CONTEXT)
    payload = encode_pmd(Measurement.ECG, [[1], [2]], time_ns=10**18)
    characteristic = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
    assert len(interpreter.items(frame(characteristic, payload))) == 1
    assert interpreter.items(frame(characteristic, payload, 1)) == []
    assert interpreter.take_digests() == []


# --- bounds ------------------------------------------------------------------------------------------


def test_a_memory_forgets_the_oldest_records() -> None:
    memory = TransientMemory()
    memory.keep("a", {}, [number.to_bytes(4, "big") for number in range(MOST_DIGESTS + 5)])
    kept = memory.digests("a")
    assert (len(kept), kept[0]) == (MOST_DIGESTS, (5).to_bytes(4, "big"))


def test_a_frame_store_is_bounded_in_size_and_in_age(tmp_path: Path) -> None:
    bound = 100 * (20 + ROW_BYTES)
    store = FrameStore(tmp_path / "frames.db", max_bytes=bound, max_age=timedelta(hours=1))
    keep = store.keeper("a")
    for second in range(1000):
        keep(frame("2a37", bytes(20), second))
    # The bounds are looked at once for 64 frames.
    assert store.size_bytes <= bound + 64 * (20 + ROW_BYTES)
    kept = list(store.frames("a"))
    assert kept[-1].received == at(999)
    assert store.size_bytes == len(kept) * (20 + ROW_BYTES)
    for second in range(64):
        keep(frame("2a37", bytes(20), 9000 + second))
    assert {one.received >= at(9000) for one in store.frames("a")} == {True}
    assert list(store.frames("b")) == []
    store.close()
    again = FrameStore(tmp_path / "frames.db", max_bytes=bound)
    assert again.size_bytes == 64 * (20 + ROW_BYTES)
    assert len(list(again.frames("a", since=at(9060)))) == 4
    again.close()


def test_frames_that_cannot_be_decoded_are_told_in_a_replay() -> None:
    frames = [frame("2a37", b"\x00"), frame("2a37", encode_heart_rate(60, []))]
    items = list(replay_frames(frames, CONTEXT))
    assert details(items) == ["truncated characteristic=2a37 offset=1"]
    assert len(items) == 2


# --- profiles ----------------------------------------------------------------------------------------


def test_settings_are_asked_for_as_they_are_offered() -> None:
    wanted = {Setting.SAMPLE_RATE: 130, Setting.RESOLUTION: 14}
    assert choose_settings(wanted, {Setting.SAMPLE_RATE: (130,), Setting.RESOLUTION: (14,)}) == wanted
    offered = {Setting.SAMPLE_RATE: (25, 52), Setting.RANGE: (2, 8), Setting.FACTOR: (7,)}
    assert choose_settings(wanted, offered) == {Setting.SAMPLE_RATE: 52, Setting.RANGE: 8}


def test_profiles_name_characteristics_that_can_be_decoded() -> None:
    from edge_twin_adapters.ble.decode import DECODERS  # noqa: PLC0415 - shadowed by the function on the package

    for profile in PROFILES.values():
        named = {*profile.required, *profile.optional, *profile.reads}
        assert named <= set(DECODERS), profile.name
        assert profile.required or profile.optional
