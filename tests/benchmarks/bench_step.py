"""One step of the twin: ``python -m tests.benchmarks.bench_step``. 1,000 members, ten counts, day 15 of a cycle."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from edge_twin import codes
from edge_twin.contract import Dose, TwinInput
from edge_twin.observation import Origin, observe
from edge_twin.program import load_program
from edge_twin.twin import advance
from edge_twin_app.models import ENGINES, load_model

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COUNTS = ((-1, 5.1), (1, 6.0), (2, 4.4), (3, 3.1), (4, 1.9), (5, 1.2), (7, 0.6), (9, 0.5), (11, 0.9), (15, 3.2))
REPEATS = 20


def step_input(engine: str) -> TwinInput:
    readings = tuple(
        observe(codes.NEUTROPHILS, value, START + timedelta(days=day), source="lab", origin=Origin.LAB)
        for day, value in COUNTS
    )
    dose = Dose(START, "docetaxel", 135.0, timedelta(hours=1))
    now = START + timedelta(days=15, hours=1)
    return TwinInput(
        now, "UTC", load_program("neutropenia"), load_model("neutropenia", engine), readings, doses=(dose,)
    )


def main() -> None:
    for engine in ENGINES:
        given = step_input(engine)
        took = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            advance(given)
            took.append(1000.0 * (time.perf_counter() - started))
        print(f"{engine}: minimum {min(took):.0f} ms, median {sorted(took)[REPEATS // 2]:.0f} ms")


if __name__ == "__main__":
    main()
