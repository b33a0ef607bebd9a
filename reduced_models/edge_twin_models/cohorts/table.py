"""A simulated cohort: one row per subject and day, written in the form that ``evaluate detector`` reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STREAMS: dict[str, int] = {
    "resting_heart_rate": 1,
    "steps": 0,
    "temperature": 2,
    "spo2": 3,
    "rmssd": 1,
    "respiration_rate": 1,
    "sleep_hours": 2,
    "weight": 1,
    "symptom_score": 0,
    "cycle_day": 0,
}
"""Columns and decimals written: bpm, count, °C, fraction, ms, 1/min, h, kg, 0..10, days since the last dose."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the simulation knows of a person and the table does not tell.

    Attributes:
        name: in the table.
        source: kind of device; sources differ in rounding and noise.
        responds: whether the illness moves the heart rate at all.
        cycle_length: days between doses of chemotherapy; 0 without.
        decoy_days: days (0 = onset) of other causes of a raised heart rate, each a false alarm when flagged.
        days: first and last day simulated, worn or not.
    """

    name: str
    source: str
    responds: bool
    cycle_length: int
    decoy_days: tuple[int, ...]
    days: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SubjectDays:
    """The rows of one subject: its days (0 = onset of symptoms) and streams [days], NaN where missing."""

    subject: Subject
    day: Integers
    streams: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class CohortTable:
    """Rows of all subjects, those of one subject together and in order of days.

    Attributes:
        subject, source: names [rows].
        day: whole days from the onset of symptoms [rows]; negative before it.
        streams: by name [rows], NaN where missing; a day without any value has no row.
        people: what the simulation knows of each subject.
        generator, version, seed: that made it; the same three give the same rows.
    """

    subject: NDArray[np.str_]
    day: Integers
    source: NDArray[np.str_]
    streams: Mapping[str, Floats]
    people: tuple[Subject, ...]
    generator: str
    version: str
    seed: int

    def __len__(self) -> int:
        return int(self.day.size)

    def of(self, name: str) -> SubjectDays:
        """The rows of one subject.

        Raises:
            KeyError: no such subject.
        """
        person = {p.name: p for p in self.people}[name]
        rows = self.subject == name
        return SubjectDays(person, self.day[rows], {stream: values[rows] for stream, values in self.streams.items()})


def joined(parts: Sequence[SubjectDays], generator: str, version: str, seed: int) -> CohortTable:
    """The table of all subjects, without the days on which nothing was recorded."""
    kept = [_recorded(part) for part in parts]
    lengths = [part.day.size for part in kept]
    names = np.repeat([part.subject.name for part in parts], lengths)
    sources = np.repeat([part.subject.source for part in parts], lengths)
    streams = {stream: np.concatenate([part.streams[stream] for part in kept]) for stream in STREAMS}
    day = np.concatenate([part.day for part in kept])
    return CohortTable(names, day, sources, streams, tuple(p.subject for p in parts), generator, version, seed)


def _recorded(part: SubjectDays) -> SubjectDays:
    """The days with at least one measurement; the treatment's calendar alone is none."""
    measured = [np.isfinite(values) for stream, values in part.streams.items() if stream != "cycle_day"]
    rows = np.any(measured, axis=0)
    return SubjectDays(part.subject, part.day[rows], {s: values[rows] for s, values in part.streams.items()})


def write_csv(table: CohortTable, path: Path) -> None:
    """Write ``subject, day, source`` and the streams, a blank where a value is missing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["subject", "day", "source", *STREAMS])
        writer.writerows(_rows(table))


def _rows(table: CohortTable) -> Iterator[list[str]]:
    columns = [[_text(v, decimals) for v in table.streams[s].tolist()] for s, decimals in STREAMS.items()]
    leading = ([str(v) for v in column.tolist()] for column in (table.subject, table.day, table.source))
    return (list(row) for row in zip(*leading, *columns, strict=True))


def _text(value: float, decimals: int) -> str:
    return "" if np.isnan(value) else f"{value:.{decimals}f}"
