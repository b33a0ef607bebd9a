"""The runtime with streams: the store ends with what all readings at once give, however they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_twin import codes
from edge_twin.contract import Refusal
from edge_twin.features import NIGHT_HEART_RATE, WINDOW_HEART_RATE, Feature, distil
from edge_twin.features.heart_day import DAY_HEART_VALID, HEART_FEATURES
from edge_twin.features.windows import WINDOW_NAMES
from edge_twin.observation import Observation, observe, sample
from edge_twin.program import Program
from edge_twin.runtime import Item, Plan, Runtime
from edge_twin.store import Store
from edge_twin.twin import advance

UTC_ZONE = ZoneInfo("UTC")
START = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Listed:
    """A source that yields a list and moves the clock along with it."""

    name = "listed"

    def __init__(self, items: Sequence[Item], clock: Clock) -> None:
        self._items = items
        self._clock = clock

    async def stream(self) -> AsyncIterator[Item]:
        for number, item in enumerate(self._items):
            if isinstance(item, Observation):
                self._clock.now = max(self._clock.now, item.time)
            yield item
            if number % 50 == 0:
                await asyncio.sleep(0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


@pytest.fixture
def refusals() -> list[frozenset[Refusal]]:
    """What each step refused, in order."""
    return []


@pytest.fixture
def run(store: Store, program: Program, refusals: list[frozenset[Refusal]]) -> Callable[..., Runtime]:
    """Run to the end with these items and clock."""

    def ran(items: Sequence[Item], clock: Clock, moved: Clock | None = None) -> Runtime:
        sources = [Listed(items, moved or clock)]
        plan = Plan("UTC", program, None, members=100)
        runtime = Runtime(
            store, plan, sources, clock=clock, stepped=lambda output: refusals.append(frozenset(output.refusals))
        )
        asyncio.run(runtime.run())
        return runtime

    return ran


def beats(start: datetime, count: int = 900, seed: int = 1) -> list[Observation]:
    rng, at, made = np.random.default_rng(seed), start, []
    for rr_ms in rng.normal(900.0, 30.0, count):
        at += timedelta(milliseconds=float(rr_ms))
        made.append(observe(codes.RR_INTERVAL, float(rr_ms), at, source="strap"))
    return made


def prompt(at: datetime) -> Observation:
    return observe(codes.BODY_TEMPERATURE, 36.7, at, source="t", attributes={"site": "oral"})


def of_the_heart(features: Iterable[Feature]) -> set[Feature]:
    return {feature for feature in features if feature.name in HEART_FEATURES and feature.reason != "superseded"}


def standing(store: Store) -> set[Feature]:
    return of_the_heart(store.features())


def course() -> list[Observation]:
    """Three days: beats of nights and days, with steps of the twin in between."""
    made = []
    for day in range(3):
        at = START + timedelta(days=day)
        made += [*beats(at, seed=day), prompt(at + timedelta(hours=1)), *beats(at + timedelta(hours=9), seed=10 + day)]
    return made


def test_the_store_ends_with_what_all_at_once_gives(store: Store, run: Callable[..., Runtime]) -> None:
    run(course(), Clock(START))
    assert standing(store) == of_the_heart(distil(course(), UTC_ZONE))


def test_the_pure_step_and_the_runtime_say_the_same_of_each_day(store: Store, run: Callable[..., Runtime]) -> None:
    """Also that a day had no readings but those of the heart: the runtime does not read these again."""
    runtime = run(course(), Clock(START))
    assert runtime.last is not None
    assert runtime.last_input is not None
    pure = advance(
        replace(
            runtime.last_input,
            observations=tuple(course()),
            features=(),
            distilled=frozenset(),
            days=frozenset(reading.time.date() for reading in course()),
        )
    )
    windows_before = {f.key for f in pure.features} - {f.key for f in runtime.last.features}
    assert {name for name, _ in windows_before} <= set(WINDOW_NAMES)
    assert set(runtime.last.features) == {f for f in pure.features if f.key not in windows_before}
    assert store.features()


def test_a_restart_in_the_middle_of_a_window_changes_nothing(store: Store, run: Callable[..., Runtime]) -> None:
    items, clock = course(), Clock(START)
    for first in range(0, len(items), 700):
        run(items[first : first + 700], clock)
    assert standing(store) == of_the_heart(distil(items, UTC_ZONE))


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_arrival_ends_with_the_same(store: Store, run: Callable[..., Runtime], seed: int) -> None:
    items, clock = course(), Clock(START + timedelta(days=2, hours=12))
    order = np.random.default_rng(seed).permutation(len(items) // 100 + 1)
    pieces = [items[100 * piece : 100 * (piece + 1)] for piece in order]
    run([item for piece in pieces for item in piece], clock)
    assert standing(store) == of_the_heart(distil(items, UTC_ZONE))


def test_late_beats_correct_the_day_and_windows_cut_otherwise_are_superseded(
    store: Store, run: Callable[..., Runtime]
) -> None:
    every, clock = beats(START, 1000), Clock(START)
    run([*every[500:], prompt(START + timedelta(hours=1))], clock)
    before = {f.key for f in store.features() if f.name in WINDOW_NAMES}
    clock.now = START + timedelta(days=3)
    run(every[:500], clock)
    after = [f for f in store.features() if f.name in WINDOW_NAMES]
    assert {f for f in after if f.reason != "superseded"} == {
        f for f in distil(every, UTC_ZONE) if f.name in WINDOW_NAMES
    }
    superseded = {f.key for f in after if f.reason == "superseded"}
    assert superseded
    assert superseded <= before
    assert all(f.value is None for f in after if f.key in superseded)
    sql = "SELECT version FROM features WHERE name = ?"
    (row,) = store.database.query(sql, [NIGHT_HEART_RATE])
    assert row["version"] >= 2


def test_a_step_reads_no_beat_again(store: Store, run: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Store.observations

    def watch(self: Store, **chosen: object) -> tuple[Observation, ...]:
        found = original(self, **chosen)  # type: ignore[arg-type]
        read.extend(o.code.name for o in found)
        return found

    monkeypatch.setattr(Store, "observations", watch)
    items = beats(START)
    runtime = run([*items[:600], prompt(START + timedelta(hours=1)), *beats(START + timedelta(hours=2))], Clock(START))
    assert runtime.steps >= 2
    assert "rr_interval" not in read
    assert "body_temperature" in read


def test_a_step_sees_windows_of_the_last_days_and_nights_of_three_months(
    store: Store, run: Callable[..., Runtime]
) -> None:
    items = [o for day in range(6) for o in beats(START + timedelta(days=day), 200, seed=day)]
    runtime = run(items, Clock(START))
    assert runtime.last is not None
    starts = {name: [f.start.date() for f in runtime.last.features if f.name == name] for name in (
        NIGHT_HEART_RATE, WINDOW_HEART_RATE,
    )}  # fmt: skip
    assert starts[NIGHT_HEART_RATE] == [date(2026, 3, 10 + day) for day in range(6)]
    assert set(starts[WINDOW_HEART_RATE]) <= {date(2026, 3, 13), date(2026, 3, 14), date(2026, 3, 15)}
    assert date(2026, 3, 15) in starts[WINDOW_HEART_RATE]


def test_beats_from_the_future_wait_are_named_and_count_when_their_time_has_come(
    store: Store, run: Callable[..., Runtime], refusals: list[frozenset[Refusal]]
) -> None:
    ahead = START + timedelta(days=1)
    clock, elsewhere = Clock(START + timedelta(hours=12)), Clock(START)
    run([*beats(START), *beats(ahead)], clock, elsewhere)
    assert any(Refusal.FUTURE_DATA in said for said in refusals)
    assert {f.start.date() for f in store.features() if f.name == WINDOW_HEART_RATE} == {START.date()}
    clock.now = ahead + timedelta(minutes=5)
    run([], clock)
    assert Refusal.FUTURE_DATA in refusals[-1], "later today"
    clock.now = ahead + timedelta(hours=5)
    run([], clock)
    assert Refusal.FUTURE_DATA not in refusals[-1]
    assert standing(store) == of_the_heart(distil([*beats(START), *beats(ahead)], UTC_ZONE))


def test_an_implausible_beat_is_named_for_its_day_though_beats_are_not_read_again(
    run: Callable[..., Runtime], refusals: list[frozenset[Refusal]]
) -> None:
    absurd = observe(codes.RR_INTERVAL, 9.0, START + timedelta(minutes=5), source="strap")
    clock = Clock(START)
    run([*beats(START, 300), absurd, *beats(START + timedelta(minutes=6), 300)], clock)
    assert Refusal.IMPLAUSIBLE_DATA in refusals[-1]
    clock.now = START + timedelta(days=3)
    run(beats(clock.now, 300), clock)
    assert Refusal.IMPLAUSIBLE_DATA not in refusals[-1]
    late = observe(codes.RR_INTERVAL, 9.0, START + timedelta(days=1), source="strap")
    before = len(refusals)
    run([late], clock)
    assert any(Refusal.IMPLAUSIBLE_DATA in said for said in refusals[before:])


def test_a_clock_that_jumps_by_years_leaves_the_rest_as_it_was(store: Store, run: Callable[..., Runtime]) -> None:
    old = beats(datetime(2019, 1, 1, 1, 0, tzinfo=UTC), 300)
    clock = Clock(START)
    run([*beats(START, 300), *old, *beats(START + timedelta(hours=1), 300)], clock)
    expected = distil([*beats(START, 300), *old, *beats(START + timedelta(hours=1), 300)], UTC_ZONE)
    assert standing(store) == of_the_heart(expected)


def test_acceleration_becomes_minutes_in_the_store_and_frames_that_cannot_be_used_are_counted(
    store: Store, run: Callable[..., Runtime]
) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(0.0, 4.0, (50, 3)) + np.array([0.0, 0.0, 1000.0])
    items: list[Item] = [
        sample(
            codes.ACCELERATION, rows.tolist(), start=START + timedelta(seconds=n),
            period_s=0.02, channels=("x", "y", "z"), source="strap",
        )
        for n in range(150)
    ]  # fmt: skip
    items.append(sample(codes.ACCELERATION, [(0.0,)], start=START, period_s=0.02, channels=("x",), source="strap"))
    items.append(sample(codes.ECG, [(0.0,)], start=START, period_s=0.004, channels=("ecg",), source="strap"))
    run(items, Clock(START + timedelta(minutes=3)))
    spread = store.observations(code=codes.MOTION_SPREAD)
    assert [(o.time, o.attributes["coverage"]) for o in spread] == [
        (START, "1.000"), (START + timedelta(minutes=1), "1.000"), (START + timedelta(minutes=2), "0.500"),
    ]  # fmt: skip
    counted = store.counters()
    assert counted["waveforms_acceleration"] == 151
    assert counted["waveforms_ecg"] == 1
    assert counted["motion_frames_without_three_axes"] == 1


def test_lost_contact_leaves_a_share_for_the_flag_on_data_quality(store: Store, run: Callable[..., Runtime]) -> None:
    zero = [observe(codes.HEART_RATE, 0.0, START + timedelta(seconds=n), source="strap") for n in range(100)]
    run(zero, Clock(START))
    (share,) = [f for f in store.features() if f.name == DAY_HEART_VALID]
    assert (share.value, share.count) == (0.0, 100)
