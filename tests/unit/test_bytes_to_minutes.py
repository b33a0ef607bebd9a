"""From the bytes of an accelerometer to minutes of motion: frames as a Polar sensor sends them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_twin import codes
from edge_twin.features.motion import MotionStream
from edge_twin.observation import Observation, Waveform
from edge_twin_adapters.ble import decode
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.polar import encode_pmd, following, with_stream
from edge_twin_adapters.ble.polar_stream import Measurement, PmdStream

CHARACTERISTIC = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
RECEIVED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
FIRST_NS = 820_000_000 * 10**9  # since 2000, in the year 2025


def walk(rate_hz: float, seconds: float, cadence: float) -> np.ndarray:
    """Whole m[g] of a walk, shape [n, 3]."""
    rng = np.random.default_rng(1)
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * cadence / 60.0 * at
    up = 1000.0 + 180.0 * np.sin(phase) + 60.0 * np.sin(2 * phase + 1)
    return np.round(np.stack([0.3 * up, 0.1 * up, 0.949 * up], axis=1) + rng.normal(0.0, 12.0, (at.size, 3))).astype(
        int
    )


def payloads(samples: np.ndarray, rate_hz: float) -> Iterator[tuple[bytes, datetime]]:
    """Compressed frames of changing length with the sensor's own time, and when each arrived."""
    first = 0
    for number in range(len(samples)):
        last = min(first + 30 + 7 * (number % 5), len(samples))
        elapsed_ns = round((last - 1) / rate_hz * 1e9)
        rows = [tuple(map(int, row)) for row in samples[first:last]]
        payload = encode_pmd(Measurement.ACC, rows, time_ns=FIRST_NS + elapsed_ns, frame_type=1, compressed=True)
        late = timedelta(milliseconds=40 * (number % 3))
        yield payload, RECEIVED + timedelta(microseconds=elapsed_ns / 1000) + late
        first = last
        if first == len(samples):
            return


def waveforms(frames: Iterable[tuple[bytes, datetime]]) -> Iterator[Waveform]:
    context = with_stream(DecodeContext("arm"), Measurement.ACC, PmdStream(rate_hz=52.0))
    for payload, received in frames:
        for item in decode(CHARACTERISTIC, payload, received, context=context):
            if isinstance(item, Waveform):
                yield item
        context = following(context, payload)


def minutes(frames: Iterable[tuple[bytes, datetime]]) -> list[Observation]:
    stream = MotionStream("arm")
    return [*(o for frame in waveforms(frames) for o in stream.push(frame)), *stream.finish()]


@pytest.mark.parametrize("rate_hz", [50.9, 51.6, 52.0, 52.8])
def test_the_steps_of_a_walk_come_through_at_the_rate_that_the_sensor_really_has(rate_hz: float) -> None:
    """A sensor that was told 52 Hz samples at something near it; its own time stamps say at what."""
    told = minutes(payloads(walk(rate_hz, 240.0, 108.0), rate_hz))
    whole = [o for o in told if o.code == codes.STEPS and o.attributes["coverage"] > "0.9"]
    assert len(whole) >= 3
    assert all(o.value == pytest.approx(108.0, abs=3.0) for o in whole)
    # The first frame knows only the rate that was asked for, and its minute is laid out by it.
    assert all(float(o.attributes["coverage"]) > 0.99 for o in whole[1:])
    assert sum(o.value for o in told if o.code == codes.STEPS) == pytest.approx(4 * 108.0, rel=0.05)


def test_lost_frames_lower_the_coverage_and_never_add_steps() -> None:
    frames = list(payloads(walk(52.0, 240.0, 108.0), 52.0))
    kept = [frame for number, frame in enumerate(frames) if number % 40 >= 5]
    whole = sum(o.value for o in minutes(frames) if o.code == codes.STEPS)
    told = [o for o in minutes(kept) if o.code == codes.STEPS]
    assert sum(o.value for o in told) < whole
    assert all(0.75 < float(o.attributes["coverage"]) < 0.95 for o in told[1:-1])
