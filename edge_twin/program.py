"""Disease programs: data that says what to watch, what counts as a flag, and what may be rehearsed."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from edge_twin.errors import ProgramError
from edge_twin.flag import FlagKind
from edge_twin.low_count import CountRule, LowCount, WindowStart, read_rule

SCHEMA = "edge-twin.program/1"
RULES_SCHEMA = "edge-twin.rules/1"
_PROGRAMS = Path(__file__).parent / "programs"
_RULES = Path(__file__).parent / "rules"
USUAL_CYCLE_DAYS = 21.0  # of a program that states no length of its cycle
COUNT_TABLE = "count"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that decides something, with where it comes from.

    Attributes:
        value: the number, in the unit that its name ends with.
        mark: ``P`` published, ``S`` checked in the source, ``C`` chosen here, ``A`` assumed, ``U`` unverified.
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
class Support:
    """A supporting drug that a regimen adds, once a day.

    Attributes:
        drug: lower-case generic name.
        amount_mg: absolute amount of one administration.
        first_day: of the first administration, in days after the dose.
        injections: how many.
    """

    drug: str
    amount_mg: float
    first_day: float
    injections: int


@dataclass(frozen=True, slots=True)
class Regimen:
    """One way to give the next cycle.

    Attributes:
        id, title: for machines and for people.
        dose_share: of the planned dose, 0 to 1.
        delay_days: after the planned day.
        support: what is given beside it; None for nothing.
        administration_days: days after the start on which equal parts of the dose are given, the first one 0.
        source: where this way of giving it comes from, with its mark.
    """

    id: str
    title: str
    dose_share: float
    delay_days: float
    support: Support | None = None
    administration_days: tuple[float, ...] = (0.0,)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One disease program; see ``programs/neutropenia.toml`` and ``programs/aml.toml`` for the form.

    Attributes:
        count: which count it watches.
        cycle_days: from the last dose to the end of its cycle; the forecast always reaches it.
        followed_days: after the first rehearsed dose.
        start_days: starts after the planned day that a search of schedules tries.
    """

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
    count: CountRule
    cycle_days: float
    followed_days: float
    start_days: tuple[float, ...]
    further_bundles: tuple[str, ...] = ()

    @property
    def bundles(self) -> tuple[str, ...]:
        """Names of the bundles in order of preference; a later one is asked for drugs that the earlier do not know."""
        return (self.bundle, *self.further_bundles)

    @property
    def low_threshold(self) -> float:
        """Below it the count is low, 10*9/L."""
        return self.threshold("forecast", self.count.threshold_name)

    def low_count(self, period: str | None = None) -> LowCount:
        """The low event of this program.

        Args:
            period: when; the forecast's window when None.
        """
        return LowCount(self.count.label, self.count.short, self.low_threshold, period or self._window)

    @property
    def _window(self) -> str:
        if self.count.window_from is WindowStart.LAST_DOSE:
            return "in this cycle"
        return f"within {self.threshold('forecast', 'window_days'):g} days"

    def recovery_threshold(self) -> float | None:
        """From it on the count has recovered, 10*9/L; None for a program that names none."""
        recovery = self.thresholds["forecast"].get("recovery_10_9_per_l")
        return recovery.value if recovery else None

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


def program_names() -> tuple[str, ...]:
    """Names of the programs that ship with the package, sorted."""
    return tuple(sorted(file.stem for file in _PROGRAMS.glob("*.toml")))


def load_program(name_or_path: str | Path) -> Program:
    """Read a program that ships with the package (by name) or a site's own (by path).

    Raises:
        ProgramError: ``not_found`` (naming the programs there are), ``schema_unsupported`` or ``malformed``.
    """
    try:
        return _program(tomllib.loads(_text_of(name_or_path)))
    except OSError as error:
        raise _not_found(name_or_path) from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"program {name_or_path} is malformed: {error}", reason="malformed") from error


def _text_of(name_or_path: str | Path) -> str:
    if isinstance(name_or_path, Path):
        return name_or_path.read_text(encoding="utf-8")
    if not name_or_path.isidentifier():  # a name, never a way out of the folder
        raise _not_found(name_or_path)
    return (_PROGRAMS / f"{name_or_path}.toml").read_text(encoding="utf-8")


def _not_found(name_or_path: str | Path) -> ProgramError:
    there = ", ".join(program_names())
    return ProgramError(f"no program {str(name_or_path)!r}; installed: {there}", reason="not_found")


