"""The daily table: what is read, what is refused with its row, what is counted as missing."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_twin.errors import CaseError
from edge_twin_app.evaluation.table import RATE, STEPS, DailyTable, read_table

HEADER = "subject,day,resting_heart_rate,steps\n"
WRITES_ONE_FILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Path, text: str | bytes) -> DailyTable:
    path = folder / "table.csv"
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return read_table(path)


def test_rows_are_sorted_by_day_and_remember_their_order(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "b,1,61,5\na,3,,7\nb,-2.0,60.5,\n")
    assert [subject.name for subject in table.subjects] == ["b", "a"]
    assert table.subjects[0].day.tolist() == [-2, 1]
    assert table.subjects[0].values[RATE].tolist() == [60.5, 61.0]
    assert np.isnan(table.subjects[1].values[RATE][0])
    assert table.order == (("b", 1), ("a", 3), ("b", -2))
    assert table.subjects[0].until(0).day.tolist() == [-2]


@pytest.mark.parametrize(("value", "kept"), [("25", True), ("24.9", False), ("220", True), ("220.1", False),
                                             ("0", False), ("500", False), ("inf", False), ("-60", False)])  # fmt: skip
def test_impossible_heart_rate_is_missing_and_counted(tmp_path: Path, value: str, *, kept: bool) -> None:
    table = read(tmp_path, HEADER + f"a,0,{value},10\n")
    assert bool(table.subjects[0].valid[0]) is kept
    assert table.quality.impossible[RATE] == (not kept)
    assert table.quality.missing[RATE] == 0


@pytest.mark.parametrize(("value", "kept"), [("0", True), ("-1", False), ("150000", True), ("150001", False)])
def test_impossible_steps_are_missing_and_counted(tmp_path: Path, value: str, *, kept: bool) -> None:
    table = read(tmp_path, HEADER + f"a,0,60,{value}\n")
    assert math.isfinite(table.subjects[0].values[STEPS][0]) is kept
    assert table.quality.impossible[STEPS] == (not kept)


@pytest.mark.parametrize("blank", ["", " ", "NaN", "nan", "NA", "null", "None"])
def test_blanks_are_missing_and_counted(tmp_path: Path, blank: str) -> None:
    table = read(tmp_path, HEADER + f"a,0,{blank},{blank}\n")
    assert table.quality.missing == {RATE: 1, STEPS: 1}
    assert table.quality.rows_without_values == 1
    assert table.quality.impossible == {RATE: 0, STEPS: 0}


def test_further_columns_are_kept_when_numeric_and_named_when_not(tmp_path: Path) -> None:
    head = HEADER.strip() + ",source,rmssd,note\n"
    table = read(tmp_path, head + "a,0,60,5,watch,31.5,fine\na,1,60,5,watch,,3\n")
    assert table.columns == (RATE, STEPS, "rmssd")
    assert table.quality.ignored_columns == ("note",)
    assert table.subjects[0].source == "watch"
    assert table.subjects[0].values["rmssd"][0] == 31.5


def test_a_stuck_sensor_is_named_but_whole_beats_may_repeat(tmp_path: Path) -> None:
    stuck = "".join(f"a,{day},61.37,5\n" for day in range(12))
    rounded = "".join(f"b,{day},61,5\n" for day in range(12))
    quality = read(tmp_path, HEADER + stuck + rounded).quality
    assert (quality.subjects_with_stuck_rate, quality.longest_equal_run) == (1, 12)
    assert read(tmp_path, HEADER + rounded).quality.subjects_with_stuck_rate == 0


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ("", "missing_column", "subject"),
        ("subject,day,steps\na,1,2\n", "missing_column", "resting_heart_rate"),
        ("subject,day,resting_heart_rate\na,1,2\n", "missing_column", "steps"),
        (HEADER, "no_rows", ""),
        (HEADER + "\n\n", "no_rows", ""),
        (HEADER.strip() + ",steps\na,1,60,2,3\n", "duplicate_column", "steps"),
        (HEADER + "a,1,60\n", "bad_row", "row 2"),
        (HEADER + "a,1,60,5\na,2,60,5,6\n", "bad_row", "row 3"),
        (HEADER + ",1,60,5\n", "bad_row", "row 2"),
        (HEADER + "a,1.5,60,5\n", "bad_row", "row 2"),
        (HEADER + "a,,60,5\n", "bad_row", "row 2"),
        (HEADER + "a,inf,60,5\n", "bad_row", "row 2"),
        (HEADER + "a,20200301,60,5\n", "bad_row", "row 2"),
        (HEADER + "a,1,sixty,5\n", "bad_row", "row 2"),
        (HEADER + "a,1,60,many\n", "bad_row", "row 2"),
        (HEADER + "a,1,60,5\na,1,61,5\n", "duplicate_day", "row 3"),
        (HEADER + "a,1,60,5\na,1.0,61,5\n", "duplicate_day", "row 3"),
        (HEADER.strip() + ",source\na,1,60,5,x\na,2,60,5,y\n", "subject_in_two_sources", "row 3"),
        (HEADER + 'a,1,"60,5\n', "unreadable", ""),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str, reason: str, where: str) -> None:
    with pytest.raises(CaseError) as refused:
        read(tmp_path, text)
    assert refused.value.reason == reason
    assert where in str(refused.value)


def test_no_file_and_no_text_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(CaseError) as absent:
        read_table(tmp_path / "none.csv")
    with pytest.raises(CaseError) as no_text:
        read(tmp_path, b"\xff\xfe\x00subject")
    assert [absent.value.reason, no_text.value.reason] == ["unreadable"] * 2


@WRITES_ONE_FILE
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    for text in (content, HEADER.encode() + content):
        try:
            table = read(tmp_path, text)
        except CaseError:
            continue
        assert table.quality.rows == len(table.order)


VALUES = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(30, 100).map(float))


@WRITES_ONE_FILE
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-40, 40), VALUES, VALUES), min_size=1, max_size=30,
                unique_by=lambda row: row[:2]))  # fmt: skip
def test_every_value_is_kept_missing_or_impossible(
    tmp_path: Path, rows: list[tuple[str, int, float | None, float | None]]
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["subject", "day", RATE, STEPS], *rows])
    table = read(tmp_path, text.getvalue())
    assert table.order == tuple(row[:2] for row in rows)
    for column in (RATE, STEPS):
        kept = sum(int(np.isfinite(subject.values[column]).sum()) for subject in table.subjects)
        assert kept + table.quality.missing[column] + table.quality.impossible[column] == len(rows)
    assert all((np.diff(subject.day) > 0).all() for subject in table.subjects)
