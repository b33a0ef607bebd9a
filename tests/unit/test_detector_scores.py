"""Scores of all detectors over a table: causal, alone with their subject, one for each row."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin_app.evaluation.comparison import SAME_STREAMS, further_streams
from edge_twin_app.evaluation.detectors import Scored, run_peer
from edge_twin_app.evaluation.ours import run_ours
from edge_twin_app.evaluation.peers import PEERS, Peer
from edge_twin_app.evaluation.scores_file import write_scores
from edge_twin_app.evaluation.table import RATE, STEPS, Floats, SubjectDays, read_table

QUICK_PEERS = [peer for peer in PEERS if peer.name != "half_space_trees"]


def nothing() -> None:
    """No progress is shown."""


def people(seed: int, number: int, length: int = 70) -> list[SubjectDays]:
    """Subjects with gaps, missing values and a rise of the heart rate around day 0."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(number):
        day = np.flatnonzero(random.random(length) < 0.9) - length + 6
        rate = 60 + 2 * random.standard_normal(day.size) + 6.0 * (day >= -1)
        rate[random.random(day.size) < 0.1] = np.nan
        steps = np.where(random.random(day.size) < 0.1, np.nan, 8000 * np.exp(0.3 * random.standard_normal(day.size)))
        found.append(SubjectDays(f"p{index}", "", day, {RATE: rate, STEPS: steps}))
    return found


def same(one: Scored, other: Scored, length: int) -> bool:
    equal = np.array_equal(one.scores[0][:length], other.scores[0], equal_nan=True)
    if one.alerts is not None and other.alerts is not None:
        equal &= np.array_equal(one.alerts[0][:length], other.alerts[0])
    return equal


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(-60, 5))
def test_our_score_needs_no_later_day_and_no_other_subject(seed: int, cut: int) -> None:
    subjects = people(seed, 2)
    whole = run_ours("ours", SAME_STREAMS, subjects, nothing)
    part = subjects[0].until(cut)
    assert same(whole, run_ours("ours", SAME_STREAMS, [part], nothing), part.day.size)


@pytest.mark.parametrize("peer", QUICK_PEERS, ids=lambda peer: str(peer.name))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(-60, 5))
def test_a_peers_score_needs_no_later_day_and_no_other_subject(peer: Peer, seed: int, cut: int) -> None:
    subjects = people(seed, 2)
    part = subjects[0].until(cut)
    assert same(run_peer(peer, subjects, nothing), run_peer(peer, [part], nothing), part.day.size)


def test_a_day_without_values_is_an_absent_day() -> None:
    subject = people(3, 1)[0]
    absent = np.arange(subject.day.size) % 9 != 4
    values = {name: np.where(absent, column, np.nan) for name, column in subject.values.items()}
    blank = SubjectDays("p", "", subject.day, values)
    shorter = SubjectDays("p", "", subject.day[absent], {name: column[absent] for name, column in values.items()})
    for run in (ours_alone, ewma_alone):
        assert np.array_equal(run(blank)[absent], run(shorter), equal_nan=True)
        assert np.isnan(run(blank)[~absent]).all()


def ours_alone(subject: SubjectDays) -> Floats:
    return run_ours("ours", SAME_STREAMS, [subject], nothing).scores[0]


def ewma_alone(subject: SubjectDays) -> Floats:
    (peer,) = (peer for peer in PEERS if peer.name == "ewma")
    return run_peer(peer, [subject], nothing).scores[0]


def test_every_day_of_a_long_record_is_scored_or_blank(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    days = [f"a,{day},{60 + day % 5},{8000 + day}\n" for day in range(-90, 40)]
    path.write_text("subject,day,resting_heart_rate,steps\n" + "".join(days), encoding="utf-8")
    table = read_table(path)
    write_scores(tmp_path / "out.csv", table, run_ours("ours", SAME_STREAMS, table.subjects, nothing))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(days)
    assert all(np.isfinite(float(row["score"])) for row in rows[40:])
    assert [row["score"] for row in rows[:28]] == [""] * 28


def test_further_streams_are_those_that_our_detector_knows(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("subject,day,resting_heart_rate,steps,temperature,cycle_day,mood\na,0,60,1,36.5,3,2\n", "utf-8")
    found = further_streams(read_table(path))
    assert "mood" not in found
    assert "cycle_day" in found
    scored = run_ours("ours", (*SAME_STREAMS, *found), read_table(path).subjects, nothing)
    assert np.isnan(scored.scores[0][0])
