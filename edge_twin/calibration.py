"""Adaptive conformal widening: an interval that missed too often on this patient becomes wider.

Gibbs & Candès (NeurIPS 2021): after each count the miscoverage that is aimed at moves by
rate·(0.05 - missed). With a constant rate only the sums matter, so the counted coverage of the patient
is all the memory that is needed. The interval is never made narrower than nominal: a lucky start is
no licence for confidence.
"""

from __future__ import annotations

from edge_twin.contract import Coverage

NOMINAL_MISS = 0.05  # of a 95 % interval
LEARNING_RATE = 0.02  # the authors use 0.005 for long series; a patient has few counts (assumed)
SMALLEST_MISS = 1e-4  # at most about twice as wide by counting alone


def aimed_miss(coverage: Coverage) -> float:
    """The miscoverage that the next interval aims at, at most 0.05."""
    outside = coverage.seen - coverage.inside
    moved = NOMINAL_MISS + LEARNING_RATE * (NOMINAL_MISS * coverage.seen - outside)
    return min(max(moved, SMALLEST_MISS), NOMINAL_MISS)


def widening(coverage: Coverage) -> float:
    """Factor, at least 1, on the half-width of the interval on the log scale."""
    aimed = aimed_miss(coverage)
    if aimed == NOMINAL_MISS:
        return 1.0
    from statistics import NormalDist  # noqa: PLC0415 - half a megabyte that most patients never need

    normal = NormalDist()
    return normal.inv_cdf(1.0 - 0.5 * aimed) / normal.inv_cdf(1.0 - 0.5 * NOMINAL_MISS)
