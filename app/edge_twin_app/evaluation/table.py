"""The daily table (docs/formats.md): read strictly and row by row, impossible values counted as missing."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import CaseError
from edge_twin_app.evaluation.rules import section

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RATE, STEPS = "resting_heart_rate", "steps"
REQUIRED = ("subject", "day", RATE, STEPS)
SOURCE = "source"
_BLANKS = frozenset({"", "nan", "na", "null", "none"})


@dataclass(frozen=True, slots=True)
class SubjectDays:
    """One subject, oldest day first.

    Attributes:
        name, source: as in the table; the source is empty when the table has none.
        day: whole days from onset [n], each once.
        values: by column [n], NaN where missing.
    """

    name: str
    source: str
    day: Integers
    values: Mapping[str, Floats]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Days with a resting heart rate [n]; only these are scored, counted and waited for."""
        return np.isfinite(self.values[RATE])

    def until(self, day: int) -> SubjectDays:
        """The same subject as it was known at the end of ``day``."""
        kept = self.day <= day
        return SubjectDays(self.name, self.source, self.day[kept], {k: v[kept] for k, v in self.values.items()})


@dataclass(frozen=True, slots=True)
class Quality:
    """What the reader met.

    Attributes:
        rows: of the table.
        rows_without_values: that hold neither a resting heart rate nor steps.
        impossible: values outside their limits, by column; each counts as missing.
        missing: blanks by column.
        longest_equal_run: of the resting heart rate of one subject, in rows.
        subjects_with_stuck_rate: with a run longer than the limit of ``protocol.toml``.
        ignored_columns: columns of text, which no detector reads.
    """

    rows: int
    rows_without_values: int
    impossible: Mapping[str, int]
    missing: Mapping[str, int]
    longest_equal_run: int
    subjects_with_stuck_rate: int
    ignored_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DailyTable:
    """The table by subject.

    Attributes:
        subjects: in the order in which they first appear.
        columns: numeric columns, the two required ones first.
        order: (subject, day) of each row as it stands in the file.
        quality: what was missing, impossible or ignored.
    """

    subjects: tuple[SubjectDays, ...]
    columns: tuple[str, ...]
    order: tuple[tuple[str, int], ...]
    quality: Quality


@dataclass(slots=True)
class _Reading:
    """The table while it is read: numbers only."""

    columns: list[str]
    days: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)
    text_columns: set[str] = field(default_factory=set)
    impossible: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)


def read_table(path: Path) -> DailyTable:
    """Read a daily table.

    Args:
        path: CSV in UTF-8 with the columns ``subject, day, resting_heart_rate, steps``; ``source`` and further numeric
            columns where given. Blank, ``nan``, ``na``, ``null`` and ``none`` are missing.

    Raises:
        CaseError: ``unreadable``, ``missing_column``, ``duplicate_column``, ``no_rows``, or with the row's number
            ``bad_row``, ``duplicate_day`` and ``subject_in_two_sources``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"the table cannot be read: {type(error).__name__}", reason="unreadable") from error


def _read(rows: Iterator[list[str]]) -> DailyTable:
    header = [name.strip() for name in next(rows, [])]
    _check_header(header)
    reading = _Reading([RATE, STEPS, *(name for name in header if name not in {*REQUIRED, SOURCE})])
    for number, cells in enumerate(rows, start=2):  # row 1 is the header
        if cells:
            _take(reading, header, cells, number)
    if not reading.order:
        raise CaseError("the table has no rows", reason="no_rows")
    return _finished(reading)


def _check_header(header: Sequence[str]) -> None:
    if missing := [name for name in REQUIRED if name not in header]:
        raise CaseError(f"the table lacks the column {missing[0]}", reason="missing_column")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise CaseError(f"the column {twice!r} stands twice", reason="duplicate_column")


def _take(reading: _Reading, header: Sequence[str], cells: list[str], number: int) -> None:
    if len(cells) != len(header):
        raise CaseError(f"row {number}: {len(cells)} cells under {len(header)} columns", reason="bad_row")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    if not row["subject"]:
        raise CaseError(f"row {number}: no subject", reason="bad_row")
    subject, day = row["subject"], _day(row["day"], number)
    if reading.sources.setdefault(subject, row.get(SOURCE, "")) != row.get(SOURCE, ""):
        raise CaseError(f"row {number}: {subject!r} stands under two sources", reason="subject_in_two_sources")
    days = reading.days.setdefault(subject, {})
    if day in days:
        raise CaseError(f"row {number}: {subject!r} has day {day} twice", reason="duplicate_day")
    days[day] = [_value(reading, name, row[name], number) for name in reading.columns]
    reading.order.append((subject, day))


def _day(text: str, number: int) -> int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= section("limits")["day_largest"] or value != int(value):
        raise CaseError(f"row {number}: day is not a whole number of days", reason="bad_row")
    return int(value)


def _value(reading: _Reading, column: str, text: str, number: int) -> float:
    """The value, NaN when it is missing or impossible, which is counted."""
    if text.lower() in _BLANKS:
        reading.missing[column] = reading.missing.get(column, 0) + 1
        return math.nan
    try:
        value = float(text)
    except ValueError:
        if column in REQUIRED:
            raise CaseError(f"row {number}: {column} is not a number", reason="bad_row") from None
        reading.text_columns.add(column)
        return math.nan
    limits = section("limits")
    low, high = limits.get(f"{column}_low", -math.inf), limits.get(f"{column}_high", math.inf)
    if math.isfinite(value) and low <= value <= high:
        return value
    reading.impossible[column] = reading.impossible.get(column, 0) + 1
    return math.nan


def _finished(reading: _Reading) -> DailyTable:
    columns = [name for name in reading.columns if name not in reading.text_columns]
    subjects = tuple(_subject(reading, name, columns) for name in reading.days)
    runs = [_longest_equal_run(subject.values[RATE]) for subject in subjects]
    quality = Quality(
        rows=len(reading.order),
        rows_without_values=sum(int(_empty(subject).sum()) for subject in subjects),
        impossible={name: reading.impossible.get(name, 0) for name in columns},
        missing={name: reading.missing.get(name, 0) for name in columns},
        longest_equal_run=max(runs),
        subjects_with_stuck_rate=sum(run >= section("limits")["stuck_days"] for run in runs),
        ignored_columns=tuple(sorted(reading.text_columns)),
    )
    return DailyTable(subjects, tuple(columns), tuple(reading.order), quality)


def _subject(reading: _Reading, name: str, columns: Sequence[str]) -> SubjectDays:
    days = reading.days[name]
    order = sorted(days)
    values = np.array([days[day] for day in order], np.float64)
    chosen = {column: np.ascontiguousarray(values[:, reading.columns.index(column)]) for column in columns}
    return SubjectDays(name, reading.sources[name], np.array(order, np.int64), chosen)


def _empty(subject: SubjectDays) -> NDArray[np.bool_]:
    return ~(np.isfinite(subject.values[RATE]) | np.isfinite(subject.values[STEPS]))


def _longest_equal_run(values: Floats) -> int:
    """Longest run of one fractional value; whole beats repeat by rounding alone and are not counted."""
    longest = run = 0
    last = math.nan
    for value in values[np.isfinite(values)].tolist():
        run = run + 1 if value == last else 1
        last = value
        longest = max(longest, run if value != int(value) else 0)
    return longest
