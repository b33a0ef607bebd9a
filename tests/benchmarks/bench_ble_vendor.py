"""Vendor frames: ``python -m tests.benchmarks.bench_ble_vendor``. Decoding alone, minimum and median µs of a frame.

Figures inform; nothing is asserted. The minimum is over short runs, since the machine is shared.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from edge_twin_adapters.ble import polar
from edge_twin_adapters.ble.advertisement import decode_advertisement
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.polar import encode_header, encode_pmd, with_stream
from edge_twin_adapters.ble.polar_ppi import Pulse, encode_pulses
from edge_twin_adapters.ble.polar_stream import Measurement, PmdStream
from edge_twin_adapters.ble.vendor import encode_vendor
from edge_twin_adapters.ble.vendor_map import load_vendor_map

RECEIVED = datetime(2024, 5, 11, 8, 38, 33, tzinfo=UTC)
RUNS, EACH = 400, 5
SAMPLES = 57


def pmd(payload: bytes, measurement: Measurement, **known: float) -> Callable[[], list[Item]]:
    """Decoding of one data frame whose predecessor is known."""
    stream = PmdStream(known.get("rate_hz"), known.get("factor"), 1_000_000_000)
    context = with_stream(DecodeContext("bench"), measurement, stream)
    return lambda: decode(polar.CHARACTERISTIC, payload, RECEIVED, context=context)


def cases() -> dict[str, Callable[[], list[Item]]]:
    """What is measured, by name."""
    # Differences of ten bits, as in the vector of the SDK.
    walk = [(200 * (index % 3), -150 * (index % 2), 400 * (index % 2)) for index in range(SAMPLES)]
    acc = encode_pmd(Measurement.ACC, walk, time_ns=2_000_000_000, compressed=True)
    ecg = encode_pmd(Measurement.ECG, [(index,) for index in range(73)], time_ns=2_000_000_000)
    ppi = encode_header(polar.PmdHeader(Measurement.PPI, 0, 0, compressed=False)) + encode_pulses([Pulse(60, 1000)] * 5)
    nose = load_vendor_map(Path(str(resources.files("edge_twin_adapters.ble") / "maps" / "enose_bme688.toml")))
    (described,) = nose.values()
    breath = encode_vendor(described, [2431, 98_766, 41_237, 152_340, 3, 1])
    return {
        f"PMD ACC, compressed, {SAMPLES} samples of 3": pmd(acc, Measurement.ACC, rate_hz=52.0, factor=2.44e-4),
        "PMD ECG, raw, 73 samples": pmd(ecg, Measurement.ECG, rate_hz=130.0),
        "PMD PPI, 5 pulses": pmd(ppi, Measurement.PPI),
        "BTHome, 2 objects": lambda: decode_advertisement({"fcd2": bytes.fromhex("4002ca0903bf13")}, {}, RECEIVED),
        "electronic nose, 4 quantities": lambda: decode(
            described.uuid, breath, RECEIVED, context=DecodeContext("bench", vendor=nose)
        ),
    }


def main() -> None:
    for name, run in cases().items():
        times = [seconds / EACH * 1e6 for seconds in timeit.repeat(run, number=EACH, repeat=RUNS)]
        print(f"{name:40} {min(times):7.1f} µs minimum, {statistics.median(times):7.1f} µs median")


if __name__ == "__main__":
    main()
