"""The command line as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from edge_twin.bundle import load_bundle
from edge_twin_models import bundle_names, bundle_path

CASE = str(resources.files("edge_twin_app") / "cases" / "tolerant.json")


def edge_twin(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edge_twin_app", *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_replay_gives_the_same_bytes_twice() -> None:
    first, second = edge_twin("replay", CASE), edge_twin("replay", CASE)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    document = json.loads(first.stdout)
    assert document["schema"] == "edge-twin.case-result/4"
    assert document["steps"][0]["engine"] == "numpy"


def test_both_engines_tell_the_same_story() -> None:
    told = [json.loads(edge_twin("replay", CASE, "--engine", name).stdout) for name in ("numpy", "onnxruntime")]
    for one, other in zip(told[0]["steps"], told[1]["steps"], strict=True):
        assert one["forecast"]["median"] == pytest.approx(other["forecast"]["median"], rel=2e-3)
        assert one["forecast"]["p_anc_below_0_5"] == pytest.approx(other["forecast"]["p_anc_below_0_5"], abs=0.005)


def test_rehearse_prints_rows_and_draws(tmp_path: Path) -> None:
    ended = edge_twin("rehearse", "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["members"] == 1000
    assert [row["option"] for row in document["rows"]] == [
        "100_percent",
        "75_percent",
        "60_percent",
        "one_week_delay",
        "100_percent_gcsf",
    ]
    assert all(0.0 <= row["p_anc_below_0_5"] <= 1.0 for row in document["rows"])
    drawn = edge_twin("rehearse", CASE, "--members", "200", "--out", str(tmp_path))
    assert drawn.returncode == 0, drawn.stderr
    assert b"nothing here recommends a dose" in drawn.stdout
    assert (tmp_path / "rehearsal.png").stat().st_size > 10_000


def test_rehearse_takes_any_installed_program() -> None:
    ended = edge_twin("rehearse", "aml", "--members", "60", "--days", "30", "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert (document["program"], document["members"], document["days"]) == ("aml", 60, 30.0)
    rows = {row["option"]: row for row in document["rows"]}
    assert rows["days_1_3_5_twice"]["administrations"] == 6
    assert all(0.0 <= row["p_wbc_below_1_0"] <= 1.0 and row["allowed"] for row in rows.values())
    assert rows["days_1_15_once"]["p_wbc_below_1_0"] < rows["days_1_3_5_twice"]["p_wbc_below_1_0"]


def test_rehearse_on_the_population_uses_no_count() -> None:
    asked = ("rehearse", "neutropenia", "--members", "60", "--json")
    patient, population = (json.loads(edge_twin(*asked, *more).stdout) for more in ((), ("--prior",)))
    widths = [d["rows"][0]["nadir_upper"] - d["rows"][0]["nadir_lower"] for d in (patient, population)]
    assert widths[0] < widths[1]


def test_rehearse_names_the_programs_when_there_is_none() -> None:
    for arguments, reason in ((("bogus",), b"[not_found]"), (("aml", "--days", "10"), b"[followed_days_invalid]")):
        ended = edge_twin("rehearse", *arguments)
        assert ended.returncode == 1
        assert reason in ended.stderr
    assert b"installed: aml, neutropenia" in edge_twin("rehearse", "bogus").stderr


def test_doctor_says_what_works_and_what_to_confirm() -> None:
    ended = edge_twin("doctor", "--json")
    assert ended.returncode == 0, ended.stderr
    rows = {row["name"]: row for row in json.loads(ended.stdout)["rows"]}
    assert rows["bundle neutropenia"]["works"]
    for name in bundle_names():
        about = rows[f"bundle {name}"]
        assert about["works"]
        assert "signed by DEVELOPMENT, expires 2028-11-25" in about["detail"]
        for engine in load_bundle(bundle_path(name)).engine_names:
            assert rows[f"bundle {name} on {engine}"]["works"] or "library_missing" in about["detail"]
    assert rows["engine onnxruntime"]["works"]
    assert rows["provider CPUExecutionProvider"]["works"]
    assert {"provider CUDAExecutionProvider", "provider TensorrtExecutionProvider"} <= set(rows)
    assert "mark A" in rows["threshold forecast.raise_probability"]["detail"]
    assert b"bluetooth radio" in edge_twin("doctor").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("replay", "no-such-file.json"), b"[unreadable]"),
        (("run", "--settings", "no-such-file.toml"), b"[settings_unreadable]"),
    ],
)
def test_an_expected_failure_is_one_line_with_its_reason(arguments: tuple[str, ...], reason: bytes) -> None:
    ended = edge_twin(*arguments)
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert ended.stderr.count(b"\n") == 1


def test_importing_the_twin_stays_light() -> None:
    """What a phone imports at start: no scipy, onnxruntime, bleak, matplotlib, cryptography, torch."""
    heavy = "{'scipy', 'onnxruntime', 'bleak', 'matplotlib', 'cryptography', 'torch', 'kivy', 'paho', 'bumble'}"
    program = (
        "import sys, edge_twin.runtime, edge_twin.case, edge_twin.reduced_model, edge_twin.rehearsal; "
        f"print({heavy} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.strip() == "set()", ended.stderr
