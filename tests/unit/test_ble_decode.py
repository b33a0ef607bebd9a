"""Heart rate, temperature and battery payloads: published vectors, every refusal, and any bytes at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.codes import BATTERY_LEVEL, BODY_TEMPERATURE, HEART_RATE, RR_INTERVAL
from edge_twin.errors import ObservationError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality, Site, Waveform
from edge_twin_adapters.ble.date_time import DateTimeField
from edge_twin_adapters.ble.decode import DECODERS, decode
from edge_twin_adapters.ble.frame import DecodeContext, long_uuid, short_uuid
from edge_twin_adapters.ble.heart_rate import encode_heart_rate, pack_beats
from edge_twin_adapters.ble.ieee11073 import Special
from edge_twin_adapters.ble.thermometer import encode_temperature
from edge_twin_adapters.errors import AdapterError, DecodeError

RECEIVED = datetime(2020, 5, 11, 8, 38, 33, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def read(
    characteristic: str, payload: str | bytes, *, received: datetime = RECEIVED, context: DecodeContext | None = None
) -> list[Observation]:
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    items = decode(characteristic, raw, received, context=context)
    assert all(isinstance(item, Observation) for item in items)
    return [item for item in items if isinstance(item, Observation)]


def refusal(characteristic: str, payload: str | bytes) -> DecodeError:
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    with pytest.raises(DecodeError) as caught:
        decode(characteristic, raw, RECEIVED)
    return caught.value


# Heart rate


def test_heart_rate_without_rr() -> None:
    (rate,) = read("2A37", "0055")
    assert (rate.code, rate.value, rate.time, rate.quality) == (HEART_RATE, 85.0, RECEIVED, Quality.GOOD)
    assert "contact" not in rate.attributes


def test_heart_rate_with_contact_energy_and_rr() -> None:
    rate, beat = read("00002A37-0000-1000-8000-00805F9B34FB", "1e5532002100")
    assert rate.value == 85.0
    assert dict(rate.attributes) == {"contact": "yes", "energy_kj": "50"}
    assert (beat.code, beat.value, beat.time) == (RR_INTERVAL, 33 * 1000 / 1024, RECEIVED)
    # 33/1024 s cannot be a heart beat: kept, never used.
    assert beat.quality is Quality.IMPLAUSIBLE


def test_sixteen_bit_heart_rate() -> None:
    (rate,) = read("2a37", "012c01")
    assert rate.value == 300.0


def test_longest_rr_interval() -> None:
    _, beat = read("2a37", "1000ffff")
    assert beat.value == 65535 * 1000 / 1024
    assert round(beat.value) == 63999


def test_beats_end_one_after_the_other_at_the_time_of_reception() -> None:
    rate, *beats = read("2a37", encode_heart_rate(60, [1024, 512, 256]))
    assert [beat.value for beat in beats] == [1000.0, 500.0, 250.0]
    assert [beat.sequence for beat in beats] == [0, 1, 2]
    assert [RECEIVED - beat.time for beat in beats] == [
        timedelta(milliseconds=750),
        timedelta(milliseconds=250),
        timedelta(0),
    ]
    assert rate.time == RECEIVED


def test_lost_contact_makes_the_whole_packet_invalid() -> None:
    items = read("2a37", encode_heart_rate(60, [1024], contact=False))
    assert {item.quality for item in items} == {Quality.INVALID}
    assert {item.attributes["contact"] for item in items} == {"no"}


def test_contact_detected_means_nothing_when_the_feature_is_not_supported() -> None:
    (rate,) = read("2a37", "0255")
    assert "contact" not in rate.attributes


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        ("", "truncated", 0),
        ("00", "truncated", 1),
        ("0155", "truncated", 1),
        ("0855", "truncated", 2),
        ("085532", "truncated", 2),
        ("1055", "truncated", 2),
        ("105500", "truncated", 2),
        ("10550004ff", "truncated", 4),
        ("005500", "trailing_bytes", 2),
        ("0855320000", "trailing_bytes", 4),
        ("10" + "00" * 512, "too_long", 512),
    ],
)
def test_heart_rate_whose_length_disagrees_with_its_flags(payload: str, reason: str, offset: int) -> None:
    error = refusal("2a37", payload)
    assert (error.reason, error.offset) == (reason, offset)


@given(
    st.integers(0, 65535),
    st.lists(st.integers(0, 65535), max_size=9),
    st.sampled_from([None, True, False]),
)
def test_heart_rate_round_trip(bpm: int, units: list[int], contact: bool | None) -> None:  # noqa: FBT001 - hypothesis
    rate, *beats = read("2a37", encode_heart_rate(bpm, units, contact=contact))
    assert rate.value == bpm
    assert [beat.value * 1024 / 1000 for beat in beats] == units
    assert len({item.id for item in (rate, *beats)}) == 1 + len(units)


@given(st.lists(st.floats(200, 4000), max_size=60))
def test_packed_beats_arrive_complete_in_order_and_within_a_unit(rr_ms: list[float]) -> None:
    packets = pack_beats(rr_ms)
    beats = [item.value for packet in packets for item in read("2a37", packet) if item.code is RR_INTERVAL]
    assert len(packets) == -(-len(rr_ms) // 9)
    assert max(map(len, packets), default=0) <= 20
    assert beats == pytest.approx(rr_ms, abs=1000 / 1024 / 2 + 1e-9)


def test_fast_beats_leave_room_for_a_two_byte_heart_rate() -> None:
    packets = pack_beats([200.0] * 9)
    assert [len(packet) for packet in packets] == [19, 5]
    assert read("2a37", packets[0])[0].value == 300.0


@pytest.mark.parametrize("interval", [0.0, -5.0, 64_000.0])
def test_beats_that_no_strap_can_send(interval: float) -> None:
    with pytest.raises(AdapterError) as caught:
        pack_beats([interval])
    assert caught.value.reason == "out_of_range"


def test_numbers_that_do_not_fit_the_packet() -> None:
    for bpm, units in [(70_000, []), (60, [70_000]), (-1, [])]:
        with pytest.raises(AdapterError) as caught:
            encode_heart_rate(bpm, units)
        assert caught.value.reason == "out_of_range"


# Temperature

VECTOR = "06b00e00fedc070c050b321b04"
VECTOR_TIME = datetime(2012, 12, 5, 11, 50, 27, tzinfo=BERLIN)


def test_thermometer_vector_without_a_zone_keeps_the_text_and_uses_reception() -> None:
    (reading,) = read("2A1C", VECTOR)
    assert (reading.code, reading.value, reading.site, reading.time) == (BODY_TEMPERATURE, 37.6, Site.FINGER, RECEIVED)
    assert dict(reading.attributes) == {
        "device_time": "2012-12-05T11:50:27",
        "site": "finger",
        "time_source": "received",
        "time_reason": "zone_unknown",
    }


def test_thermometer_time_in_the_patients_zone() -> None:
    received = VECTOR_TIME.astimezone(UTC) + timedelta(seconds=20)
    (reading,) = read("2a1c", VECTOR, received=received, context=DecodeContext(patient_zone=BERLIN))
    assert reading.time == datetime(2012, 12, 5, 10, 50, 27, tzinfo=UTC)
    assert reading.attributes["time_source"] == "device"
    assert reading.quality is Quality.GOOD


@pytest.mark.parametrize(
    ("late", "time_source", "reason"),
    [
        (timedelta(minutes=-10), "device", None),
        (timedelta(minutes=-10, seconds=-1), "received", "device_clock_ahead"),
        (timedelta(days=-800), "received", "device_clock_ahead"),
        (timedelta(days=31), "device", None),
        (timedelta(days=31, seconds=1), "received", "device_clock_unset"),
        (timedelta(days=3000), "received", "device_clock_unset"),
    ],
)
def test_a_device_clock_is_believed_only_where_it_can_be_right(
    late: timedelta, time_source: str, reason: str | None
) -> None:
    received = VECTOR_TIME.astimezone(UTC) + late
    (reading,) = read("2a1c", VECTOR, received=received, context=DecodeContext(patient_zone=BERLIN))
    assert reading.attributes["time_source"] == time_source
    assert reading.attributes.get("time_reason") == reason
    assert reading.time == (VECTOR_TIME if time_source == "device" else received)


def test_a_reading_from_storage_is_questionable() -> None:
    received = VECTOR_TIME.astimezone(UTC) + timedelta(minutes=11)
    (reading,) = read("2a1c", VECTOR, received=received, context=DecodeContext(patient_zone=BERLIN))
    assert (reading.quality, reading.attributes["recorded"]) == (Quality.QUESTIONABLE, "stored")


def test_an_unknown_part_of_the_date_is_not_used() -> None:
    payload = encode_temperature(Decimal("38.2"), device_time=DateTimeField(0, 4, 17, 20, 41, 59))
    (reading,) = read("2a1c", payload, context=DecodeContext(patient_zone=BERLIN))
    assert reading.attributes["device_time"] == "0000-04-17T20:41:59"
    assert reading.attributes["time_reason"] == "date_unknown"
    assert reading.time == RECEIVED


def test_the_hour_that_does_not_exist_in_spring_is_not_used() -> None:
    payload = encode_temperature(Decimal("38.2"), device_time=DateTimeField(2020, 3, 29, 2, 30, 0))
    received = datetime(2020, 3, 29, 1, 31, tzinfo=UTC)
    (reading,) = read("2a1c", payload, received=received, context=DecodeContext(patient_zone=BERLIN))
    assert reading.attributes["time_reason"] == "no_such_local_time"


@pytest.mark.parametrize("hour", [0, 1])
def test_the_hour_that_comes_twice_in_autumn_is_the_one_nearest_before_reception(hour: int) -> None:
    payload = encode_temperature(Decimal("38.2"), device_time=DateTimeField(2020, 10, 25, 2, 30, 0))
    received = datetime(2020, 10, 25, hour, 31, tzinfo=UTC)
    (reading,) = read("2a1c", payload, received=received, context=DecodeContext(patient_zone=BERLIN))
    assert reading.time == datetime(2020, 10, 25, hour, 30, tzinfo=UTC)


def test_fahrenheit_is_converted_in_decimal() -> None:
    (reading,) = read("2a1c", encode_temperature(Decimal("100.4"), fahrenheit=True))
    assert (reading.value, reading.attributes["reported"]) == (38.0, "100.4 °F")


@pytest.mark.parametrize(
    ("octet", "site"),
    [
        (0, Site.UNKNOWN),
        (1, Site.ARMPIT),
        (2, Site.BODY),
        (3, Site.EAR),
        (4, Site.FINGER),
        (5, Site.GASTROINTESTINAL),
        (6, Site.ORAL),
        (7, Site.RECTUM),
        (8, Site.TOE),
        (9, Site.TYMPANUM),
        (200, Site.UNKNOWN),
    ],
)
def test_sites(octet: int, site: Site) -> None:
    (reading,) = read("2a1c", f"046f0100ff{octet:02x}")
    assert (reading.value, reading.site) == (36.7, site)


def test_the_site_of_the_context_is_used_only_where_the_payload_is_silent() -> None:
    context = DecodeContext(site=Site.ARMPIT)
    (silent,) = read("2a1c", "006f0100ff", context=context)
    (spoken,) = read("2a1c", "046f0100ff06", context=context)
    assert (silent.site, spoken.site) == (Site.ARMPIT, Site.ORAL)
    (unknown,) = read("2a1c", "006f0100ff")
    assert "site" not in unknown.attributes


@pytest.mark.parametrize("special", list(Special))
def test_hz_input_03_special_temperatures_never_become_a_value(special: Special) -> None:
    error = refusal("2a1c", encode_temperature(special))
    assert (error.reason, error.offset) == ("not_a_number", 1)


def test_an_impossible_temperature_is_kept_and_never_used() -> None:
    (reading,) = read("2a1c", encode_temperature(Decimal(376)))
    assert (reading.value, reading.quality) == (376.0, Quality.IMPLAUSIBLE)


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        ("", "truncated", 0),
        ("006f0100", "truncated", 1),
        ("046f0100ff", "truncated", 5),
        (VECTOR[:-2], "truncated", 12),
        (VECTOR[:-4], "truncated", 7),
        (VECTOR + "00", "trailing_bytes", 13),
        ("006f0100ff06", "trailing_bytes", 5),
        ("026f0100ffdc070d050b321b", "invalid_time", 5),
        ("026f0100ffdc070c0518321b", "invalid_time", 5),
        ("026f0100ff01000c050b321b", "invalid_time", 5),
    ],
)
def test_temperature_payloads_that_are_refused(payload: str, reason: str, offset: int) -> None:
    error = refusal("2a1c", payload)
    assert (error.reason, error.offset) == (reason, offset)


def test_a_site_that_the_profile_cannot_say() -> None:
    with pytest.raises(AdapterError) as caught:
        encode_temperature(Decimal(37), site=Site.SKIN)
    assert caught.value.reason == "unknown_site"


# Battery, dispatch, and any bytes


def test_battery_speaks_up_below_twenty_percent() -> None:
    (charge,) = read("2a19", b"\x14")
    assert (charge.code, charge.value) == (BATTERY_LEVEL, 20.0)
    charge_again, event = decode("2a19", b"\x13", RECEIVED, context=DecodeContext("strap"))
    assert isinstance(charge_again, Observation)
    assert charge_again.value == 19.0
    assert event == DeviceEvent(DeviceEventKind.BATTERY_LOW, RECEIVED, "strap", "percent=19")
    assert refusal("2a19", b"\x65").reason == "out_of_range"
    assert refusal("2a19", b"").reason == "truncated"
    assert refusal("2a19", b"\x50\x00").reason == "trailing_bytes"


def test_unknown_characteristic() -> None:
    assert refusal("2AFF", "00").reason == "unknown_characteristic"
    assert refusal("fb005c84-02e7-f387-1cad-8acd2d8df0c8", "00").reason == "unknown_characteristic"


def test_uuids_are_compared_in_one_form() -> None:
    assert short_uuid(" 00002A37-0000-1000-8000-00805F9B34FB") == "2a37"
    assert long_uuid("2A37") == "00002a37-0000-1000-8000-00805f9b34fb"
    assert long_uuid(long_uuid("2A37")) == long_uuid("2A37")


def test_a_time_of_reception_without_zone_is_refused() -> None:
    for payload in ("2a37", "2a1c"):
        with pytest.raises(ObservationError) as caught:
            read(payload, "0055" if payload == "2a37" else "006f0100ff", received=RECEIVED.replace(tzinfo=None))
        assert caught.value.reason == "naive_time"


@given(
    st.sampled_from(sorted(DECODERS)),
    st.binary(max_size=40) | st.binary(min_size=505, max_size=520),
    st.sampled_from([None, BERLIN, UTC]),
)
def test_any_bytes_are_decoded_or_refused(characteristic: str, payload: bytes, zone: ZoneInfo | None) -> None:
    items, offset = [], 0
    try:
        items = decode(characteristic, payload, RECEIVED, context=DecodeContext(patient_zone=zone))
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(payload)
    times = [item.end if isinstance(item, Waveform) else item.time for item in items]
    assert all(time <= RECEIVED + timedelta(minutes=10) for time in times)


@given(st.binary(max_size=16))
def test_any_bytes_after_thermometer_flags(tail: bytes) -> None:
    for flags in range(8):
        try:
            items = decode("2a1c", bytes([flags]) + tail, RECEIVED, context=DecodeContext(patient_zone=BERLIN))
        except DecodeError:
            continue
        assert len(items) == 1
