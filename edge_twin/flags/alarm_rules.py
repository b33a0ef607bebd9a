"""The thresholds of a flag's life as data: rule pack ``alarms``, or a program's own tables of the same names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from edge_twin import rules
from edge_twin.errors import ProgramError
from edge_twin.flag import Bound, FlagKind, Urgency
from edge_twin.program import RULES_SCHEMA, Program, Threshold

Tables = Mapping[str, Mapping[str, Threshold]]
LARGEST = 1e6  # minutes of a threshold: almost two years
_PACK = Path(rules.__file__).with_name("alarms.toml")


class Level(StrEnum):
    """Who is asked to react, in the order in which they are."""

    PATIENT = "patient"
    CAREGIVER = "caregiver"
    CLINIC = "clinic"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        """0 for the patient."""
        return tuple(Level).index(self)


@dataclass(frozen=True, eq=False)
class AlarmRules:
    """What the life cycle asks its data.

    Attributes:
        tables: thresholds by table and name.
        stronger: kinds that replace a kind, by the weaker one.
        requests: kinds that ask for a deed and end with it.
        budgeted: kinds that the alarm budget binds.
    """

    tables: Tables
    stronger: Mapping[FlagKind, frozenset[FlagKind]]
    requests: frozenset[FlagKind]
    budgeted: frozenset[FlagKind]

    def value(self, table: str, name: str) -> float:
        """The value of one threshold."""
        return self.tables[table][name].value

    def span(self, table: str, name: str) -> timedelta:
        """A threshold that is a length of time; the unit is the last word of its name."""
        return timedelta(**{name.rsplit("_", 1)[1]: self.value(table, name)})

    def bound(self, table: str, name: str) -> Bound:
        """A threshold as what decided a flag."""
        rule = self.tables[table][name]
        return Bound(f"{table}.{name}", rule.value, rule.mark, rule.source)

    def hold(self, kind: FlagKind, urgency: Urgency) -> timedelta:
        """How long a flag must not have held before it comes down."""
        return timedelta(0) if kind in self.requests else self.span("alarm_hold", f"{urgency}_minutes")

    def refractory(self, urgency: Urgency) -> timedelta:
        """How long after an alert the same key is told no second time; zero for what needs a call now."""
        name = f"{urgency}_hours"
        return self.span("alarm_refractory", name) if name in self.tables["alarm_refractory"] else timedelta(0)

    def deadline(self, urgency: Urgency, level: Level) -> timedelta | None:
        """Time without an answer after which ``level`` is asked; None when it is not."""
        name = f"{urgency}_{level}_minutes"
        return self.span("alarm_escalation", name) if name in self.tables["alarm_escalation"] else None

    @property
    def budget_window(self) -> timedelta:
        """The time over which the budget counts."""
        return self.span("alarm_budget", "window_weeks")

    @property
    def allowance(self) -> int:
        """Alerts of budgeted kinds that may be told within the window."""
        return int(self.value("alarm_budget", "non_urgent_per_week") * self.value("alarm_budget", "window_weeks"))


def alarm_rules(program: Program | None = None) -> AlarmRules:
    """The pack that ships with the package; tables of the same name in the program take its place.

    Raises:
        ProgramError: ``schema_unsupported`` or ``malformed``.
    """
    shipped = _shipped()
    if program is None:
        return shipped
    own = {name: {**rows, **program.thresholds.get(name, {})} for name, rows in shipped.tables.items()}
    return AlarmRules(_checked(own), shipped.stronger, shipped.requests, shipped.budgeted)


@cache
def _shipped() -> AlarmRules:
    return read_alarm_rules(_PACK.read_text(encoding="utf-8"))


def read_alarm_rules(text: str) -> AlarmRules:
    """A pack from its TOML text.

    Raises:
        ProgramError: ``schema_unsupported`` or ``malformed``.
    """
    try:
        return _rules(tomllib.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProgramError(f"rule pack alarms is malformed: {error}", reason="malformed") from error


def _rules(document: Mapping[str, Any]) -> AlarmRules:
    if document["schema"] != RULES_SCHEMA:
        raise ProgramError(f"rule pack schema {document['schema']!r}", reason="schema_unsupported")
    tables = {name: _thresholds(rows) for name, rows in document.items() if isinstance(rows, dict)}
    stronger: dict[FlagKind, frozenset[FlagKind]] = {}
    for row in document["supersedes"]:
        for weaker in map(FlagKind, row["weaker"]):
            stronger[weaker] = stronger.get(weaker, frozenset()) | {FlagKind(row["stronger"])}
    return AlarmRules(_checked(tables), stronger, _kinds(document["requests"]), _kinds(document["budgeted"]))


def _checked(tables: Tables) -> Tables:
    """The same tables, each value one that a time or a number can have: a NaN would end the runtime later."""
    for table, rows in tables.items():
        for name, row in rows.items():
            if not 0.0 <= row.value <= LARGEST:
                raise ProgramError(f"{table}.{name} is {row.value}", reason="malformed")
    return tables


def _thresholds(rows: Mapping[str, Any]) -> dict[str, Threshold]:
    return {name: Threshold(float(row["value"]), row["mark"], row["source"]) for name, row in rows.items()}


def _kinds(rows: list[dict[str, Any]]) -> frozenset[FlagKind]:
    return frozenset(FlagKind(kind) for row in rows for kind in row["kinds"])
