"""Every threshold of the packs that no shipped program names, at, just below and just above its value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_twin.program import Program
from tests.rule_packs import program_with
from tests.rule_row import Row
from tests.rule_rows_markers import LUNG, MARKERS

ROWS = [*MARKERS, *LUNG]
PUBLISHED = "lung_published"  # figures of a sentence; they decide nothing


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_with(tmp_path_factory.mktemp("program"), "biomarkers", "lung_follow_up")


def moved(program: Program, row: Row, value: float) -> Program:
    rows = dict(program.thresholds[row.table])
    rows[row.name] = replace(rows[row.name], value=value)
    return replace(program, thresholds={**program.thresholds, row.table: rows})


@pytest.mark.parametrize(
    ("row", "value", "expected"),
    [
        pytest.param(row, value, wanted, id=f"{row.table}.{row.name}={value:g}")
        for row in ROWS
        for value, wanted in row.probes
    ],
)
def test_boundary(program: Program, row: Row, value: float, expected: object) -> None:
    assert row.outcome(value, program) == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}.{row.name}")
def test_a_row_notices_a_moved_threshold(program: Program, row: Row) -> None:
    value = program.threshold(row.table, row.name)
    others = (moved(program, row, other) for other in (0.4 * value, 4.0 * value))
    assert any(row.outcome(v, other) != wanted for other in others for v, wanted in row.probes)


def test_every_threshold_has_a_row(program: Program) -> None:
    own = {"fever", "forecast", "resting_heart_rate", PUBLISHED}
    there = {(table, name) for table, rows in program.thresholds.items() if table not in own for name in rows}
    assert there == {(row.table, row.name) for row in ROWS}
