"""From the bytes of a device to the features of the twin: what must never pass for a measurement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from edge_twin import codes
from edge_twin.features import (
    DAY_DIASTOLIC,
    DAY_SATURATION,
    DAY_SYSTOLIC,
    DAY_TEMPERATURE,
    NIGHT_HEART_RATE,
    WINDOW_HEART_RATE,
    WINDOW_RMSSD,
    Feature,
    distil,
)
from edge_twin.features.heart_day import DAY_HEART_MINUTES, DAY_HEART_VALID
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality, Site, observe
from edge_twin_adapters.ble import decode
from edge_twin_adapters.ble.blood_pressure import CuffReading, encode_blood_pressure
from edge_twin_adapters.ble.date_time import as_field
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.heart_rate import encode_heart_rate
from edge_twin_adapters.ble.ieee11073 import Special
from edge_twin_adapters.ble.oximeter import Oximetry, encode_continuous, encode_spot_check
from edge_twin_adapters.ble.thermometer import encode_temperature

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # 03:00 in Berlin
CONTEXT = DecodeContext("device", patient_zone=BERLIN)


def received(characteristic: str, payloads: Iterable[bytes], step: timedelta = timedelta(seconds=1)) -> list[Item]:
    """What the payloads say when one comes every ``step``, in the night."""
    return [
        item
        for index, payload in enumerate(payloads)
        for item in decode(characteristic, payload, NIGHT + index * step, context=CONTEXT)
    ]


def features(items: Iterable[Item]) -> dict[str, Feature]:
    found = distil((item for item in items if isinstance(item, Observation)), BERLIN)
    return {feature.name: feature for feature in found}


# Heart rate

LONG_BEAT = 1900  # 1/1024 s: 32 beats per minute, inside the range that beat cleaning keeps


def strap(bpm: int, unit: int, *, contact: bool | None) -> list[Item]:
    """Two minutes of one beat in each packet."""
    step = timedelta(seconds=unit / 1024)
    return received("2a37", [encode_heart_rate(bpm, [unit], contact=contact)] * 120, step)


def test_slow_beats_on_the_skin_are_seen() -> None:
    """The bar of the next tests: the same beats with contact do make a slow night."""
    night = features(strap(32, LONG_BEAT, contact=True))[NIGHT_HEART_RATE]
    assert night.value == pytest.approx(60_000 / (LONG_BEAT * 1000 / 1024))


@pytest.mark.parametrize(("bpm", "contact"), [(32, False), (0, True), (0, None), (0, False)])
def test_no_contact_or_a_rate_of_zero_is_never_bradycardia(bpm: int, contact: bool | None) -> None:  # noqa: FBT001
    items = strap(bpm, LONG_BEAT, contact=contact)
    readings = [item for item in items if isinstance(item, Observation)]
    assert len(readings) == 240
    assert not any(reading.is_usable for reading in readings)
    found = features(items)
    assert {found[name].value for name in (WINDOW_HEART_RATE, WINDOW_RMSSD, NIGHT_HEART_RATE)} == {None}


def test_beats_without_contact_do_not_shift_those_with_it() -> None:
    good = strap(60, 1024, contact=True)
    lost = [
        item
        for index in range(20)
        for item in decode(
            "2a37",
            encode_heart_rate(32, [LONG_BEAT], contact=False),
            NIGHT + timedelta(seconds=40 + index, milliseconds=500),
            context=CONTEXT,
        )
    ]
    assert features(good + lost)[NIGHT_HEART_RATE].value == features(good)[NIGHT_HEART_RATE].value == 60.0
    assert features(good + lost)[WINDOW_HEART_RATE].valid_share < features(good)[WINDOW_HEART_RATE].valid_share


def test_no_difference_is_taken_across_beats_without_contact() -> None:
    """Alternating blocks of 1000 and 900 ms, each change hidden behind a packet without contact."""
    packets = []
    for block in range(12):
        unit = 1024 if block % 2 else 922
        packets += [encode_heart_rate(60, [unit])] * 10 + [encode_heart_rate(60, [unit], contact=False)]
    window = features(received("2a37", packets))[WINDOW_RMSSD]
    assert (window.value, window.count) == (0.0, 120)
    assert window.valid_share == pytest.approx(120 / 132)


def test_zero_without_beats_leaves_no_rate_and_says_why() -> None:
    items = received("2a37", [encode_heart_rate(0, [], contact=None)] * 5)
    assert [item.quality for item in items if isinstance(item, Observation)] == [Quality.INVALID] * 5
    found = features(items)
    valid = found.pop(DAY_HEART_VALID)
    assert (valid.value, valid.count, valid.valid_share) == (0.0, 5, 0.0)
    assert found.pop(DAY_HEART_MINUTES).value == 0.0
    assert {(f.value, f.reason) for f in found.values()} == {(None, "no_usable_reading")}


# Oximeter


def test_a_saturation_that_is_no_number_is_a_gap_and_no_feature() -> None:
    payload = encode_continuous(Oximetry(Special.NAN, Special.NAN))
    items = received("2a5f", [payload] * 3)
    assert all(isinstance(item, DeviceEvent) and item.kind is DeviceEventKind.GAP for item in items)
    assert len(items) == 6
    assert features(items) == {}


def test_saturation_of_the_day_is_that_of_the_sensor_on_the_finger() -> None:
    good = [encode_continuous(Oximetry(Decimal(96), Decimal(70)), fast=Oximetry(Decimal(90), Decimal(70)))] * 3
    off = [encode_continuous(Oximetry(Decimal(61), Decimal(70)), sensor_status=1 << 11)] * 9
    day = features(received("2a5f", good + off))[DAY_SATURATION]
    assert (day.value, day.count, day.valid_share) == (96.0, 3, 0.25)
    alone = features(received("2a5f", off))[DAY_SATURATION]
    assert (alone.value, alone.count) == (None, 0)


def test_a_spot_check_whose_clock_is_not_set_counts_on_the_day_it_came() -> None:
    years_ago = as_field(datetime(2019, 1, 1, 0, 0, tzinfo=BERLIN))
    payload = encode_spot_check(Oximetry(Decimal(95), Decimal(70)), device_time=years_ago, clock_set=False)
    (saturation, _pulse) = received("2a5e", [payload])
    assert isinstance(saturation, Observation)
    assert (saturation.time, saturation.quality) == (NIGHT, Quality.QUESTIONABLE)
    assert saturation.attributes["time_reason"] == "device_clock_not_set"
    day = features([saturation])[DAY_SATURATION]
    assert (day.value, day.start) == (95.0, datetime(2026, 3, 2, tzinfo=BERLIN).astimezone(UTC))


@pytest.mark.parametrize("bit", [10, 11, 12, 15])
def test_demonstration_test_calibration_and_invalid_data_are_no_feature(bit: int) -> None:
    payload = encode_spot_check(Oximetry(Decimal(95), Decimal(70)), measurement_status=1 << bit)
    assert features(received("2a5e", [payload]))[DAY_SATURATION].value is None


# Cuff


@pytest.mark.parametrize("status", [0b01, 0b10, 0b11])
def test_blood_pressure_with_movement_or_a_loose_cuff_is_no_feature(status: int) -> None:
    good = encode_blood_pressure(CuffReading(Decimal(118), Decimal(76)), status=0)
    bad = encode_blood_pressure(CuffReading(Decimal(171), Decimal(112)), status=status)
    both = features(received("2a35", [good, bad, bad]))
    assert (both[DAY_SYSTOLIC].value, both[DAY_DIASTOLIC].value) == (118.0, 76.0)
    assert both[DAY_SYSTOLIC].valid_share == pytest.approx(1 / 3)
    alone = features(received("2a35", [bad]))
    assert {alone[name].value for name in (DAY_SYSTOLIC, DAY_DIASTOLIC)} == {None}


def test_a_failed_blood_pressure_and_the_cuff_that_deflates_are_no_feature() -> None:
    failed = encode_blood_pressure(CuffReading(Special.NAN, Special.NAN, Special.NAN, Decimal(60)))
    assert features(received("2a35", [failed])) == {}
    assert features(received("2a36", [encode_blood_pressure(CuffReading(Decimal(140)))])) == {}


def test_medians_of_the_day() -> None:
    payloads = [
        encode_blood_pressure(CuffReading(Decimal(systolic), Decimal(diastolic)))
        for systolic, diastolic in ((110, 70), (150, 95), (120, 80), (124, 82))
    ]
    found = features(received("2a35", payloads, timedelta(minutes=5)))
    assert (found[DAY_SYSTOLIC].value, found[DAY_SYSTOLIC].unit) == (122.0, "mm[Hg]")
    assert found[DAY_DIASTOLIC].value == 81.0


# Thermometer, and the rule itself


def test_a_temperature_that_still_rises_is_no_feature() -> None:
    payload = encode_temperature(Decimal("39.1"), site=Site.ORAL)
    assert features(received("2a1e", [payload]))[DAY_TEMPERATURE].value is None
    assert features(received("2a1c", [payload]))[DAY_TEMPERATURE].value == 39.1


@pytest.mark.parametrize(
    ("quality", "usable"),
    [(Quality.GOOD, True), (Quality.QUESTIONABLE, True), (Quality.IMPLAUSIBLE, False), (Quality.INVALID, False)],
)
def test_which_quality_may_be_used(quality: Quality, usable: bool) -> None:  # noqa: FBT001 - parametrised
    reading = observe(codes.SYSTOLIC_PRESSURE, 120.0, NIGHT, source="cuff", quality=quality)
    assert (reading.quality, reading.is_usable) == (quality, usable)


def test_what_a_device_calls_invalid_is_not_called_implausible() -> None:
    reading = observe(codes.HEART_RATE, 0.0, NIGHT, source="strap", quality=Quality.INVALID)
    assert reading.quality is Quality.INVALID
