"""What a rehearsal costs with each method and engine, and how far each is from LSODA, all in one run.

Every method simulates the same virtual patients, inside the envelopes of both students, through six cycles
of docetaxel and takes the median, the 95 % interval and the chance of a count below 0.5 on calendar days.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.course import Course
from edge_twin.cycle import CycleModel
from edge_twin.cycle_weights import FRIBERG_LAYOUT, Weights
from edge_twin.engines import LITERT, NUMPY, ONNXRUNTIME
from edge_twin.exposure import DoseEvent
from edge_twin.quantiles import median_and_interval, median_and_interval_in_place
from edge_twin.reduced_model import ReducedModel
from edge_twin.surrogate import SurrogateModel
from edge_twin_app.models import MECHANISTIC_BUNDLE, active_bundle, load_model, load_surrogate

Floats = NDArray[np.float64]
Work = Callable[[], Any]

DAYS = np.arange(181.0)
INTERVAL_DAYS, AMOUNT_MG, INFUSION_DAYS, CYCLES = 21.0, 180.0, 1.0 / 24.0, 6
COURSE = Course(0.0, CYCLES, INTERVAL_DAYS, AMOUNT_MG, INFUSION_DAYS)
DOSES = tuple(DoseEvent(INTERVAL_DAYS * cycle, AMOUNT_MG, INFUSION_DAYS) for cycle in range(CYCLES))
THRESHOLD = 0.5  # 10*9/L
LSODA_RELATIVE, LSODA_ABSOLUTE = 1e-6, 1e-8
LSODA_MEMBERS_FOR_MEMORY = 3  # it integrates one patient after the other, so more of them need no more memory
SLOW_REPEATS = 10  # of what takes a tenth of a second
TIMED_SEED, COMPARED_SEED = 1, 2

LSODA, MECHANISTIC, POD, CYCLE = "lsoda", "mechanistic", "pod_network", "cycle_operator"
SCIPY = "scipy"
CYCLE_BUNDLE = "neutropenia-cycle"
METHODS = (
    (MECHANISTIC, NUMPY),
    (MECHANISTIC, ONNXRUNTIME),
    (POD, NUMPY),
    (POD, LITERT),
    (POD, ONNXRUNTIME),
    (CYCLE, NUMPY),
    (CYCLE, LITERT),
    (CYCLE, ONNXRUNTIME),
)
QUANTILES = {"median": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def measure(members: int, repeats: int, reference: int, *, memory: bool = True) -> dict[str, Any]:
    """All rows, what they were measured against, and the bars of the shipped student.

    Args:
        members: virtual patients of the timed rehearsals.
        repeats: of each fast rehearsal; the minimum counts.
        reference: patients that scipy's LSODA integrates, timed and compared.
        memory: whether to start a process for each row to learn its peak.
    """
    lsoda_ms, truth = _lsoda(reference)
    per_course = lsoda_ms * members / reference
    floors = floors_ms(members, repeats)
    shipped = (POD, load_surrogate().engine.name)
    found = [(method, engine) for method, engine in METHODS if _runs(method, engine)]
    rows = [_row(LSODA, SCIPY, per_course, per_course, None) | _errors(truth, truth) | {"shipped": False}]
    for method, engine in found:
        elapsed = best_ms(
            work(method, engine, members), min(repeats, SLOW_REPEATS) if method == MECHANISTIC else repeats
        )
        row = _row(method, engine, elapsed, per_course, floors.get(method))
        counts = _model(method, engine).simulate(patients(reference, COMPARED_SEED), DOSES, DAYS)
        rows.append(row | _errors(counts, truth) | {"shipped": (method, engine) == shipped})
    for row in rows:
        row["peak_rss_mb"] = _peak_rss_mb(row["method"], row["engine"], members) if memory else None
    return {
        "rows": rows,
        "bars": bars(rows),
        "members": members,
        "days": int(DAYS[-1]),
        "floor_ms": floors,
        "lsoda_members_run": reference,
        "engines_absent": [f"{method}:{engine}" for method, engine in METHODS if (method, engine) not in found],
    }


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the table is held against: each with its limit, what was measured, and whether it is met."""
    (shipped,) = (row for row in rows if row["shipped"])
    by_name = {(row["method"], row["engine"]): row for row in rows}
    made = [
        _bar("shipped ratio_to_lsoda", "at_least", 5000.0, shipped["ratio_to_lsoda"]),
        _bar("shipped ratio_to_floor", "at_most", 3.0, shipped["ratio_to_floor"]),
        _bar("shipped parameters", "at_most", 30_000.0, shipped["parameters"]),
        _bar("shipped milliseconds", "at_most", 1000.0, shipped["milliseconds"]),
        _bar("shipped nadir_error_p95", "at_most", 0.01, shipped["nadir_error_p95"]),
    ]
    if graph := by_name.get((MECHANISTIC, ONNXRUNTIME)):
        made.append(_bar("mechanistic graph ratio_to_lsoda", "at_least", 150.0, graph["ratio_to_lsoda"]))
    for method in (MECHANISTIC, POD, CYCLE):
        if compiled := by_name.get((method, ONNXRUNTIME)):
            ratio = by_name[method, NUMPY]["milliseconds"] / compiled["milliseconds"]
            made.append(_bar(f"{method} numpy over onnxruntime", "at_most", 4.0, ratio))
    return made


