"""Our own detector on a daily table: the one that ships, one fresh state for each subject."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import process_time

import numpy as np

from edge_twin.detection import DayRecord, DayScore, Detector
from edge_twin_app.evaluation.detectors import Scored, Tick
from edge_twin_app.evaluation.table import SubjectDays

OURS = "edge_twin"
SOURCE = "this software; `edge_twin/detection/detector.toml`"
CYCLE_DAY = "cycle_day"


def readable_streams() -> tuple[str, ...]:
    """Columns that the shipped detector can read."""
    return (*(stream.name for stream in Detector.shipped().settings.streams), CYCLE_DAY)


def run_ours(name: str, streams: Sequence[str], subjects: Sequence[SubjectDays], tick: Tick) -> Scored:
    """Scores, alerts and probabilities of the shipped detector.

    Args:
        name: in the table.
        streams: columns that it is given; ``cycle_day`` is the day of the treatment's cycle.
        subjects: of the table.
        tick: called after each subject.
    """
    found, spent, days = [], 0.0, 0
    for subject in subjects:
        rows, records = _records(subject, streams)
        detector, began = Detector.shipped(), process_time()
        answers = [detector.update(record) for record in records]
        spent += process_time() - began
        days += len(rows)
        found.append(_columns(rows, answers, subject.day.size))
        tick()
    scores, probabilities, alerts = (tuple(column[place] for column in found) for place in range(3))
    flags = tuple(values > 0.0 for values in alerts)
    return Scored(name, SOURCE, tuple(streams), scores, flags, "shipped", 1e6 * spent / max(1, days), probabilities)


def _records(subject: SubjectDays, streams: Sequence[str]) -> tuple[list[int], list[DayRecord]]:
    """Rows with at least one value, and what they tell; a day without any is an absent day."""
    columns = {name: subject.values[name].tolist() for name in streams}
    cycle = columns.pop(CYCLE_DAY, None)
    rows, records = [], []
    for row, day in enumerate(subject.day.tolist()):
        values = {name: column[row] for name, column in columns.items() if math.isfinite(column[row])}
        if values:
            rows.append(row)
            known = cycle is not None and math.isfinite(cycle[row])
            records.append(DayRecord(day=day, values=values, cycle_day=int(cycle[row]) if cycle and known else None))
    return rows, records


def _columns(rows: Sequence[int], answers: Sequence[DayScore], size: int) -> tuple[np.ndarray, ...]:
    """Scores and probabilities, NaN where not given, and alerts as 0 and 1, of all rows of a subject."""
    columns = np.full((3, size), np.nan)
    columns[2] = 0.0
    for row, answer in zip(rows, answers, strict=True):
        columns[:, row] = [_number(answer.score), _number(answer.probability), float(answer.alert)]
    return tuple(columns)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
