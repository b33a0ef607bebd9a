"""How long a rehearsal takes: 1,000 virtual patients x 180 days x 4 regimens, on this machine.

    python tests/benchmarks/bench_rehearsal.py [--json FILE] [--members N] [--repeats R] [--reference N]

Each engine simulates all members under every regimen (exposure included) and takes the pointwise median
and 95 % interval of the daily counts. The reference is scipy's LSODA on the same equations and doses at
relative tolerance 1e-6, on a stated subsample of members under one regimen, scaled to the whole task.
Minimum over repeats is reported because the machine may be shared; the ratio is from the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge_twin.bundle import load_bundle
from edge_twin.engines import select_engine
from edge_twin.exposure import DoseEvent
from edge_twin.quantiles import median_and_interval
from edge_twin.reduced_model import ReducedModel
from edge_twin_models import bundle_path
from edge_twin_models.friberg import Patient, simulate_patient

DAYS = np.arange(181.0)
CYCLES = 8
INTERVAL_DAYS = 21.0
INFUSION_DAYS = 1.0 / 24.0
REGIMENS_MG = (180.0, 153.0, 135.0, 108.0)
"""100, 85, 75 and 60 mg/m² on 1.8 m²."""
ENGINES = ("numpy", "onnxruntime")
REFERENCE_RELATIVE, REFERENCE_ABSOLUTE = 1e-6, 1e-8
BYTES_PER_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in ms, memory in MB, speed as multiple of the reference."""

    engine: str
    simulate_ms: float
    simulate_and_interval_ms: float
    median_ms: float
    speedup_over_lsoda: float
    python_peak_mb: float


def regimen(amount_mg: float) -> tuple[DoseEvent, ...]:
    """Eight cycles every 21 days from day 0."""
    return tuple(DoseEvent(INTERVAL_DAYS * cycle, amount_mg, INFUSION_DAYS) for cycle in range(CYCLES))


def rehearse(model: ReducedModel, members: int, *, interval: bool) -> None:
    """The whole task once."""
    parameters = model.prior_sample(members, seed=1)
    for amount in REGIMENS_MG:
        counts = model.simulate(parameters, regimen(amount), DAYS)
        if interval:
            median_and_interval(counts)


def timed(work: Callable[[], None], repeats: int, label: str) -> list[float]:
    """Elapsed ms of each repeat."""
    elapsed = []
    for _ in tqdm(range(repeats), desc=label, leave=False, disable=None):
        start = time.perf_counter()
        work()
        elapsed.append(1000.0 * (time.perf_counter() - start))
    return elapsed


def reference_ms(model: ReducedModel, members: int, sample: int) -> float:
    """LSODA over ``sample`` members under the first regimen, scaled to all members and regimens."""
    patients = [Patient(*row) for row in np.exp(model.prior_sample(sample, seed=1)).tolist()]
    start = time.perf_counter()
    for patient in tqdm(patients, desc="scipy LSODA", leave=False, disable=None):
        simulate_patient(patient, regimen(REGIMENS_MG[0]), DAYS, rtol=REFERENCE_RELATIVE, atol=REFERENCE_ABSOLUTE)
    elapsed = 1000.0 * (time.perf_counter() - start)
    return elapsed * members / sample * len(REGIMENS_MG)


def python_peak_mb(work: Callable[[], None]) -> float:
    """Peak of Python's and numpy's allocations; a native runtime's own arena is not in it."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / BYTES_PER_MEGABYTE
    finally:
        tracemalloc.stop()


def measure(members: int, repeats: int, sample: int) -> tuple[list[Row], float]:
    """A row for each engine that passes the golden vectors, and the reference in ms."""
    bundle = load_bundle(bundle_path("neutropenia"))
    models = [ReducedModel(bundle, select_engine(bundle, prefer=name)) for name in ENGINES]
    reference = reference_ms(models[0], members, sample)
    rows = []
    for model in {model.engine_name: model for model in models}.values():

        def simulate(model: ReducedModel = model) -> None:
            rehearse(model, members, interval=False)

        def full(model: ReducedModel = model) -> None:
            rehearse(model, members, interval=True)

        bare, whole = timed(simulate, repeats, model.engine_name), timed(full, repeats, model.engine_name)
        best = min(whole)
        row = Row(model.engine_name, min(bare), best, statistics.median(whole), reference / best, python_peak_mb(full))
        rows.append(row)
    return rows, reference


def main() -> None:
    """Print the table; with ``--json`` also write it."""
    parser = argparse.ArgumentParser(description="Time a rehearsal.")
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reference", type=int, default=20, help="members integrated by scipy")
    arguments = parser.parse_args()
    rows, reference = measure(arguments.members, arguments.repeats, arguments.reference)
    peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_MEGABYTE
    report = {
        "rows": [asdict(row) for row in rows],
        "members": arguments.members,
        "days": int(DAYS[-1]),
        "regimens": len(REGIMENS_MG),
        "repeats": arguments.repeats,
        "lsoda_ms_scaled": reference,
        "lsoda_members_run": arguments.reference,
        "process_peak_rss_mb": peak_rss_mb,
    }
    sys.stdout.write(table(rows, report))
    if arguments.json_file is not None:
        arguments.json_file.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        sys.stdout.write(f"written to {arguments.json_file}\n")


def table(rows: list[Row], report: dict[str, object]) -> str:
    """Text for people."""
    lines = [
        f"{report['members']} members x {report['days']} d x {report['regimens']} regimens, {report['repeats']} runs",
        f"{'engine':<14}{'simulate ms':>13}{'+ interval ms':>15}{'median ms':>11}{'x LSODA':>10}{'peak MB':>9}",
    ]
    lines += [
        f"{row.engine:<14}{row.simulate_ms:>13.1f}{row.simulate_and_interval_ms:>15.1f}{row.median_ms:>11.1f}"
        f"{row.speedup_over_lsoda:>10.0f}{row.python_peak_mb:>9.1f}"
        for row in rows
    ]
    lines += [
        f"LSODA {report['lsoda_ms_scaled']:.0f} ms, from {report['lsoda_members_run']} members, one regimen, scaled",
        f"process peak RSS {report['process_peak_rss_mb']:.0f} MB (scipy and all engines loaded)",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
