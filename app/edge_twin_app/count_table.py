"""A hospital's table of counts and doses (docs/formats.md): read strictly, never copied anywhere."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_twin.errors import CaseError
from edge_twin.exposure import DoseEvent

REQUIRED = ("patient", "day", "dose", "infusion_minutes")
FURTHER_SUFFIX = "_mg"  # of the column of a drug that is given beside the program's own, e.g. filgrastim_mg
MINUTES_PER_DAY = 1440.0


@dataclass(frozen=True)
class PatientRows:
    """One patient.

    Attributes:
        counts: (day, value, below) of each count, oldest first.
        doses: of every drug, oldest first; those of the program's own drug name none.
    """

    counts: tuple[tuple[float, float, bool], ...]
    doses: tuple[DoseEvent, ...]

    @property
    def origin(self) -> float:
        """Day of the first dose of the program's own drug."""
        return next(dose.start_day for dose in self.doses if not dose.drug)

    @property
    def further_drugs(self) -> frozenset[str]:
        """What was given beside the program's own drug."""
        return frozenset(dose.drug for dose in self.doses if dose.drug)


def read_counts(path: Path, column: str) -> dict[str, PatientRows]:
    """The table by patient.

    Args:
        path: CSV in UTF-8.
        column: ``anc`` or ``wbc``, whichever the bundle models.

    Raises:
        CaseError: ``unreadable``, ``missing_column``, ``no_rows``, or with the row's number ``bad_row``
            and ``no_dose`` (a patient with counts and no dose).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"the table cannot be read: {type(error).__name__}", reason="unreadable") from error
    if missing := [name for name in (*REQUIRED, column) if name not in names]:
        raise CaseError(f"the table lacks the column {missing[0]}", reason="missing_column")
    if not rows:
        raise CaseError("the table has no rows", reason="no_rows")
    return _by_patient(rows, column)


def _by_patient(rows: list[dict[str, str]], column: str) -> dict[str, PatientRows]:
    counts: dict[str, list[tuple[float, float, bool]]] = {}
    doses: dict[str, list[DoseEvent]] = {}
    further: dict[str, list[DoseEvent]] = {}
    for number, row in enumerate(rows, start=2):  # row 1 is the header
        try:
            patient, day = _name(row), _number(row, "day", low=-math.inf)
            if (row[column] or "").strip():
                below = row[column].strip().startswith("<")
                value = _number({column: row[column].strip().lstrip("<")}, column)
                counts.setdefault(patient, []).append((day, value, below))
            if (row["dose"] or "").strip() and (amount := _number(row, "dose")) > 0.0:
                length = _number(row, "infusion_minutes") / MINUTES_PER_DAY
                doses.setdefault(patient, []).append(DoseEvent(day, amount, length))
            further.setdefault(patient, []).extend(_injections(row, day))
        except (ValueError, TypeError, AttributeError) as error:
            raise CaseError(f"row {number}: {error}", reason="bad_row") from error
    if bare := [n for n, row in enumerate(rows, start=2) if _name(row) in counts and _name(row) not in doses]:
        raise CaseError(f"row {bare[0]}: a patient with counts and no dose", reason="no_dose")
    return {p: PatientRows(tuple(sorted(counts[p])), _in_order((*doses[p], *further[p]))) for p in counts}


def _in_order(doses: Iterable[DoseEvent]) -> tuple[DoseEvent, ...]:
    return tuple(sorted(doses, key=lambda dose: (dose.start_day, dose.drug)))


def _injections(row: Mapping[str, str], day: float) -> Iterator[DoseEvent]:
    """What the row says was given beside the program's own drug; the column's name says which drug it is."""
    for column in row:
        if column and column.endswith(FURTHER_SUFFIX) and (row[column] or "").strip():
            amount = _number(row, column)
            if amount > 0.0:
                yield DoseEvent(day, amount, 0.0, column.removesuffix(FURTHER_SUFFIX))


def _name(row: Mapping[str, str]) -> str:
    name = (row["patient"] or "").strip()
    if not name:
        raise ValueError("no patient")
    return name


def _number(row: Mapping[str, str], column: str, low: float = 0.0) -> float:
    try:
        value = float(row[column])
    except (ValueError, TypeError):
        raise ValueError(f"{column} is not a number") from None
    if not math.isfinite(value) or value < low:
        raise ValueError(f"{column} is not possible")
    return value