def work(method: str, engine: str, members: int) -> Work:
    """One rehearsal: guards, counts, median, 95 % interval, chance of a count below 0.5, on calendar days."""
    if method == LSODA:
        return lambda: _statistics(_integrated(patients(min(members, LSODA_MEMBERS_FOR_MEMORY), TIMED_SEED)))
    model, parameters = _model(method, engine), patients(members, TIMED_SEED)
    if not isinstance(model, SurrogateModel):
        return lambda: _statistics(model.simulate(parameters, DOSES, DAYS))

    def fast() -> object:
        if not model.members_inside(parameters, COURSE).all():
            raise AssertionError("members left the envelope")
        counts = model.fast_counts(parameters, COURSE, DAYS)
        below = float((counts.min(axis=0) < THRESHOLD).mean())
        return median_and_interval_in_place(counts), below

    return fast


def patients(members: int, seed: int) -> Floats:
    """[members, p] log parameters of patients whom both students answer for; fewer only if too few are found."""
    surrogate, operator = load_surrogate(NUMPY), CycleModel(_cycle_bundle(), NUMPY).operator
    drawn = surrogate.prior_sample(2 * members + 100, seed)
    drawn = drawn[surrogate.members_inside(drawn, COURSE)]
    return drawn[~operator.guarded(drawn, DOSES, float(DAYS[-1]))][:members]


def best_ms(task: Work, repeats: int) -> float:
    """Minimum over repeats after one warm-up."""
    task()
    elapsed = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        elapsed.append(1000.0 * (time.perf_counter() - start))
    return min(elapsed)


def floors_ms(members: int, repeats: int) -> dict[str, float]:
    """The least a learned method can take: its products at this run's rate, one sort, one interpolation.

    The mechanistic methods have no floor of this kind: they multiply no matrices.
    """
    a, b, out = (np.random.default_rng(0).random((512, 512), np.float32) for _ in range(3))
    per_operation = best_ms(lambda: np.matmul(a, b, out=out), repeats) / (2.0 * 512.0**3)
    series = np.random.default_rng(1).random((len(DAYS), members), np.float32)
    copies = [series.copy() for _ in range(repeats + 1)]
    sort = best_ms(lambda: copies.pop().sort(axis=1), repeats)
    pod, curves = _student_products(), np.random.default_rng(2).random((members, FRIBERG_LAYOUT.points))
    cycle = _cycle_products()
    interpolations = {POD: best_ms(_basis_on_days(), repeats), CYCLE: best_ms(_each_on_days(curves), repeats)}
    products = {POD: pod, CYCLE: cycle}
    return {name: 2.0 * members * products[name] * per_operation + sort + interpolations[name] for name in products}


def _student_products() -> int:
    """Multiplications for one member of the course student."""
    arrays = load_surrogate(NUMPY).student.arrays
    return sum(arrays[name].size for name in ("w1", "w2", "w3")) + len(DAYS) * int(arrays["b3"].size)


def _cycle_products() -> int:
    """Multiplications for one member of the cycle operator: network and basis of every piece."""
    operator = CycleModel(_cycle_bundle(), NUMPY).operator
    weights: Weights = operator.weights
    layers = (*weights.hidden, weights.last, weights.counts, weights.states)
    once = weights.skip.size + sum(pair[0].size if pair[0].ndim > 1 else pair[1].size for pair in layers)
    return int(once) * len(operator.pieces(DOSES, float(DAYS[-1])))


