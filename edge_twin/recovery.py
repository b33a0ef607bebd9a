"""When a count has recovered: the first day from which it stays at or above a threshold."""

from __future__ import annotations

import numpy as np

from edge_twin.contract import Matrix, Vector


def recovery_days(counts: Matrix, days: Vector, threshold: float) -> Vector:
    """First grid day from which each member's count stays at or above ``threshold``.

    Args:
        counts: [t, members], 10*9/L.
        days: [t] of the counts, rising.
        threshold: 10*9/L.

    Returns:
        [members]; the first day for a member that never is below, infinity for one that is below at the end.
    """
    low = counts < threshold
    last_low = len(days) - 1 - np.argmax(low[::-1], axis=0)
    following = np.append(days[1:], np.inf)
    return np.asarray(np.where(low.any(axis=0), following[last_low], days[0]))
