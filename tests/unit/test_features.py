"""Features against the recordings' own figures, and against arrival order."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.features import (
    DAY_STEPS,
    DAY_TEMPERATURE,
    NIGHT_HEART_RATE,
    WINDOW_HEART_RATE,
    WINDOW_RMSSD,
    Feature,
    distil,
    merge,
)
from edge_twin.features.beats import keep_mask, window_statistics
from edge_twin.observation import Observation, Site, observe

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # 03:00 in Berlin


def recordings() -> dict[str, dict[str, str]]:
    with (Path(__file__).parents[1] / "data" / "welltory_rr.csv").open(newline="", encoding="utf-8") as file:
        return {row["rr_code"]: row for row in csv.DictReader(file)}


def intervals(rr_code: str) -> np.ndarray:
    return np.array([float(text) for text in recordings()[rr_code]["rr_data"].split(",")])


def beats(rr_ms: np.ndarray, start: datetime, source: str = "strap") -> list[Observation]:
    times = np.cumsum(rr_ms)
    return [
        observe(codes.RR_INTERVAL, float(rr), start + timedelta(milliseconds=float(at)), source=source)
        for rr, at in zip(rr_ms, times, strict=True)
    ]


@pytest.mark.parametrize(
    ("rr_code", "flagged_percent", "filtered_rmssd", "pairs"),
    [
        ("9610d4d4dc", 0, 33.022, 99),
        ("10489a6aea", 2, 35.433, 95),
        ("d4449520e7", 5, 43.794, 92),
        ("79350ea079", 0, 53.976, 299),
    ],
)
def test_cleaning_agrees_with_the_reference_figures(
    rr_code: str, flagged_percent: int, filtered_rmssd: float, pairs: int
) -> None:
    rr = intervals(rr_code)
    statistics = window_statistics(rr)
    assert round(100 * (1 - keep_mask(rr).mean())) == flagged_percent
    assert statistics.rmssd_ms == pytest.approx(filtered_rmssd, abs=5e-4)
    assert statistics.pairs == pairs


def test_a_clean_recording_has_the_rmssd_that_the_release_states() -> None:
    for rr_code in ("9610d4d4dc", "79350ea079"):
        stated = float(recordings()[rr_code]["rmssd"])
        assert window_statistics(intervals(rr_code)).rmssd_ms == pytest.approx(stated, rel=1e-4)


def test_a_window_of_artefacts_is_rejected_with_its_reason() -> None:
    features = distil(beats(intervals("54ba8e08b6"), NIGHT), BERLIN)
    window = next(f for f in features if f.name == WINDOW_RMSSD)
    assert window.value is None
    assert window.reason == "too_many_artefacts"
    night = next(f for f in features if f.name == NIGHT_HEART_RATE)
    assert (night.value, night.reason) == (None, "no_valid_window")


def test_no_difference_is_taken_across_a_hole() -> None:
    rr = np.full(120, 800.0)
    rr[60] = 1500.0
    assert window_statistics(rr).rmssd_ms == 0.0
    assert window_statistics(rr).pairs == 117


def test_the_night_has_the_lowest_window_and_the_day_none_of_it() -> None:
    slow, fast = np.full(100, 1000.0), np.full(150, 600.0)
    readings = [*beats(fast, NIGHT), *beats(slow, NIGHT + timedelta(hours=2)), *beats(slow, NIGHT + timedelta(hours=8))]
    features = distil(readings, BERLIN)
    (night,) = [f for f in features if f.name == NIGHT_HEART_RATE]
    assert night.value == pytest.approx(60.0)
    assert night.count == 2
    assert night.start == datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
    assert night.end == datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def test_a_pause_ends_a_window_and_so_does_midnight() -> None:
    rr = np.full(100, 1000.0)
    before_midnight = datetime(2026, 3, 1, 22, 59, 0, tzinfo=UTC)
    windows = [f for f in distil(beats(rr, before_midnight), BERLIN) if f.name == WINDOW_HEART_RATE]
    assert [window.count for window in windows] == [59, 41]
    paused = [*beats(rr, NIGHT), *beats(rr, NIGHT + timedelta(seconds=200))]
    assert len([f for f in distil(paused, BERLIN) if f.name == WINDOW_HEART_RATE]) == 2


def test_a_short_window_says_that_it_is_short() -> None:
    found = distil(beats(np.full(30, 800.0), NIGHT), BERLIN)
    window = next(f for f in found if f.name == WINDOW_HEART_RATE)
    assert window.value is None
    features = {f.name: f.reason for f in distil(beats(np.full(30, 800.0), NIGHT), BERLIN)}
    assert features[WINDOW_HEART_RATE] == "window_too_short"


def test_only_oral_readings_make_the_day_temperature() -> None:
    readings = [
        observe(codes.BODY_TEMPERATURE, value, NIGHT + timedelta(hours=h), source="t", attributes={"site": site})
        for value, h, site in (
            (37.1, 8, Site.ORAL),
            (39.0, 9, Site.ARMPIT),
            (37.4, 18, Site.ORAL),
            (99.0, 19, Site.ORAL),
        )
    ]
    (day,) = [f for f in distil(readings, BERLIN) if f.name == DAY_TEMPERATURE]
    assert day.value == 37.4
    assert day.valid_share == pytest.approx(2 / 3)


def test_the_steps_of_a_day_are_summed_over_23_hours_when_the_clocks_change() -> None:
    spring = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    readings = [observe(codes.STEPS, 1000.0, spring + timedelta(hours=h), source="phone") for h in (1, 5, 9)]
    (day,) = [f for f in distil(readings, BERLIN) if f.name == DAY_STEPS]
    assert day.value == 3000.0
    assert day.end - day.start == timedelta(hours=23)


@given(seed=st.integers(0, 1000), days=st.integers(-400, 400))
def test_order_repetition_and_whole_days_change_nothing(seed: int, days: int) -> None:
    utc = ZoneInfo("UTC")
    readings = [*beats(intervals("10489a6aea"), NIGHT), *beats(np.full(90, 900.0), NIGHT + timedelta(hours=30))]
    readings.append(observe(codes.BODY_TEMPERATURE, 37.0, NIGHT, source="t", attributes={"site": "oral"}))
    expected = distil(readings, utc)
    shuffled = readings + readings[::3]
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - a test order, not a secret
    assert distil(shuffled, utc) == expected
    shift = timedelta(days=days)
    moved = [observe(o.code, o.value, o.time + shift, source=o.source, attributes=o.attributes) for o in readings]
    assert [(f.name, f.value, f.start - shift) for f in distil(moved, utc)] == [
        (f.name, f.value, f.start) for f in expected
    ]


def test_a_later_version_replaces_the_earlier_feature() -> None:
    early = distil(beats(np.full(100, 1000.0), NIGHT), BERLIN)
    late = distil(
        [*beats(np.full(100, 1000.0), NIGHT), *beats(np.full(100, 1100.0), NIGHT + timedelta(hours=1))], BERLIN
    )
    merged = {f.key: f for f in merge(early, late)}
    (night,) = [f for f in merged.values() if f.name == NIGHT_HEART_RATE]
    assert isinstance(night, Feature)
    assert night.value == pytest.approx(60_000 / 1100)
