"""The public surface is pinned: a change here is a change for every user."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import edge_twin

EXAMPLE = Path(__file__).parents[2] / "examples" / "patient_twin.py"


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
    assert "saved state" in printed
