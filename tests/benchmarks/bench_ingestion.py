"""Seven sensors at once: ``python -m tests.benchmarks.bench_ingestion [--seconds 3600] [--faults] [--json]``.

The load is that of ``tests/integration/test_ble_ingestion.py``. Sensors, radio and client run in one thread
of one process; the frames that came are then read again by the client's interpreter alone. Figures inform;
nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections import defaultdict
from dataclasses import replace
from datetime import UTC

from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.interpreter import Interpreter
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.peers.ingestion import Ingestion, faulty_day, ingest

DAY_S = 86_400.0
PASSES = 5


def measure(seconds: float, *, with_faults: bool) -> tuple[Ingestion, list[Frame]]:
    """The ingestion at full speed, and its frames in the order in which they came."""
    scenario = faulty_day(seconds, seed=31)
    frames: list[Frame] = []
    plain = replace(scenario, speed=1e9, faults=scenario.faults if with_faults else ())
    if with_faults:
        plain = replace(plain, speed=scenario.speed)
    return asyncio.run(ingest(plain, frames.append)), frames


def decoding_seconds(frames: list[Frame]) -> float:
    """Least processor seconds of a few passes of the client's interpreter over all frames."""
    return min(_one_pass(frames) for _ in range(PASSES))


def _one_pass(frames: list[Frame]) -> float:
    # One interpreter for all would mix up streams of the two straps; a frame says which characteristic it is of.
    readers: dict[str, Interpreter] = defaultdict(lambda: Interpreter(DecodeContext(patient_zone=UTC)))
    began = time.process_time()
    for frame in frames:
        readers["one" if frame.characteristic.startswith("fb") else frame.characteristic].items(frame)
    return time.process_time() - began


def figures(result: Ingestion, frames: list[Frame], decode_s: float) -> dict[str, float | bool]:
    """What the documents quote."""
    return {
        "simulated_s": result.simulated_s,
        "wall_s": result.wall_s,
        "cpu_s": result.cpu_s,
        "times_real_time": result.simulated_s / result.wall_s,
        "times_real_time_per_cpu_second": result.simulated_s / result.cpu_s,
        "values": result.notifications,
        "values_per_cpu_second": result.notifications / result.cpu_s,
        "cpu_s_of_a_patient_day": result.cpu_s * DAY_S / result.simulated_s,
        "frames_decoded_per_cpu_second": len(frames) / decode_s,
        "decoding_cpu_s_of_a_patient_day": decode_s * DAY_S / result.simulated_s,
        "every_record_accounted_for": result.is_closed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    result, frames = measure(options.seconds, with_faults=options.faults)
    told = figures(result, frames, decoding_seconds(frames))
    if options.json:
        print(json.dumps(told, indent=2))
        return
    for name, value in told.items():
        print(f"{name:<34} {value if isinstance(value, bool) else f'{value:,.1f}'}")


if __name__ == "__main__":
    main()
