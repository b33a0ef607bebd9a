"""Beat cleaning and heart-rate variability of one window (docs/features.md).

Rules: signals literature as collected there; Task Force of the ESC and NASPE 1996 (Circulation
93:1043) for RMSSD, SDNN and pNN50. A beat that is removed leaves a hole, and no difference is taken across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.features.stream_settings import setting

SHORTEST_RR_MS = setting("beats", "shortest_rr_ms")
LONGEST_RR_MS = setting("beats", "longest_rr_ms")
LOCAL_BEATS = int(setting("beats", "local_beats"))
LARGEST_DEVIATION = setting("beats", "largest_deviation")
LARGEST_DROPPED_SHARE = setting("beats", "largest_dropped_share")  # above it the window says nothing
PNN_MS = setting("beats", "pnn_ms")

Beats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """What one window of beats says.

    Attributes:
        heart_rate_per_min: 60000 / mean of the kept intervals; None when the window is rejected.
        rmssd_ms: over neighbouring kept pairs; None when rejected or without a pair.
        kept: number of kept beats.
        kept_share: kept / all.
        pairs: number of neighbouring kept pairs.
        sdnn_ms: standard deviation of the kept intervals, ddof 1; None when rejected or with fewer than two.
        pnn50: share of the neighbouring kept pairs that differ by more than 50 ms, 0 to 1; None when rejected or
            without a pair.
    """

    heart_rate_per_min: float | None
    rmssd_ms: float | None
    kept: int
    kept_share: float
    pairs: int
    sdnn_ms: float | None = None
    pnn50: float | None = None

    @property
    def artefact_share(self) -> float:
        """Share of the beats that cleaning dropped, 0 to 1."""
        return 1.0 - self.kept_share


def keep_mask(rr_ms: Beats) -> Mask:
    """Which beats of a window to keep.

    Args:
        rr_ms: RR intervals in ms, oldest first, shape [n].

    Returns:
        True for intervals of 300-2000 ms that lie within 20 % of the median of their 11 neighbours.
    """
    if rr_ms.size == 0:
        return np.zeros(0, dtype=np.bool_)
    local = _local_median(rr_ms)
    near = np.abs(rr_ms - local) <= LARGEST_DEVIATION * local
    return near & (rr_ms >= SHORTEST_RR_MS) & (rr_ms <= LONGEST_RR_MS)


def _local_median(rr_ms: Beats) -> Beats:
    """By sorting, with the places beyond the ends sorted last: the general nanmedian takes ten times as long."""
    half = LOCAL_BEATS // 2
    padded = np.pad(rr_ms, half, constant_values=np.inf)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, LOCAL_BEATS), axis=1)
    places = np.arange(rr_ms.size)
    count = np.minimum(places, half) + np.minimum(places[::-1], half) + 1
    return np.asarray(0.5 * (ordered[places, (count - 1) // 2] + ordered[places, count // 2]), dtype=np.float64)


def window_statistics(rr_ms: Beats, follows: Mask | None = None, kept: Mask | None = None) -> WindowStatistics:
    """Clean one window and describe it; see :class:`WindowStatistics`.

    Args:
        rr_ms: RR intervals in ms, oldest first, shape [n].
        follows: whether each beat but the first directly follows the one before it, shape [n - 1];
            None when nothing was left out between them.
        kept: what :func:`keep_mask` says of ``rr_ms``, where the caller has it already.
    """
    kept = keep_mask(rr_ms) if kept is None else kept
    count = int(kept.sum())
    share = count / rr_ms.size if rr_ms.size else 0.0
    if count == 0 or 1.0 - share > LARGEST_DROPPED_SHARE:
        return WindowStatistics(None, None, count, share, 0)
    differences = _neighbour_differences(rr_ms, kept, follows)
    pairs = differences.size
    return WindowStatistics(
        60_000.0 / float(rr_ms[kept].mean()),
        float(np.sqrt(np.mean(differences**2))) if pairs else None,
        count,
        share,
        pairs,
        float(rr_ms[kept].std(ddof=1)) if count > 1 else None,
        float(np.count_nonzero(np.abs(differences) > PNN_MS) / pairs) if pairs else None,
    )


def _neighbour_differences(rr_ms: Beats, kept: Mask, follows: Mask | None) -> Beats:
    both = kept[1:] & kept[:-1]
    return np.diff(rr_ms)[both if follows is None else both & follows]
