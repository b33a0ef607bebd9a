"""``edge-twin bench rehearse``: what a rehearsal costs with each method, measured in one run."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_twin.course import Course
from edge_twin.exposure import DoseEvent
from edge_twin.quantiles import median_and_interval, median_and_interval_in_place
from edge_twin_app.commands import bench_students
from edge_twin_app.models import MECHANISTIC_BUNDLE, load_model, load_surrogate

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

DAYS = np.arange(181.0)
INTERVAL_DAYS, AMOUNT_MG, INFUSION_DAYS, CYCLES = 21.0, 180.0, 1.0 / 24.0, 6
COURSE = Course(0.0, CYCLES, INTERVAL_DAYS, AMOUNT_MG, INFUSION_DAYS)
DOSES = tuple(DoseEvent(INTERVAL_DAYS * cycle, AMOUNT_MG, INFUSION_DAYS) for cycle in range(CYCLES))
THRESHOLD = 0.5  # 10*9/L
SHIPPED = ("pod_network", "onnxruntime")
METHODS = (
    ("mechanistic", "numpy"),
    ("mechanistic", "onnxruntime"),
    ("pod_network", "numpy"),
    ("pod_network", "litert"),
    ("pod_network", "onnxruntime"),
)
LSODA_RELATIVE, LSODA_ABSOLUTE = 1e-6, 1e-8

Work = Callable[[], Any]


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("bench", help="performance tables, measured on this machine")
    parser.add_argument("what", choices=("rehearse", "students"))
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--reference", type=int, default=40, help="members integrated by scipy's LSODA, scaled")
    parser.add_argument("--runs", type=int, default=1000, help="fresh patients of each teacher (students)")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    if options.what == "students":
        text = bench_students.document(options.runs, options.members, options.repeats, as_json=options.json)
        sys.stdout.write(text)
        return 0
    if options.only:
        method, engine = options.only.split(":")
        work(method, engine, options.members)()
        sys.stdout.write(f"{own_peak_rss_mb()}\n")
        return 0
    document = measure(options.members, options.repeats, options.reference)
    sys.stdout.write(json.dumps(document, indent=1) + "\n" if options.json else _table(document))
    return 0


def measure(members: int, repeats: int, reference: int) -> dict[str, Any]:
    """All rows, and what they were measured against."""
    lsoda_ms, truth = _lsoda(reference)
    per_course = lsoda_ms * members / reference
    floor_ms = _floor_ms(members, repeats)
    rows = [_row("lsoda", "scipy", per_course, per_course, None)]
    for method, engine in METHODS:
        elapsed = best_ms(work(method, engine, members), repeats if method == "pod_network" else 3)
        row = _row(method, engine, elapsed, per_course, floor_ms if method == "pod_network" else None)
        row |= {"nadir_error_p95": _nadir_error(method, engine, reference, truth)}
        row |= {"peak_rss_mb": _peak_rss_mb(method, engine, members)}
        rows.append(row)
    return {"rows": rows, "members": members, "days": 180, "floor_ms": floor_ms, "lsoda_members_run": reference}


def work(method: str, engine: str, members: int) -> Work:
    """One rehearsal: counts, median, 95 % interval, chance of a count below 0.5, on calendar days."""
    if method == "mechanistic":
        model = load_model(MECHANISTIC_BUNDLE, engine)
        parameters = model.prior_sample(members, seed=1)
        return lambda: _statistics(model.simulate(parameters, DOSES, DAYS))
    surrogate = load_surrogate(engine)
    parameters = surrogate.prior_sample(2 * members, seed=1)
    parameters = parameters[surrogate.members_inside(parameters, COURSE)][:members]

    def fast() -> object:
        if not surrogate.members_inside(parameters, COURSE).all():
            raise AssertionError("members left the envelope")
        counts = surrogate.fast_counts(parameters, COURSE, DAYS)
        below = float((counts.min(axis=0) < THRESHOLD).mean())
        return median_and_interval_in_place(counts), below

    return fast


def best_ms(task: Work, repeats: int) -> float:
    """Minimum over repeats after one warm-up."""
    task()
    elapsed = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        elapsed.append(1000.0 * (time.perf_counter() - start))
    return min(elapsed)


def _statistics(counts: np.ndarray) -> object:
    return median_and_interval(counts), float((counts.min(axis=0) < THRESHOLD).mean())


def _inside(reference: int) -> np.ndarray:
    surrogate = load_surrogate("numpy")
    parameters = surrogate.prior_sample(4 * reference, seed=2)
    return parameters[surrogate.members_inside(parameters, COURSE)][:reference]


def _lsoda(reference: int) -> tuple[float, np.ndarray]:
    """Elapsed ms and counts [t, n] of scipy's LSODA, patient after patient."""
    from edge_twin_models.friberg import Patient, simulate_patient  # noqa: PLC0415 - scipy only here

    patients = [Patient(*row) for row in np.exp(_inside(reference)).tolist()]
    start = time.perf_counter()
    curves = [simulate_patient(p, DOSES, DAYS, rtol=LSODA_RELATIVE, atol=LSODA_ABSOLUTE) for p in patients]
    return 1000.0 * (time.perf_counter() - start), np.array(curves).T


