"""What the client costs beside decoding: interpreting a strap's frames, and keeping them.

``python -m tests.benchmarks.bench_ble_client``
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_twin_adapters.ble import decode
from edge_twin_adapters.ble.frame import DecodeContext, long_uuid
from edge_twin_adapters.ble.frames import FrameStore, replay_frames
from edge_twin_adapters.ble.heart_rate import encode_heart_rate
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.polar import CHARACTERISTIC, encode_pmd
from edge_twin_adapters.ble.polar_stream import Measurement

START = datetime(2026, 3, 2, tzinfo=UTC)
SECONDS = 4 * 3600
DAY_S = 86_400
ECG_SAMPLES, ECG_HZ = 73, 130
ACC_SAMPLES, ACC_HZ = 50, 50


def load() -> list[Frame]:
    """The frames of a Polar strap over some hours: heart rate, ECG 130 Hz, acceleration 50 Hz compressed."""
    rng = random.Random(1)  # noqa: S311 - a signal
    frames = [
        Frame(long_uuid("2a37"), encode_heart_rate(60, [1000 + rng.randrange(50)]), START + timedelta(seconds=second))
        for second in range(SECONDS)
    ]
    ecg = [[rng.randrange(-500, 500)] for _ in range(ECG_SAMPLES)]
    acc = [[rng.randrange(-9, 9), rng.randrange(-9, 9), 990 + rng.randrange(20)] for _ in range(ACC_SAMPLES)]
    frames += stream(Measurement.ECG, ecg, ECG_SAMPLES / ECG_HZ, frame_type=0, compressed=False)
    frames += stream(Measurement.ACC, acc, ACC_SAMPLES / ACC_HZ, frame_type=1, compressed=True)
    return sorted(frames, key=lambda frame: frame.received)


def stream(
    kind: Measurement, rows: list[list[int]], step_s: float, *, frame_type: int, compressed: bool
) -> list[Frame]:
    """One frame every ``step_s`` seconds."""
    frames = []
    for number in range(1, int(SECONDS / step_s)):
        elapsed = number * step_s
        time_ns = 8 * 10**17 + round(elapsed * 1e9)
        payload = encode_pmd(kind, rows, time_ns=time_ns, frame_type=frame_type, compressed=compressed)
        frames.append(Frame(CHARACTERISTIC, payload, START + timedelta(seconds=elapsed)))
    return frames


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Print CPU seconds for a day and megabytes for a day."""
    frames, context = load(), DecodeContext(source="strap", patient_zone=UTC)
    scale = DAY_S / SECONDS
    print(f"{len(frames) * scale:,.0f} frames a day: heart rate, ECG 130 Hz, acceleration 50 Hz")
    alone = seconds(lambda: [decode(one.characteristic, one.payload, one.received, context=context) for one in frames])
    whole = seconds(lambda: list(replay_frames(frames, context)))
    print(
        f"decoding alone {alone * scale:.1f} s of one core a day, with everything of the client {whole * scale:.1f} s"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.db"
        store = FrameStore(path)
        keep = store.keeper("strap")
        cost = seconds(lambda: [keep(one) for one in frames])
        counted = store.size_bytes
        store.close()
        size = path.stat().st_size
    payload = sum(len(one.payload) for one in frames)
    print(f"keeping frames: {cost * scale:.1f} s of one core and {size * scale / 1e6:.0f} MB a day")
    print(f"beside its payload a frame takes {(size - payload) / len(frames):.0f} bytes; counted: {counted / size:.2f}")


if __name__ == "__main__":
    main()
