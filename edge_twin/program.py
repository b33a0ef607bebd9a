"""Disease programs: data that says what to watch, what counts as a flag, and what may be rehearsed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from edge_twin.errors import ProgramError

SCHEMA = "edge-twin.program/1"
_PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that decides something, with where it comes from.

    Attributes:
        value: the number, in the unit that its name ends with.
        mark: ``P`` published, ``S`` checked in the source, ``C`` chosen here, ``A`` assumed.
        source: paper, guideline section, or the reason for the choice.
    """

    value: float
    mark: str
    source: str


class LimitKind(StrEnum):
    """On which side of the value it is safe."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"


@dataclass(frozen=True, slots=True)
class Tightening:
    """A stricter value and who asked for it."""

    value: float
    reason: str


@final
class Limit:
    """A hard limit that can only be tightened.

    Its value is computed: the strictest of the original and of every tightening. A looser tightening would
    have no effect, and there is neither a setter nor a field to replace, so no operation loosens a limit.

    Args:
        id: short name.
        kind: on which side it is safe.
        original: the value before any tightening, in ``unit``.
        unit: UCUM.
        sources: where the original comes from.
    """

    __slots__ = ("_parts", "_tightenings")

    def __init__(
        self,
        id: str,  # noqa: A002 - the column's name
        kind: LimitKind,
        original: float,
        unit: str,
        sources: tuple[str, ...],
    ) -> None:
        object.__setattr__(self, "_parts", (id, kind, original, unit, sources))
        object.__setattr__(self, "_tightenings", ())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a limit does not change: {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limit) and (self._parts, self._tightenings) == (other._parts, other._tightenings)

    def __hash__(self) -> int:
        return hash((self._parts, self._tightenings))

    def __repr__(self) -> str:
        return f"Limit({self.id} {self.kind.value} {self.value:g} {self.unit})"

    _parts: tuple[str, LimitKind, float, str, tuple[str, ...]]
    _tightenings: tuple[Tightening, ...]

    @property
    def id(self) -> str:
        """Short name."""
        return self._parts[0]

    @property
    def kind(self) -> LimitKind:
        """On which side it is safe."""
        return self._parts[1]

    @property
    def original(self) -> float:
        """The value before any tightening."""
        return self._parts[2]

    @property
    def unit(self) -> str:
        """UCUM unit of the value."""
        return self._parts[3]

    @property
    def value(self) -> float:
        """The strictest of all values."""
        strictest = max if self.kind is LimitKind.AT_LEAST else min
        return strictest((self.original, *(tightening.value for tightening in self._tightenings)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sources of the original, then the reason of every tightening."""
        return (*self._parts[4], *(tightening.reason for tightening in self._tightenings))

    @property
    def most_limiting(self) -> tuple[str, ...]:
        """The reasons whose value is the one in force; all of them on a tie."""
        original = self._parts[4] if self.original == self.value else ()
        return (*original, *(tightening.reason for tightening in self._tightenings if tightening.value == self.value))

    def tightened(self, value: float, reason: str) -> Limit:
        """A stricter limit.

        Raises:
            ProgramError: ``limit_loosened`` when ``value`` is not at least as strict (NaN never is).
        """
        if not self.allows(value):
            raise ProgramError(f"limit {self.id} can only be tightened", reason="limit_loosened")
        stricter = Limit(*self._parts)
        object.__setattr__(stricter, "_tightenings", (*self._tightenings, Tightening(value, reason)))
        return stricter

    def allows(self, value: float) -> bool:
        """Whether ``value`` keeps the limit; NaN never does."""
        return value >= self.value if self.kind is LimitKind.AT_LEAST else value <= self.value

    def margin(self, value: float) -> float:
        """How far ``value`` is on the safe side, as a share of the limit; negative when it is broken."""
        away = value - self.value if self.kind is LimitKind.AT_LEAST else self.value - value
        return away / abs(self.value) if self.value else away


@dataclass(frozen=True, slots=True)
class Regimen:
    """One way to give the next cycle.

    Attributes:
        id, title: for machines and for people.
        dose_share: of the planned dose, 0 to 1.
        delay_days: after the planned day.
    """

    id: str
    title: str
    dose_share: float
    delay_days: float


@dataclass(frozen=True, slots=True)
class Program:
    """One disease program; see ``programs/neutropenia.toml`` for the form."""

    id: str
    version: int
    title: str
    bundle: str
    drug: str
    members: int
    horizon_days: float
    features_synced: tuple[str, ...]
    thresholds: Mapping[str, Mapping[str, Threshold]]
    limits: Mapping[str, Limit]
    regimens: tuple[Regimen, ...]

    def threshold(self, table: str, name: str) -> float:
        """The value of one threshold, e.g. ``threshold("fever", "single_oral_cel")``."""
        return self.thresholds[table][name].value

    def with_tightened(self, limit_id: str, value: float, reason: str) -> Program:
        """The same program with one limit made stricter, as a care plan may do.

        Raises:
            ProgramError: ``unknown_limit`` or ``limit_loosened``.
        """
        if limit_id not in self.limits:
            raise ProgramError(f"no limit {limit_id}", reason="unknown_limit")
        stricter = self.limits[limit_id].tightened(value, reason)
        return replace(self, limits={**self.limits, limit_id: stricter})


def load_program(name_or_path: str | Path) -> Program:
    """Read a program that ships with the package (by name) or a site's own (by path).

    Raises:
        ProgramError: ``not_found``, ``schema_unsupported`` or ``malformed``.
    """
    try:
        return _program(tomllib.loads(_text_of(name_or_path)))
    except OSError as error:
        raise ProgramError(f"no program {name_or_path}", reason="not_found") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"program {name_or_path} is malformed: {error}", reason="malformed") from error


def _text_of(name_or_path: str | Path) -> str:
    if isinstance(name_or_path, Path):
        return name_or_path.read_text(encoding="utf-8")
    if not name_or_path.isidentifier():  # a name, never a way out of the folder
        raise ProgramError(f"no program {name_or_path!r}", reason="not_found")
    return (_PROGRAMS / f"{name_or_path}.toml").read_text(encoding="utf-8")


def _program(document: dict[str, Any]) -> Program:
    if document["schema"] != SCHEMA:
        raise ProgramError(f"program schema {document['schema']!r}", reason="schema_unsupported")
    return Program(
        id=document["id"],
        version=int(document["version"]),
        title=document["title"],
        bundle=document["bundle"],
        drug=document["drug"],
        members=int(document["members"]),
        horizon_days=float(document["horizon_days"]),
        features_synced=tuple(document["features_synced"]),
        thresholds={table: _thresholds(rows) for table, rows in document.items() if isinstance(rows, dict)},
        limits={row["id"]: _limit(row) for row in document["limit"]},
        regimens=tuple(_regimen(row) for row in document["regimen"]),
    )


def _thresholds(rows: dict[str, Any]) -> dict[str, Threshold]:
    return {name: Threshold(float(row["value"]), row["mark"], row["source"]) for name, row in rows.items()}


def _limit(row: dict[str, Any]) -> Limit:
    return Limit(row["id"], LimitKind(row["kind"]), float(row["value"]), row["unit"], (row["source"],))


def _regimen(row: dict[str, Any]) -> Regimen:
    share, delay = float(row["dose_share"]), float(row["delay_days"])
    if not (0.0 <= share <= 1.0 and delay >= 0.0):
        raise ValueError(f"regimen {row['id']} raises the dose or brings it forward")
    return Regimen(row["id"], row["title"], share, delay)
