"""The systemd units: well formed, calling commands that exist, and each setting one that is known."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_twin_app.cli import parser

FOLDER = Path(__file__).parents[2] / "build" / "raspberrypi"
UNITS = sorted(path for path in FOLDER.iterdir() if path.suffix in {".service", ".timer"})


def unit(path: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=True, interpolation=None)
    read.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names keep their case
    read.read_string(path.read_text(encoding="utf-8"))
    return read


def test_the_runtime_and_its_watcher_are_there() -> None:
    assert [path.name for path in UNITS] == ["edge-twin-watch.service", "edge-twin-watch.timer", "edge-twin.service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_each_unit_has_the_sections_of_its_kind(path: Path) -> None:
    sections = set(unit(path).sections())
    assert {"Unit", "Timer" if path.suffix == ".timer" else "Service"} <= sections
    assert ("Install" in sections) is (path.stem != "edge-twin-watch" or path.suffix == ".timer")


@pytest.mark.parametrize("name", ["edge-twin.service", "edge-twin-watch.service"])
def test_it_calls_a_command_that_exists(name: str) -> None:
    program, *arguments = shlex.split(unit(FOLDER / name)["Service"]["ExecStart"])
    assert Path(program).name == "edge-twin"
    options = parser().parse_args(arguments)
    assert callable(options.run)


def test_the_watcher_is_another_process_that_starts_by_itself() -> None:
    timer, runtime = unit(FOLDER / "edge-twin-watch.timer")["Timer"], unit(FOLDER / "edge-twin.service")
    assert re.fullmatch(r"\d+min", timer["OnUnitInactiveSec"])
    assert runtime["Service"]["Restart"] == "always"
    watch = (FOLDER / "edge-twin-watch.service").read_text(encoding="utf-8")
    assert "edge-twin.service" not in watch  # no dependency: it has to work while the runtime is dead


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_accepts_them(tmp_path: Path) -> None:
    for path in UNITS:  # the program does not lie at its place on this machine
        text = path.read_text(encoding="utf-8").replace("/opt/edge-twin/bin/edge-twin", shutil.which("true") or "true")
        (tmp_path / path.name).write_text(text.replace("User=edge-twin\n", ""), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    own = [line for line in done.stderr.splitlines() if "edge-twin" in line]
    assert own == []
