"""Polar Measurement Data: the SDK's own vectors, spacing and clocks, every refusal, and any bytes at all.

Vectors: polarofficial/polar-ble-sdk, ``AccDataTest.kt``, ``EcgDataTest.kt``, ``PpgDataTest.kt``,
``PpiDataTest.kt``, ``GyrDataTest.kt``, ``MagDataTest.kt``, ``TemperatureDataTest.kt``,
``SkinTemperatureDataTest.kt``, ``PmdTimeStampUtilsTest.kt``.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.errors import ObservationError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality, Waveform
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.polar import (
    CHARACTERISTIC,
    PmdHeader,
    encode_header,
    encode_pmd,
    following,
    with_stream,
)
from edge_twin_adapters.ble.polar_layout import LAYOUTS
from edge_twin_adapters.ble.polar_ppi import Pulse, encode_pulses
from edge_twin_adapters.ble.polar_stream import LARGEST_FACTOR, Measurement, PmdStream
from edge_twin_adapters.ble.polar_time import EPOCH, Spacing, spacing
from edge_twin_adapters.errors import AdapterError, DecodeError

RECEIVED = datetime(2024, 5, 11, 8, 38, 33, tzinfo=UTC)
HELSINKI = ZoneInfo("Europe/Helsinki")
TWO_SECONDS = "0094357700000000"  # 2 000 000 000 ns
NOW_NS = (RECEIVED - EPOCH) // timedelta(microseconds=1) * 1000

ACC_REFERENCE = "7107f06a9e8d"
# 57 samples of a Verity Sense: ten bits for each difference.
ACC_57 = ACC_REFERENCE + (
    "0a38be5cbeba2f96b3ee4be5adfb42b9ebbe4cfeba2f92bfee4be4b1fb12b9ecbd3c3ebb2f8fd3de4be3b5f7d2b8edbd307e7b2f8be3"
    "ce8be2baf7a2b8eebc20be7b2f88f3cecbe1bdef52f8efbc18fe3b2f8403bfcbe0c2ef32b8f0bb044ebc2e8113af0be0c6eff2f7f1b9"
    "fc7dbc2e7d279f4bdfcaebc2f7f2b8eccd7c2e7b378f4bdecee392f7f3b8e00dfd2d774b7fcbddd2df6237f5b7d44dbd2d745b6fcbdc"
    "d7d73237f6b5c88d7d2d716b4f4bdcdcd3f236f7b4bcddfd2c6f7b3f4bdbe0cfd236f8b2b02dbe2c6c8f1fcbdae3c7a276f9"
)
PPG_42 = (
    "2c2d00c27700d3d2ff3d88ff0a29b2f0ee3411b2ecee7411b1e8feb411b1e8feb411b1e0fe3412b0dc0e7512b0d80eb512afd41ef512"
    "afd01e3513aecc2e7513aec82eb513adc43ef513adbc3e7514adbc3e7514acb84eb514acb44ef514abb05e3515aaac6e7515aaa86eb5"
    "15aaa46ef515a9a07e3516a99c7e7516a8988eb516a7949ef516a7909e3517a78c9e7517a688aeb517a588beb517a580be3518a47cce"
    "7518a478ceb518a378deb518a270ee3519a26cee7519a26cee7519a168feb519a0600e361a9f601e361a9f5c1e761a9f581eb61a9d54"
    "3ef61a"
)


def header(measurement: int, frame_type: int, time: str = TWO_SECONDS) -> str:
    return f"{measurement:02x}{time}{frame_type:02x}"


def running(measurement: Measurement, **known: float | None) -> DecodeContext:
    return with_stream(DecodeContext("polar"), measurement, PmdStream(**known))  # type: ignore[arg-type]


def items(payload: str | bytes, context: DecodeContext | None = None) -> list[Item]:
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    return decode(CHARACTERISTIC, raw, RECEIVED, context=context)


def wave(payload: str | bytes, context: DecodeContext | None = None) -> Waveform:
    (item,) = items(payload, context)
    assert isinstance(item, Waveform)
    return item


def refusal(payload: str | bytes, context: DecodeContext | None = None) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        items(payload, context)
    return caught.value


# Raw samples


def test_ecg_vector() -> None:
    ecg = wave(header(0, 0) + "0280ff028000", running(Measurement.ECG, rate_hz=130.0))
    assert (ecg.code, ecg.code.unit, ecg.channels) == (codes.ECG, "uV", ("value",))
    assert ecg.samples == ((-32766.0,), (32770.0,))
    assert ecg.channel("value") == (-32766.0, 32770.0)
    assert ecg.period_s == pytest.approx(1 / 130)
    assert ecg.source == "polar"


def test_raw_acceleration_vector() -> None:
    acc = wave(header(2, 1) + "f7ffffffe703" + "f8fffeffe503")
    assert (acc.code, acc.code.unit, acc.channels) == (codes.ACCELERATION, "m[g]", ("x", "y", "z"))
    assert acc.samples == ((-9.0, -1.0, 999.0), (-8.0, -2.0, 997.0))


@pytest.mark.parametrize(("frame_type", "raw"), [(0, "f7ff64"), (2, "f7ffff" + "ffffff" + "640000")])
def test_raw_acceleration_of_other_widths(frame_type: int, raw: str) -> None:
    assert wave(header(2, frame_type) + raw).samples == ((-9.0, -1.0, 100.0),)


def test_raw_light_vector() -> None:
    ppg = wave(header(1, 0) + "010203040506ffff7f000000" + "ffffff0fefef0000800fefef")
    assert ppg.channels == ("ppg0", "ppg1", "ppg2", "ambient")
    assert ppg.samples == ((197121.0, 394500.0, 8388607.0, 0.0), (-1.0, -1052913.0, -8388608.0, -1052913.0))


def test_raw_temperature_vector() -> None:
    (value,) = struct.unpack("<f", bytes.fromhex("f628c041"))
    room = wave(header(12, 0) + "f628c041")
    assert (room.code, room.samples) == (codes.DEVICE_TEMPERATURE, ((value,),))
    skin = wave("0740ae21ae31b2ee0a00" + "0060ee41")
    assert (skin.code, skin.samples) == (codes.SKIN_TEMPERATURE, ((29.796875,),))
    assert skin.attributes["device_time_ns"] == "787762911281000000"


# Compressed samples


def test_compressed_acceleration_vector_of_57_samples() -> None:
    factor = 2.44e-4
    acc = wave(header(2, 0x80) + ACC_57, running(Measurement.ACC, factor=factor, previous_ns=100))
    assert len(acc.samples) == 57
    assert acc.samples[0] == tuple(raw * (factor * 1000) for raw in (1905, 27376, -29282))
    assert acc.samples[1] == tuple(raw * (factor * 1000) for raw in (1905 + 190, 27376 - 105, -29282 - 85))
    assert max(abs(value) for row in acc.samples for value in row) <= 8000  # the range that was set, in milli-g


def test_compressed_acceleration_cut_to_one_difference() -> None:
    acc = wave(header(2, 0x80) + ACC_REFERENCE + "0a01be5cbe3a", running(Measurement.ACC, factor=0.001))
    assert acc.samples == ((1905.0, 27376.0, -29282.0), (2095.0, 27271.0, -29367.0))


def test_compressed_acceleration_in_milli_g() -> None:
    payload = header(2, 0x81, "6500000000000000") + "f1ff1400f00306017b0f08"
    assert wave(payload).samples == ((-15.0, 20.0, 1008.0), (-20.0, 17.0, 1008.0))
    assert wave(payload, running(Measurement.ACC, factor=2.0)).samples[0] == (-30.0, 40.0, 2016.0)


def test_compressed_light_vector_of_42_samples() -> None:
    ppg = wave(header(1, 0x80) + PPG_42)
    assert len(ppg.samples) == 42
    assert ppg.samples[0] == (11564.0, 30658.0, -11565.0, -30659.0)
    assert ppg.samples[1] == (11564.0 + 178, 30658.0 - 68, -11565.0 - 178, -30659.0 + 68)


def test_light_of_sixteen_channels_keeps_the_status_word_as_it_came() -> None:
    reference = "09ae20" + "8a7c23" + "000000" * 13 + "ffff00" + "28c4ff"
    ppg = wave(header(1, 0x87) + reference + "1801" + "87feff" + "ec0200" + "000000" * 15)
    assert (len(ppg.channels), ppg.channels[-1]) == (17, "status")
    assert ppg.samples[0][:2] == (2141705.0, 2325642.0)
    assert ppg.samples[1][:2] == (2141705.0 - 377, 2325642.0 + 748)
    assert ppg.channel("status") == (float(0xFFC428), float(0xFFC428))  # a word of bits has no sign
    scaled = wave(header(1, 0x87) + reference, running(Measurement.PPG, factor=0.5))
    assert (scaled.samples[0][0], scaled.channel("status")) == (2141705 / 2, (float(0xFFC428),))


def test_light_of_24_channels_vector() -> None:
    ppg = wave(
        header(1, 0x88) + "031001051002ffffff0910040b10050310060510070710080910090b100a03100b05100c07100d09100e0b100f"
        "0310100510110710120910130b1014031015051016071017091018ffffff" + "0301" + "49922449922449922400"
    )
    assert (len(ppg.samples), len(ppg.channels), ppg.channels[-1]) == (2, 25, "status")
    assert ppg.samples[0][:3] == (69635.0, 135173.0, -1.0)
    assert ppg.samples[0][23:] == (1576969.0, 16777215.0)
    assert ppg.samples[1][:2] == (69636.0, 135174.0)


def test_light_in_three_colours_vector() -> None:
    # The first sample of the SDK's frame; its six differences are left away.
    reference = (
        "350b186bdf1dc58d1a6ce11a4d931b48ba16a210183bd01b"  # green
        "321d1e63bd1a08f317fb2f11000100a00714"  # red
        "c27f19700a22977d19cc0822a0071457f3a5"  # infrared
        "ffcf03"
    )
    ppg = wave("01c06e6a43e161ee0a8a" + reference)
    assert ppg.samples[0][:8] == (1575733, 1957739, 1740229, 1761644, 1807181, 1489480, 1577122, 1822779)
    assert ppg.samples[0][8:14] == (1973554, 1752419, 1569544, 1126395, 256, 1312672)
    assert ppg.samples[0][14:20] == (1671106, 2230896, 1670551, 2230476, 1312672, -5901481)
    assert ppg.channel("status") == (249855,)
    assert (ppg.channels[0], ppg.channels[8], ppg.channels[14]) == ("green0", "red0", "infrared0")


def test_gyroscope_vectors() -> None:
    turn = wave(header(5, 0x80) + "eaff08000d000301df00", running(Measurement.GYRO, factor=1.0))
    assert (turn.code.unit, turn.samples) == ("deg/s", ((-22.0, 8.0, 13.0), (-23.0, 11.0, 16.0)))
    single = "0000803f000020410000a0411c010000a001000008cdccec0d"
    for factor in (1.0, 0.5):
        turn = wave(header(5, 0x81) + single, running(Measurement.GYRO, factor=factor))
        words = (0x3F800000 + 0x1A00000, 0x41200000 + 0x0800000, (0x41A00000 + 0xFDECCCCD) % 2**32)
        second = [struct.unpack("<f", word.to_bytes(4, "little"))[0] * factor for word in words]
        assert turn.samples == ((1.0 * factor, 10.0 * factor, 20.0 * factor), tuple(second))


def test_magnetometer_vectors() -> None:
    field = wave(header(6, 0x80) + "e2e6fa15490a06017f20fc", running(Measurement.MAGNETOMETER, factor=1.0))
    assert field.samples == ((-6430.0, 5626.0, 2633.0), (-6431.0, 5627.0, 2635.0))
    field = wave(header(6, 0x81) + "37ff51fd6cf600000301f802")
    assert (field.code.unit, field.channels[-1]) == ("G", "status")
    assert field.samples == ((-0.201, -0.687, -2.452, 0.0), (-0.201, -0.688, -2.449, 1.0))


def test_compressed_temperature_vector() -> None:
    (value,) = struct.unpack("<f", bytes.fromhex("ec51dc41"))
    assert wave(header(12, 0x80) + "ec51dc41" + "030200").samples == ((value,),) * 3


def test_several_blocks_add_up() -> None:
    rows = [(index * index % 97, -index, 7 * index) for index in range(60)]
    payload = encode_pmd(Measurement.ACC, rows, time_ns=NOW_NS, frame_type=1, compressed=True, block=7)
    assert wave(payload).samples == tuple(tuple(map(float, row)) for row in rows)


# Spacing, as the SDK's own tests of its time stamps have it


def test_spacing_from_the_previous_frame() -> None:
    # (2 000 000 000 - 100) / 3 = 666 666 633.3 ns
    known = spacing(2_000_000_000, 3, PmdStream(previous_ns=100), 1.0)
    assert known.source == "previous"
    assert known.step_ns == pytest.approx(666_666_633.3333)
    assert spacing(11_000_000_000, 10, PmdStream(1.0, None, 1_000_000_000), 1.0) == Spacing(1e9, "previous")


def test_spacing_from_the_rate() -> None:
    assert spacing(10_000_000_000, 10, PmdStream(rate_hz=2.0), 1.0) == Spacing(5e8, "settings")
    assert spacing(10_000_000_000, 10, PmdStream(), 4.0) == Spacing(2.5e8, "assumed")


def test_samples_stand_where_the_sdk_puts_them() -> None:
    context = replace(running(Measurement.ACC, rate_hz=50.0), clock_offset=timedelta(0))
    first = encode_pmd(Measurement.ACC, [(0, 0, 0)] * 10, time_ns=NOW_NS, frame_type=1)
    one = wave(first, context)
    assert (one.end, one.start) == (RECEIVED, RECEIVED - timedelta(milliseconds=180))
    assert (one.period_s, one.attributes["rate_source"], one.attributes["time_source"]) == (0.02, "settings", "device")
    later = NOW_NS + 190_000_000  # the sensor's clock runs five per cent fast
    two = wave(encode_pmd(Measurement.ACC, [(0, 0, 0)] * 10, time_ns=later, frame_type=1), following(context, first))
    assert (two.start, two.attributes["rate_source"]) == (RECEIVED + timedelta(milliseconds=19), "previous")
    assert two.period_s == pytest.approx(0.019)


def test_hz_wave_01_lost_samples_are_a_gap_and_do_not_stretch_the_rest() -> None:
    context = replace(
        running(Measurement.ECG, rate_hz=100.0, previous_ns=NOW_NS - 700_000_000), clock_offset=timedelta()
    )
    gap, ecg = items(encode_pmd(Measurement.ECG, [(0,)] * 20, time_ns=NOW_NS), context)
    assert isinstance(gap, DeviceEvent)
    assert isinstance(ecg, Waveform)
    assert (ecg.period_s, ecg.start) == (0.01, RECEIVED - timedelta(milliseconds=190))
    assert (gap.kind, gap.detail) == (DeviceEventKind.GAP, "samples_missing count=50 stream=ecg")
    assert (gap.time, gap.until) == (RECEIVED - timedelta(milliseconds=700), ecg.start)


@pytest.mark.parametrize("previous_ns", [NOW_NS, NOW_NS + 10**12, NOW_NS - 1000])
def test_a_clock_that_was_set_meanwhile_gives_no_spacing(previous_ns: int) -> None:
    ecg = wave(
        encode_pmd(Measurement.ECG, [(0,)] * 20, time_ns=NOW_NS),
        running(Measurement.ECG, rate_hz=130.0, previous_ns=previous_ns),
    )
    assert ecg.attributes["rate_source"] == "settings"
    assert ecg.period_s == pytest.approx(1 / 130)


def test_each_measurement_has_its_own_previous_frame() -> None:
    context = DecodeContext()
    ecg = encode_pmd(Measurement.ECG, [(0,)], time_ns=7)
    acc = encode_pmd(Measurement.ACC, [(0, 0, 0)], time_ns=9, frame_type=1)
    context = following(following(context, ecg), acc)
    assert {kind: stream.previous_ns for kind, stream in context.polar.items()} == {
        Measurement.ECG: 7,
        Measurement.ACC: 9,
    }
    for other in (b"", b"\x00", ecg[:5], bytes.fromhex(header(1, 5) + "ffffffff"), bytes.fromhex(header(63, 0))):
        assert following(context, other) is context
    assert with_stream(context, Measurement.ECG, None).polar.keys() == {Measurement.ACC}


# The device's clock


@pytest.mark.parametrize(
    ("device", "context", "reason"),
    [
        (datetime(2024, 5, 11, 11, 38, 32, tzinfo=UTC), DecodeContext(patient_zone=HELSINKI), None),
        (datetime(2024, 5, 11, 8, 38, 32, tzinfo=UTC), DecodeContext(patient_zone=HELSINKI), "device_clock_off"),
        (datetime(2024, 5, 11, 11, 38, 32, tzinfo=UTC), DecodeContext(), "zone_unknown"),
        # An H10 that was never set.
        (datetime(2019, 1, 1, 0, 5, tzinfo=UTC), DecodeContext(patient_zone=HELSINKI), "device_clock_off"),
        (datetime(2019, 1, 1, 0, 5, tzinfo=UTC), DecodeContext(clock_offset=timedelta(days=1)), "device_clock_off"),
        (datetime(2024, 3, 31, 3, 30, tzinfo=UTC), DecodeContext(patient_zone=HELSINKI), "no_such_local_time"),
        (datetime(2500, 1, 1, tzinfo=UTC), DecodeContext(clock_offset=timedelta(days=3_000_000)), "device_clock_off"),
    ],
)
def test_a_device_time_is_used_only_where_it_can_be_right(
    device: datetime, context: DecodeContext, reason: str | None
) -> None:
    time_ns = (device - EPOCH) // timedelta(microseconds=1) * 1000
    ecg = wave(encode_pmd(Measurement.ECG, [(0,)], time_ns=time_ns), context)
    assert ecg.attributes.get("time_reason") == reason
    assert ecg.attributes["time_source"] == ("received" if reason else "device")
    assert ecg.attributes["device_time_ns"] == str(time_ns)
    assert ecg.start == (RECEIVED if reason else RECEIVED - timedelta(seconds=1))


def test_the_unset_clock_of_an_h10_is_new_year_2019() -> None:
    assert EPOCH + timedelta(microseconds=599_616_000_000_000_000 // 1000) == datetime(2019, 1, 1, tzinfo=UTC)


def test_an_offset_places_the_reading_of_a_clock_that_was_never_set() -> None:
    unset = 599_616_000_000_000_000 + 5_000_000_000
    offset = RECEIVED - timedelta(seconds=2) - datetime(2019, 1, 1, 0, 0, 5, tzinfo=UTC)
    ecg = wave(encode_pmd(Measurement.ECG, [(0,)], time_ns=unset), DecodeContext(clock_offset=offset))
    assert (ecg.start, ecg.attributes["time_source"]) == (RECEIVED - timedelta(seconds=2), "device")


def test_no_clock_at_all() -> None:
    ecg = wave(encode_pmd(Measurement.ECG, [(0,)], time_ns=0), DecodeContext(patient_zone=HELSINKI))
    assert (ecg.start, ecg.attributes["time_reason"]) == (RECEIVED, "device_clock_absent")


# Pulse intervals


def pulses(payload: str | bytes) -> list[Observation]:
    found = items(payload)
    assert all(isinstance(item, Observation) for item in found)
    return [item for item in found if isinstance(item, Observation)]


def test_ppi_vector() -> None:
    rate, interval, none, short = pulses(header(3, 0, "00" * 8) + "8080808080ff" + "000100010000")
    assert (rate.code, rate.value) == (codes.HEART_RATE, 128.0)
    assert (interval.code, interval.value) == (codes.PULSE_INTERVAL, 32896.0)
    assert interval.attributes["error_ms"] == "32896"
    assert (rate.attributes["blocker"], rate.attributes["contact"]) == ("yes", "yes")
    assert (none.value, none.quality) == (0.0, Quality.INVALID)  # a rate of 0 is never a slow heart
    assert (short.value, short.attributes["blocker"]) == (1.0, "no")
    assert "contact" not in short.attributes
    assert short.time == RECEIVED


@pytest.mark.parametrize(
    ("blocker", "contact", "quality"),
    [
        (False, None, Quality.GOOD),
        (False, True, Quality.GOOD),
        (False, False, Quality.INVALID),
        (True, None, Quality.INVALID),
        (True, True, Quality.INVALID),
    ],
)
def test_polars_rule_what_to_discard_is_carried(blocker: bool, contact: bool | None, quality: Quality) -> None:  # noqa: FBT001
    content = encode_pulses([Pulse(60, 1000, 5, blocker, contact)])
    rate, interval = pulses(encode_header(PmdHeader(Measurement.PPI, 0, 0, compressed=False)) + content)
    assert (rate.quality, interval.quality) == (quality, quality)
    assert rate.is_usable == interval.is_usable == (quality is Quality.GOOD)


def test_pulses_follow_each_other() -> None:
    content = encode_pulses([Pulse(60, 900), Pulse(60, 1000), Pulse(60, 1100)])
    payload = encode_header(PmdHeader(Measurement.PPI, NOW_NS, 0, compressed=False)) + content
    found = [item for item in pulses(payload) if item.code is codes.PULSE_INTERVAL]
    assert [RECEIVED - item.time for item in found] == [timedelta(milliseconds=ms) for ms in (2100, 1100, 0)]
    assert len({item.id for item in pulses(payload)}) == 6


def test_pulses_that_no_sensor_can_send() -> None:
    with pytest.raises(AdapterError) as caught:
        encode_pulses([Pulse(256, 1000)])
    assert caught.value.reason == "out_of_range"


# Refusals


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        ("", "truncated", 0),
        ("02", "truncated", 1),
        ("02" + TWO_SECONDS, "truncated", 9),
        (header(2, 1), "no_samples", 10),
        (header(3, 0), "no_samples", 10),
        (header(2, 1) + "f7ffffffe7", "trailing_bytes", 10),
        (header(2, 1) + "f7ffffffe703" + "00", "trailing_bytes", 16),
        (header(3, 0) + "0000000000" + "0000", "trailing_bytes", 16),
        (header(1, 0x80) + "2c2d00c27700d3d2ff3d88", "truncated", 10),
        (header(2, 0x81) + "f1ff1400f00306", "truncated", 16),
        (header(2, 0x81) + "f1ff1400f00306017b0f", "truncated", 18),
        (header(2, 0x81) + "f1ff1400f003ffffff", "invalid_delta_size", 16),
        (header(2, 0x81) + "f1ff1400f0030001", "invalid_delta_size", 16),
        (header(2, 0x81) + "f1ff1400f00306017b0f0800", "truncated", 21),
        (header(2, 0x80) + ACC_REFERENCE, "factor_unknown", 10),
        (header(0, 1) + "028000", "unsupported_frame", 9),
        (header(0, 0x80) + "028000", "unsupported_frame", 9),
        (header(3, 0x80) + "000000000000", "unsupported_frame", 9),
        (header(10, 0) + "00", "unsupported_frame", 9),
        (header(1, 5) + "ffffffff", "unsupported_frame", 9),
        (header(11, 0) + "ae277b44", "unsupported_frame", 9),
        (header(4, 0), "unsupported_frame", 0),
        (header(12, 0) + "0000c07f", "not_a_number", 10),
        (header(12, 0) + "0000a07f", "not_a_number", 10),
        (header(12, 0) + "0000807f", "not_a_number", 10),
        ("00" * 513, "too_long", 512),
    ],
)
def test_frames_that_are_refused_whole(payload: str, reason: str, offset: int) -> None:
    error = refusal(payload)
    assert (error.reason, error.offset) == (reason, offset)


@pytest.mark.parametrize(
    ("measurement", "frame_type", "known"),
    [(Measurement.ACC, 0x80, {}), (Measurement.GYRO, 0x80, {"rate_hz": 52.0}), (Measurement.MAGNETOMETER, 0x80, {})],
)
def test_hz_wave_02_without_its_factor_a_compressed_frame_is_refused(
    measurement: Measurement, frame_type: int, known: dict[str, float]
) -> None:
    payload = header(measurement, frame_type) + ACC_REFERENCE
    error = refusal(payload, running(measurement, **known))
    assert (error.reason, error.offset) == ("factor_unknown", 10)
    assert len(wave(payload, running(measurement, factor=1.0, **known)).samples) == 1


def test_the_largest_numbers_there_are_stay_numbers() -> None:
    turn = wave(header(5, 0x81) + "ffff7f7f" * 3, running(Measurement.GYRO, factor=LARGEST_FACTOR))
    (largest,) = struct.unpack("<f", bytes.fromhex("ffff7f7f"))
    assert turn.samples == ((largest * LARGEST_FACTOR,) * 3,)


def test_a_time_of_reception_without_zone_is_refused() -> None:
    with pytest.raises(ObservationError) as caught:
        decode(CHARACTERISTIC, bytes.fromhex(header(0, 0) + "000000"), RECEIVED.replace(tzinfo=None))
    assert caught.value.reason == "naive_time"


@pytest.mark.parametrize(
    "known",
    [{"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"factor": 0.0}, {"factor": float("inf")}, {"factor": float("nan")}],
)
def test_settings_that_no_sensor_has(known: dict[str, float]) -> None:
    with pytest.raises(AdapterError) as caught:
        PmdStream(**known)  # type: ignore[arg-type]
    assert caught.value.reason == "out_of_range"


def test_frames_that_cannot_be_encoded() -> None:
    for measurement, rows, options, reason in (
        (Measurement.ECG, [(8_388_608,)], {}, "out_of_range"),
        (Measurement.ECG, [(0, 0)], {}, "unsupported_frame"),
        (Measurement.ECG, [(0,)], {"frame_type": 1}, "unsupported_frame"),
        (Measurement.ACC, [], {"frame_type": 1, "compressed": True}, "no_samples"),
        (Measurement.ACC, [(0, 0, 0), (2**33, 0, 0)], {"frame_type": 1, "compressed": True}, "out_of_range"),
        (Measurement.ECG, [(0,)], {"time_ns": 2**64}, "out_of_range"),
    ):
        with pytest.raises(AdapterError) as caught:
            encode_pmd(measurement, rows, **{"time_ns": 0, **options})  # type: ignore[arg-type]
        assert caught.value.reason == reason


def test_a_cut_frame_is_never_partly_read() -> None:
    context = running(Measurement.ACC, factor=2.44e-4)
    whole = bytes.fromhex(header(2, 0x80) + ACC_57)
    reference_only = 16
    for length in set(range(len(whole))) - {reference_only}:
        assert refusal(whole[:length], context).reason in {"truncated", "no_samples"}
    raw = bytes.fromhex(header(1, 0) + "010203040506ffff7f000000")
    for length in range(len(raw)):
        assert refusal(raw[:length]).reason in {"truncated", "no_samples", "trailing_bytes"}


# Any bytes, and round trips

FACTORS = st.sampled_from([None, 1.0, 2.44e-4])
ZONES = st.sampled_from([None, HELSINKI, UTC])


@given(
    st.sampled_from([int(kind) for kind in Measurement] + [4, 63]),
    st.integers(0, 255),
    st.binary(min_size=8, max_size=8),
    st.binary(max_size=60) | st.binary(min_size=480, max_size=510),
    FACTORS,
    ZONES,
)
def test_any_content_is_decoded_or_refused(  # noqa: PLR0913, PLR0917 - hypothesis
    measurement: int, frame_type: int, time: bytes, content: bytes, factor: float | None, zone: ZoneInfo | None
) -> None:
    streams = {kind: PmdStream(rate_hz=52.0, factor=factor, previous_ns=1) for kind in Measurement}
    payload = bytes([measurement]) + time + bytes([frame_type]) + content
    found, offset = list[Item](), 0
    try:
        found = items(payload, DecodeContext(patient_zone=zone, polar=streams))
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(payload)
    # No sample takes less than a bit, and a block has two bytes to itself.
    assert sum(len(item.samples) for item in found if isinstance(item, Waveform)) <= 8 * len(content)


@given(st.binary(max_size=20), st.integers(0, 32), st.integers(0, 255), st.binary(max_size=500))
def test_any_block_of_differences(reference: bytes, bits: int, count: int, packed: bytes) -> None:
    payload = bytes.fromhex(header(2, 0x81)) + reference + bytes([bits, count]) + packed
    try:
        found = items(payload[:512])
    except DecodeError:
        return
    assert all(isinstance(item, Waveform) for item in found)


@given(st.data())
def test_every_layout_round_trips(data: st.DataObject) -> None:
    (measurement, compressed, frame_type), layout = data.draw(
        st.sampled_from(sorted(LAYOUTS.items(), key=lambda kv: kv[0]))
    )
    top = 1 << (8 * layout.width - 1)
    number = st.integers(0, 0x7F7FFFFF) if layout.is_float else st.integers(-top, top - 1)
    row = st.tuples(*[number] * len(layout.channels))
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    payload = encode_pmd(
        measurement,
        rows,
        time_ns=NOW_NS,
        frame_type=frame_type,
        compressed=compressed,
        block=data.draw(st.integers(1, 3)),
    )
    decoded = wave(payload, running(measurement, factor=1.0))
    expected = [[_meaning(number, layout.is_float) * layout.scale / layout.divisor for number in row] for row in rows]
    if layout.has_status:
        for values, raw in zip(expected, rows, strict=True):
            values[-1] = raw[-1] & 0xFFFFFF
    assert [list(row) for row in decoded.samples] == expected
    assert decoded.end == RECEIVED


def _meaning(number: int, is_float: bool) -> float:  # noqa: FBT001 - a test's own helper
    if not is_float:
        return float(number)
    value: float = struct.unpack("<f", number.to_bytes(4, "little"))[0]
    return value


BYTE, WORD, CONTACT = st.integers(0, 255), st.integers(0, 65535), st.sampled_from([None, True, False])


@given(st.lists(st.builds(Pulse, BYTE, WORD, WORD, st.booleans(), CONTACT), min_size=1, max_size=30))
def test_pulses_round_trip(sent: list[Pulse]) -> None:
    payload = encode_header(PmdHeader(Measurement.PPI, 0, 0, compressed=False)) + encode_pulses(sent)
    found = pulses(payload)
    assert [item.value for item in found[::2]] == [pulse.rate for pulse in sent]
    assert [item.value for item in found[1::2]] == [pulse.interval_ms for pulse in sent]
    assert [item.attributes.get("contact") for item in found[::2]] == [
        None if pulse.contact is None else ("yes" if pulse.contact else "no") for pulse in sent
    ]
