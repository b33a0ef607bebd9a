"""The public surface is pinned: a change here is a change for every user."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import edge_twin

ROOT = Path(__file__).parents[2]
EXAMPLE, PAGE = ROOT / "examples" / "patient_twin.py", ROOT / "docs" / "api.md"


def test_exported_names() -> None:
    assert edge_twin.__all__ == [
        "Dose", "EdgeTwinError", "NextCycle", "PatientTwin", "load_program", "open_bundle", "restore",
    ]  # fmt: skip
    assert all(getattr(edge_twin, name).__doc__ for name in edge_twin.__all__)
    with pytest.raises(AttributeError):
        _ = edge_twin.no_such_name


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "limited by" in printed
    assert "goes on bit for bit: True" in printed
    assert "Computed by onnxruntime with neutropenia@" in printed or "Computed by numpy with neutropenia@" in printed
    assert "schedule_not_equal_cycles" in printed


def test_the_page_shows_the_example_that_runs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert block == EXAMPLE.read_text(encoding="utf-8")
    missing = [name for name in edge_twin.__all__ if f"`{name}" not in page]
    assert missing == []
