"""Beat cleaning and heart-rate variability of one window (docs/features.md).

Rules: signals literature as collected there; Task Force of the ESC and NASPE 1996 (Circulation
93:1043) for RMSSD. A beat that is removed leaves a hole, and no difference is taken across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHORTEST_RR_MS = 300.0  # 200 beats per minute
LONGEST_RR_MS = 2000.0  # 30 beats per minute
LOCAL_BEATS = 11  # centred, truncated at both ends
LARGEST_DEVIATION = 0.20  # of the local median
LARGEST_DROPPED_SHARE = 0.20  # above it the window says nothing

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
    """

    heart_rate_per_min: float | None
    rmssd_ms: float | None
    kept: int
    kept_share: float
    pairs: int


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
    half = LOCAL_BEATS // 2
    padded = np.pad(rr_ms, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, LOCAL_BEATS)
    return np.asarray(np.nanmedian(windows, axis=1), dtype=np.float64)


def window_statistics(rr_ms: Beats, follows: Mask | None = None) -> WindowStatistics:
    """Clean one window and describe it; see :class:`WindowStatistics`.

    Args:
        rr_ms: RR intervals in ms, oldest first, shape [n].
        follows: whether each beat but the first directly follows the one before it, shape [n - 1];
            None when nothing was left out between them.
    """
    kept = keep_mask(rr_ms)
    count = int(kept.sum())
    share = count / rr_ms.size if rr_ms.size else 0.0
    if count == 0 or 1.0 - share > LARGEST_DROPPED_SHARE:
        return WindowStatistics(None, None, count, share, 0)
    differences = _neighbour_differences(rr_ms, kept, follows)
    rmssd = float(np.sqrt(np.mean(differences**2))) if differences.size else None
    return WindowStatistics(60_000.0 / float(rr_ms[kept].mean()), rmssd, count, share, differences.size)


def _neighbour_differences(rr_ms: Beats, kept: Mask, follows: Mask | None) -> Beats:
    both = kept[1:] & kept[:-1]
    return np.diff(rr_ms)[both if follows is None else both & follows]
