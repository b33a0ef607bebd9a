"""``edge-twin evaluate detector``: the real command on a simulated cohort, causal scores, bad tables refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_twin_app.cli import main
from edge_twin_app.evaluation.peers import PEERS, known
from edge_twin_models.cohorts import simulate, write_csv

SUBJECTS, SEED = 8, 4711
HEADER = "subject,day,resting_heart_rate,steps\n"
QUICK = ("--bootstrap", "200")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort") / "cohort.csv"
    write_csv(simulate("ar", SUBJECTS, SEED), path)
    return path


@pytest.fixture(scope="module")
def document(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of the command in a process of its own, as a user gets it."""
    out = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-m", "edge_twin_app", "evaluate", "detector", str(cohort), "--json", *QUICK]
    command += ["--scores", str(out / "scores.csv"), "--picture", str(out / "picture.png")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"picture: {out / 'picture.png'}" in result.stderr
    assert (out / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "scores.csv").read_text(encoding="utf-8").startswith("subject,day,score,alert\n")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def rows(document: dict[str, Any], setting: str) -> dict[str, dict[str, Any]]:
    return {row["detector"]: row for row in document["rows"] if row["setting"] == setting}


def test_every_detector_is_measured_at_the_same_target(document: dict[str, Any]) -> None:
    matched = rows(document, "matched")
    assert set(matched) == {"edge_twin", "edge_twin_all_streams", *(peer.name for peer in PEERS)}
    assert set(rows(document, "in_sample")) == set(matched)
    assert set(rows(document, "own_rule")) == {peer.name for peer in PEERS if peer.alert_above is not None}
    assert set(rows(document, "shipped")) == {"edge_twin", "edge_twin_all_streams"}
    for row in rows(document, "in_sample").values():
        assert row["false_alerts_per_person_week"] <= document["fa_target"]
    for row in matched.values():
        assert 0.0 <= row["pre_symptomatic_share"] <= row["sensitivity"] <= 1.0
        assert row["sensitivity_low"] <= row["sensitivity"] <= row["sensitivity_high"]
        assert row["excess"] == pytest.approx(row["sensitivity"] - row["chance"])
        assert row["microseconds_per_subject_day"] > 0.0


def test_differences_are_those_of_the_rows(document: dict[str, Any]) -> None:
    matched = rows(document, "matched")
    for name in set(matched) - {"edge_twin"}:
        for key in ("sensitivity", "pre_symptomatic_share", "false_alerts_per_person_week"):
            gap = matched["edge_twin"][key] - matched[name][key]
            assert matched[name][f"ours_minus_{key}"] == pytest.approx(gap, abs=1e-12)
            low, high = matched[name][f"ours_minus_{key}_low"], matched[name][f"ours_minus_{key}_high"]
            assert low <= high


def test_best_peer_is_the_most_sensitive_one(document: dict[str, Any]) -> None:
    matched = rows(document, "matched")
    peers = {peer.name: matched[peer.name] for peer in PEERS}
    for key in ("sensitivity", "pre_symptomatic_share"):
        assert peers[document[f"best_peer_{key}"]][key] == max(row[key] for row in peers.values())
        gap = matched["edge_twin"][key] - max(row[key] for row in peers.values())
        assert document[f"ours_minus_best_peer_{key}"] == pytest.approx(gap)
        assert document[f"ours_minus_best_peer_{key}_low"] <= document[f"ours_minus_best_peer_{key}_high"]


def test_scalars_describe_the_table(document: dict[str, Any], cohort: Path) -> None:
    assert document["subjects"] == SUBJECTS
    assert 0 < document["subjects_eligible"] <= SUBJECTS
    assert document["thresholds"] == "leave_one_source_out"
    assert document["control_weeks"] > 10.0
    with cohort.open(encoding="utf-8") as file:
        assert document["data_quality"]["rows"] == sum(1 for _ in file) - 1


def answer(table: Path, printed: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """What the command prints: one JSON object and nothing else."""
    printed.readouterr()
    assert main(["evaluate", "detector", str(table), "--json", *QUICK, *options]) == 0
    found: dict[str, Any] = json.loads(printed.readouterr().out)
    return found


def test_the_same_seed_gives_the_same_rows(
    document: dict[str, Any], cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = {"microseconds_per_subject_day", "cost_ratio_z14"}
    for row, other in zip(document["rows"], answer(cohort, capsys)["rows"], strict=True):
        assert {k: v for k, v in row.items() if k not in timed} == {k: v for k, v in other.items() if k not in timed}


def test_the_text_tells_the_comparison(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "detector", str(cohort), *QUICK]) == 0
    printed = capsys.readouterr().out
    for word in ("chance", "excess", "best peer", "Pseudo-onsets", "IN SAMPLE", "data quality", "edge_twin minus"):
        assert word in printed
    assert all(printed.count(f"\n{peer.name} ") >= 3 for peer in PEERS)


# --- scores ---------------------------------------------------------------------------------------------


def protocol_by_hand(table: Path, found: list[list[str]], threshold: float) -> tuple[float, float, float]:
    """False alerts per person-week, sensitivity and pre-symptomatic share, row by row from the two files."""
    with table.open(encoding="utf-8", newline="") as file:
        worn = {(row["subject"], int(row["day"])) for row in csv.DictReader(file) if row["resting_heart_rate"]}
    score = {(row[0], int(row[1])): float(row[2]) for row in found if row[2]}
    alerts = weeks = eligible = detected = early = 0.0
    for name in {subject for subject, _ in worn}:
        valid = sorted(day for subject, day in worn if subject == name)
        counts = sum(day < -14 for day in valid) >= 28 and sum(-7 <= day <= 3 for day in valid) >= 6
        last, hits = -(10**6), []
        for day in valid[28:]:
            control = day < -14 or day > 28
            weeks += control / 7
            if score.get((name, day), -1e9) >= threshold and day - last >= 7:
                last = day
                alerts += control
                hits += [day] if -7 <= day <= 3 else []
        eligible += counts
        detected += counts and bool(hits)
        early += counts and bool(hits) and hits[0] < 0
    return alerts / weeks, detected / eligible, early / eligible


def test_the_row_of_our_detector_follows_from_its_scores(
    cohort: Path, tmp_path: Path, document: dict[str, Any]
) -> None:
    row = rows(document, "in_sample")["edge_twin"]
    by_hand = protocol_by_hand(cohort, scores(cohort, tmp_path), row["threshold_median"])
    keys = ("false_alerts_per_person_week", "sensitivity", "pre_symptomatic_share")
    assert [row[key] for key in keys] == pytest.approx(by_hand)


def scores(table: Path, folder: Path) -> list[list[str]]:
    out = folder / "scores.csv"
    assert main(["evaluate", "detector", str(table), "--scores", str(out), *QUICK]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def written(folder: Path, kept: Sequence[Sequence[str]]) -> Path:
    path = folder / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER.strip().split(","), *kept])
    return path


@pytest.fixture(scope="module")
def days(cohort: Path) -> list[list[str]]:
    """Subject, day, heart rate and steps of four subjects, newest day first."""
    with cohort.open(encoding="utf-8", newline="") as file:
        found = [[row[name] for name in HEADER.strip().split(",")] for row in csv.DictReader(file)]
    names = list(dict.fromkeys(row[0] for row in found))[:4]
    return [row for row in reversed(found) if row[0] in names]


def test_scores_follow_the_rows_and_blank_means_not_scored(days: list[list[str]], tmp_path: Path) -> None:
    found = scores(written(tmp_path, days), tmp_path)
    assert [row[:2] for row in found] == [row[:2] for row in days]
    assert {row[3] for row in found} <= {"0", "1"}
    assert all(row[3] == "0" for row in found if not row[2])
    for row, day in zip(found, days, strict=True):
        assert row[2] == "" or day[2] or day[3], "a day without any value was scored"
    for name in {row[0] for row in days}:
        mine = sorted((int(row[1]), row[2], day[2]) for row, day in zip(found, days, strict=True) if row[0] == name)
        worn = [score for _, score, rate in mine if rate]
        assert worn[:28] == [""] * 28
        assert any(worn[28:])


@pytest.mark.parametrize("cut", [-60, -20, -3, 1])
def test_a_score_needs_no_later_day(days: list[list[str]], tmp_path: Path, cut: int) -> None:
    whole = {tuple(row[:2]): row for row in scores(written(tmp_path, days), tmp_path)}
    kept = [row for row in days if int(row[1]) <= cut]
    part = scores(written(tmp_path, kept), tmp_path)
    assert len(part) == len(kept)
    assert part == [whole[row[0], row[1]] for row in part]


def test_a_score_needs_no_other_subject(days: list[list[str]], tmp_path: Path) -> None:
    whole = scores(written(tmp_path, days), tmp_path)
    alone = [row for row in days if row[0] == days[0][0]]
    assert scores(written(tmp_path, alone), tmp_path) == [row for row in whole if row[0] == days[0][0]]


# --- little, odd and bad tables ---------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["a,0,60,8000\n", "a,0,,\n", "a,-3,60,\na,500,0,-4\nb,1,inf,nan\n"])
def test_a_table_that_shows_nothing_is_answered_with_nothing(
    tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "little.csv"
    path.write_text(HEADER + table, encoding="utf-8")
    assert main(["evaluate", "detector", str(path), "--json", *QUICK]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["subjects_eligible"] == 0
    assert all(row.get("sensitivity") is None for row in found["rows"])
    assert main(["evaluate", "detector", str(path), "--scores", str(tmp_path / "s.csv"), *QUICK]) == 0
    assert "no subject is eligible" in capsys.readouterr().out
    assert len((tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()) == 1 + table.count("\n")


def test_impossible_values_are_counted_in_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(HEADER + "a,0,0,8000\na,1,500,-5\na,2,inf,1\na,3,60,2\n", encoding="utf-8")
    assert main(["evaluate", "detector", str(path), *QUICK]) == 0
    assert "impossible and counted as missing: resting_heart_rate 3, steps 1;" in capsys.readouterr().out


def test_one_subject_without_others_gets_no_threshold(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = cohort.read_text(encoding="utf-8").splitlines(keepends=True)
    first = lines[1].split(",")[0] + ","
    path = tmp_path / "one.csv"
    path.write_text(lines[0] + "".join(line for line in lines if line.startswith(first)), encoding="utf-8")
    found = answer(path, capsys)
    assert all("no threshold" in row["note"] for row in rows(found, "matched").values())
    assert found["thresholds"] == "leave_one_subject_out"
    assert rows(found, "shipped")["edge_twin"]["false_alerts_per_person_week"] is not None


def test_without_river_its_row_says_so(
    cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "river.anomaly", None)
    assert known.PEERS is PEERS
    assert main(["evaluate", "detector", str(cohort), "--json", *QUICK]) == 0
    row = rows(json.loads(capsys.readouterr().out), "matched")["half_space_trees"]
    assert "[river_missing]" in row["note"]
    assert "sensitivity" not in row


@pytest.mark.parametrize(
    ("table", "options", "reason"),
    [
        (HEADER, (), "no_rows"),
        ("subject,day\na,1\n", (), "missing_column"),
        (HEADER + "a,1,60,5\na,1,60,5\n", (), "duplicate_day"),
        (HEADER + "a,1,sixty,5\n", (), "bad_row"),
        (HEADER + "a,1,60,5\n", ("--false-alerts", "0"), "bad_option"),
        (HEADER + "a,1,60,5\n", ("--false-alerts", "nan"), "bad_option"),
        (HEADER + "a,1,60,5\n", ("--bootstrap", "1"), "bad_option"),
        (HEADER + "a,1,60,5\n", ("--seed", "-1"), "bad_option"),
        (HEADER + "a,1,60,5\n", ("--scores", "no/such/folder/s.csv"), "unwritable"),
        (HEADER + "a,1,60,5\n", ("--picture", "no/such/folder/p.png"), "unwritable"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, options: tuple[str, ...], reason: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(table, encoding="utf-8")
    assert main(["evaluate", "detector", str(path), *options]) == 1
    assert f"[{reason}]" in capsys.readouterr().err
