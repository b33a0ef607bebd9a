"""Decoders alone: ``python -m tests.benchmarks.bench_decoders``. Time for one frame of each characteristic.

The minimum of many runs is what the code costs; the median shows what else the machine was doing. The
limit of a heart rate frame is 15 µs at its minimum: it is printed beside the figure, nothing is asserted.
"""

from __future__ import annotations

import statistics
import timeit
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from edge_twin_adapters.ble.cgm_feature import CgmFeature
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext

RECEIVED = datetime(2020, 5, 11, 8, 38, 33, tzinfo=UTC)
CONTEXT = DecodeContext(
    patient_zone=ZoneInfo("Europe/Berlin"), cgm_feature=CgmFeature(1 << 12, 0x59), cgm_session_start=RECEIVED
)
RUNS, FRAMES = 1000, 10
FIRST_LIMIT_US = 15.0

PAYLOADS = (
    ("heart rate, no beat", "2a37", "0055"),
    ("heart rate, contact and one beat", "2a37", "16550004"),
    ("heart rate, contact and nine beats", "2a37", "1655" + "0004" * 9),
    ("temperature with time and site", "2a1c", "06b00e00fee407050b0a261b06"),
    ("oximeter, continuous", "2a5f", "0062004800"),
    ("oximeter, everything", "2a5f", "1f62004800610047006300460001001000000cf0"),
    ("blood pressure, everything", "2a35", "1e8a0058007800e407050b0a26213c00010000"),
    ("weight", "2a9d", "00b036"),
    ("body composition, everything", "2a9c", "feaf1234e7070206121c002a23453456456756786789789a89ab9abcabcd"),
    ("glucose, everything", "2a18", "1b0100e407050b0a1e00fbff1e00120501"),
    ("CGM, one record with checksum", "2aa7", "0fe3d2e405000214ff02f0e5f38e3f"),
    ("running", "2a53", "070003125600010000f0"),
    ("humidity", "2a6f", "8813"),
    ("battery", "2a19", "5a"),
)


def microseconds(characteristic: str, payload: bytes) -> tuple[float, float]:
    """Minimum and median time of one frame in µs."""
    runs = timeit.repeat(lambda: decode(characteristic, payload, RECEIVED, context=CONTEXT), number=FRAMES, repeat=RUNS)
    return min(runs) / FRAMES * 1e6, statistics.median(runs) / FRAMES * 1e6


def main() -> None:
    """Print one line for each payload."""
    print(f"{'frame':40} {'min µs':>8} {'median':>8} {'frames/s at min':>16}")
    for name, characteristic, hexadecimal in PAYLOADS:
        least, middle = microseconds(characteristic, bytes.fromhex(hexadecimal))
        limit = f"   limit {FIRST_LIMIT_US:g}" if name.startswith("heart rate, contact and one") else ""
        print(f"{name:40} {least:8.2f} {middle:8.2f} {1e6 / least:16,.0f}{limit}")


if __name__ == "__main__":
    main()
