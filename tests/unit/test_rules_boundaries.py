"""Every threshold of the rule packs at, just below and just above its value; each row's source stands in the pack.

A row says which flag a probe raises and how urgent, stated before any run. The last tests hold that no threshold is
without a row, and that every row notices when its threshold is moved past its probes: a row cannot pass by accident.
"""

from __future__ import annotations

import pytest

from edge_twin import codes
from edge_twin.flag import FlagKind, Urgency
from edge_twin.program import load_program
from tests.rule_bench import flags, found, lab, moved, neutropenia
from tests.rule_row import NONE, TODAY, WEEK, Row
from tests.rule_rows_daily import DAILY_CARE
from tests.rule_rows_laboratory import CELL_THERAPY, DATA_QUALITY, LAB, LABORATORY
from tests.rule_rows_symptoms import SYMPTOMS
from tests.rule_rows_vitals import VITAL_SIGNS
from tests.unit.test_rules_news2 import BANDS

ROWS = [*VITAL_SIGNS, *LABORATORY, *CELL_THERAPY, *DAILY_CARE, *DATA_QUALITY, *SYMPTOMS]
# Thresholds whose boundaries have a test of their own form elsewhere.
DEFINITIONS = "fever_idsa_2010", "fever_asco", "fever_ctcae_5_0", "fever_cisne"  # test_rules_fever_definitions.py
SHADOWED = {("laboratory_absolute_neutrophil_count", "today_below")}  # below, in the program that watches leukocytes


@pytest.mark.parametrize(
    ("row", "value", "expected"),
    [
        pytest.param(row, value, wanted, id=f"{row.table}.{row.name}={value:g}")
        for row in ROWS
        for value, wanted in row.probes
    ],
)
def test_boundary(row: Row, value: float, expected: object) -> None:
    assert row.outcome(value) == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}.{row.name}")
def test_a_row_notices_a_moved_threshold(row: Row) -> None:
    """A threshold moved well past the probes, up or down, changes what at least one of them raises."""
    value = neutropenia().threshold(row.table, row.name)
    changed = 0
    for other in (0.4 * value if value else -3.0, 4.0 * value + 3.0):
        program = moved(row.table, row.name, other)
        changed += any(row.outcome(probe, program) != wanted for probe, wanted in row.probes)
    assert changed > 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}.{row.name}")
def test_probes_lie_on_both_sides(row: Row) -> None:
    assert len({str(wanted) for _, wanted in row.probes}) > 1


def test_every_threshold_of_the_packs_has_a_boundary_test() -> None:
    tables = neutropenia().thresholds
    own = {"fever", "forecast", "resting_heart_rate"}
    there = {(table, name) for table, rows in tables.items() if table not in own for name in rows}
    tested = {(row.table, row.name) for row in ROWS} | SHADOWED
    tested |= {(table, name) for table in BANDS for name in tables[table]}  # tests/unit/test_rules_news2.py
    tested |= {(table, name) for table in DEFINITIONS for name in tables[table]}
    assert there - tested == set()
    assert tested - there == set()


@pytest.mark.parametrize(("value", "urgency"), [(0.49, TODAY), (0.5, WEEK), (0.99, WEEK), (1.0, NONE)])
def test_neutrophils_where_the_program_watches_leukocytes(value: float, urgency: Urgency | None) -> None:
    """laboratory_absolute_neutrophil_count.today_below: CTCAE v5 grade 4 range, v6 grade 3 range."""
    raised = flags(lab(codes.NEUTROPHILS, value), program=load_program("aml"))
    flag = found(f"{LAB}/absolute_neutrophil_count", raised)
    assert (flag.urgency if flag else None) == urgency


def test_the_programs_own_rule_speaks_alone_about_its_count() -> None:
    raised = flags(lab(codes.NEUTROPHILS, 0.3))
    assert [flag.kind for flag in raised] == [FlagKind.NEUTROPHILS_LOW]
