"""The thresholds of trust as data: rule pack ``trust``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from edge_twin import rules
from edge_twin.errors import ProgramError
from edge_twin.program import RULES_SCHEMA, Threshold

_PACK = Path(rules.__file__).with_name("trust.toml")


@dataclass(frozen=True, eq=False)
class TrustRules:
    """Thresholds by table and name."""

    tables: Mapping[str, Mapping[str, Threshold]]

    def value(self, table: str, name: str) -> float:
        """The value of one threshold."""
        return self.tables[table][name].value

    def span(self, table: str, name: str) -> timedelta:
        """A threshold that is a length of time; the unit is the last word of its name."""
        return timedelta(**{name.rsplit("_", 1)[1]: self.value(table, name)})


@cache
def trust_rules() -> TrustRules:
    """The pack that ships with the package.

    Raises:
        ProgramError: ``schema_unsupported`` or ``malformed``.
    """
    return read_trust_rules(_PACK.read_text(encoding="utf-8"))


def read_trust_rules(text: str) -> TrustRules:
    """A pack from its TOML text.

    Raises:
        ProgramError: ``schema_unsupported`` or ``malformed``.
    """
    try:
        document = tomllib.loads(text)
        if document["schema"] != RULES_SCHEMA:
            raise ProgramError(f"rule pack schema {document['schema']!r}", reason="schema_unsupported")
        tables = {name: _thresholds(rows) for name, rows in document.items() if isinstance(rows, dict)}
    except (KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"rule pack trust is malformed: {error}", reason="malformed") from error
    return TrustRules(tables)


def _thresholds(rows: Mapping[str, Mapping[str, str]]) -> dict[str, Threshold]:
    return {name: Threshold(float(row["value"]), row["mark"], row["source"]) for name, row in rows.items()}
