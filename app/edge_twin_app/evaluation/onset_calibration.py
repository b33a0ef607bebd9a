"""The detector's probability of an onset against a cohort whose onsets are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_twin.detection import Detector
from edge_twin_app.evaluation.calibration import Pairs
from edge_twin_app.evaluation.ours import readable_streams, run_ours
from edge_twin_app.evaluation.rules import windows
from edge_twin_app.evaluation.table import RATE, STEPS, SubjectDays
from edge_twin_models.cohorts import simulate

Floats = NDArray[np.float64]
TWO_STREAMS = (RATE, STEPS)


def onset_pairs(name: str, subjects: Sequence[SubjectDays], probabilities: Sequence[Floats]) -> Pairs:
    """The probability of each scored day and whether symptoms began in the window that it speaks about.

    Days on which the person is ill or recovering (after onset, up to the protocol's control days) are left out: on them
    nobody asks whether an illness will begin.

    Args:
        name: of the probability.
        subjects: of the table.
        probabilities: of each subject's rows, NaN where not given.
    """
    said, happened, who = [], [], []
    for subject, values in zip(subjects, probabilities, strict=True):
        asked = asked_days(subject, values)
        said.append(values[asked])
        happened.append(starts_in_window(subject.day[asked]))
        who += [subject.name] * int(asked.sum())
    return Pairs(name, np.concatenate(said), np.concatenate(happened), np.array(who))


def asked_days(subject: SubjectDays, values: Floats) -> NDArray[np.bool_]:
    """Scored days but those on which the person is ill or recovering [n]."""
    asked: NDArray[np.bool_] = np.isfinite(values) & ((subject.day <= 0) | (subject.day > windows().control_after_day))
    return asked


def starts_in_window(day: NDArray[np.int64]) -> Floats:
    """1 where symptoms begin (day 0) within the window that the detector speaks about, 0 else [n]."""
    chosen = Detector.shipped().settings.probability
    return ((-day >= chosen.first_day) & (-day <= chosen.last_day)).astype(np.float64)


def detector_pairs(generator: str, subjects: int, seed: int, tick: Callable[[], None] = lambda: None) -> list[Pairs]:
    """Pairs of the detector on a simulated cohort: from two streams, and fused from all that it can read."""
    rows = cohort_rows(generator, subjects, seed)
    found = []
    for title, streams in (("heart rate and steps", TWO_STREAMS), ("all streams", readable_streams())):
        scored = run_ours(title, streams, rows, tick)
        found.append(onset_pairs(f"onset, {title}, {generator}", rows, scored.probabilities or ()))
    return found


def cohort_rows(generator: str, subjects: int, seed: int) -> list[SubjectDays]:
    """A simulated cohort as the table's reader gives it."""
    table = simulate(generator, subjects, seed)
    days = [table.of(person.name) for person in table.people]
    return [SubjectDays(one.subject.name, one.subject.source, one.day, one.streams) for one in days]
