"""Detectors run over a table, each subject with a fresh state, day by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import process_time

import numpy as np

from edge_twin_app.evaluation.calendars import Bools
from edge_twin_app.evaluation.peers import Peer
from edge_twin_app.evaluation.table import RATE, STEPS, Floats, Integers, SubjectDays

Tick = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one detector.

    Attributes:
        name, source, streams: of the detector.
        scores: of each subject's rows, NaN where not scored.
        alerts: rows that its own rule flags, None when it has none.
        rule: name of that rule's setting.
        microseconds: per subject-day with a record.
        probabilities: of each subject's rows, where the detector gives them.
    """

    name: str
    source: str
    streams: tuple[str, ...]
    scores: tuple[Floats, ...]
    alerts: tuple[Bools, ...] | None
    rule: str
    microseconds: float
    probabilities: tuple[Floats, ...] | None = field(default=None)


def run_peer(peer: Peer, subjects: Sequence[SubjectDays], tick: Tick) -> Scored:
    """Scores of one peer.

    Args:
        peer: detector.
        subjects: of the table.
        tick: called after each subject.

    Raises:
        AppError: ``river_missing``.
    """
    scores, spent = [], 0.0
    for subject in subjects:
        found, seconds = _peer_scores(peer, subject)
        scores.append(found)
        spent += seconds
        tick()
    above = peer.alert_above
    alerts = None if above is None else tuple(values > above for values in scores)
    cost = 1e6 * spent / max(1, sum(_records(subject).size for subject in subjects))
    return Scored(peer.name, peer.source, peer.streams, tuple(scores), alerts, "own_rule", cost)


def _records(subject: SubjectDays) -> Integers:
    """Indices of the rows with a resting heart rate or steps."""
    return np.flatnonzero(np.isfinite(subject.values[RATE]) | np.isfinite(subject.values[STEPS]))


def _peer_scores(peer: Peer, subject: SubjectDays) -> tuple[Floats, float]:
    """Scores of all rows and the seconds that they took."""
    rows, scores, state = _records(subject), np.full(subject.day.size, np.nan), peer.start()
    columns = (subject.day[rows], subject.values[RATE][rows], np.log1p(subject.values[STEPS][rows]))
    days = list(zip(*(column.tolist() for column in columns), strict=True))
    began = process_time()
    scores[rows] = [state.update(*day) for day in days]
    return scores, process_time() - began
