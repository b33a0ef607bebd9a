"""The table of definitions, the code and the documents say the same."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from edge_twin import codes
from edge_twin.features.glucose import SPOT, STEROID_RISE
from edge_twin.features.labs import NEWEST_OF
from edge_twin.features.names import TREND_INPUTS
from edge_twin.features.registry import DISTILLED, TRENDS
from edge_twin.features.temperature import NIGHT_SITES, prefix
from edge_twin.features.wear import STREAMS
from edge_twin.observation import Site

ROOT = Path(__file__).parents[2]
FEATURES = ROOT / "edge_twin" / "features"
PAGE = ROOT / "docs" / "features-days.md"
DAY_LEVEL = (
    "activity", "circadian", "daily", "day", "glucose", "labs", "late", "oxygen", "pressure", "quality", "registry",
    "settings", "sleep", "temperature", "trends", "wear", "weight",
)  # fmt: skip

STANDS_FOR = {
    "site": [prefix(site) for site in Site],
    "skin": [site.value for site in NIGHT_SITES],
    "arm": ["systolic", "diastolic"],
    "stream": [code.name for code in STREAMS],
    "specimen": [name for name, _ in SPOT],
    "laboratory": [code.name for code in NEWEST_OF],
    "imaging": [name for name in codes.names() if name.startswith(codes.IMAGING_PREFIX)],
    "diary": [name for name in codes.names() if name.startswith(codes.DIARY_PREFIX)],
}


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((FEATURES / name).read_text(encoding="utf-8"))


def definitions() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = read("definitions.toml")["feature"]
    return rows


def names_of(pattern: str) -> list[str]:
    """Every name that a pattern such as ``{site}_temperature_max_day`` stands for."""
    places = re.findall(r"\{(\w+)\}", pattern)
    return [
        pattern.format(**dict(zip(places, chosen, strict=True)))
        for chosen in product(*(STANDS_FOR[place] for place in places))
    ]


def test_every_name_of_the_code_is_defined_once_and_no_other() -> None:
    named = [name for row in definitions() for name in names_of(row["name"])]
    assert len(named) == len(set(named))
    assert set(named) == DISTILLED | TRENDS | {STEROID_RISE}
    assert DISTILLED.isdisjoint(TRENDS)
    assert set(TREND_INPUTS) <= DISTILLED


@pytest.mark.parametrize("row", definitions(), ids=lambda row: str(row["name"]))
def test_a_definition_is_complete(row: dict[str, str]) -> None:
    assert set(row) == {"group", "name", "unit", "definition", "valid", "source"}
    assert all(row.values())


def test_every_reason_of_the_code_is_documented() -> None:
    text = " ".join(row["valid"] for row in definitions()) + PAGE.read_text(encoding="utf-8")
    found = set()
    for module in DAY_LEVEL:
        source = (FEATURES / f"{module}.py").read_text(encoding="utf-8")
        found |= set(re.findall(r'"((?:no|too|cut|below|coverage|stuck|clock|unit|recording)_[a-z_]+)"', source))
    undocumented = {reason for reason in found if f"`{reason}`" not in text} - _NO_REASONS
    assert undocumented == set()
    assert {"no_data", "too_coarse", "unit_change_suspected", "clock_jump_suspected"} <= found


_NO_REASONS = {
    name for table in read("daily.toml").values() if isinstance(table, dict) for name in table
}  # names of thresholds


def thresholds() -> list[tuple[str, str, Any]]:
    tables = {name: table for name, table in read("daily.toml").items() if isinstance(table, dict)}
    return [(table, name, row) for table, rows in tables.items() for name, row in rows.items() if table != "steroids"]


@pytest.mark.parametrize(("table", "name", "row"), thresholds(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_threshold_has_value_mark_and_source_and_is_used(table: str, name: str, row: dict[str, Any]) -> None:
    assert set(row) == {"value", "mark", "source"}
    assert row["mark"] in {"S", "P", "C", "A", "U"}
    assert row["source"]
    code = "\n".join((FEATURES / f"{module}.py").read_text(encoding="utf-8") for module in DAY_LEVEL)
    stem = re.sub(
        r"_(heart_rate|pulse_rate|oxygen_saturation|body_temperature|glucose|motion|1_month|6_months)$", "", name
    )
    assert f'"{table}", "{name}"' in code or f'"{table}", f"{stem}_' in code or f'"{name}"' in code


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def rendered(row: dict[str, str]) -> str:
    columns = (f"`{row['name']}`", row["definition"], f"`{row['unit']}`", row["valid"], row["source"])
    return "| " + " | ".join(map(cell, columns)) + " |"


@pytest.mark.parametrize("row", definitions(), ids=lambda row: str(row["name"]))
def test_the_page_says_what_the_table_says(row: dict[str, str]) -> None:
    assert rendered(row) in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_defines_nothing_else() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| `[a-z_{}0-9]+` \|", line)]
    assert len(rows) == len(definitions())
