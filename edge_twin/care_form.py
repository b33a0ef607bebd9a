"""The form in which a case file or a device's settings state what the clinic knows (docs/formats.md).

Unknown keys are refused, so that a misspelt one is never ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from edge_twin import codes
from edge_twin.care import CareContext, LaboratoryRange, Medicine, MedicineKind
from edge_twin.errors import CareError, ObservationError
from edge_twin.flag import CtcaeVersion
from edge_twin.observation import as_utc


def read_care(form: Mapping[str, Any]) -> CareContext:
    """What the clinic knows, from plain JSON or TOML values.

    Raises:
        CareError: ``unknown_key``, ``unknown_code`` or ``malformed``.
    """
    try:
        _refuse_unknown(form, _READERS.keys())
        return CareContext(**{key: _READERS[key](value) for key, value in form.items()})
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, ObservationError) as error:
        raise CareError(f"malformed care: {error!r}", reason="malformed") from error


def _refuse_unknown(form: Mapping[str, Any], known: Iterable[str]) -> None:
    if unknown := set(form) - set(known):
        raise CareError(f"unknown key {min(unknown)!r}", reason="unknown_key")


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"{value!r} is not a quantity")
    return float(value)


def _time(value: object) -> datetime:
    return as_utc(datetime.fromisoformat(str(value)))


def _medicine(row: Mapping[str, Any]) -> Medicine:
    _refuse_unknown(row, ("name", "kind", "start", "end"))
    start = _time(row["start"])
    end = _time(row["end"]) if "end" in row else None
    if end is not None and end < start:
        raise ValueError("a medicine ends before it starts")
    return Medicine(_name(row["name"]), MedicineKind(row["kind"]), start, end)


def _name(value: object) -> str:
    if not (isinstance(value, str) and value):
        raise TypeError(f"{value!r} is no name")
    return value


def _range(row: Mapping[str, Any]) -> LaboratoryRange:
    _refuse_unknown(row, ("code", "low", "high"))
    low, high = (_number(row[key]) if key in row else None for key in ("low", "high"))
    if low is not None and high is not None and low > high:
        raise ValueError("a reference range is upside down")
    return LaboratoryRange(_known(row["code"]), low, high)


def _known(name: object) -> str:
    if not isinstance(name, str) or codes.by_name(name) is None:
        raise CareError(f"unknown code {name!r}", reason="unknown_code")
    return name


def _values(row: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    return tuple((_known(name), _number(value)) for name, value in row.items())


def _each(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def rows(value: object) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"{value!r} is no list")
        return tuple(read(row) for row in value)

    return rows


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "ctcae_version": CtcaeVersion,
    "medicines": _each(_medicine),
    "medicines_complete": _flag,
    "cell_therapy": _each(_time),
    "saturation_target_88_92": _flag,
    "laboratory_ranges": _each(_range),
    "age_years": _number,
    "pregnant": _flag,
    "diabetes": _flag,
    "usual_stools_per_day": _number,
    "symptoms_before": _values,
    "markers_since": _time,
    "values_before": _values,
    "male": _flag,
    "opioid_naive": _flag,
    "sleep_disordered_breathing": _flag,
    "heart_failure": _flag,
}
