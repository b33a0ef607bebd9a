"""``edge-twin devices`` as a person or a script meets it, on the virtual radio."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest


def devices(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edge_twin_app", "devices", *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=50)


def rows(ended: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ended.stdout)["rows"]
    return found


def test_scan_names_the_profiles_of_what_advertises() -> None:
    ended = devices("scan", "--virtual", "--seconds", "1", "--json")
    assert ended.returncode == 0, ended.stderr
    found = rows(ended)
    assert any("heart_rate" in row["profiles"] for row in found)
    assert any("health_thermometer" in row["profiles"] for row in found)
    assert all(row["rssi_dbm"] < 0 and row["advertisements"] > 0 for row in found)


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_that_is_none_is_refused(limit: str) -> None:
    ended = devices("scan", "--virtual", f"--seconds={limit}")
    assert ended.returncode == 2
    assert b"--seconds" in ended.stderr
