"""Devices that only broadcast: published advertisements, every refusal, and any bytes at all.

Vectors: custom-components/ble_monitor ``test_atc_parser.py``, ``test_miscale_parser.py`` and
``test_xiaomi_parser.py``; bthome.io/format and Bluetooth-Devices/bthome-ble ``test_parser_v2.py``;
ruuvi-sensor-protocols ``dataformat_05.md``; theengs/decoder ``test_ble.cpp``; pvvx/ATC_MiThermometer issue 19.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.codes import (
    AIR_PRESSURE,
    AMBIENT_TEMPERATURE,
    BATTERY_LEVEL,
    BODY_FAT,
    BODY_IMPEDANCE,
    BODY_TEMPERATURE,
    BODY_WEIGHT,
    CO2_CONCENTRATION,
    RELATIVE_HUMIDITY,
    VOC_MASS_CONCENTRATION,
    Code,
)
from edge_twin.errors import ObservationError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality
from edge_twin_adapters.ble.advertisement import MANUFACTURER_DATA, SERVICE_DATA, Repeats, decode_advertisement
from edge_twin_adapters.ble.bthome import LENGTHS, MEASURES, count_of, encode_bthome
from edge_twin_adapters.ble.date_time import DateTimeField
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.mi_scale import Unit, Weighing, encode_first, encode_second, steps_of_weight
from edge_twin_adapters.ble.room_sensor import RUUVI, encode_atc1441, encode_mi_beacon, encode_pvvx, encode_ruuvi
from edge_twin_adapters.ble.scales import encode_body_composition, encode_weight
from edge_twin_adapters.errors import AdapterError, DecodeError

RECEIVED = datetime(2021, 7, 5, 22, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def raw(payload: str | bytes) -> bytes:
    return bytes.fromhex(payload) if isinstance(payload, str) else payload


def service(uuid: str, payload: str | bytes, context: DecodeContext | None = None) -> list[Item]:
    return decode_advertisement({uuid: raw(payload)}, {}, RECEIVED, context=context)


def readings(items: list[Item]) -> dict[Code, float]:
    return {item.code: item.value for item in items if isinstance(item, Observation)}


def one(items: list[Item]) -> Observation:
    item = items[0]
    assert isinstance(item, Observation)
    return item


def refusal(uuid: str, payload: str | bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        service(uuid, payload)
    return caught.value


# Room thermometers


@pytest.mark.parametrize(
    ("payload", "temperature", "humidity", "millivolt", "percent", "packet"),
    [
        ("a4c1380283f400a22f5f0bf819", 16.2, 47.0, "3064", 95.0, "25"),
        ("a4c138bc7c4e0102284f0b6720", 25.8, 40.0, "2919", 79.0, "32"),
        ("f4830238c1a4a9066911b60b58f70d", 17.05, 44.57, "2998", 88.0, "247"),
        ("b2188d38c1a42b089011f70a43200f", 20.91, 44.96, "2807", 67.0, "32"),
        ("8b376338c1a4ce0913107f0b521204", 25.1, 41.15, "2943", 82.0, "18"),
    ],
)
def test_custom_firmware_vectors(  # noqa: PLR0913, PLR0917 - the columns of the table
    payload: str, temperature: float, humidity: float, millivolt: str, percent: float, packet: str
) -> None:
    items = service("0000181A-0000-1000-8000-00805F9B34FB", payload)
    expected = {AMBIENT_TEMPERATURE: temperature, RELATIVE_HUMIDITY: humidity, BATTERY_LEVEL: percent}
    assert readings(items) == expected
    assert (one(items).attributes["battery_mv"], one(items).attributes["packet"]) == (millivolt, packet)
    assert one(items).time == RECEIVED


def test_below_freezing() -> None:
    assert readings(service("181a", encode_atc1441(temperature=-105, humidity=80)))[AMBIENT_TEMPERATURE] == -10.5
    assert readings(service("181a", encode_pvvx(temperature=-1050, humidity=1)))[AMBIENT_TEMPERATURE] == -10.5


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("5020aa01da219335342d580d1004fe004802", {AMBIENT_TEMPERATURE: 25.4, RELATIVE_HUMIDITY: 58.4}),
        ("50305b05271c250f38c1a40d10046d00e301", {AMBIENT_TEMPERATURE: 10.9, RELATIVE_HUMIDITY: 48.3}),
        ("5020aa018ddfaa33342d580610026602", {RELATIVE_HUMIDITY: 61.4}),
        ("5020aa01a664aed0a8654c041002d900", {AMBIENT_TEMPERATURE: 21.7}),
        ("5020aa014e64aed0a8654c0a10015d", {BATTERY_LEVEL: 93.0}),
        (
            "5020aa01a3bf2e3b342d580d1004b40095020a10013b",
            {AMBIENT_TEMPERATURE: 18.0, RELATIVE_HUMIDITY: 66.1, BATTERY_LEVEL: 59.0},
        ),
        ("3020aa01a3" + "00" * 7, {}),
        ("3820aa01a3" + "00" * 7, {}),  # says that it encrypts, and holds nothing
        ("7020aa01a3" + "00" * 6 + "20" + "00" + "04100209ff", {AMBIENT_TEMPERATURE: -24.7}),
    ],
)
def test_mi_beacon_vectors(payload: str, expected: dict[Code, float]) -> None:
    assert readings(service("fe95", payload)) == expected


def test_objects_of_a_mi_beacon_that_are_no_measurement_are_named() -> None:
    items = service("fe95", encode_mi_beacon(0x1008, b"\x05") + raw("0410" + "02" + "0a00" + "0710" + "03" + "000000"))
    assert one(items).attributes["other_objects"] == "0x1008,0x1007"


def test_ruuvi_vectors() -> None:
    def ruuvi(payload: str) -> list[Item]:
        return decode_advertisement({}, {0x0499: raw(payload)}, RECEIVED)

    valid = ruuvi("0512fc5394c37c0004fffc040cac364200cdcbb8334c884f")
    assert readings(valid) == {AMBIENT_TEMPERATURE: 24.3, RELATIVE_HUMIDITY: 53.49, AIR_PRESSURE: 100_044.0}
    assert dict(one(valid).attributes) == {"packet": "205", "movements": "66", "battery_mv": "2977"}
    largest = ruuvi("057ffffffefffe7fff7fff7fffffdefefffecbb8334c884f")
    assert readings(largest) == {AMBIENT_TEMPERATURE: 163.835, RELATIVE_HUMIDITY: 163.835, AIR_PRESSURE: 115_534.0}
    assert one(largest).quality is Quality.IMPLAUSIBLE
    smallest = ruuvi("058001000000008001800180010000000000cbb8334c884f")
    assert readings(smallest) == {AMBIENT_TEMPERATURE: -163.835, RELATIVE_HUMIDITY: 0.0, AIR_PRESSURE: 50_000.0}
    invalid = ruuvi("058000ffffffff800080008000ffffffffffffffffffffff")
    assert [item.detail for item in invalid if isinstance(item, DeviceEvent)] == [
        "value_not_known ambient_temperature",
        "value_not_known relative_humidity",
        "value_not_known air_pressure",
    ]
    assert readings(invalid) == {}


# BTHome


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("4002c40903bf13", {AMBIENT_TEMPERATURE: 25.0, RELATIVE_HUMIDITY: 50.55}),
        ("4002ca0903bf13", {AMBIENT_TEMPERATURE: 25.06, RELATIVE_HUMIDITY: 50.55}),
        ("400161", {BATTERY_LEVEL: 97.0}),
        ("4004138a01", {AIR_PRESSURE: 100_883.0}),
        ("40065e1f", {BODY_WEIGHT: 80.3}),
        ("40073e1d", {BODY_WEIGHT: float(Decimal("74.86") * Decimal("0.45359237"))}),
        ("4012e204", {CO2_CONCENTRATION: 1250.0}),
        ("40133301", {VOC_MASS_CONCENTRATION: 307.0}),
        ("402e23", {RELATIVE_HUMIDITY: 35.0}),
        ("40451101", {AMBIENT_TEMPERATURE: 27.3}),
        ("4057ea", {AMBIENT_TEMPERATURE: -22.0}),
        ("4058ea", {AMBIENT_TEMPERATURE: -7.7}),
        ("44002e01642e3445160105ca0f00", {BATTERY_LEVEL: 100.0, RELATIVE_HUMIDITY: 52.0, AMBIENT_TEMPERATURE: 27.8}),
        ("42b2188d38c1a402ca09", {AMBIENT_TEMPERATURE: 25.06}),
        ("40530548656c6c6f02ca09", {AMBIENT_TEMPERATURE: 25.06}),
        ("40", {}),
    ],
)
def test_bthome_vectors(payload: str, expected: dict[Code, float]) -> None:
    assert readings(service("fcd2", payload)) == expected


def test_two_temperatures_are_two_readings() -> None:
    items = service("fcd2", encode_bthome([(0x02, 2506), (0x02, 2506)]))
    assert len({item.id for item in items if isinstance(item, Observation)}) == 2


def test_objects_that_are_no_measurement_are_named_and_newer_ones_end_the_reading() -> None:
    reading = one(service("fcd2", encode_bthome([(0x02, 100), (0x0C, 3000), (0x10, 1)], packet=9) + b"\xf7\x01\x02"))
    assert dict(reading.attributes) == {"packet": "9", "other_objects": "0x0c,0x10", "unknown_object": "0xf7"}
    assert reading.value == 1.0


def test_a_low_battery_speaks_up() -> None:
    low = encode_atc1441(temperature=1, humidity=1, percent=5)
    for uuid, payload in (("fcd2", raw("400113")), ("fcd2", raw("401501")), ("181a", low)):
        events = [item for item in service(uuid, payload) if isinstance(item, DeviceEvent)]
        assert [event.kind for event in events] == [DeviceEventKind.BATTERY_LOW]
    assert service("fcd2", "401500") == []


def test_every_object_of_the_format_has_a_length() -> None:
    # bthome.io/format: ids 00 to 64 without 30-39 and 3B, and 53 and 54, which say their length.
    ids = set(range(0x65)) - set(range(0x30, 0x3A)) - {0x3B, 0x53, 0x54}
    assert set(LENGTHS) == ids
    assert set(MEASURES) <= ids


# Scales


@pytest.mark.parametrize(
    ("uuid", "payload", "kilograms", "quality"),
    [
        ("181d", "229e43e507040b101301", 86.55, Quality.GOOD),
        ("181d", "a29844e507051b162135", 87.8, Quality.QUESTIONABLE),
        ("181d", "024844e507051c110c09", 87.4, Quality.INVALID),
        ("181d", "821400e507040b101708", 0.1, Quality.INVALID),
        ("181d", "a22044b20701010a1a15", 87.2, Quality.QUESTIONABLE),
        ("181b", "0204b207010112101a0000a852", 105.8, Quality.INVALID),
        ("181b", "0204b2070103131a130000ac49", 94.3, Quality.INVALID),
        ("181b", "0226e50705040f0201ac018642", 85.15, Quality.GOOD),
        ("181b", "02a6b2070103131a15e601604a", 95.2, Quality.QUESTIONABLE),
    ],
)
def test_mi_scale_vectors(uuid: str, payload: str, kilograms: float, quality: Quality) -> None:
    weight = one(service(uuid, payload))
    assert (weight.code, weight.value, weight.quality) == (BODY_WEIGHT, kilograms, quality)
    assert weight.is_usable == (quality is not Quality.INVALID)


def test_impedance_comes_with_a_settled_weight() -> None:
    items = service("181b", "0226b20705040f0201ac018642")
    assert readings(items) == {BODY_WEIGHT: 85.15, BODY_IMPEDANCE: 428.0}
    assert BODY_IMPEDANCE not in readings(service("181b", "0204b207010112101a0000a852"))


def test_a_scale_whose_clock_was_never_set_is_placed_at_reception() -> None:
    weight = one(service("181b", "0226b2070103131a15e601604a", DecodeContext(patient_zone=BERLIN)))
    assert (weight.time, weight.attributes["time_reason"]) == (RECEIVED, "device_clock_unset")
    assert weight.attributes["device_time"] == "1970-01-03T19:26:21"


def test_repeated_broadcasts_of_one_weighing_are_one_reading() -> None:
    stamp = DateTimeField(2021, 7, 6, 0, 29, 30)
    payload = encode_first(Weighing(14_000, Unit.KILOGRAM, stamp))
    context = DecodeContext("scale", patient_zone=BERLIN)
    first = decode_advertisement({"181d": payload}, {}, RECEIVED, context=context)
    again = decode_advertisement({"181d": payload}, {}, RECEIVED + timedelta(seconds=3), context=context)
    assert one(first).id == one(again).id
    assert one(first).time == RECEIVED - timedelta(seconds=30)


def test_pounds_and_jin_are_converted_exactly() -> None:
    stamp = DateTimeField(2021, 7, 6, 0, 29, 30)
    for encode, uuid in ((encode_first, "181d"), (encode_second, "181b")):
        pounds = one(service(uuid, encode(Weighing(15_432, Unit.POUND, stamp))))
        assert pounds.value == float(Decimal("154.32") * Decimal("0.45359237"))
        assert pounds.attributes["reported"] == "154.32 lb"
        jin = one(service(uuid, encode(Weighing(14_001, Unit.JIN, stamp))))
        assert (jin.value, jin.attributes["reported"]) == (70.005, "140.01 jin")


def test_hz_scale_01_a_thing_on_the_scale_is_no_body_weight() -> None:
    stamp = DateTimeField(2021, 7, 6, 0, 29, 30)
    for encode, uuid in ((encode_first, "181d"), (encode_second, "181b")):
        weight = one(service(uuid, encode(Weighing(14_000, Unit.KILOGRAM, stamp, thing=True))))
        assert (weight.quality, weight.is_usable, weight.attributes["load"]) == (Quality.INVALID, False, "thing")


def test_service_data_in_the_layout_of_the_measurement() -> None:
    assert readings(service("181d", encode_weight(Decimal("70.0")))) == {BODY_WEIGHT: 70.0}
    assert readings(service("181b", encode_body_composition(Decimal("21.5"), {}))) == {BODY_FAT: 21.5}
    assert readings(service("1809", "006f0100ff")) == {BODY_TEMPERATURE: 36.7}
    assert readings(service("180f", "5a")) == {BATTERY_LEVEL: 90.0}


# Refusals


@pytest.mark.parametrize(
    ("uuid", "payload", "reason", "offset"),
    [
        ("181a", "", "unsupported_frame", 0),
        ("181a", "00" * 14, "unsupported_frame", 14),
        ("181a", "00" * 16, "unsupported_frame", 15),
        ("181a", "11d603fbfa7b6dfb1e26fd", "encrypted", 11),
        ("181a", "00" * 8, "encrypted", 8),
        ("fe95", "5020aa", "truncated", 2),
        ("fe95", "5820aa01da" + "00" * 6, "encrypted", 0),
        ("fe95", "5020aa01da0000", "truncated", 5),
        ("fe95", "5020aa01da" + "00" * 6 + "0d1004fe0048", "truncated", 14),
        ("fe95", "5020aa01da" + "00" * 6 + "0d1002fe00", "bad_length", 11),
        ("fe95", "5020aa01da" + "00" * 6 + "0a1000", "bad_length", 11),
        ("fe95", "1020aa01da" + "00" * 7, "trailing_bytes", 11),
        ("fcd2", "", "truncated", 0),
        ("fcd2", "41a47266c95f730011223378237214", "encrypted", 0),
        ("fcd2", "2002ca09", "unsupported_version", 0),
        ("fcd2", "4002ca", "truncated", 2),
        ("fcd2", "42b2188d38c1", "truncated", 1),
        ("fcd2", "4053", "truncated", 2),
        ("fcd2", "405305414243", "truncated", 3),
        ("181d", "229e43e5070d0b101301", "invalid_time", 3),
        ("181d", "229e43e507", "truncated", 5),
        ("181b", "0226b20705040f0201ac0186", "invalid_time", 4),
        ("1809", "", "truncated", 0),
        ("180f", "65", "out_of_range", 0),
    ],
)
def test_advertisements_that_are_refused_whole(uuid: str, payload: str, reason: str, offset: int) -> None:
    error = refusal(uuid, payload)
    assert (error.reason, error.offset) == (reason, offset)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "truncated"),
        ("03", "unsupported_version"),
        ("05" + "00" * 22, "truncated"),
        ("05" + "00" * 24, "trailing_bytes"),
    ],
)
def test_manufacturer_data_that_is_refused(payload: str, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_advertisement({}, {RUUVI: raw(payload)}, RECEIVED)
    assert caught.value.reason == reason


def test_one_malformed_part_refuses_the_whole_advertisement() -> None:
    with pytest.raises(DecodeError):
        decode_advertisement({"fcd2": raw("4002ca0903bf13"), "180f": b"\xff"}, {}, RECEIVED)


def test_what_is_not_understood_is_of_no_concern() -> None:
    assert decode_advertisement({"feaa": b"\x00\x01"}, {0x004C: b"\x02\x15"}, RECEIVED) == []


def test_a_time_of_reception_without_zone_is_refused() -> None:
    for uuid, payload in (("fcd2", "4002ca09"), ("181a", "00" * 15), ("181d", "229e43e507040b101301")):
        with pytest.raises(ObservationError) as caught:
            decode_advertisement({uuid: raw(payload)}, {}, RECEIVED.replace(tzinfo=None))
        assert caught.value.reason == "naive_time"


def test_what_no_sensor_can_send() -> None:
    stamp = DateTimeField(2021, 7, 6, 0, 29, 30)
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: encode_pvvx(temperature=40_000, humidity=1), "out_of_range"),
        (lambda: encode_mi_beacon(0x1004, bytes(256)), "out_of_range"),
        (lambda: encode_bthome([(0xF7, 1)]), "unsupported_frame"),
        (lambda: encode_bthome([(0x01, 256)]), "out_of_range"),
        (lambda: encode_first(Weighing(65_536, Unit.KILOGRAM, stamp)), "out_of_range"),
        (lambda: count_of(0x02, Decimal("0.005")), "not_representable"),
        (lambda: steps_of_weight(Decimal("0.001"), Unit.KILOGRAM), "not_representable"),
    ]
    for attempt, reason in attempts:
        with pytest.raises(AdapterError) as caught:
            attempt()
        assert caught.value.reason == reason


# Repeats, round trips, and any bytes


def test_repeats_are_recognised_and_memory_is_bounded() -> None:
    repeats = Repeats(most=2)
    assert repeats.is_new("a", {"fcd2": b"1"}, {})
    assert not repeats.is_new("a", {"fcd2": b"1"}, {})
    assert repeats.is_new("a", {"fcd2": b"2"}, {})
    assert repeats.is_new("b", {}, {1: b"1"})
    assert repeats.is_new("c", {}, {1: b"1"})
    assert not repeats.is_new("b", {}, {1: b"1"})
    assert repeats.is_new("a", {"fcd2": b"2"}, {})  # forgotten, so told again


WEIGHINGS = st.builds(
    Weighing,
    steps=st.integers(0, 65_535),
    unit=st.sampled_from(list(Unit)),
    device_time=st.just(DateTimeField(2021, 7, 6, 0, 29, 30)),
    stable=st.booleans(),
    removed=st.booleans(),
    thing=st.booleans(),
    impedance_ohm=st.none() | st.integers(0, 65_535),
)
PER_STEP = {Unit.KILOGRAM: "0.005", Unit.POUND: "0.0045359237", Unit.JIN: "0.005"}


@given(WEIGHINGS)
def test_weighings_round_trip(sent: Weighing) -> None:
    for encode, uuid in ((encode_first, "181d"), (encode_second, "181b")):
        items = service(uuid, encode(sent), DecodeContext(patient_zone=BERLIN))
        weight = one(items)
        assert weight.value == float(sent.steps * Decimal(PER_STEP[sent.unit]))
        assert weight.attributes["stable"] == ("yes" if sent.stable else "no")
        assert weight.attributes["removed"] == ("yes" if sent.removed else "no")
        assert weight.attributes["load"] == ("thing" if sent.thing else "person")
        if uuid == "181b":
            assert readings(items).get(BODY_IMPEDANCE) == sent.impedance_ohm


@given(st.integers(-32_767, 32_767), st.integers(0, 65_534), st.integers(0, 65_534), st.integers(0, 65_535))
def test_room_sensors_round_trip(temperature: int, humidity: int, pressure: int, sequence: int) -> None:
    tag = encode_ruuvi(temperature=temperature, humidity=humidity, pressure=pressure, sequence=sequence)
    items = decode_advertisement({}, {RUUVI: tag}, RECEIVED)
    assert readings(items) == {
        AMBIENT_TEMPERATURE: temperature / 200,
        RELATIVE_HUMIDITY: humidity / 400,
        AIR_PRESSURE: pressure + 50_000,
    }
    items = service("181a", encode_pvvx(temperature=temperature, humidity=humidity))
    assert readings(items)[AMBIENT_TEMPERATURE] == temperature / 100
    assert readings(items)[RELATIVE_HUMIDITY] == humidity / 100


@given(st.data())
def test_bthome_objects_round_trip(data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(MEASURES)))
    size, signed = LENGTHS[number], MEASURES[number].signed
    top = 1 << (8 * size - signed)
    count = data.draw(st.integers(-top if signed else 0, top - 1))
    value = count * Decimal(MEASURES[number].step)
    assert count_of(number, value) == count
    reading = one(service("fcd2", encode_bthome([(number, count)], packet=3)))
    assert reading.value == float(value * Decimal("0.45359237") if number == 0x07 else value)
    assert reading.attributes["packet"] == "3"


@given(
    st.sampled_from(sorted(SERVICE_DATA)),
    st.binary(max_size=40) | st.binary(min_size=500, max_size=520),
    st.sampled_from([None, BERLIN, UTC]),
)
def test_any_service_data_is_decoded_or_refused(uuid: str, payload: bytes, zone: ZoneInfo | None) -> None:
    offset = 0
    try:
        service(uuid, payload, DecodeContext(patient_zone=zone))
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(payload)


@given(st.sampled_from(["40", "44", "42", "5020aa01da" + "00" * 6, "7020aa01da" + "00" * 7]), st.binary(max_size=40))
def test_any_objects_are_read_or_refused(head: str, tail: bytes) -> None:
    uuid = "fcd2" if head.startswith("4") else "fe95"
    payload, offset = raw(head) + tail, 0
    try:
        service(uuid, payload)
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(payload)


@given(st.sampled_from(sorted(MANUFACTURER_DATA)), st.binary(max_size=40) | st.binary(min_size=24, max_size=24))
def test_any_manufacturer_data_is_decoded_or_refused(company: int, payload: bytes) -> None:
    for value in (payload, b"\x05" + payload[1:]):
        offset = 0
        try:
            decode_advertisement({}, {company: value}, RECEIVED)
        except DecodeError as error:
            offset = error.offset
        assert 0 <= offset <= max(len(value), 1)
