"""Oximeter, cuff, scales, running pod, air and device information: published vectors and what the flags mean.

Sources of the vectors: NordicSemiconductor/Android-BLE-Common-Library (cuff, running), weliem/blessed-android
(weight), the tests of the C++ library bvp (body composition), RonanB96/bluetooth-sig-python (gases).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from edge_twin import codes
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality
from edge_twin_adapters import ble
from edge_twin_adapters.ble.blood_pressure import CuffReading, encode_blood_pressure
from edge_twin_adapters.ble.current_time import clock_setting, encode_current_time
from edge_twin_adapters.ble.date_time import DateTimeField, as_field
from edge_twin_adapters.ble.device_information import encode_string
from edge_twin_adapters.ble.environment import encode_environment
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.ieee11073 import Special
from edge_twin_adapters.ble.oximeter import Oximetry, encode_continuous, encode_spot_check
from edge_twin_adapters.ble.scales import encode_body_composition, encode_weight
from edge_twin_adapters.ble.thermometer import encode_temperature
from edge_twin_adapters.errors import AdapterError, DecodeError

RECEIVED = datetime(2020, 5, 11, 8, 38, 33, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
IN_BERLIN = DecodeContext(patient_zone=BERLIN)


def items(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> list[Item]:
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    return ble.decode(characteristic, raw, RECEIVED, context=context)


def readings(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> dict[str, Observation]:
    """The observations of a payload by name; a name that comes twice would hide one."""
    found = [item for item in items(characteristic, payload, context) if isinstance(item, Observation)]
    assert len({item.code.name for item in found}) == len(found)
    return {item.code.name: item for item in found}


def values(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> dict[str, float]:
    return {name: one.value for name, one in readings(characteristic, payload, context).items()}


def event(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> DeviceEvent:
    (only,) = items(characteristic, payload, context)
    assert isinstance(only, DeviceEvent)
    return only


def refusal(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> tuple[str, int]:
    with pytest.raises(DecodeError) as caught:
        items(characteristic, payload, context)
    return caught.value.reason, caught.value.offset


# Oximeter

PAIR = Oximetry(Decimal(98), Decimal(72))


def test_continuous_oximetry_vector() -> None:
    assert values("2A5F", "0062004800") == {"oxygen_saturation": 98.0, "pulse_rate": 72.0}
    saturation = readings("2A5F", "0062004800")["oxygen_saturation"]
    assert (saturation.code.code, saturation.code.unit, saturation.time) == ("59408-5", "%", RECEIVED)
    assert dict(saturation.attributes) == {"response": "normal", "time_source": "received"}


def test_fast_and_slow_pairs_are_kept_apart() -> None:
    payload = encode_continuous(
        PAIR, fast=Oximetry(Decimal(97), Decimal(71)), slow=Oximetry(Decimal(99), Decimal(70)), perfusion=Decimal("1.2")
    )
    found = [item for item in items("2a5f", payload) if isinstance(item, Observation)]
    assert [(one.code.name, one.value, one.attributes.get("response")) for one in found] == [
        ("oxygen_saturation", 98.0, "normal"),
        ("pulse_rate", 72.0, "normal"),
        ("oxygen_saturation", 97.0, "fast"),
        ("pulse_rate", 71.0, "fast"),
        ("oxygen_saturation", 99.0, "slow"),
        ("pulse_rate", 70.0, "slow"),
        ("perfusion_index", 1.2, None),
    ]
    assert len({one.id for one in found}) == 7


@pytest.mark.parametrize("special", list(Special))
def test_a_saturation_that_is_no_number_is_a_gap_and_the_pulse_stays(special: Special) -> None:
    gap, pulse = items("2a5f", encode_continuous(Oximetry(special, Decimal(72))))
    assert isinstance(gap, DeviceEvent)
    assert (gap.kind, gap.time, gap.until) == (DeviceEventKind.GAP, RECEIVED, RECEIVED)
    assert gap.detail == f"{special.value} oxygen_saturation"
    assert isinstance(pulse, Observation)
    assert pulse.value == 72.0


@pytest.mark.parametrize(
    ("bit", "name", "quality"),
    [
        (5, "ongoing", Quality.GOOD),
        (6, "early_estimate", Quality.QUESTIONABLE),
        (7, "validated", Quality.GOOD),
        (8, "fully_qualified", Quality.GOOD),
        (10, "demonstration", Quality.INVALID),
        (11, "test", Quality.INVALID),
        (12, "calibration", Quality.INVALID),
        (13, "unavailable", Quality.INVALID),
        (14, "questionable", Quality.QUESTIONABLE),
        (15, "invalid", Quality.INVALID),
        (0, "bit_0", Quality.GOOD),
    ],
)
def test_measurement_status_of_an_oximeter(bit: int, name: str, quality: Quality) -> None:
    for one in readings("2a5f", encode_continuous(PAIR, measurement_status=1 << bit)).values():
        assert (one.attributes["measurement_status"], one.quality) == (name, quality)


@pytest.mark.parametrize(
    ("bit", "name", "quality"),
    [
        (0, "extended_display", Quality.GOOD),
        (1, "equipment_malfunction", Quality.INVALID),
        (3, "signal_inadequate", Quality.INVALID),
        (4, "signal_poor", Quality.QUESTIONABLE),
        (5, "low_perfusion", Quality.QUESTIONABLE),
        (7, "not_pulsatile", Quality.INVALID),
        (11, "not_connected_to_user", Quality.INVALID),
        (13, "sensor_displaced", Quality.INVALID),
        (15, "sensor_disconnected", Quality.INVALID),
    ],
)
def test_sensor_status_of_an_oximeter(bit: int, name: str, quality: Quality) -> None:
    for one in readings("2a5e", encode_spot_check(PAIR, sensor_status=1 << bit)).values():
        assert (one.attributes["sensor_status"], one.quality) == (name, quality)


def test_all_status_names_are_kept() -> None:
    payload = encode_spot_check(PAIR, measurement_status=1 << 7 | 1 << 14, sensor_status=1 << 5 | 1 << 8)
    saturation = readings("2a5e", payload)["oxygen_saturation"]
    assert saturation.attributes["measurement_status"] == "validated,questionable"
    assert saturation.attributes["sensor_status"] == "low_perfusion,questionable_pulse"


def test_spot_check_in_the_patients_zone() -> None:
    stamp = as_field(RECEIVED.astimezone(BERLIN))
    saturation = readings("2a5e", encode_spot_check(PAIR, device_time=stamp), IN_BERLIN)["oxygen_saturation"]
    assert (saturation.time, saturation.quality) == (RECEIVED, Quality.GOOD)
    assert saturation.attributes["time_source"] == "device"


def test_spot_check_whose_clock_is_not_set_uses_the_receive_time_and_is_marked() -> None:
    stamp = as_field(RECEIVED.astimezone(BERLIN) - timedelta(minutes=1))
    payload = encode_spot_check(PAIR, device_time=stamp, clock_set=False)
    assert payload[0] == 0x11
    for one in readings("2a5e", payload, IN_BERLIN).values():
        assert (one.time, one.quality) == (RECEIVED, Quality.QUESTIONABLE)
        assert one.attributes["time_source"] == "received"
        assert one.attributes["time_reason"] == "device_clock_not_set"
        assert one.attributes["device_time"] == stamp.text
    bare = readings("2a5e", encode_spot_check(PAIR, clock_set=False))["oxygen_saturation"]
    assert (bare.quality, bare.attributes["time_reason"]) == (Quality.QUESTIONABLE, "device_clock_not_set")


def test_a_stored_spot_check_is_used_only_if_its_time_is_known() -> None:
    stamp = as_field(RECEIVED.astimezone(BERLIN) - timedelta(hours=3))
    known = readings("2a5e", encode_spot_check(PAIR, device_time=stamp, measurement_status=1 << 9), IN_BERLIN)
    assert {(one.quality, one.time) for one in known.values()} == {
        (Quality.QUESTIONABLE, RECEIVED - timedelta(hours=3))
    }
    unknown = readings("2a5e", encode_spot_check(PAIR, device_time=stamp, measurement_status=1 << 9, clock_set=False))
    assert {one.quality for one in unknown.values()} == {Quality.INVALID}
    assert {one.attributes["recorded"] for one in (*known.values(), *unknown.values())} == {"stored"}


@pytest.mark.parametrize(
    ("characteristic", "payload", "refused"),
    [
        ("2a5f", "", ("truncated", 0)),
        ("2a5f", "00620048", ("truncated", 3)),
        ("2a5f", "006200480000", ("trailing_bytes", 5)),
        ("2a5f", "0162004800", ("truncated", 5)),
        ("2a5f", "0462004800200000", ("trailing_bytes", 7)),
        ("2a5f", "08620048000000", ("truncated", 5)),
        ("2a5e", "0162004800dc070c050b32", ("truncated", 7)),
        ("2a5e", "0162004800dc070d050b321b", ("invalid_time", 5)),
        ("2a5e", "1062004800ff", ("trailing_bytes", 5)),
    ],
)
def test_oximeter_payloads_that_are_refused(characteristic: str, payload: str, refused: tuple[str, int]) -> None:
    assert refusal(characteristic, payload) == refused


# Cuff

CUFF = "1e8a00580078000000041114293b3c00012700"


def test_blood_pressure_vector() -> None:
    found = readings("2A35", CUFF)
    assert {name: one.value for name, one in found.items()} == {
        "systolic_pressure": 138.0,
        "diastolic_pressure": 88.0,
        "mean_arterial_pressure": 120.0,
        "pulse_rate_cuff": 60.0,
    }
    systolic = found["systolic_pressure"]
    assert (systolic.code.code, systolic.code.unit, systolic.time) == ("8480-6", "mm[Hg]", RECEIVED)
    assert dict(systolic.attributes) == {
        "device_time": "0000-04-17T20:41:59",
        "time_source": "received",
        "time_reason": "zone_unknown",
        "user": "1",
        "measurement_status": "movement,cuff_loose,irregular_pulse,improper_position",
    }
    assert {one.quality for one in found.values()} == {Quality.INVALID}


def test_a_blood_pressure_of_a_real_cuff() -> None:
    """Quoted in a forum with the reading that another application showed: 127.0 mmHg; the cuff sends no mean."""
    payload = bytes.fromhex("def6f416f3ff07e4070114082b00b2f2018000")
    received = datetime(2020, 1, 20, 7, 45, tzinfo=UTC)
    found = [one for one in ble.decode("2a35", payload, received, context=IN_BERLIN) if isinstance(one, Observation)]
    assert [(one.code.name, one.value) for one in found] == [
        ("systolic_pressure", 127.0),
        ("diastolic_pressure", 79.0),
        ("pulse_rate_cuff", 69.0),
    ]
    assert {one.time for one in found} == {datetime(2020, 1, 20, 7, 43, tzinfo=UTC)}
    assert found[0].attributes["mean_arterial_pressure"] == "not_a_number"
    assert found[0].attributes["measurement_status"] == "bit_7"
    assert {one.quality for one in found} == {Quality.GOOD}


@pytest.mark.parametrize(
    ("status", "name", "quality"),
    [
        (0, "none", Quality.GOOD),
        (1 << 0, "movement", Quality.INVALID),
        (1 << 1, "cuff_loose", Quality.INVALID),
        (1 << 2, "irregular_pulse", Quality.QUESTIONABLE),
        (1 << 3, "pulse_above_range", Quality.QUESTIONABLE),
        (1 << 4, "pulse_below_range", Quality.QUESTIONABLE),
        (1 << 5, "improper_position", Quality.QUESTIONABLE),
    ],
)
def test_status_of_a_cuff(status: int, name: str, quality: Quality) -> None:
    payload = encode_blood_pressure(CuffReading(Decimal(120), Decimal(80), Decimal(93)), status=status)
    for one in readings("2a35", payload).values():
        assert (one.attributes["measurement_status"], one.quality) == (name, quality)


@pytest.mark.parametrize("special", list(Special))
def test_a_failed_blood_pressure_gives_no_value_at_all(special: Special) -> None:
    for reading in (
        CuffReading(special, Decimal(80), Decimal(93), Decimal(60)),
        CuffReading(Decimal(120), special, Decimal(93), Decimal(60)),
    ):
        gap = event("2a35", encode_blood_pressure(reading))
        assert (gap.kind, gap.detail) == (DeviceEventKind.GAP, f"{special.value} blood_pressure")


def test_a_cuff_that_knows_no_mean_pressure() -> None:
    found = readings("2a35", encode_blood_pressure(CuffReading(Decimal(120), Decimal(80)), user=255))
    assert set(found) == {"systolic_pressure", "diastolic_pressure"}
    assert found["systolic_pressure"].attributes["mean_arterial_pressure"] == "not_a_number"
    assert found["systolic_pressure"].attributes["user"] == "unknown"


@pytest.mark.parametrize(
    ("payload", "pressure", "quality"),
    [
        ("1e0400000000000000041114293b3c00012700", 4.0, Quality.INVALID),
        ("00d7f000000000", 21.5, Quality.GOOD),
    ],
)
def test_intermediate_cuff_vectors(payload: str, pressure: float, quality: Quality) -> None:
    cuff = readings("2a36", payload)["cuff_pressure"]
    assert (cuff.value, cuff.quality, cuff.code.unit) == (pressure, quality, "mm[Hg]")


def test_intermediate_cuff_vector_in_kilopascal() -> None:
    found = readings("2a36", "156ff0000000003c001200")
    cuff = found["cuff_pressure"]
    assert cuff.attributes["reported"] == "11.1 kPa"
    assert cuff.value == float(Decimal("11.1") / Decimal("0.133322387415"))
    assert cuff.attributes["measurement_status"] == "cuff_loose,pulse_below_range"
    assert found["pulse_rate_cuff"].value == 60.0
    assert set(found) == {"cuff_pressure", "pulse_rate_cuff"}


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        ("010203040506", ("truncated", 5)),
        ("03020304050607", ("truncated", 7)),
        (CUFF + "00", ("trailing_bytes", 19)),
        (CUFF[:-2], ("truncated", 17)),
    ],
)
def test_cuff_payloads_that_are_refused(payload: str, refused: tuple[str, int]) -> None:
    assert refusal("2a35", payload) == refused
    assert refusal("2a36", payload) == refused


# Scales


def test_weight_vector() -> None:
    weight = readings("2A9D", "00b036")["body_weight"]
    assert (weight.value, weight.code.unit, weight.code.code) == (70.0, "kg", "29463-7")
    assert "reported" not in weight.attributes


def test_pounds_and_inches_are_converted_exactly() -> None:
    payload = encode_weight(
        Decimal("154.32"), imperial=True, user=2, body_mass_index=Decimal("22.9"), height=Decimal("68.9")
    )
    found = readings("2a9d", payload)
    assert found["body_weight"].value == float(Decimal("154.32") * Decimal("0.45359237"))
    assert found["body_weight"].attributes["reported"] == "154.32 lb"
    assert found["body_height"].value == float(Decimal("68.9") * Decimal("0.0254"))
    assert found["body_height"].attributes["reported"] == "68.9 in"
    assert found["body_mass_index"].value == 22.9
    assert {one.attributes["user"] for one in found.values()} == {"2"}


def test_every_metric_count_is_the_float_nearest_to_its_decimal() -> None:
    for count in (1, 3, 7, 13999, 14001, 65534):
        value = values("2a9d", b"\x00" + count.to_bytes(2, "little"))["body_weight"]
        assert value == float(Decimal(count) * Decimal("0.005"))
        assert repr(value) == repr(float(str(value)))


def test_an_unsuccessful_weighing_is_a_gap() -> None:
    stamp = DateTimeField(2020, 5, 11, 10, 38, 0)
    gap = event("2a9d", encode_weight(None, device_time=stamp, user=1))
    assert (gap.kind, gap.detail) == (DeviceEventKind.GAP, "unsuccessful body_weight")
    assert event("2a9c", encode_body_composition(None, {})).detail == "unsuccessful body_fat"


BODY = "feaf1234e7070206121c002a23453456456756786789789a89ab9abcabcd"


def test_body_composition_vector() -> None:
    found = readings("2A9C", BODY)
    assert {name: one.value for name, one in found.items()} == {
        "body_fat": 1333.0,
        "basal_metabolism": 17699.0,
        "muscle_percentage": 2206.8,
        "muscle_mass": 132.185,
        "fat_free_mass": 154.03,
        "soft_lean_mass": 175.875,
        "body_water_mass": 197.72,
        "body_impedance": 4391.3,
        "body_weight": 241.41,
        "body_height": 52.651,
    }
    assert found["body_fat"].attributes["device_time"] == "2023-02-06T18:28:00"
    assert found["body_fat"].attributes["user"] == "42"
    assert found["body_fat"].quality is Quality.IMPLAUSIBLE


def test_body_composition_vectors_with_some_fields() -> None:
    assert readings("2a9c", "00501234")["body_fat"].attributes["packets"] == "multiple"
    odd = values("2a9c", "aaea1234e7070206121c0023454567678989ababcd")
    assert odd == {
        "body_fat": 1333.0,
        "basal_metabolism": 17699.0,
        "muscle_mass": 132.185,
        "soft_lean_mass": 175.875,
        "body_impedance": 4391.3,
        "body_height": 52.651,
    }
    even = values("2a9c", "541512342a34565678789a9abc")
    assert even == {
        "body_fat": 1333.0,
        "muscle_percentage": 2206.8,
        "fat_free_mass": 154.03,
        "body_water_mass": 197.72,
        "body_weight": 241.41,
    }


def test_imperial_body_composition_converts_masses_and_height_alone() -> None:
    payload = encode_body_composition(
        Decimal("22.5"),
        {
            codes.MUSCLE_MASS: Decimal("66.14"),
            codes.BODY_HEIGHT: Decimal("70.1"),
            codes.BODY_IMPEDANCE: Decimal("501.5"),
        },
        imperial=True,
    )
    assert values("2a9c", payload) == {
        "body_fat": 22.5,
        "muscle_mass": float(Decimal("66.14") * Decimal("0.45359237")),
        "body_impedance": 501.5,
        "body_height": float(Decimal("70.1") * Decimal("0.0254")),
    }


@pytest.mark.parametrize(
    ("characteristic", "payload", "refused"),
    [
        ("2a9d", "00b0", ("truncated", 1)),
        ("2a9d", "00b03600", ("trailing_bytes", 3)),
        ("2a9d", "08b036e500", ("truncated", 5)),
        ("2a9c", "00", ("truncated", 0)),
        ("2a9c", BODY + "00", ("trailing_bytes", 30)),
        ("2a9c", BODY[:-2], ("truncated", 28)),
    ],
)
def test_scale_payloads_that_are_refused(characteristic: str, payload: str, refused: tuple[str, int]) -> None:
    assert refusal(characteristic, payload) == refused


def test_what_a_scale_cannot_say() -> None:
    with pytest.raises(AdapterError, match="no multiple"):
        encode_weight(Decimal("70.001"))
    with pytest.raises(AdapterError, match="does not fit"):
        encode_weight(Decimal(-1))
    with pytest.raises(AdapterError, match="go together"):
        encode_weight(Decimal(70), height=Decimal("1.8"))
    with pytest.raises(AdapterError, match="no field for steps"):
        encode_body_composition(Decimal(20), {codes.STEPS: Decimal(1)})


# Running pod, air, device


def test_running_vector() -> None:
    found = readings("2A53", "070003125600010000f0")
    assert {name: one.value for name, one in found.items()} == {
        "speed": 3.0,
        "cadence": 18.0,
        "stride_length": 0.86,
        "distance": 402653184.1,
    }
    assert {one.attributes["gait"] for one in found.values()} == {"running"}
    assert refusal("2a53", "070003125600000000") == ("truncated", 6)


@pytest.mark.parametrize(
    ("characteristic", "payload", "name", "value", "unit"),
    [
        ("2A6E", "fd09", "ambient_temperature", 25.57, "Cel"),
        ("2A6E", "0cfe", "ambient_temperature", -5.0, "Cel"),
        ("2A6F", "8813", "relative_humidity", 50.0, "%"),
        ("2A6D", "e4760f00", "air_pressure", 101347.6, "Pa"),
        ("2BE7", "c800", "voc_concentration", 200.0, "[ppb]"),
        ("2B8C", "3412", "co2_concentration", 4660.0, "[ppm]"),
    ],
)
def test_air(characteristic: str, payload: str, name: str, value: float, unit: str) -> None:
    one = readings(characteristic, payload)[name]
    assert (one.value, one.code.unit, one.quality) == (value, unit, Quality.GOOD)
    assert encode_environment(characteristic.lower(), Decimal(str(value))) == bytes.fromhex(payload)


@pytest.mark.parametrize("characteristic", ["2a6e", "2a6f", "2be7", "2b8c"])
def test_air_that_is_not_known_is_a_gap(characteristic: str) -> None:
    gap = event(characteristic, encode_environment(characteristic, None))
    assert gap.kind is DeviceEventKind.GAP
    assert gap.detail.startswith("value_not_known ")


def test_gas_beyond_the_scale_is_questionable() -> None:
    one = readings("2be7", "feff")["voc_concentration"]
    assert (one.value, one.quality, one.attributes["limit"]) == (65534.0, Quality.QUESTIONABLE, "at_least")
    assert refusal("2be7", "c8") == ("truncated", 0)
    assert refusal("2a6d", "c800000000") == ("trailing_bytes", 4)


@pytest.mark.parametrize(
    ("characteristic", "payload", "detail"),
    [
        ("2A29", b"Polar Electro Oy\0", "manufacturer_name=Polar Electro Oy"),
        ("2A24", b"H10", "model_number=H10"),
        ("2A25", b"", "serial_number="),
        ("2A26", "5.0.0 ü".encode(), "firmware_revision=5.0.0 ü"),
        ("2A23", bytes.fromhex("0102030405060708"), "system_id=0807060504030201"),
        ("2A38", b"\x01", "body_sensor_location=chest"),
        ("2A38", b"\x09", "body_sensor_location=reserved_9"),
        ("2A1D", b"\x06", "site=oral"),
    ],
)
def test_what_a_device_says_of_itself(characteristic: str, payload: bytes, detail: str) -> None:
    told = event(characteristic, payload, DecodeContext("strap"))
    assert told == DeviceEvent(DeviceEventKind.STATUS, RECEIVED, "strap", detail)


def test_strings_that_are_refused() -> None:
    assert refusal("2a29", b"\xff") == ("bad_text", 0)
    assert refusal("2a29", "ü\n".encode()) == ("bad_text", 2)
    assert refusal("2a23", b"\0" * 7) == ("truncated", 0)
    assert encode_string("H10") == b"H10"
    with pytest.raises(AdapterError):
        encode_string("a\nb")


def test_the_clock_of_a_device() -> None:
    setting = clock_setting(RECEIVED + timedelta(seconds=90, milliseconds=500), BERLIN)
    payload = encode_current_time(setting)
    assert payload == bytes.fromhex("e407050b0a2803") + bytes([1, 128, 2])
    told = event("2A2B", payload, IN_BERLIN)
    assert told.detail == "clock device_time=2020-05-11T10:40:03 offset_s=90.500 adjusted=external_reference"
    assert "offset_s=unknown" in event("2a2b", payload).detail
    assert refusal("2a2b", payload[:7] + b"\x08" + payload[8:]) == ("invalid_time", 7)
    assert refusal("2a2b", payload + b"\0") == ("trailing_bytes", 10)


def test_an_intermediate_temperature_is_kept_and_never_used() -> None:
    one = readings("2a1e", encode_temperature(Decimal("38.4")))["body_temperature"]
    assert (one.value, one.quality, one.attributes["intermediate"]) == (38.4, Quality.INVALID, "yes")


def test_the_entry_point_of_the_package() -> None:
    assert ble.decode.__module__ == "edge_twin_adapters.ble.decode"
    assert ble.DecodeError is DecodeError
    full = "00002A5F-0000-1000-8000-00805F9B34FB"
    assert ble.decode(full, bytes.fromhex("0062004800"), RECEIVED) == items("2a5f", "0062004800")
