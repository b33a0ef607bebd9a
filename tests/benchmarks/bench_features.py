"""One patient-day of raw streams to features, beside neurokit2: ``python -m tests.benchmarks.bench_features``.

The day: beats and a heart rate each second, 50 Hz acceleration on three axes (8 h asleep, 2 h of walking, the rest
light motion), temperature and oxygen saturation each minute. Measured is CPU time from decoded frames and readings to
features; making those is the decoders' work (bench_decoders). neurokit2 does the comparable part on one five-minute
window of each hour, and its time is multiplied by twelve: ``signal_fixpeaks`` and ``hrv_time`` for the beats,
``ecg_rsp`` and ``rsp_rate`` for breathing, ``signal_filter`` (0.5 to 3 Hz) and ``signal_findpeaks`` for acceleration.
"""

from __future__ import annotations

import asyncio
import pickle
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from edge_twin import codes
from edge_twin.features import distil
from edge_twin.features.heart_stream import HeartStream
from edge_twin.features.motion import MotionStream
from edge_twin.observation import Observation, Waveform, observe, sample
from edge_twin.program import load_program
from edge_twin.runtime import Plan, Runtime
from edge_twin.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
RATE = 50
HOURS = range(24)
WINDOW_S = 300
BATCH = 512  # as the runtime takes them
SCALE = 12  # one window of each hour is measured
REPEATS = 3


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def through(push: Callable[[Any], object], items: Iterable[Any]) -> None:
    """Give each item to a stream."""
    for item in items:
        push(item)


class Collected:
    """What a stream of observations gives, and the CPU seconds it took.

    Args:
        push: takes a frame.
        items: the frames.
    """

    def __init__(self, push: Callable[[Waveform], tuple[Observation, ...]], items: Sequence[Waveform]) -> None:
        self.found: list[Observation] = []
        self.seconds = cpu(lambda: self.found.extend(made for item in items for made in push(item)))


def heart(hour: int) -> np.ndarray:
    """Intervals of an hour in ms: breathing at 15 a minute, a slow wave, noise, a few artefacts."""
    rng = np.random.default_rng(hour)
    mean_ms = 1050.0 if hour < 8 else 800.0
    place = np.arange(int(3600 * 1000 / mean_ms)) * mean_ms / 1000.0
    rr_ms = mean_ms + 30.0 * np.sin(2 * np.pi * 0.25 * place) + 15.0 * np.sin(2 * np.pi * 0.05 * place)
    rr_ms += rng.normal(0.0, 10.0, place.size)
    rr_ms[rng.integers(0, place.size, 8)] *= 0.6
    return np.asarray(rr_ms)


def motion(hour: int) -> np.ndarray:
    """An hour of acceleration in m[g], shape [n, 3]."""
    rng = np.random.default_rng(100 + hour)
    size = 3600 * RATE
    at = np.arange(size) / RATE
    noise = rng.normal(0.0, 4.0 if hour < 8 else 20.0, (size, 3))
    breath = np.outer(10.0 * np.sin(2 * np.pi * 0.25 * at), [0.6, 0.8, 0.0])
    steps = np.outer(200.0 * np.sin(2 * np.pi * 1.8 * at) * (hour in (10, 17)), [0.0, 0.0, 1.0])
    return np.asarray(noise + breath + steps + np.array([0.0, 0.0, 1000.0]))


def beats(hour: int) -> list[Observation]:
    at, made = START + timedelta(hours=hour), []
    for rr_ms in heart(hour):
        at += timedelta(milliseconds=float(rr_ms))
        made.append(observe(codes.RR_INTERVAL, float(rr_ms), at, source="strap"))
    return made


def rates(hour: int) -> list[Observation]:
    at = START + timedelta(hours=hour)
    return [observe(codes.HEART_RATE, 60.0 + n % 7, at + timedelta(seconds=n), source="strap") for n in range(3600)]


def frames(hour: int) -> list[Waveform]:
    samples, at = motion(hour), START + timedelta(hours=hour)
    return [
        sample(
            codes.ACCELERATION, samples[n * RATE : (n + 1) * RATE].tolist(), start=at + timedelta(seconds=n),
            period_s=1 / RATE, channels=("x", "y", "z"), source="strap",
        )
        for n in range(3600)
    ]  # fmt: skip


def each_minute() -> Iterator[Observation]:
    for n in range(1440):
        at = START + timedelta(minutes=n)
        yield observe(codes.BODY_TEMPERATURE, 36.5 + n % 5 / 10, at, source="patch", attributes={"site": "oral"})
        yield observe(codes.OXYGEN_SATURATION, 96.0 + n % 3, at, source="oximeter")


def ours() -> tuple[dict[str, float], int]:
    """CPU seconds of the day by stream, and bytes of the streams' state at its end."""
    spent = {"beats and heart rate": 0.0, "acceleration": 0.0, "features of the day": 0.0}
    heart_stream, motion_stream = HeartStream(ZONE, START.date()), MotionStream("strap")
    minutes: list[Observation] = []
    for hour in HOURS:
        mixed = sorted([*beats(hour), *rates(hour)], key=lambda o: o.time)
        batches = [mixed[first : first + BATCH] for first in range(0, len(mixed), BATCH)]
        spent["beats and heart rate"] += cpu(partial(through, heart_stream.push, batches))
        minutes += (made := Collected(motion_stream.push, frames(hour))).found
        spent["acceleration"] += made.seconds
    readings = [*each_minute(), *minutes]
    spent["features of the day"] += cpu(lambda: (heart_stream.push(minutes), heart_stream.summaries()))
    spent["features of the day"] += cpu(lambda: distil(readings, ZONE))
    return spent, len(pickle.dumps((heart_stream, motion_stream)))


