"""Day-level features of one dense day: ``python -m tests.benchmarks.bench_daily``.

1,440 epochs of each of five codes (angle, spread, excess over gravity, steps, oxygen saturation), in order; told beside
the time that putting the same readings in order takes, which every step needs anyway.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from edge_twin import codes
from edge_twin.features.daily import daily_features
from edge_twin.features.distil import in_order
from edge_twin.observation import Observation, observe

START = datetime(2026, 3, 1, 19, tzinfo=UTC)  # four hours before midnight in Berlin
ZONE = ZoneInfo("Europe/Berlin")
DAY = frozenset({date(2026, 3, 2)})
REPEATS = 15


def epochs() -> tuple[Observation, ...]:
    """24 hours from the evening on, of somebody who sleeps eight hours and walks one."""
    rng = np.random.default_rng(1)
    asleep = (np.arange(1440) >= 180) & (np.arange(1440) < 660)
    walking = (np.arange(1440) >= 900) & (np.arange(1440) < 960)
    columns = (
        (codes.MOTION_ANGLE, np.where(asleep, rng.uniform(20, 20.1, 1440), rng.uniform(-80, 80, 1440))),
        (codes.MOTION_SPREAD, rng.uniform(15, 60, 1440)),
        (codes.MOTION_ENMO, np.where(walking, 150.0, rng.uniform(0, 30, 1440))),
        (codes.STEPS, np.where(walking, 105.0, 0.0)),
        (codes.OXYGEN_SATURATION, rng.integers(93, 99, 1440).astype(float)),
    )
    minute = timedelta(minutes=1)
    return tuple(
        observe(code, float(v), START + n * minute, source="watch", attributes={"epoch_seconds": "60"})
        for code, values in columns
        for n, v in enumerate(values)
    )


def best_ms(work: Callable[[], object]) -> float:
    """Shortest of several runs, in milliseconds of CPU time."""
    took = []
    for _ in range(REPEATS):
        started = time.process_time()
        work()
        took.append(1000.0 * (time.process_time() - started))
    return min(took)


def main() -> None:
    readings = epochs()
    ordered = in_order(readings)
    made = tuple(daily_features(ordered, ZONE, days=DAY))
    day = best_ms(lambda: tuple(daily_features(ordered, ZONE, days=DAY)))
    order = best_ms(lambda: in_order(readings))
    tracemalloc.start()
    tuple(daily_features(ordered, ZONE, days=DAY))
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    told = sum(feature.value is not None for feature in made)
    print(f"{len(readings)} epochs of 5 codes -> {len(made)} features, {told} with a value")
    print(f"features {day:.1f} ms, putting in order {order:.1f} ms, peak of working memory {peak:.1f} MB")


if __name__ == "__main__":
    main()