def _basis_on_days() -> Work:
    """The way back to calendar days of the course student: the basis once, for all members."""
    student = load_surrogate(NUMPY).student
    nodes = student.grid.node_days(INTERVAL_DAYS)
    values = np.column_stack((student.arrays["modes"], student.arrays["mean"])).astype(np.float64)
    return lambda: [np.interp(DAYS, nodes, column) for column in values.T]


def _each_on_days(curves: Floats) -> Work:
    """The way back of the cycle operator: every member has a time scale of its own."""
    nodes = np.linspace(0.0, DAYS[-1], curves.shape[1])
    return lambda: [np.interp(DAYS, nodes, curve) for curve in curves]


def _model(method: str, engine: str) -> ReducedModel | SurrogateModel:
    if method == MECHANISTIC:
        return load_model(MECHANISTIC_BUNDLE, engine)
    return load_surrogate(engine) if method == POD else CycleModel(_cycle_bundle(), engine)


def _runs(method: str, engine: str) -> bool:
    """Whether the engine itself answers, not numpy in its place."""
    return _model(method, engine).engine_name == engine


def _cycle_bundle() -> Bundle:
    return active_bundle(CYCLE_BUNDLE)


def _statistics(counts: Floats) -> object:
    return median_and_interval(counts), float((counts.min(axis=0) < THRESHOLD).mean())


def _lsoda(reference: int) -> tuple[float, Floats]:
    """Processor ms and counts [t, n] of scipy's LSODA, patient after patient.

    A sum over many patients has no minimum over repeats. Processor time leaves out what other programs of a
    shared machine take, so that the ratios are not flattered.
    """
    parameters = patients(reference, COMPARED_SEED)
    _integrated(parameters[:1])
    start = time.process_time()
    curves = _integrated(parameters)
    return 1000.0 * (time.process_time() - start), curves


def _integrated(log_parameters: Floats) -> Floats:
    from edge_twin_models.friberg import Patient, simulate_patient  # noqa: PLC0415 - scipy only here

    each = (Patient(*row) for row in np.exp(log_parameters).tolist())
    return np.array([simulate_patient(p, DOSES, DAYS, rtol=LSODA_RELATIVE, atol=LSODA_ABSOLUTE) for p in each]).T


def _errors(counts: Floats, truth: Floats) -> dict[str, float]:
    """Quantiles of the error of count and nadir: ``error`` over max(value, 0.5), ``relative`` over the value.

    An ``error`` of 0.01 is 1 % or 0.005·10*9/L, whichever is larger.
    """
    pairs = {"count": (counts, truth), "nadir": (counts.min(axis=0), truth.min(axis=0))}
    found: dict[str, float] = {}
    for name, (value, true) in pairs.items():
        for kind, scale in (("error", np.maximum(true, THRESHOLD)), ("relative", true)):
            quantiles = np.percentile(np.abs(value - true) / scale, list(QUANTILES.values()))
            found |= {f"{name}_{kind}_{word}": float(q) for word, q in zip(QUANTILES, quantiles, strict=True)}
    return found


def _row(method: str, engine: str, elapsed: float, lsoda: float, floor: float | None) -> dict[str, Any]:
    return {
        "method": method,
        "engine": engine,
        "milliseconds": elapsed,
        "ratio_to_lsoda": lsoda / elapsed,
        "ratio_to_floor": elapsed / floor if floor else None,
        "peak_rss_mb": None,
        "parameters": _parameters(method),
    }


def _parameters(method: str) -> int:
    """Numbers in the model: learned values, or the patient's parameters and the constants of the equations."""
    if method == POD:
        return load_surrogate(NUMPY).student.parameters
    if method == CYCLE:
        return CycleModel(_cycle_bundle(), NUMPY).operator.weights.learned_values
    bundle = load_model(MECHANISTIC_BUNDLE, NUMPY).bundle
    volume_and_factor = 2
    return len(bundle.parameters) + int(np.count_nonzero(bundle.pharmacokinetics.rate_matrix)) + volume_and_factor


def _bar(name: str, kind: str, limit: float, value: float) -> dict[str, Any]:
    met = value >= limit if kind == "at_least" else value <= limit
    return {"bar": name, "kind": kind, "limit": limit, "value": float(value), "met": bool(met)}


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
