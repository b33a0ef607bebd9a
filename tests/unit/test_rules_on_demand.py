"""Rules that are loaded only for a reading that they judge."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_twin.flags.on_demand import RULES, OnDemand
from edge_twin.program import load_program, program_names

SCRIPT = """
import sys
from datetime import UTC, datetime, timedelta
from edge_twin import codes
from edge_twin.contract import TwinInput
from edge_twin.observation import observe
from edge_twin.program import load_program
from edge_twin.twin import advance
now = datetime(2026, 3, 10, tzinfo=UTC)
program = load_program("neutropenia")
advance(TwinInput(now, "Europe/Berlin", program, None))
before = "edge_twin.flags.symptoms" in sys.modules
pain = observe(codes.by_name("diary_pain"), 9.0, now - timedelta(hours=1), source="diary")
flags = advance(TwinInput(now, "Europe/Berlin", program, None, (pain,))).flags
print(before, "edge_twin.flags.symptoms" in sys.modules, len(flags), "edge_twin.flags.biomarkers" in sys.modules)
"""


def test_nothing_is_loaded_without_a_reading() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "1", "False"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.function))
def test_every_rule_is_there(rule: OnDemand) -> None:
    assert callable(rule.load())


def test_the_shipped_programs_judge_the_diary() -> None:
    tables = {name: load_program(name).thresholds for name in program_names()}
    assert all({"diary_worsening", "survey_worsening"} <= rows.keys() for rows in tables.values())
