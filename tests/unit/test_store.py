"""The store: what goes in comes out, twice is once, and a full disk is an error with a name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.errors import StoreError
from edge_twin.features import Feature
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.lifecycle import follow
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Origin, Quality, observe
from edge_twin.store import Store
from edge_twin.store_times import from_us, to_us
from edge_twin.wording import say

NOW = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
NIGHT = Feature("resting_heart_rate_night", 55.5, "/min", NOW, NOW + timedelta(hours=7), 2, 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


def beat(n: int) -> Observation:
    return observe(
        codes.RR_INTERVAL, 800.0 + n, NOW + timedelta(seconds=n), source="strap", attributes={"contact": "no"}
    )


def fever() -> Flag:
    return Flag(
        FlagKind.FEVER, NOW, Urgency.NOW, Origin.DEVICE, Sentences((say("fever.call_now"),), (say("fever.single"),))
    )


def test_observations_come_back_as_they_went_in(store: Store) -> None:
    implausible = observe(codes.NEUTROPHILS, 5300.0, NOW, source="lab", origin=Origin.LAB)
    with store.transaction():
        assert store.add_observations([beat(0), beat(1), beat(0), implausible]) == [beat(0), beat(1), implausible]
    assert store.observations(code=codes.RR_INTERVAL) == (beat(0), beat(1))
    (back,) = store.observations(code=codes.NEUTROPHILS)
    assert back == implausible
    assert back.quality is Quality.IMPLAUSIBLE
    assert back.id == implausible.id
    assert store.observations(since=NOW + timedelta(seconds=1)) == (beat(1),)
    assert store.observations(until=NOW + timedelta(seconds=1)) == (implausible, beat(0))


@given(us=st.integers(-(2**53), 2**53))
def test_times_are_exact(us: int) -> None:
    assert to_us(from_us(us)) == us


def _fail_after(store: Store, observation: Observation) -> None:
    with store.transaction():
        store.add_observations([observation])
        raise RuntimeError


def test_a_failed_transaction_keeps_nothing_and_a_failed_part_only_the_rest(store: Store) -> None:
    with pytest.raises(RuntimeError):
        _fail_after(store, beat(0))
    assert store.observations() == ()
    with store.transaction():
        store.add_observations([beat(0)])
        with pytest.raises(RuntimeError):
            _fail_after(store, beat(1))
    assert store.observations() == (beat(0),)


def test_hz_store_01_a_full_disk_is_named_and_what_was_stored_stays(store: Store) -> None:
    store.add_observations([beat(0)])
    pages = next(iter(store.database.query("PRAGMA page_count")))["page_count"]
    store.database.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError) as caught, store.transaction():
        store.add_observations(beat(n) for n in range(1, 5000))
    assert caught.value.reason == "disk_full"
    assert store.observations() == (beat(0),)


def test_a_changed_feature_supersedes_and_is_unsent_again(store: Store) -> None:
    names = [NIGHT.name]
    assert store.put_features([NIGHT]) == 1
    assert store.put_features([NIGHT]) == 0
    assert store.unsent_features(names, NIGHT.end - timedelta(seconds=1)) == ()
    assert store.unsent_features(names, NIGHT.end) == ((NIGHT, 1),)
    store.mark_sent([NIGHT])
    assert store.unsent_features(names, NIGHT.end) == ()
    late = replace(NIGHT, value=52.0, count=3)
    assert store.put_features([late]) == 1
    assert store.unsent_features(names, NIGHT.end) == ((late, 2),)
    assert store.features() == (late,)
    assert store.unsent_features(["another"], NIGHT.end) == ()


def test_a_flag_is_handed_over_when_it_goes_up_and_when_it_comes_down(store: Store) -> None:
    def move(flags: list[Flag], at: datetime) -> None:
        before = store.flags.lives()
        store.flags.keep(before, follow(before, flags, at, alarm_rules()))

    move([fever()], NOW)
    (up,) = store.flags.unsent()
    assert (up.form["kind"], up.raised, up.closed) == ("fever_under_chemotherapy", NOW, None)
    store.flags.mark_sent([up])
    assert store.flags.unsent() == ()
    move([], NOW + timedelta(hours=25))
    (down,) = store.flags.unsent()
    assert down.closed == NOW + timedelta(hours=25)
    store.flags.mark_sent([down])
    assert store.flags.unsent() == ()
    assert store.flags.lives().up == ()
    assert len(store.flags.all()) == 1


def test_coverage_counts_each_comparison_once(store: Store) -> None:
    inside, outside = (observe(codes.NEUTROPHILS, value, NOW, source="lab") for value in (1.0, 9.0))
    for count in (inside, outside, inside):
        store.compare(count, (0.5, 2.0), NOW - timedelta(days=1))
    assert (store.coverage().seen, store.coverage().inside) == (2, 1)


@pytest.mark.parametrize(("limit", "inside"), [(0.1, 0), (0.5, 1), (1.0, 1), (9.0, 1)])
def test_a_limit_misses_only_when_the_whole_interval_lies_above_it(store: Store, limit: float, inside: int) -> None:
    count = observe(codes.NEUTROPHILS, limit, NOW, source="lab", attributes={"comparator": "<"})
    store.add_observations([count])
    (kept,) = store.observations(code=codes.NEUTROPHILS)
    assert (kept.limit_sign, kept.id) == ("<", count.id)
    store.compare(count, (0.5, 2.0), NOW - timedelta(days=1))
    assert (store.coverage().seen, store.coverage().inside) == (1, inside)


def test_events_and_counters_are_kept(store: Store) -> None:
    store.add_events([DeviceEvent(DeviceEventKind.GAP, NOW, "strap", "link_lost", NOW + timedelta(hours=1))])
    store.count("event_gap")
    store.count("event_gap", 2)
    assert store.counters() == {"event_gap": 3}
    assert [row["kind"] for row in store.database.query("SELECT kind FROM events")] == ["gap"]


def test_a_store_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    store = Store(path)
    store.database.execute(
        "INSERT INTO _sqlite_migrations(migration_set, name, applied_at) VALUES ('edge_twin', 'm999_later', '')"
    )
    store.close()
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert caught.value.reason == "schema_newer"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is not a database, and long enough to be looked at as one" * 20)
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert caught.value.reason == "unavailable"


def test_writing_survives_a_reader_and_a_second_writer(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    first, second = Store(path), Store(path)
    second.database.execute("SELECT * FROM observations").fetchall()
    with first.transaction():
        first.add_observations([beat(0)])
    with second.transaction():
        second.add_observations([beat(1)])
    assert first.observations() == (beat(0), beat(1))
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    first.close()
    second.close()
