"""A client and a virtual Polar sensor, from the features to the samples, without a radio."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.observation import Waveform
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.polar import CHARACTERISTIC, encode_pmd, following, with_stream
from edge_twin_adapters.ble.polar_control import (
    Command,
    Setting,
    Status,
    read_features,
    read_response,
    read_settings,
    settings_request,
    start_request,
    stop_request,
    stream_of,
)
from edge_twin_adapters.ble.polar_sensor import PolarSensor
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.polar_time import EPOCH

START = datetime(2024, 5, 11, 8, 0, tzinfo=UTC)
ECG = {Setting.SAMPLE_RATE: (130,), Setting.RESOLUTION: (14,)}
ACC = {Setting.SAMPLE_RATE: (25, 50, 100, 200), Setting.RESOLUTION: (16,), Setting.RANGE: (2, 4, 8)}
WANTED = {Setting.SAMPLE_RATE: 50, Setting.RESOLUTION: 16, Setting.RANGE: 4}


def sensor() -> PolarSensor:
    return PolarSensor({Measurement.ECG: ECG, Measurement.ACC: ACC}, {Measurement.ACC: 2.0**-12})


def status(answer: bytes) -> Status:
    return read_response(answer).status


def test_a_client_finds_starts_and_stops_a_stream() -> None:
    strap = sensor()
    assert read_features(strap.features) == {Measurement.ECG, Measurement.ACC}
    offered = read_settings(read_response(strap.answer(settings_request(Measurement.ACC))).parameters)
    assert offered == ACC
    started = read_response(strap.answer(start_request(Measurement.ACC, WANTED)))
    assert strap.running == {Measurement.ACC: WANTED}
    stream = stream_of(WANTED, started)
    assert (stream.rate_hz, stream.factor) == (50.0, 2.0**-12)
    assert status(strap.answer(stop_request(Measurement.ACC))) is Status.SUCCESS
    assert strap.running == {}


def test_ten_minutes_of_acceleration_arrive_complete_in_order_and_on_time() -> None:
    strap = sensor()
    stream = stream_of(WANTED, read_response(strap.answer(start_request(Measurement.ACC, WANTED))))
    context = with_stream(DecodeContext(clock_offset=timedelta(seconds=7)), Measurement.ACC, stream)
    raw = [(index % 4096, -index % 97, 4096) for index in range(30_000)]
    times: list[datetime] = []
    values: list[tuple[float, ...]] = []
    for first in range(0, len(raw), 36):
        rows = raw[first : first + 36]
        last = START + (first + len(rows)) * timedelta(milliseconds=20)
        time_ns = (last - timedelta(seconds=7) - EPOCH) // timedelta(microseconds=1) * 1000
        payload = encode_pmd(Measurement.ACC, rows, time_ns=time_ns, compressed=True)
        (wave,) = decode(CHARACTERISTIC, payload, last + timedelta(milliseconds=80), context=context)
        assert isinstance(wave, Waveform)
        context = following(context, payload)
        times += [wave.time_of(index) for index in range(len(wave.samples))]
        values += wave.samples
    assert values == [tuple(number * 1000 / 4096 for number in row) for row in raw]
    assert times == [START + (index + 1) * timedelta(milliseconds=20) for index in range(len(raw))]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"", Status.INVALID_OP_CODE),
        (b"\x00\x00", Status.INVALID_OP_CODE),
        (b"\xff\x00", Status.INVALID_OP_CODE),
        (b"\x02", Status.INVALID_LENGTH),
        (settings_request(Measurement.GYRO), Status.INVALID_MEASUREMENT_TYPE),
        (bytes([Command.GET_STATUS, Measurement.ECG]), Status.NOT_SUPPORTED),
        (stop_request(Measurement.ECG), Status.ALREADY_IN_STATE),
        (start_request(Measurement.ECG, {Setting.SAMPLE_RATE: 131}), Status.INVALID_SAMPLE_RATE),
        (start_request(Measurement.ECG, {Setting.RESOLUTION: 16}), Status.INVALID_RESOLUTION),
        (start_request(Measurement.ACC, {Setting.RANGE: 16}), Status.INVALID_RANGE),
        (start_request(Measurement.ACC, {Setting.CHANNELS: 1}), Status.INVALID_NUMBER_OF_CHANNELS),
        (start_request(Measurement.ACC, {Setting.SECURITY: 1}), Status.INVALID_PARAMETER),
        (start_request(Measurement.ECG, {}) + b"\x00\x02\x82\x00\x82\x00", Status.INVALID_SAMPLE_RATE),
        (start_request(Measurement.ECG, {}) + b"\x00\x01\x82", Status.INVALID_LENGTH),
    ],
)
def test_requests_that_the_sensor_refuses(request_: bytes, expected: Status) -> None:
    strap = sensor()
    assert status(strap.answer(request_)) is expected
    assert strap.running == {}


def test_a_stream_cannot_be_started_twice_and_ends_with_the_power() -> None:
    strap = sensor()
    assert status(strap.answer(start_request(Measurement.ECG, {}))) is Status.SUCCESS
    assert status(strap.answer(start_request(Measurement.ECG, {}))) is Status.ALREADY_IN_STATE
    strap.power_off()
    assert strap.running == {}


@given(st.lists(st.binary(max_size=24), max_size=5))
def test_any_requests_are_answered(requests: list[bytes]) -> None:
    strap = sensor()
    for request in requests:
        read_response(strap.answer(request))
    assert set(strap.running) <= {Measurement.ECG, Measurement.ACC}
