"""The cycle operator against the mechanistic engine: ``python tests/benchmarks/bench_cycle.py [--json FILE]``.

1,000 members, 8 cycles of 21 days, daily counts; minimum over repeats, both in the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge_twin.bundle import load_bundle, prior_sample
from edge_twin.cycle import CycleOperator
from edge_twin.engines.numpy_friberg import NumpyFriberg
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin_models import bundle_path

MEMBERS, CYCLES, REPEATS = 1000, 8, 7


def fastest(run: Callable[[], object], name: str) -> float:
    """Milliseconds of the quickest of ``REPEATS`` runs."""
    spent = []
    for _ in tqdm(range(REPEATS), desc=name, leave=False, disable=None):
        begin = time.perf_counter()
        run()
        spent.append(time.perf_counter() - begin)
    return 1000.0 * min(spent)


def measured() -> dict[str, object]:
    """The figures of one run, and the certificate's errors by number of cycles."""
    bundle = load_bundle(bundle_path("neutropenia-cycle"))
    operator = CycleOperator(bundle)
    members = prior_sample(bundle, MEMBERS, 5)
    members = np.clip(members, bundle.log_low, bundle.log_high)
    doses = [DoseEvent(21.0 * cycle, 180.0, 1 / 24) for cycle in range(CYCLES)]
    times = np.arange(0.0, 21.0 * CYCLES + 1.0)

    def mechanistic() -> object:
        grid = exposure_grid(bundle.pharmacokinetics, doses, times)
        return NumpyFriberg().simulate(members, grid.steps)[grid.report]

    def chain_alone() -> object:
        return operator._chain(members, operator.pieces(doses, float(times[-1])), times)

    full = fastest(mechanistic, "mechanistic")
    alone = fastest(chain_alone, "operator")
    guarded = fastest(lambda: operator.roll_out(members, doses, times), "operator with hand-over")
    return {
        "members": MEMBERS,
        "cycles": CYCLES,
        "mechanistic_ms": full,
        "operator_ms": alone,
        "operator_with_handover_ms": guarded,
        "ratio": full / alone,
        "ratio_with_handover": full / guarded,
        "handed_over": dict(operator.roll_out(members, doses, times).handed_over),
        "parameters": operator.weights.learned_values,
        "certificate": bundle.manifest["certificate"]["by_cycles"],
    }


def main() -> None:
    """Print the table; write it as JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = measured()
    for name, value in result.items():
        if name != "certificate":
            print(f"{name:<28}{value:.4g}" if isinstance(value, float) else f"{name:<28}{value}")
    print("cycles  nadir median     p95     max  coverage")
    rows = result["certificate"]
    assert isinstance(rows, list)
    for row in rows:
        figures = (row[name] for name in ("nadir_median", "nadir_p95", "nadir_max", "coverage"))
        print(f"{row['cycles']:>6}" + "".join(f"{figure:>10.4f}" for figure in figures))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": [result]}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