def _program(document: dict[str, Any]) -> Program:
    if document["schema"] != SCHEMA:
        raise ProgramError(f"program schema {document['schema']!r}", reason="schema_unsupported")
    cycle_days = _positive(document.get("cycle_days", USUAL_CYCLE_DAYS))
    program = Program(
        id=document["id"],
        version=int(document["version"]),
        title=document["title"],
        bundle=document["bundle"],
        drug=document["drug"],
        members=int(document["members"]),
        horizon_days=float(document["horizon_days"]),
        features_synced=tuple(document["features_synced"]),
        thresholds=_all_thresholds(document),
        limits={row["id"]: _limit(row) for row in document["limit"]},
        regimens=tuple(_regimen(row) for row in document["regimen"]),
        further_bundles=_names(document.get("further_bundles", [])),
        count=_checked_flags(read_rule(document.get(COUNT_TABLE))),
        cycle_days=cycle_days,
        followed_days=_positive(document.get("followed_days", cycle_days)),
        start_days=_ascending(document.get("start_days", (0.0,))),
    )
    for table, name in (("forecast", program.count.threshold_name), ("fever", program.count.fever_threshold)):
        program.threshold(table, name)  # a count without its thresholds is found now, not at the first reading
    return program


def _checked_flags(rule: CountRule) -> CountRule:
    """Kinds of flags are a closed list: a program names one of them or is refused when it is read."""
    for name in (rule.measured_flag, rule.forecast_flag):
        FlagKind(name)
    return rule


def _positive(value: object) -> float:
    number = float(str(value))
    if not 0.0 < number < float("inf"):
        raise ValueError(f"{value!r} is no length in days")
    return number


def _ascending(values: Iterable[object]) -> tuple[float, ...]:
    """Days from 0 on, rising."""
    days = tuple(float(str(value)) for value in values)
    if not days or days[0] != 0.0 or any(later <= earlier for earlier, later in pairwise(days)):
        raise ValueError(f"days {days} do not rise from 0")
    return days


def _all_thresholds(document: dict[str, Any]) -> dict[str, dict[str, Threshold]]:
    """The program's own tables and those of the rule packs that it names; no table stands twice."""
    tables = {name: _thresholds(rows) for name, rows in _tables(document)}
    for pack in _names(document.get("rules", [])):
        for name, rows in _tables(_rule_pack(pack)):
            if name in tables:
                raise ValueError(f"table {name} stands twice")
            tables[name] = _thresholds(rows)
    return tables


def load_rule_pack(name: str) -> tuple[int, dict[str, dict[str, Threshold]]]:
    """Version and tables of a rule pack that no program has to name.

    Raises:
        ProgramError: ``not_found`` or ``malformed``.
    """
    try:
        document = _rule_pack(name)
        return int(document["version"]), {table: _thresholds(rows) for table, rows in _tables(document)}
    except OSError as error:
        raise ProgramError(f"no rule pack {name!r}", reason="not_found") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"rule pack {name} is malformed: {error}", reason="malformed") from error


def _tables(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, rows) for name, rows in document.items() if isinstance(rows, dict) and name != COUNT_TABLE)


def _rule_pack(name: str) -> dict[str, Any]:
    """A file of thresholds that several programs share."""
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a rule pack")
    document = tomllib.loads((_RULES / f"{name}.toml").read_text(encoding="utf-8"))
    if document["schema"] != RULES_SCHEMA:
        raise ValueError(f"rule pack {name} has schema {document['schema']!r}")
    return document


def _thresholds(rows: dict[str, Any]) -> dict[str, Threshold]:
    return {name: Threshold(float(row["value"]), row["mark"], row["source"]) for name, row in rows.items()}


def _limit(row: dict[str, Any]) -> Limit:
    return Limit(row["id"], LimitKind(row["kind"]), float(row["value"]), row["unit"], (row["source"],))


def _regimen(row: dict[str, Any]) -> Regimen:
    share, delay = float(row["dose_share"]), float(row["delay_days"])
    if not (0.0 <= share <= 1.0 and delay >= 0.0):
        raise ValueError(f"regimen {row['id']} raises the dose or brings it forward")
    support = _support(row["support"]) if "support" in row else None
    days = _ascending(row.get("administration_days", (0.0,)))
    return Regimen(row["id"], row["title"], share, delay, support, days, str(row.get("source", "")))


def _support(row: dict[str, Any]) -> Support:
    """Refuses what no reader could check: each value states its mark, the whole its source."""
    support = Support(row["drug"], float(row["amount_mg"]), float(row["first_day"]), int(row["injections"]))
    named = isinstance(support.drug, str) and bool(support.drug)
    possible = 0.0 < support.amount_mg < math.inf and 0.0 <= support.first_day < math.inf and support.injections > 0
    argued = all(row[key] in {"P", "S", "C", "A"} for key in ("mark", "amount_mark")) and bool(row["source"])
    if not (named and possible and argued):
        raise ValueError("a regimen's support is not possible or has no source")
    return support


def _names(names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{names!r} is not a list of names")
    return tuple(names)
