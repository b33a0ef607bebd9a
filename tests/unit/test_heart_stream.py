"""The heart as a stream: the same numbers as all readings at once, whatever the pieces; constant memory; reasons."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.features import NIGHT_HEART_RATE, WINDOW_HEART_RATE, WINDOW_RMSSD, Feature, distil, in_order, merge
from edge_twin.features.beats import window_statistics
from edge_twin.features.calendar import local_date
from edge_twin.features.heart_day import (
    DAY_HEART_MINUTES,
    DAY_HEART_VALID,
    DAY_SDNN,
    HEART_FEATURES,
    NIGHT_HEART_RATE_LOW,
    NIGHT_HEART_RATE_MEAN,
    NIGHT_RESPIRATION,
    NIGHT_RESPIRATION_MOTION,
    REST_HEART_RATE,
    heart_features,
)
from edge_twin.features.heart_stream import HeartStream
from edge_twin.features.windows import WINDOW_NAMES, WINDOW_PNN50, WINDOW_SDNN, WindowStream
from edge_twin.observation import Observation, Quality, observe

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)  # local
DAY = date(2026, 3, 2)


def beat(at: datetime, rr_ms: float, quality: Quality = Quality.GOOD, source: str = "strap") -> Observation:
    return observe(codes.RR_INTERVAL, rr_ms, at, source=source, quality=quality)


def beats(rr_ms: Sequence[float] | np.ndarray, start: datetime) -> list[Observation]:
    times = np.cumsum(rr_ms)
    return [beat(start + timedelta(milliseconds=float(t)), float(rr)) for rr, t in zip(rr_ms, times, strict=True)]


def living(seed: int, seconds: float, mean_ms: float = 850.0) -> np.ndarray:
    """Intervals of somebody who breathes 15 times a minute."""
    rng = np.random.default_rng(seed)
    number = int(seconds * 1000 / mean_ms)
    place = np.arange(number) * mean_ms / 1000.0
    return np.asarray(mean_ms + 30.0 * np.sin(2 * np.pi * 0.25 * place) + rng.normal(0.0, 8.0, number))


def rate(value: float, at: datetime, quality: Quality = Quality.GOOD) -> Observation:
    return observe(codes.HEART_RATE, value, at, source="watch", quality=quality)


def step_minute(value: float, minute: int, quality: Quality = Quality.GOOD) -> Observation:
    at = MIDNIGHT + timedelta(minutes=minute)
    return observe(codes.STEPS, value, at, source="watch", quality=quality, attributes={"epoch_seconds": "60"})


def named(features: Sequence[Feature]) -> dict[str, Feature]:
    return {feature.name: feature for feature in features}


# --- the same numbers as before --------------------------------------------------------------------


def windows_by_definition(readings: Sequence[Observation]) -> Iterator[list[Observation]]:
    """Written from the definition: no pause above 60 s, at most five minutes, one source, one local day."""
    window: list[Observation] = []
    for reading in readings:
        if window and (
            reading.time - window[-1].time > timedelta(seconds=60)
            or reading.time - window[0].time > timedelta(minutes=5)
            or reading.source != window[-1].source
            or local_date(reading.time, BERLIN) != local_date(window[0].time, BERLIN)
        ):
            yield window
            window = []
        window.append(reading)
    if window:
        yield window


@st.composite
def arrivals(draw: st.DrawFn) -> list[Observation]:
    """Beats over two hours around local midnight: runs, pauses, lost contact, artefacts, two straps."""
    at, made = MIDNIGHT - timedelta(minutes=draw(st.integers(0, 20))), []
    for _ in range(draw(st.integers(1, 8))):
        at += timedelta(seconds=draw(st.sampled_from([1.0, 30.0, 59.9, 60.1, 200.0])))
        source = draw(st.sampled_from(["strap", "strap", "other"]))
        rng = np.random.default_rng(draw(st.integers(0, 1000)))
        for rr_ms in 800.0 + rng.normal(0.0, draw(st.sampled_from([0.0, 20.0, 200.0])), draw(st.integers(1, 500))):
            at += timedelta(milliseconds=float(rr_ms))
            lost = rng.random() < 0.02
            made.append(beat(at, float(rr_ms), Quality.INVALID if lost else Quality.GOOD, source))
    return made


@settings(max_examples=25, deadline=None)
@given(readings=arrivals())
def test_windows_are_those_of_the_definition(readings: list[Observation]) -> None:
    found = {f.key: f for f in distil(readings, BERLIN)}
    expected = list(windows_by_definition(readings))
    assert sum(name == WINDOW_HEART_RATE for name, _ in found) == len(expected)
    for window in expected:
        places = [place for place, reading in enumerate(window) if reading.is_usable]
        statistics = window_statistics(np.array([window[p].value for p in places]), np.diff(places) == 1)
        short = window[-1].time - window[0].time < timedelta(seconds=60)
        for name, value in ((WINDOW_HEART_RATE, statistics.heart_rate_per_min), (WINDOW_RMSSD, statistics.rmssd_ms)):
            feature = found[name, window[0].time]
            if feature.reason != "flat_line":
                assert feature.value == (None if short else value)
            assert (feature.end, feature.count) == (window[-1].time, statistics.kept)
            assert feature.valid_share == statistics.kept / len(window)


@settings(max_examples=25, deadline=None)
@given(readings=arrivals(), cuts=st.lists(st.integers(1, 400), max_size=20), ask=st.booleans())
def test_pieces_of_any_size_give_the_same_as_all_at_once(
    readings: list[Observation],
    cuts: list[int],
    ask: bool,  # noqa: FBT001 - drawn
) -> None:
    stream = HeartStream(BERLIN, DAY - timedelta(days=1))
    found: tuple[Feature, ...] = ()
    rest = list(readings)
    for cut in [*cuts, len(readings)]:
        piece, rest = rest[:cut], rest[cut:]
        found = merge(found, stream.push(piece))
        found = merge(found, stream.summaries()) if ask else found
    assert stream.to_remake == set()
    assert merge(found, stream.summaries()) == distil(readings, BERLIN)


@settings(max_examples=20, deadline=None)
@given(readings=arrivals(), seed=st.integers(0, 1000))
def test_what_comes_late_marks_its_day_and_making_it_anew_gives_the_same(
    readings: list[Observation], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(readings))
    stream = HeartStream(BERLIN, DAY - timedelta(days=1))
    found: tuple[Feature, ...] = ()
    for place in order:
        found = merge(found, stream.push([readings[place]]))
    for day in sorted(stream.to_remake):
        of_day = [r for r in readings if local_date(r.time, BERLIN) == day]
        found = tuple(f for f in found if local_date(f.start, BERLIN) != day or f.name not in WINDOW_NAMES)
        found = merge(found, stream.remake(day, of_day))
    assert merge(found, stream.summaries()) == distil(readings, BERLIN)


def test_memory_does_not_grow_with_the_day() -> None:
    sizes = []
    stream = HeartStream(BERLIN, DAY)
    rr_ms = living(1, 23.5 * 3600, mean_ms=1100.0)
    at = MIDNIGHT
    for number, interval in enumerate(rr_ms):
        at += timedelta(milliseconds=float(interval))
        stream.push([beat(at, float(interval)), rate(60_000.0 / float(interval), at)])
        if number in (3_300, len(rr_ms) - 1):
            sizes.append(len(pickle.dumps(stream)))
    print("bytes after 1 h and after 23.5 h:", sizes)  # noqa: T201 - the figure is the result
    assert sizes[1] < sizes[0] + 60_000
    assert sizes[1] < 200_000


def test_a_window_has_a_largest_number_of_beats() -> None:
    stream = WindowStream()
    closed = [stream.push(beat(MIDNIGHT + timedelta(microseconds=n), 800.0)) for n in range(10_000)]
    assert [window.beats for window in closed if window] == [4096, 4096]


# --- definitions -----------------------------------------------------------------------------------


def test_sdnn_needs_nearly_five_minutes_and_pnn50_a_pair() -> None:
    rr_ms = living(2, 200)
    short = named(distil(beats(rr_ms, MIDNIGHT), BERLIN))
    assert (short[WINDOW_SDNN].value, short[WINDOW_SDNN].reason) == (None, "window_too_short")
    assert short[WINDOW_PNN50].value == float(np.mean(np.abs(np.diff(rr_ms)) > 50.0))
    whole = living(3, 290)
    assert named(distil(beats(whole, MIDNIGHT), BERLIN))[WINDOW_SDNN].value == pytest.approx(whole.std(ddof=1))


def test_sdnn_of_the_day_is_that_of_all_kept_beats_and_needs_18_hours() -> None:
    rr_ms = living(4, 18.5 * 3600, mean_ms=1300.0)
    readings = beats(rr_ms, MIDNIGHT + timedelta(hours=1))
    day = named(tuple(heart_features(readings, BERLIN)))[DAY_SDNN]
    assert day.value == pytest.approx(float(rr_ms.std(ddof=1)), rel=1e-9)
    assert (day.start, day.end) == (MIDNIGHT, MIDNIGHT + timedelta(hours=24))
    less = named(tuple(heart_features(readings[: int(0.95 * len(readings))], BERLIN)))[DAY_SDNN]
    assert (less.value, less.reason) == (None, "too_few_hours")


def test_breathing_of_the_night_is_the_median_of_its_windows() -> None:
    night = named(distil(beats(living(5, 3600), MIDNIGHT), BERLIN))[NIGHT_RESPIRATION]
    assert night.value == pytest.approx(15.0, abs=0.5)
    assert night.count >= 6
    few = named(distil(beats(living(5, 600), MIDNIGHT), BERLIN))[NIGHT_RESPIRATION]
    assert (few.value, few.reason) == (None, "too_few_windows")


def test_breathing_of_the_night_from_motion_leaves_out_the_day() -> None:
    readings = [
        observe(codes.MOTION_RESPIRATION, 14.0, MIDNIGHT + timedelta(minutes=m), source="strap") for m in range(40)
    ]
    readings += [
        observe(codes.MOTION_RESPIRATION, 28.0, MIDNIGHT + timedelta(hours=9, minutes=m), source="strap")
        for m in range(200)
    ]
    night = named(distil(readings, BERLIN))[NIGHT_RESPIRATION_MOTION]
    assert (night.value, night.count, night.reason) == (14.0, 40, "")


def minutes_of(first: int, last: int, value: float) -> list[Observation]:
    return [
        rate(value + second / 50.0, MIDNIGHT + timedelta(minutes=m, seconds=second))
        for m in range(first, last)
        for second in (0, 20, 40)
    ]


def test_night_rates_are_of_minutes_known_to_be_without_steps() -> None:
    readings = minutes_of(0, 90, 60.0) + minutes_of(90, 180, 80.0)
    steps = [step_minute(0.0, m) for m in range(90)] + [step_minute(20.0, m) for m in range(90, 180)]
    found = named(distil(readings + steps, BERLIN))
    assert found[NIGHT_HEART_RATE_LOW].value == pytest.approx(60.4)
    assert found[NIGHT_HEART_RATE_MEAN].value == pytest.approx(60.4)
    assert (found[NIGHT_HEART_RATE_LOW].count, found[NIGHT_HEART_RATE_LOW].valid_share) == (90, 0.5)


@pytest.mark.parametrize(("quiet", "count"), [(11, 0), (12, 1), (41, 30)])
def test_awake_rest_needs_twelve_minutes_without_steps(quiet: int, count: int) -> None:
    """RHRAD: Mishra et al., Nat Biomed Eng 2020;4:1208."""
    noon = 12 * 60
    steps = [step_minute(50.0, noon - 1), *(step_minute(0.0, noon + m) for m in range(quiet + 1))]
    rest = named(distil(minutes_of(noon - 1, noon + quiet + 1, 70.0) + steps, BERLIN))[REST_HEART_RATE]
    assert rest.count == count
    assert rest.reason == ("" if count >= 30 else "too_few_still_minutes")
    assert rest.value == (None if rest.reason else pytest.approx(70.4))


def test_a_minute_without_a_record_of_steps_is_not_still() -> None:
    found = named(distil(minutes_of(0, 120, 60.0), BERLIN))
    assert (found[NIGHT_HEART_RATE_LOW].value, found[NIGHT_HEART_RATE_LOW].reason) == (None, "no_step_minutes")
    doubtful = [step_minute(0.0, m, Quality.QUESTIONABLE) for m in range(120)]
    found = named(distil(minutes_of(0, 120, 60.0) + doubtful, BERLIN))
    assert found[NIGHT_HEART_RATE_LOW].reason == "no_step_minutes"


def test_beats_stand_in_where_no_heart_rate_is_sent() -> None:
    steps = [step_minute(0.0, m) for m in range(120)]
    low = named(distil(beats(living(6, 7200), MIDNIGHT) + steps, BERLIN))[NIGHT_HEART_RATE_LOW]
    assert low.value == pytest.approx(60_000.0 / 850.0, abs=0.5)
    assert low.count > 90  # four whole minutes of each window of five


# --- bad data --------------------------------------------------------------------------------------


def test_minutes_of_the_heart_are_those_with_a_usable_beat_or_rate() -> None:
    readings = [*beats(living(8, 600), MIDNIGHT), rate(61.0, MIDNIGHT + timedelta(minutes=5))]
    readings += [rate(61.0, MIDNIGHT + timedelta(hours=5)), rate(0.0, MIDNIGHT + timedelta(hours=6))]
    found = named(distil(readings, BERLIN))[DAY_HEART_MINUTES]
    assert (found.value, found.unit) == (11.0, "min")


def test_one_interval_for_four_minutes_is_a_flat_line() -> None:
    stuck = named(distil(beats([800.0] * 360, MIDNIGHT), BERLIN))
    assert {stuck[name].reason for name in WINDOW_NAMES} == {"flat_line"}
    assert (stuck[NIGHT_HEART_RATE].value, stuck[NIGHT_HEART_RATE].reason) == (None, "no_valid_window")
    nearly = named(distil(beats([800.0] * 359 + [801.0], MIDNIGHT), BERLIN))
    assert nearly[WINDOW_HEART_RATE].value is not None


def test_one_heart_rate_for_half_an_hour_is_a_flat_line() -> None:
    steps = [step_minute(0.0, m) for m in range(420)]
    stuck = [rate(61.0, MIDNIGHT + timedelta(minutes=m)) for m in range(30)]
    found = named(distil(stuck + steps, BERLIN))
    assert (found[NIGHT_HEART_RATE_LOW].value, found[NIGHT_HEART_RATE_LOW].reason) == (None, "flat_line")
    alive = minutes_of(100, 165, 60.0)
    found = named(distil(stuck + alive + steps, BERLIN))
    assert found[NIGHT_HEART_RATE_LOW].value == pytest.approx(60.4)
    assert found[NIGHT_HEART_RATE_LOW].count == 65


def test_lost_contact_and_a_rate_of_zero_are_no_rate_and_are_counted() -> None:
    lost = [rate(0.0, MIDNIGHT + timedelta(minutes=m), Quality.INVALID) for m in range(100)]
    zero = [rate(0.0, MIDNIGHT + timedelta(minutes=m, seconds=30)) for m in range(100)]
    found = named(distil([*lost, *zero, *(step_minute(0.0, m) for m in range(120))], BERLIN))
    assert (found[DAY_HEART_VALID].value, found[DAY_HEART_VALID].count) == (0.0, 200)
    assert found[DAY_HEART_MINUTES].value == 0.0
    assert (found[NIGHT_HEART_RATE_LOW].value, found[NIGHT_HEART_RATE_LOW].reason) == (None, "no_usable_reading")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([codes.RR_INTERVAL, codes.HEART_RATE, codes.STEPS, codes.MOTION_RESPIRATION]),
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-100_000, 200_000),
            st.sampled_from(list(Quality)),
            st.sampled_from(["60", "300", "-60", "1e400", "nan", "soon", ""]),
        ),
        max_size=40,
    )
)
def test_whatever_comes_never_raises(
    items: list[tuple[codes.Code, float, int, Quality, str]],
) -> None:
    readings = [
        observe(
            code, value, MIDNIGHT + timedelta(seconds=at), source="s", quality=quality, attributes={"epoch_seconds": e}
        )
        for code, value, at, quality, e in items
    ]
    for feature in heart_features(in_order(readings), BERLIN):
        assert feature.name in HEART_FEATURES
        assert (feature.value is None) == bool(feature.reason)
        assert 0.0 <= feature.valid_share <= 1.0
        assert feature.value is None or np.isfinite(feature.value)
