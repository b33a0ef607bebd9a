"""The whole way, from the virtual radio to the centre's database, through the command line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demonstration") / "out"
    command = [sys.executable, "-m", "edge_twin_app", "run", "--out", str(folder), "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert str(folder / "report.html") in ended.stdout
    return folder


@pytest.fixture(scope="module")
def summary(demo: Path) -> dict[str, Any]:
    return dict(json.loads((demo / "summary.json").read_text(encoding="utf-8")))


def test_nothing_is_lost_on_the_way(summary: dict[str, Any]) -> None:
    sync = summary["sync"]
    assert sync["produced"] > 50
    assert sync["lost"] == sync["produced"] - sync["stored"] - sync["pending"] == 0
    assert sync["pending"] == 0
    assert sync["refused"] == {}
    assert 0 < sync["bytes_per_day"] < 20_000


def test_every_beat_that_was_played_was_stored(summary: dict[str, Any]) -> None:
    from edge_twin_app.demonstration.patient import Deed, course  # noqa: PLC0415 - needs the demo extra

    moments = course()
    beats = sum(len(m.window.recording.rr_ms) for m in moments if m.window is not None)
    assert summary["observations"]["rr_interval"] == beats
    for deed, code in (
        (Deed.TEMPERATURE, "body_temperature"),
        (Deed.COUNT, "absolute_neutrophil_count"),
        (Deed.STEPS, "steps"),
    ):
        assert summary["observations"][code] == sum(m.deed is deed for m in moments)


def test_the_flags_come_in_time_and_with_reasons(summary: dict[str, Any]) -> None:
    flags = {flag["kind"]: flag for flag in reversed(summary["flags"])}
    fever, forecast = flags["fever_under_chemotherapy"], flags["anc_below_0_5_within_7_days"]
    assert fever["urgency"] == "now"
    assert fever["probability"] is None
    assert forecast["time"] < fever["time"]
    assert 0.5 <= forecast["probability"] <= 1.0
    assert flags["resting_heart_rate_above_baseline"]["reason"]
    assert all(flag["reason"] and flag["action"] for flag in summary["flags"])


def test_the_stage_in_force_is_what_the_clinician_signed_for(demo: Path, summary: dict[str, Any]) -> None:
    trust = summary["trust"]
    assert [row["stage"] for row in trust["grants"]][-1:] == [trust["stage"]]
    assert trust["why"] == "granted"
    assert trust["simulated_evidence"] is True
    seen = {flag["kind"]: flag["audience"] for flag in summary["flags"]}
    assert seen["fever_under_chemotherapy"] == ["clinician", "patient"]
    assert "clinician" in seen["anc_below_0_5_within_7_days"]
    assert f"<b>{trust['stage']}</b>" in (demo / "report.html").read_text(encoding="utf-8")


def test_forecast_and_rehearsal_have_their_form(summary: dict[str, Any]) -> None:
    forecast = summary["forecast"]
    size = len(forecast["days"])
    assert size == len(forecast["median"]) == len(forecast["lower"]) == len(forecast["upper"])
    assert all(
        low <= mid <= high
        for low, mid, high in zip(forecast["lower"], forecast["median"], forecast["upper"], strict=True)
    )
    assert forecast["counts_seen"] >= forecast["counts_inside"] > 0
    options = {row["option"]: row for row in summary["rehearsal"]}
    assert options["100_percent_gcsf"]["support"].startswith("filgrastim")
    assert options["100_percent_gcsf"]["model_id"] != options["100_percent"]["model_id"]
    assert set(options) == {"100_percent", "75_percent", "60_percent", "one_week_delay", "100_percent_gcsf"}
    chances = [options[name]["p_anc_below_0_5"] for name in ("100_percent", "75_percent", "60_percent")]
    assert chances == sorted(chances, reverse=True)
    assert all(row["nadir_lower"] <= row["nadir_median"] <= row["nadir_upper"] for row in options.values())
    assert summary["rehearsal_members"] == 1000
    assert summary["rehearsal_elapsed_ms"] > 0


def test_the_radio_was_used_and_lost_and_found_again(summary: dict[str, Any]) -> None:
    ble = summary["ble"]
    assert ble["notifications"] > 500
    assert ble["reconnects"] >= 20
    assert ble["gaps"] >= 20
    assert ble["refused"] == 0
    assert summary["peak_rss_mb"] > 0


def test_the_centre_can_read_what_the_broker_could_not(demo: Path) -> None:
    with sqlite3.connect(demo / "central.db") as centre:
        kinds = {row[0] for row in centre.execute("SELECT kind FROM flags")}
        rates = [row[0] for row in centre.execute("SELECT value FROM features WHERE name = 'resting_heart_rate_night'")]
    centre.close()
    assert "fever_under_chemotherapy" in kinds
    assert len(rates) >= 23
    assert all(40 < rate < 120 for rate in rates)


def test_the_report_names_what_is_recorded_and_what_is_simulated(demo: Path) -> None:
    page = (demo / "report.html").read_text(encoding="utf-8")
    assert "Recorded:" in page
    assert "Simulated:" in page
    for picture in ("forecast", "heart_rate", "flags", "rehearsal"):
        assert (demo / "pictures" / f"{picture}.png").stat().st_size > 10_000
        assert f"pictures/{picture}.png" in page


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    command = [sys.executable, "-m", "edge_twin_app", "run", "--out", str(tmp_path), "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "[not_ours]" in ended.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
