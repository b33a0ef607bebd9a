"""``--scores``: what our detector says on each row of the table, in the table's order."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.detectors import Scored
from edge_twin_app.evaluation.table import DailyTable

HEADER = ("subject", "day", "score", "alert")


def write_scores(path: Path, table: DailyTable, ours: Scored) -> None:
    """Write ``subject, day, score, alert``.

    Args:
        path: file to write; an older one is replaced.
        table: gives rows and their order.
        ours: scores; a blank score was not scored, ``alert`` is 0 or 1 at the shipped threshold.

    Raises:
        AppError: ``unwritable``.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(_rows(table, ours))
    except OSError as error:
        raise AppError(f"{path} cannot be written: {type(error).__name__}", reason="unwritable") from error


def _rows(table: DailyTable, ours: Scored) -> Iterator[tuple[str, int, str, int]]:
    places = {subject.name: index for index, subject in enumerate(table.subjects)}
    alerts = ours.alerts or tuple(np.zeros(values.size, np.bool_) for values in ours.scores)
    for name, day in table.order:
        index = places[name]
        row = int(np.searchsorted(table.subjects[index].day, day))
        score = float(ours.scores[index][row])
        yield name, day, "" if np.isnan(score) else repr(score), int(alerts[index][row])