def _nadir_error(method: str, engine: str, reference: int, truth: np.ndarray) -> float:
    """95th percentile of |Δ nadir| / max(nadir, 0.5): 0.01 is 1 % or 0.005·10*9/L, whichever is larger."""
    model = load_model(MECHANISTIC_BUNDLE, engine) if method == "mechanistic" else load_surrogate(engine)
    nadir = truth.min(axis=0)
    error = np.abs(model.simulate(_inside(reference), DOSES, DAYS).min(axis=0) - nadir)
    return float(np.percentile(error / np.maximum(nadir, THRESHOLD), 95))


def _floor_ms(members: int, repeats: int) -> float:
    """The graph's operations at the matrix-product rate of this run, one sort and one interpolation."""
    student = load_surrogate("numpy").student
    sizes = [student.arrays[name].shape for name in ("w1", "w2", "w3")] + [(len(DAYS), student.arrays["b3"].size)]
    operations: float = 2.0 * members * sum(rows * columns for rows, columns in sizes)
    a, b, out = (np.random.default_rng(0).random((512, 512), np.float32) for _ in range(3))
    rate: float = 2.0 * 512.0**3 / best_ms(lambda: np.matmul(a, b, out=out), repeats)
    series = np.random.default_rng(1).random((len(DAYS), members), np.float32)
    copies = [series.copy() for _ in range(repeats + 1)]
    nodes = student.grid.node_days(INTERVAL_DAYS)
    values = np.column_stack((student.arrays["modes"], student.arrays["mean"])).astype(np.float64)
    interpolation = best_ms(lambda: [np.interp(DAYS, nodes, column) for column in values.T], repeats)
    return operations / rate + best_ms(lambda: copies.pop().sort(axis=1), repeats) + interpolation


def _row(method: str, engine: str, elapsed: float, lsoda: float, floor: float | None) -> dict[str, Any]:
    parameters = load_surrogate("numpy").student.parameters if method == "pod_network" else 0
    return {
        "method": method,
        "engine": engine,
        "milliseconds": elapsed,
        "ratio_to_lsoda": lsoda / elapsed,
        "ratio_to_floor": elapsed / floor if floor else None,
        "nadir_error_p95": 0.0,
        "peak_rss_mb": None,
        "parameters": parameters,
        "shipped": (method, engine) == SHIPPED,
    }


def _peak_rss_mb(method: str, engine: str, members: int) -> float:
    """Peak resident memory of a fresh process that rehearses once."""
    command = [sys.executable, "-m", "edge_twin_app", "bench", "rehearse", "--only", f"{method}:{engine}"]
    result = subprocess.run([*command, "--members", str(members)], capture_output=True, text=True, check=True)  # noqa: S603 - our own command line
    return float(result.stdout.splitlines()[-1])


def own_peak_rss_mb() -> float:
    """Peak of this process, MB. The kernel's VmHWM: ``ru_maxrss`` would still hold the peak of the parent."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024 / 1e6


def _table(document: dict[str, Any]) -> str:
    keys = list(document["rows"][0])
    shown = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in document["rows"]]
    lines = ["".join(f"{cell:>18}" for cell in cells) for cells in (keys, *shown)]
    note = f"LSODA from {document['lsoda_members_run']} members, scaled; floor {document['floor_ms']:.2f} ms"
    return "\n".join([*lines, note, ""])
