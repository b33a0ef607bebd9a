"""``edge-twin evaluate cohort`` writes what ``simulate`` makes, and refuses what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_twin_app.cli import main
from edge_twin_models.cohorts import GENERATORS, simulate, write_csv


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_command_writes_the_cohort(generator: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, expected = tmp_path / "t.csv", tmp_path / "e.csv"
    asked = ["evaluate", "cohort", "--generator", generator, "--subjects", "4", "--seed", "9", "--out", str(out)]
    assert main(asked) == 0
    write_csv(simulate(generator, 4, 9), expected)
    assert out.read_bytes() == expected.read_bytes()
    assert f"4 simulated people by {generator} ({generator}-1+streams-1, seed 9)" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--generator", "gauss"], ["--subjects", "0"], ["--seed", "-1"]])
def test_an_impossible_cohort_is_refused(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.csv"
    assert main(["evaluate", "cohort", *wrong, "--out", str(out)]) != 0
    assert "cohort" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "cohort", "--subjects", "1", "--out", str(tmp_path / "none" / "t.csv")]) != 0
    assert "cannot be written" in capsys.readouterr().err
