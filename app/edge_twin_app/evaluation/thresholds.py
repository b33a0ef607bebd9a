"""Thresholds that meet a budget of false alerts, each chosen without the subjects that it is applied to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.evaluation.alerts import Curve
from edge_twin_app.evaluation.calendars import Calendar
from edge_twin_app.evaluation.table import Floats, SubjectDays

_FALSE, _DETECTED = 0, 1


@dataclass(frozen=True, slots=True)
class Pooled:
    """All subjects together at every threshold, in sample.

    Attributes:
        thresholds: descending, the first is infinite and flags nothing [m].
        counts: (false alerts, detected, early) [m, 3].
    """

    thresholds: Floats
    counts: NDArray[np.int64]


def groups(subjects: Sequence[SubjectDays]) -> tuple[str, list[list[int]]]:
    """What is left out together: the sources of the table or, with fewer than two, each subject.

    Returns:
        ``leave_one_source_out`` or ``leave_one_subject_out``, and the indices of each group.
    """
    sources = dict.fromkeys(subject.source for subject in subjects)
    if len(sources) > 1:
        return "leave_one_source_out", [[i for i, s in enumerate(subjects) if s.source == name] for name in sources]
    return "leave_one_subject_out", [[index] for index in range(len(subjects))]


def pooled(curves: Sequence[Curve]) -> Pooled:
    """The sum of all curves at every threshold that changes one of them."""
    own = np.concatenate([curve.thresholds for curve in curves])
    steps = np.concatenate([np.diff(curve.values, axis=0) for curve in curves])
    grid, place = np.unique(-own, return_inverse=True)
    counts = np.zeros((grid.size + 1, 3), np.int64)
    np.add.at(counts, place + 1, steps)
    return Pooled(np.concatenate(([np.inf], -grid)), counts.cumsum(axis=0))


def left_out_thresholds(
    curves: Sequence[Curve], calendars: Sequence[Calendar], left_out: Sequence[Sequence[int]], target: float
) -> Floats:
    """Threshold of each subject [n], chosen on the subjects of all other groups.

    The most false alerts within the target; among equals the most detections, then the highest threshold. NaN where
    the other groups have no control days.

    Args:
        curves: of each subject.
        calendars: of each subject.
        left_out: indices of the subjects of each group.
        target: false alerts per person-week.
    """
    everyone = pooled(curves)
    weeks = np.array([known.control_weeks for known in calendars])
    found = np.full(len(curves), np.nan)
    for members in left_out:
        own = np.sum([curves[index].at(everyone.thresholds) for index in members], axis=0)
        others = float(weeks.sum() - weeks[list(members)].sum())
        if others > 0.0:
            found[list(members)] = everyone.thresholds[best(everyone.counts - own, target * others)]
    return found


def best(counts: NDArray[np.int64], allowed: float) -> int:
    """Index of the threshold with the most false alerts up to ``allowed``; ties: detections, then the first."""
    false = np.where(counts[:, _FALSE] <= allowed + _ROUNDING, counts[:, _FALSE], -1)
    detected = np.where(false == false.max(), counts[:, _DETECTED], -1)
    return int(np.argmax(detected))


_ROUNDING = 1e-9  # of target times weeks
