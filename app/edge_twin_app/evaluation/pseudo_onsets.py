"""The control of the whole procedure: detection of onsets that never were, drawn among control days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_twin_app.evaluation.alerts import alerts
from edge_twin_app.evaluation.calendars import Bools, Calendar
from edge_twin_app.evaluation.rules import Windows
from edge_twin_app.evaluation.table import Floats, Integers


def pseudo_onsets(known: Calendar, rule: Windows, number: int, random: np.random.Generator) -> Integers:
    """Random days whose window lies wholly in control days after the warm-up.

    Args:
        known: calendar of the subject.
        rule: windows; as for a real onset the window needs enough valid days.
        number: to draw, with replacement.
        random: source of the draws.

    Returns:
        Days [number], or none when the subject has no such day.
    """
    if not known.day.size:
        return np.zeros(0, np.int64)
    tried = np.arange(known.day[0] - rule.window_first_day, known.day[-1] + 1)
    edges = [tried + rule.window_first_day, tried + rule.window_last_day]
    before, after = edges[1] < rule.control_before_day, edges[0] > rule.control_after_day
    valid = np.diff([np.searchsorted(known.day, edges[0]), np.searchsorted(known.day, edges[1], side="right")], axis=0)
    possible = tried[(before | after) & (valid[0] >= rule.eligible_days_in_window)]
    return random.choice(possible, number) if possible.size else possible


def detected_share(known: Calendar, flagged: Bools, onsets: Integers, rule: Windows) -> tuple[float, float]:
    """Share of the pseudo-onsets that were detected, and detected before that day; NaN without any.

    Args:
        known: calendar of the subject.
        flagged: the calendar's days.
        onsets: as :func:`pseudo_onsets` drew them.
        rule: windows and refractory period.
    """
    if not onsets.size:
        return float("nan"), float("nan")
    day = known.day[alerts(known.day, flagged, rule.refractory_days)]
    first = np.searchsorted(day, onsets + rule.window_first_day)
    last = (np.searchsorted(day, onsets + offset) for offset in (rule.window_last_day + 1, 0))
    share, early = (float(np.mean(end > first)) for end in last)
    return share, early


def drawn(calendars: Sequence[Calendar], rule: Windows, number: int, seed: int) -> list[Integers]:
    """Pseudo-onsets of every subject; all detectors are judged on the same ones."""
    random = np.random.default_rng(seed)
    return [pseudo_onsets(known, rule, number, random) for known in calendars]


def shares(
    calendars: Sequence[Calendar], flagged: Sequence[Bools], onsets: Sequence[Integers], rule: Windows
) -> Floats:
    """Share detected and share detected early, by subject [2, n]."""
    rows = [detected_share(*subject, rule) for subject in zip(calendars, flagged, onsets, strict=True)]
    return np.array(rows, np.float64).reshape(len(rows), 2).T
