"""Cost of the clinical rules: ``python -m tests.benchmarks.bench_rules``; a patient with few and with many readings."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.background import read_background
from edge_twin.contract import TwinInput
from edge_twin.features import distil
from edge_twin.flags import Situation, raise_flags
from edge_twin.observation import Observation
from edge_twin.store import Store
from tests.rule_bench import ADULT, DOSE, NOW, lab, neutropenia, oral, reading

REPEATS = 9
ZONE = ZoneInfo("UTC")


def spot_checks() -> tuple[Observation, ...]:
    """A day of single measurements, two of each kind, and half a year of weights."""
    kinds = ((codes.SYSTOLIC_PRESSURE, 118.0), (codes.OXYGEN_SATURATION, 96.0), (codes.PULSE_RATE, 72.0))
    vitals = [reading(code, value, minutes) for code, value in kinds for minutes in (10.0, 600.0)]
    weights = [reading(codes.BODY_WEIGHT, 70.0 + 0.01 * (k % 7), 1440.0 * k) for k in range(180)]
    return (*vitals, *weights, oral(36.7, 20.0), lab(codes.PLATELETS, 150.0), lab(codes.NEUTROPHILS, 2.0))


def streams() -> tuple[Observation, ...]:
    """The same with a day of heart rate and pulse, one a second, and saturation likewise."""
    rates = ((codes.HEART_RATE, 70.0), (codes.PULSE_RATE, 70.0), (codes.OXYGEN_SATURATION, 96.0))
    fast = [reading(code, value + k % 3, k / 60.0) for code, value in rates for k in range(86_400)]
    return (*spot_checks(), *fast)


def best(work: Callable[[], object]) -> float:
    """Smallest of some times, in ms."""
    took = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        took.append(1000.0 * (time.perf_counter() - started))
    return min(took)


def main() -> None:
    """Print one line for each patient."""
    for name, readings in (("single measurements", spot_checks()), ("three streams at 1 Hz", streams())):
        given = TwinInput(NOW, "UTC", neutropenia(), None, readings, doses=(DOSE,), care=ADULT)
        features = distil(readings, ZONE)
        since = NOW - timedelta(days=1)
        rules = best(lambda: raise_flags(Situation(given, ZONE, readings, (DOSE,), features, None)))  # noqa: B023 - called at once
        distilled = best(lambda: distil((o for o in readings if o.time >= since), ZONE))  # noqa: B023 - called at once
        print(f"{name}: {len(readings)} readings, rules {rules:.2f} ms, distilling them {distilled:.2f} ms")
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "twin.db")
        with store.transaction():
            store.add_observations(streams())
        midnight = NOW.replace(hour=0)
        rows = len(read_background(store, NOW, midnight))
        print(
            f"background from the store: {rows} readings, {best(lambda: read_background(store, NOW, midnight)):.1f} ms"
        )
        store.close()


if __name__ == "__main__":
    main()
