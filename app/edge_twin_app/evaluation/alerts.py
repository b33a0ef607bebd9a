"""From flagged days to alerts and their outcome, at one threshold or at all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.evaluation.calendars import Bools, Calendar
from edge_twin_app.evaluation.rules import Windows
from edge_twin_app.evaluation.table import Floats, Integers


def alerts(day: Integers, flagged: Bools, refractory_days: int) -> Bools:
    """Flagged days that alert: at least ``refractory_days`` after the alert before.

    Args:
        day: ascending [n].
        flagged: [n].
        refractory_days: between two alerts.
    """
    raised = np.zeros_like(flagged)
    places, free = np.flatnonzero(flagged), -np.inf
    for place, today in zip(places.tolist(), day[places].tolist(), strict=True):
        if today >= free:
            raised[place], free = True, today + refractory_days
    return raised


def alerts_by_threshold(day: Integers, flagged: Bools, refractory_days: int) -> Bools:
    """The same for several thresholds at once: flagged and answer are [thresholds, n]."""
    raised = np.zeros_like(flagged)
    free = np.full(flagged.shape[0], -np.inf)
    for place, today in enumerate(day.tolist()):
        raised[:, place] = flagged[:, place] & (today >= free)
        free[raised[:, place]] = today + refractory_days
    return raised


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the alerts of one detector came to, by subject [n].

    Attributes:
        eligible: subject counts for sensitivity.
        weeks: of control days.
        detected: an alert fell into the window.
        early: and the first of them before onset.
        lead: days from that alert to onset, NaN when not detected.
        false_alerts: alerts on control days.
        unscored_alerts: neither hit nor false.
        true_alerts: alerts in the window.
        flagged_window_days: of the window, without the refractory period.
        flagged_control_days: of the control days.
    """

    eligible: Floats
    weeks: Floats
    detected: Floats
    early: Floats
    lead: Floats
    false_alerts: Floats
    unscored_alerts: Floats
    true_alerts: Floats
    flagged_window_days: Floats
    flagged_control_days: Floats


def outcomes(calendars: Sequence[Calendar], flagged: Sequence[Bools], rule: Windows) -> Outcomes:
    """Outcome of each subject.

    Args:
        calendars: of the subjects.
        flagged: the calendar's days of each subject that are flagged.
        rule: windows and refractory period.
    """
    rows = [_outcome(*pair, rule) for pair in zip(calendars, flagged, strict=True)]
    columns = np.array(rows, np.float64).reshape(len(rows), -1).T
    return Outcomes(*columns)


def _outcome(known: Calendar, flagged: Bools, rule: Windows) -> tuple[float, ...]:
    raised = alerts(known.day, flagged, rule.refractory_days)
    hits = known.day[raised & known.window]
    first = float(hits[0]) if hits.size else np.nan
    counted = [raised & days for days in (known.control, known.unscored, known.window)]
    days = [flagged & known.window, flagged & known.control]
    counts = [float(np.count_nonzero(chosen)) for chosen in (*counted, *days)]
    return (known.eligible, known.control_weeks, hits.size > 0, first < 0.0, -first, *counts)


@dataclass(frozen=True, slots=True)
class Curve:
    """The outcome of one subject at every threshold that changes it.

    Attributes:
        thresholds: descending [k]; a day is flagged when its score is at least the threshold.
        values: (false alerts, detected, early) when the ``i`` largest thresholds were passed [k + 1, 3].
    """

    thresholds: Floats
    values: NDArray[np.int64]

    def at(self, thresholds: Floats) -> NDArray[np.int64]:
        """(false alerts, detected, early) at other thresholds [m, 3]."""
        return self.values[np.searchsorted(-self.thresholds, -thresholds, side="right")]


def curve(known: Calendar, scores: Floats, rule: Windows) -> Curve:
    """Outcome of one subject at every threshold.

    Args:
        known: calendar of the subject.
        scores: of the calendar's days [n]; NaN and minus infinity are never flagged.
        rule: windows and refractory period.
    """
    thresholds = np.unique(scores[np.isfinite(scores)])[::-1]
    filled = np.where(np.isnan(scores), -np.inf, scores)
    blocks = np.array_split(thresholds, 1 + thresholds.size * scores.size // _CELLS)
    values = [np.zeros((1, 3), np.int64), *(_counts(known, filled, block, rule) for block in blocks)]
    return Curve(thresholds, np.concatenate(values))


_CELLS = 4_000_000  # thresholds times days held at once


def _counts(known: Calendar, scores: Floats, thresholds: Floats, rule: Windows) -> NDArray[np.int64]:
    """(false alerts, detected, early) at each threshold."""
    raised = alerts_by_threshold(known.day, scores[None, :] >= thresholds[:, None], rule.refractory_days)
    hits = raised & known.window
    detected = hits.any(axis=-1)
    first = known.day[hits.argmax(axis=-1)] if known.day.size else np.zeros(thresholds.size)
    counts = np.column_stack(((raised & known.control).sum(axis=-1), detected, detected & (first < 0)))
    return counts.astype(np.int64)
