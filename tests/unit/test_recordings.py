"""The recordings that come with the package, and the days that are made of them."""

from __future__ import annotations

import math
from datetime import date, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_adapters.errors import RecordingError
from edge_twin_adapters.recordings import (
    DAYS,
    FIRST_DAY,
    Recording,
    WindowName,
    load_recordings,
    parse_recordings,
    windows_for_day,
)

HEADER = "user_code,rr_code,measurement_datetime,rr_data\n"
GOOD = '295ed96279,aa,2020-04-26 11:21:09,"856,927"\n'
RECORDINGS = load_recordings()


def rmssd(rr_ms: tuple[int, ...]) -> float:
    squares = [(later - earlier) ** 2 for earlier, later in pairwise(rr_ms)]
    return math.sqrt(sum(squares) / len(squares))


def rate(recording: Recording) -> float:
    return 60_000 * len(recording.rr_ms) / sum(recording.rr_ms)


def codes(day: date) -> dict[WindowName, str]:
    windows = windows_for_day(RECORDINGS, (day - FIRST_DAY).days)
    return {window.name: window.recording.rr_code for window in windows}


def test_all_recordings_of_the_period_are_there_in_order() -> None:
    assert len(RECORDINGS) == 43
    assert sum(len(recording.rr_ms) for recording in RECORDINGS) == 4300
    assert len({recording.rr_code for recording in RECORDINGS}) == 43
    assert [recording.local for recording in RECORDINGS] == sorted(recording.local for recording in RECORDINGS)
    assert all(FIRST_DAY <= recording.day < FIRST_DAY + timedelta(days=DAYS) for recording in RECORDINGS)


@pytest.mark.parametrize(
    ("rr_code", "released"),
    [("18eeb087fd", 60.224), ("0527000462", 60.581), ("de011c5888", 15.655), ("3d0c82999d", 8.340)],
)
def test_intervals_give_the_rmssd_that_the_release_states(rr_code: str, released: float) -> None:
    recording = next(recording for recording in RECORDINGS if recording.rr_code == rr_code)
    assert rmssd(recording.rr_ms) == pytest.approx(released, rel=1e-4)


def test_resting_pulse_rises_at_the_onset() -> None:
    before = [rate(r) for r in RECORDINGS if r.day < date(2020, 5, 11) and r.time_of_day < time(12)]
    onset = [rate(r) for r in RECORDINGS if date(2020, 5, 11) < r.day < date(2020, 5, 13)]
    assert max(before) < 62
    assert min(onset) > 80


def test_the_night_after_a_late_recording_uses_it() -> None:
    assert codes(date(2020, 5, 12)) == {
        WindowName.NIGHT: "2b0601d733",
        WindowName.MORNING: "3d0c82999d",
        WindowName.EVENING: "b9f2fc8c16",
    }


def test_night_and_morning_take_the_nearest_of_the_date() -> None:
    day = codes(date(2020, 5, 14))
    assert (day[WindowName.NIGHT], day[WindowName.MORNING]) == ("98f067fab4", "cc1c2df94f")
    # Nothing from 17:00 on: the latest of the date is the nearest to 21:00.
    assert day[WindowName.EVENING] == "adca2336f5"


def test_the_evening_prefers_an_evening_recording() -> None:
    assert codes(date(2020, 5, 8))[WindowName.EVENING] == "39ff6ab8a6"
    assert codes(date(2020, 5, 11))[WindowName.EVENING] == "de011c5888"


def test_a_date_without_recordings_borrows_from_the_latest_earlier_one() -> None:
    assert set(codes(date(2020, 5, 18)).values()) <= {"a30b073aef", "3e7b8454cf", "0d202fe81d"}
    first = windows_for_day(RECORDINGS, 0)
    assert {window.recording.day for window in first} == {date(2020, 4, 26)}


def test_every_day_has_three_windows_that_say_what_was_moved() -> None:
    for index in range(DAYS):
        windows = windows_for_day(RECORDINGS, index)
        assert [(w.name, w.start) for w in windows] == [
            (WindowName.NIGHT, time(3)),
            (WindowName.MORNING, time(8)),
            (WindowName.EVENING, time(21)),
        ]
        for window in windows:
            assert window.recording in RECORDINGS
            assert window.recording.rr_code in window.provenance
            assert "hour of day moved by" in window.provenance
            assert window.recording.local + window.moved == window.recording.local.combine(window.day, window.start)


@pytest.mark.parametrize("index", [-1, DAYS])
def test_days_outside_the_course(index: int) -> None:
    with pytest.raises(RecordingError) as caught:
        windows_for_day(RECORDINGS, index)
    assert caught.value.reason == "no_such_day"


def test_no_recordings_at_all() -> None:
    with pytest.raises(RecordingError) as caught:
        windows_for_day((), 0)
    assert caught.value.reason == "no_recordings"


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("", "wrong_columns", 1),
        ("a,b\n", "wrong_columns", 1),
        (HEADER + GOOD + "295ed96279,bb\n", "malformed_row", 3),
        (HEADER + GOOD.strip() + ",more\n", "malformed_row", 2),
        (HEADER + '295ed96279,aa,2020-04-26 11:21:09,"85', "malformed_row", 2),
        (HEADER + GOOD.replace("aa", ""), "malformed_row", 2),
        (HEADER + GOOD + GOOD, "duplicate_code", 3),
        (HEADER + GOOD.replace("11:21:09", ""), "invalid_time", 2),
        (HEADER + GOOD.replace("04-26", "04-31"), "invalid_time", 2),
        (HEADER + GOOD.replace("11:21:09", "11:21:09Z"), "invalid_time", 2),
        (HEADER + GOOD.replace("927", "927.5"), "invalid_interval", 2),
        (HEADER + GOOD.replace("927", ""), "invalid_interval", 2),
        (HEADER + GOOD.replace("927", "-3"), "invalid_interval", 2),
        (HEADER + GOOD.replace("927", "000"), "invalid_interval", 2),
    ],
)
def test_damaged_files_are_refused_with_their_line(text: str, reason: str, line: int) -> None:
    with pytest.raises(RecordingError) as caught:
        parse_recordings(text)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"line {line}: ")


@given(st.text(max_size=80))
def test_any_text_after_the_header_is_read_or_refused(text: str) -> None:
    recordings: tuple[Recording, ...] = ()
    reason = ""
    try:
        recordings = parse_recordings(HEADER + text)
    except RecordingError as error:
        reason = error.reason
    assert bool(recordings) <= (not reason)
    assert all(recording.rr_ms for recording in recordings)
