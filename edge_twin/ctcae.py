"""Grade ranges of laboratory values by the Common Terminology Criteria for Adverse Events, versions 5.0 and 6.0.

The rows are data (``rules/ctcae_v5.toml``, ``rules/ctcae_v6.toml``). What comes out is the range that a value lies
in, "to be confirmed by a clinician": never an assigned grade. No alert depends on it, since version 6 moved the
grades; alerts depend on values.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge_twin.errors import CriteriaError
from edge_twin.flag import CtcaeTerm, CtcaeVersion

SCHEMA = "edge-twin.ctcae/1"
_FILES = {CtcaeVersion.V5: "ctcae_v5.toml", CtcaeVersion.V6: "ctcae_v6.toml"}
_MEASURES = ("value", "low_limit", "high_limit", "baseline")


@dataclass(frozen=True, slots=True)
class References:
    """What a row may be measured against; None means that it is not known.

    Attributes:
        low_limit: lower limit of the laboratory's reference range, in the value's unit.
        high_limit: upper limit likewise.
        baseline: the patient's own value before treatment.
    """

    low_limit: float | None = None
    high_limit: float | None = None
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class GradeRange:
    """The grade whose numeric range a value lies in.

    Attributes:
        term: the term's own wording in this version.
        version: of the criteria.
        grade: 0 for a value in none of the ranges; None when it cannot be told ("not gradable").
        at_least: a higher range cannot be ruled out, since a limit that it needs is not known.
    """

    term: str
    version: CtcaeVersion
    grade: int | None
    at_least: bool = False

    @property
    def as_term(self) -> CtcaeTerm:
        """For a flag."""
        return CtcaeTerm(self.term, self.version, self.grade or None)


@dataclass(frozen=True, slots=True)
class _Step:
    grade: int
    limits: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Row:
    term: str
    codes: tuple[str, ...]
    low: bool
    steps: tuple[_Step, ...]
    low_baseline_replaces_limit: bool


@dataclass(frozen=True, slots=True)
class Criteria:
    """All numeric rows of one version.

    Attributes:
        version: of the criteria.
        mark: see :class:`~edge_twin.program.Threshold`.
        source: where the rows come from.
    """

    version: CtcaeVersion
    mark: str
    source: str
    _rows: tuple[_Row, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms with numeric rows, as this version words them."""
        return tuple(row.term for row in self._rows)

    def term_of(self, code: str) -> str | None:
        """The term that the observation's code belongs to; None where this version has no numeric row of it."""
        return next((row.term for row in self._rows if code in row.codes), None)

    def grade_range(self, term: str, value: float, references: References = References()) -> GradeRange:
        """The range that a value lies in; see :func:`grade_range`."""
        row = next((row for row in self._rows if row.term == term), None)
        if row is None:
            raise CriteriaError(f"CTCAE {self.version} has no numeric row {term!r}", reason="unknown_term")
        if not (math.isfinite(value) and value >= 0.0):
            raise CriteriaError(f"{value} is no laboratory value", reason="bad_value")
        return _range(row, self.version, value, references)


def grade_range(  # noqa: PLR0913 - what a row may be measured against, each named at the call
    term: str,
    value: float,
    version: CtcaeVersion,
    *,
    low_limit: float | None = None,
    high_limit: float | None = None,
    baseline: float | None = None,
) -> GradeRange:
    """The grade whose numeric range a value lies in, from grade 4 down.

    Args:
        term: as this version words it; version 6 calls the platelet row "Thrombocytopenia".
        value: in the unit of the term's code.
        version: of the criteria.
        low_limit: see :class:`References`.
        high_limit: likewise.
        baseline: likewise.

    Raises:
        CriteriaError: ``unknown_version``, ``unknown_term`` when this version has no such numeric row, ``bad_value``.
    """
    return criteria(version).grade_range(term, value, References(low_limit, high_limit, baseline))


def _range(row: _Row, version: CtcaeVersion, value: float, references: References) -> GradeRange:
    unknown = False
    for step in row.steps:
        met = _met(row, step, value, references)
        if met:
            return GradeRange(row.term, version, step.grade, at_least=unknown)
        unknown |= met is None
    return GradeRange(row.term, version, None if unknown else 0)


def _met(row: _Row, step: _Step, value: float, references: References) -> bool | None:
    """Whether a step holds; None when a limit that could make it hold is not known."""
    limits = [_limit(name, factor, references) for name, factor in _applying(row, step, references)]
    beyond = [value < limit if row.low else value > limit for limit in limits if limit is not None]
    if any(beyond):
        return True
    return None if None in limits else False


def _applying(row: _Row, step: _Step, references: References) -> list[tuple[str, float]]:
    """The limits of a step that count for this patient."""
    names = dict(step.limits)
    if row.low_baseline_replaces_limit and "baseline" in names:
        names.pop("high_limit" if _is_baseline_low(references) else "baseline")
    return list(names.items())


def _is_baseline_low(references: References) -> bool:
    baseline, low_limit = references.baseline, references.low_limit
    return baseline is not None and low_limit is not None and baseline < low_limit


def _limit(name: str, factor: float, references: References) -> float | None:
    if name == "value":
        return factor
    reference: float | None = getattr(references, name)
    return None if reference is None else factor * reference


@cache
def criteria(version: CtcaeVersion) -> Criteria:
    """The numeric rows of a version, read once.

    Raises:
        CriteriaError: ``unknown_version``.
    """
    if not isinstance(version, CtcaeVersion):
        raise CriteriaError(f"no version {version!r} of CTCAE", reason="unknown_version")
    found = load_criteria(Path(__file__).parent / "rules" / _FILES[version])
    if found.version is not version:
        raise CriteriaError(f"the file of {version} holds {found.version}", reason="versions_mixed")
    return found


def load_criteria(path: Path) -> Criteria:
    """Read a file of criteria.

    Raises:
        CriteriaError: ``schema_unsupported`` or ``malformed``.
    """
    try:
        return _criteria(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise CriteriaError(f"criteria {path.name} are malformed: {error!r}", reason="malformed") from error


def _criteria(document: Mapping[str, Any]) -> Criteria:
    if document["schema"] != SCHEMA:
        raise CriteriaError(f"criteria schema {document['schema']!r}", reason="schema_unsupported")
    rows = tuple(_row(row) for row in document["term"])
    return Criteria(CtcaeVersion(document["version"]), str(document["mark"]), str(document["source"]), rows)


def _row(row: Mapping[str, Any]) -> _Row:
    low = "below" in row
    steps = tuple(_step(step) for step in row["below" if low else "above"])
    grades = [step.grade for step in steps]
    if grades != sorted(set(grades), reverse=True):
        raise ValueError(f"grades of {row['term']} do not fall")
    replaces = bool(row.get("low_baseline_replaces_limit", False))
    return _Row(str(row["term"]), tuple(row["codes"]), low, steps, replaces)


def _step(step: Mapping[str, Any]) -> _Step:
    limits = {name: float(step[name]) for name in _MEASURES if name in step}
    if not limits or set(step) - {"grade", *_MEASURES} or step["grade"] not in {1, 2, 3, 4}:
        raise ValueError(f"{step!r} is no step")
    return _Step(step["grade"], limits)
