"""The control point of Polar Measurement Data: the SDK's vectors, every status, and any bytes at all.

Vectors: polarofficial/polar-ble-sdk, ``PmdSettingTest.kt`` and ``BlePmdClientControlPointResponseTest.kt``.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.observation import DeviceEvent, DeviceEventKind
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.polar_control import (
    CHARACTERISTIC,
    Command,
    Response,
    Setting,
    Status,
    encode_features,
    encode_response,
    encode_settings,
    encode_stopped,
    factor_bits,
    read_features,
    read_response,
    read_settings,
    settings_request,
    start_request,
    stop_request,
    stream_of,
)
from edge_twin_adapters.ble.polar_stream import Measurement, PmdStream
from edge_twin_adapters.errors import AdapterError, DecodeError

RECEIVED = datetime(2024, 5, 11, 8, 38, 33, tzinfo=UTC)


def told(payload: bytes) -> list[DeviceEvent]:
    items = decode(CHARACTERISTIC, payload, RECEIVED, context=DecodeContext("h10"))
    assert all(isinstance(item, DeviceEvent) for item in items)
    return [item for item in items if isinstance(item, DeviceEvent)]


def test_requests() -> None:
    wanted = {Setting.SAMPLE_RATE: 130, Setting.RESOLUTION: 14, Setting.FACTOR: factor_bits(1.0)}
    assert start_request(Measurement.ECG, wanted).hex() == "0200" + "00018200" + "01010e00"
    assert settings_request(Measurement.ACC).hex() == "0102"
    assert stop_request(Measurement.ACC).hex() == "0302"


def test_settings_vector() -> None:
    payload = bytes.fromhex("00013400" + "01011000" + "0204f500f401e803d007" + "040103")
    settings = read_settings(payload)
    assert settings == {
        Setting.SAMPLE_RATE: (52,),
        Setting.RESOLUTION: (16,),
        Setting.RANGE: (245, 500, 1000, 2000),
        Setting.CHANNELS: (3,),
    }
    assert encode_settings(settings) == payload


def test_settings_of_four_and_sixteen_bytes() -> None:
    settings = read_settings(bytes.fromhex("0302ffffffffff000000" + "01010e00"))
    assert settings == {Setting.RANGE_MILLI: (0xFFFFFFFF, 0xFF), Setting.RESOLUTION: (14,)}
    assert read_settings(bytes.fromhex("0601" + "01" * 16))[Setting.SECURITY] == (int("01" * 16, 16),)
    assert read_settings(b"") == read_settings(b"\x00") == {}


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        ("0001", "truncated", 2),
        ("000134", "truncated", 2),
        ("0002340001", "truncated", 2),
        ("00013400" + "07", "unknown_setting", 4),
        ("00013400" + "04", "truncated", 5),
        ("00013400" * 2, "duplicate_setting", 4),
        ("06ff" + "00" * 16, "truncated", 2),
    ],
)
def test_settings_that_are_refused(payload: str, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        read_settings(bytes.fromhex(payload))
    assert (caught.value.reason, caught.value.offset) == (reason, offset)


def test_response_vectors() -> None:
    good = read_response(bytes.fromhex("f001020000ffffff"))
    assert good == Response(
        Command.GET_SETTINGS, Measurement.ACC, Status.SUCCESS, more=False, parameters=b"\xff\xff\xff"
    )
    bad = read_response(bytes.fromhex("f001060700"))
    assert (bad.measurement, bad.status, bad.parameters) == (Measurement.MAGNETOMETER, Status.INVALID_RESOLUTION, b"")
    assert read_response(bytes.fromhex("f001020001")).more
    assert not read_response(bytes.fromhex("f0030200")).more
    assert read_response(bytes.fromhex("f0053f0000")).measurement is None


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_told(status: Status) -> None:
    response = Response(Command.START, Measurement.ECG, status, more=False, parameters=b"")
    detail = f"command=start stream=ecg status={status.name.lower()}"
    assert read_response(encode_response(response)) == response
    assert told(encode_response(response)) == [DeviceEvent(DeviceEventKind.CONTROL, RECEIVED, "h10", detail)]


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        ("", "truncated", 0),
        ("f0", "truncated", 1),
        ("f001", "truncated", 2),
        ("f00102", "truncated", 3),
        ("f0100200", "unknown_command", 1),
        ("f001020f", "unknown_status", 3),
        ("aa", "not_a_response", 0),
        ("01", "truncated", 1),
        ("0f01", "truncated", 1),
    ],
)
def test_control_point_values_that_are_refused(payload: str, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        told(bytes.fromhex(payload))
    assert (caught.value.reason, caught.value.offset) == (reason, offset)


def test_a_started_stream_knows_its_rate_and_factor() -> None:
    parameters = encode_settings({Setting.FACTOR: (factor_bits(2.0**-12),)})
    answer = Response(Command.START, Measurement.ACC, Status.SUCCESS, more=False, parameters=parameters)
    assert stream_of({Setting.SAMPLE_RATE: 52}, answer) == PmdStream(52.0, 2.0**-12)
    silent = Response(Command.START, Measurement.ECG, Status.SUCCESS, more=False, parameters=b"")
    assert stream_of({}, silent) == PmdStream()


@pytest.mark.parametrize("bits", ["00000000", "0000c07f", "0000807f", "000080bf"])
def test_a_factor_that_gives_no_unit(bits: str) -> None:
    answer = Response(
        Command.START, Measurement.ACC, Status.SUCCESS, more=False, parameters=bytes.fromhex("0501" + bits)
    )
    with pytest.raises(DecodeError) as caught:
        stream_of({}, answer)
    assert caught.value.reason == "invalid_factor"


def test_features() -> None:
    h10 = frozenset((Measurement.ECG, Measurement.ACC))
    assert read_features(bytes.fromhex("0f0500")) == h10
    assert encode_features(h10).hex() == "0f0500" + "00" * 14
    assert read_features(bytes.fromhex("0fef7e")) == frozenset(Measurement)
    assert told(encode_features(h10))[0].detail == "measurements=ecg,acc"
    assert told(encode_features(frozenset()))[0].detail == "measurements=none"
    with pytest.raises(DecodeError) as caught:
        read_features(b"\xf0\x05\x00")
    assert caught.value.reason == "not_features"


def test_streams_that_the_sensor_stopped_leave_a_gap_without_end() -> None:
    events = told(encode_stopped([Measurement.ECG, Measurement.ACC]))
    assert [event.detail for event in events] == ["measurement_stopped stream=ecg", "measurement_stopped stream=acc"]
    assert {(event.kind, event.time, event.until) for event in events} == {(DeviceEventKind.GAP, RECEIVED, None)}
    assert told(b"\x01\x3f")[0].detail == "measurement_stopped stream=63"


@pytest.mark.parametrize(
    "settings", [{Setting.CHANNELS: (256,)}, {Setting.SAMPLE_RATE: (-1,)}, {Setting.CHANNELS: (1,) * 256}]
)
def test_settings_that_cannot_be_encoded(settings: dict[Setting, tuple[int, ...]]) -> None:
    with pytest.raises(AdapterError) as caught:
        encode_settings(settings)
    assert caught.value.reason == "out_of_range"


def test_a_factor_beyond_single_precision() -> None:
    with pytest.raises(AdapterError) as caught:
        factor_bits(1e39)
    assert caught.value.reason == "out_of_range"


@given(st.binary(max_size=30) | st.binary(min_size=500, max_size=515))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    for first in (b"", b"\xf0", b"\xf0\x01\x02\x00\x00", b"\x01", b"\x0f"):
        value = first + payload
        offset = 0
        try:
            told(value)
        except DecodeError as error:
            offset = error.offset
        assert 0 <= offset <= len(value)


@given(st.binary(max_size=60))
def test_any_parameters_are_read_back_or_refused(parameters: bytes) -> None:
    try:
        settings = read_settings(parameters)
    except DecodeError:
        return
    assert encode_settings(settings) == parameters or len(parameters) <= 1


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (encode_settings({Setting.SAMPLE_RATE: (0,)}), "out_of_range"),
        (encode_settings({Setting.FACTOR: (factor_bits(-1.0),)}), "invalid_factor"),
    ],
)
def test_a_start_response_that_no_sensor_can_mean_is_refused(parameters: bytes, reason: str) -> None:
    answer = Response(Command.START, Measurement.ACC, Status.SUCCESS, more=False, parameters=parameters)
    with pytest.raises(DecodeError) as caught:
        stream_of({}, answer)
    assert caught.value.reason == reason


def test_a_rate_that_is_named_without_a_value_leaves_the_rate_that_was_asked_for() -> None:
    answer = Response(Command.START, Measurement.ACC, Status.SUCCESS, more=False, parameters=b"\x00\x00")
    assert stream_of({Setting.SAMPLE_RATE: 50}, answer) == PmdStream(50.0)
    assert stream_of({}, answer) == PmdStream()
