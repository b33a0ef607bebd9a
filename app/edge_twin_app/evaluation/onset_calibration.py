"""The detector's probability of an onset against a cohort whose onsets are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_twin.detection import Detector
from edge_twin_app.evaluation.calibration import Pairs
from edge_twin_app.evaluation.ours import readable_streams, run_ours
from edge_twin_app.evaluation.rules import windows
from edge_twin_app.evaluation.table import RATE, STEPS, SubjectDays
from edge_twin_models.cohorts import CohortTable, simulate

TWO_STREAMS = (RATE, STEPS)


def onset_pairs(name: str, subjects: Sequence[SubjectDays], probabilities: Sequence[np.ndarray]) -> Pairs:
    """The probability of each scored day and whether symptoms began in the window that it speaks about.

    Days on which the person is ill or recovering (after onset, up to the protocol's control days) are left out: on them
    nobody asks whether an illness will begin.

    Args:
        name: of the probability.
        subjects: of the table.
        probabilities: of each subject's rows, NaN where not given.
    """
    chosen = Detector.shipped().settings.probability
    said, happened, who = [], [], []
    for subject, values in zip(subjects, probabilities, strict=True):
        asked = np.isfinite(values) & ((subject.day <= 0) | (subject.day > windows().control_after_day))
        ahead = -subject.day[asked]
        said.append(values[asked])
        happened.append(((ahead >= chosen.first_day) & (ahead <= chosen.last_day)).astype(np.float64))
        who += [subject.name] * int(asked.sum())
    return Pairs(name, np.concatenate(said), np.concatenate(happened), np.array(who))


def detector_pairs(generator: str, subjects: int, seed: int, tick: Callable[[], None] = lambda: None) -> list[Pairs]:
    """Pairs of the detector on a simulated cohort: from two streams, and fused from all that it can read."""
    table = simulate(generator, subjects, seed)
    rows = [_rows(table, person.name) for person in table.people]
    found = []
    for title, streams in (("heart rate and steps", TWO_STREAMS), ("all streams", readable_streams())):
        scored = run_ours(title, streams, rows, tick)
        found.append(onset_pairs(f"onset, {title}, {generator}", rows, scored.probabilities or ()))
    return found


def _rows(table: CohortTable, name: str) -> SubjectDays:
    days = table.of(name)
    return SubjectDays(name, days.subject.source, days.day, days.streams)