def windows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Beats in ms and magnitude in m[g] of the first five minutes of each hour."""
    for hour in HOURS:
        rr_ms = heart(hour)
        yield rr_ms[np.cumsum(rr_ms) < 1000 * WINDOW_S], np.linalg.norm(motion(hour)[: WINDOW_S * RATE], axis=1)


def theirs() -> dict[str, float]:
    """CPU seconds of the day by stream, from a window of each hour."""
    import neurokit2  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - a peer, only here

    peer: Any = neurokit2
    spent = {"beats": 0.0, "breathing": 0.0, "acceleration, filter": 0.0, "acceleration, peaks": 0.0}
    for rr_ms, magnitude in windows():
        times = np.cumsum(rr_ms) / 1000.0
        peaks = np.round(1000.0 * times).astype(int)
        grid = np.arange(times[0], times[-1], 0.25)

        def of_beats(peaks: np.ndarray = peaks) -> object:
            _, cleaned = peer.signal_fixpeaks(peaks, sampling_rate=1000, method="Kubios")
            return peer.hrv_time(cleaned, sampling_rate=1000)

        def of_breathing(times: np.ndarray = times, rr_ms: np.ndarray = rr_ms, grid: np.ndarray = grid) -> object:
            even = peer.signal_interpolate(times, 60_000.0 / rr_ms, grid, method="cubic")
            return peer.rsp_rate(peer.ecg_rsp(even, sampling_rate=4), sampling_rate=4)

        def of_filter(magnitude: np.ndarray = magnitude) -> np.ndarray:
            return np.asarray(peer.signal_filter(magnitude, sampling_rate=RATE, lowcut=0.5, highcut=3.0))

        band = of_filter()
        spent["beats"] += SCALE * cpu(of_beats)
        spent["breathing"] += SCALE * cpu(of_breathing)
        spent["acceleration, filter"] += SCALE * cpu(of_filter)
        spent["acceleration, peaks"] += SCALE * cpu(partial(peer.signal_findpeaks, band))
    return spent


async def on_the_device(store: Store) -> Iterator[str]:
    """What a step and a restart cost at the end of the day, in CPU seconds, as lines of text."""
    now = START + timedelta(hours=23, minutes=59)
    plan = Plan("UTC", load_program("neutropenia"), None)
    runtime = Runtime(store, plan, [], clock=lambda: now)
    await runtime._resume()  # a step is measured alone, without sources
    every = [reading for hour in HOURS for reading in beats(hour) if reading.time < now]
    lines = [f"a step after {len(every)} beats: {await stepped(runtime, every):.3f} s of CPU"]
    minutes = [o for o in (*each_minute(), *epochs()) if o.time < now]
    lines.append(
        f"a step after {len(minutes)} readings by the minute too: {await stepped(runtime, minutes):.3f} s of CPU"
    )
    started = time.process_time()
    await Runtime(store, plan, [], clock=lambda: now)._resume()
    lines.append(f"a restart at the end of that day: {time.process_time() - started:.1f} s of CPU")
    return iter(lines)


async def stepped(runtime: Runtime, readings: list[Observation]) -> float:
    """CPU seconds of a step once these readings are stored; the least of some."""
    for first in range(0, len(readings), BATCH):
        runtime._absorb(readings[first : first + BATCH])
    took = []
    for _ in range(REPEATS):
        started = time.process_time()
        await runtime._step()
        took.append(time.process_time() - started)
    return min(took)


def epochs() -> Iterator[Observation]:
    """The minutes of a day of acceleration."""
    attributes = {"epoch_seconds": "60", "derived": "acceleration", "coverage": "1.000"}
    for n in range(1440):
        for code in (codes.MOTION_ENMO, codes.MOTION_ANGLE, codes.MOTION_SPREAD, codes.STEPS):
            yield observe(code, float(n % 7), START + timedelta(minutes=n), source="strap", attributes=attributes)


def beside(spent: dict[str, float]) -> None:
    """Print what neurokit2 needs, and how many times less we need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = theirs()
    print("neurokit2, CPU seconds a day:", {name: round(seconds, 2) for name, seconds in peer.items()})
    mine, whole = sum(spent.values()), sum(peer.values())
    print(f"all: {mine:.2f} s against {whole:.1f} s, {whole / mine:.0f} times less")
    of_heart = (peer["beats"] + peer["breathing"]) / spent["beats and heart rate"]
    print(f"beats, heart rate and breathing alone: {of_heart:.0f} times less")
    without = whole - peer["acceleration, peaks"]
    print(f"without its search for peaks in the acceleration: {without / mine:.1f} times less")


def main() -> None:
    spent, size = ours()
    print("ours, CPU seconds a day:", {name: round(seconds, 2) for name, seconds in spent.items()})
    print(f"state of one patient's streams: {size / 1000:.0f} kB")
    if find_spec("neurokit2") is None:
        print("neurokit2 is not installed: nothing to compare with")
    else:
        beside(spent)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "edge-twin.db")
        print(*asyncio.run(on_the_device(store)), sep="\n")
        store.close()


if __name__ == "__main__":
    main()
