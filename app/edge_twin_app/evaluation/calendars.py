"""Which days of a subject count as what: warm-up, control, window of a detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.evaluation.rules import Windows
from edge_twin_app.evaluation.table import Integers, SubjectDays

Bools = NDArray[np.bool_]
DAYS_PER_WEEK = 7.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of one subject on which a detector may speak: valid and after the warm-up.

    Attributes:
        row: index of each such day in the rows of the subject [n].
        day: days from onset [n].
        control: too far from onset to have to do with it [n].
        window: an alert here is a detection [n], all False for a subject that is not eligible.
        unscored: alerts here are neither hit nor false [n].
        eligible: enough valid days before onset and around it.
    """

    row: Integers
    day: Integers
    control: Bools
    window: Bools
    unscored: Bools
    eligible: bool

    @property
    def control_weeks(self) -> float:
        """Valid control days over seven."""
        return float(np.count_nonzero(self.control)) / DAYS_PER_WEEK


def calendar(subject: SubjectDays, rule: Windows) -> Calendar:
    """The calendar of one subject.

    A subject without an onset, or with an onset far from its days, is not eligible; its days count as control days by
    the same rule.
    """
    valid = np.flatnonzero(subject.valid)
    eligible = _eligible(subject.day[valid], rule)
    row = valid[rule.warm_up_valid_days :]
    day = subject.day[row]
    control = is_control(day, rule)
    around = (day >= rule.window_first_day) & (day <= rule.window_last_day)
    return Calendar(row, day, control, around & eligible, ~control & ~around, eligible)


def calendars(subjects: Sequence[SubjectDays], rule: Windows) -> tuple[Calendar, ...]:
    """The calendar of each subject."""
    return tuple(calendar(subject, rule) for subject in subjects)


def is_control(day: Integers, rule: Windows) -> Bools:
    """Days too far from onset to have to do with it."""
    return np.asarray((day < rule.control_before_day) | (day > rule.control_after_day))


def _eligible(valid_days: Integers, rule: Windows) -> bool:
    before = np.count_nonzero(valid_days < rule.control_before_day)
    around = np.count_nonzero((valid_days >= rule.window_first_day) & (valid_days <= rule.window_last_day))
    return bool(before >= rule.eligible_days_before and around >= rule.eligible_days_in_window)
