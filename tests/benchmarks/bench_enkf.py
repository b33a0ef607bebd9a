"""Time of one EnKF update, 1,000 members × 8 parameters × 5 counts: ``python tests/benchmarks/bench_enkf.py``."""

from __future__ import annotations

import timeit

import numpy as np

from edge_twin.assimilation.kalman import Evidence, kalman_update

MEMBERS, PARAMETERS, COUNTS, REPEATS = 1000, 8, 5, 200


def main() -> None:
    """Print minimum and median in milliseconds."""
    draw = np.random.default_rng(1).standard_normal
    states, predicted = draw((PARAMETERS, MEMBERS)), draw((COUNTS, MEMBERS))
    evidence = Evidence(draw(COUNTS), np.full(COUNTS, 0.15**2), np.zeros(COUNTS, np.bool_), draw((COUNTS, MEMBERS)))
    took = timeit.repeat(lambda: kalman_update(states, predicted, evidence), number=1, repeat=REPEATS)
    print(f"EnKF update: minimum {1e3 * min(took):.2f} ms, median {1e3 * float(np.median(took)):.2f} ms")


if __name__ == "__main__":
    main()
