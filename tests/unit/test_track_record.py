"""Scores by hand: a ledger written line by line, and every figure of its track record worked out on paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_twin.errors import ProgramError
from edge_twin.ledger import Entered
from edge_twin.promises import Cover
from edge_twin.store import Store
from edge_twin.track_record import TrackRecord
from edge_twin.track_record import track_record as counted
from edge_twin.trust_rules import read_trust_rules, trust_rules

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COVER, OTHER = Cover("neutropenia", 3, "neutropenia@2"), Cover("neutropenia", 2, "neutropenia@2")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def forecast(store: Store, day: float, probability: float, cover: Cover = COVER) -> None:
    says = {"cover": cover.text, "threshold": 0.5, "probability": probability, "until": at(day + 7)}
    store.ledger.append(Entered.FORECAST, at(day), says, subject=cover.text)


def count(store: Store, day: float, value: float, *, inside: bool | None, cover: Cover = COVER) -> None:
    says: dict[str, Any] = {"value": value, "sign": "", "time": at(day)}
    says |= {} if inside is None else {"inside": inside, "cover": cover.text}
    store.ledger.append(Entered.COUNT, at(day), says)


def flag(store: Store, day: float, *, origin: str = "model", probability: float | None = 0.6) -> int:
    says = {
        "cover": COVER.text, "origin": origin, "learned": False, "time": at(day), "probability": probability,
        "horizon": 7 * 86400.0 if probability else None,
    }  # fmt: skip
    return store.ledger.append(Entered.FLAG, at(day), says).number


def record(store: Store, day: float) -> TrackRecord:
    return counted(list(store.ledger.entries()), COVER, at(day), trust_rules(), head=store.ledger.head())


def test_a_course_by_hand(store: Store) -> None:
    forecast(store, 0.0, 0.8)  # came on day 5: (0.8 - 1)**2 = 0.04
    forecast(store, 0.2, 0.1)  # not the first of its day: not scored
    flag(store, 0.0)  # came on day 5: right
    count(store, 1.0, 2.0, inside=True)
    count(store, 5.0, 0.3, inside=False)
    forecast(store, 6.0, 0.3)  # two counts until day 13, none low: 0.3**2 = 0.09
    flag(store, 6.0)  # wrong
    flag(store, 6.0, origin="lab")  # a rule: no trust to earn
    count(store, 8.0, 0.9, inside=True)
    count(store, 12.0, 3.0, inside=True)
    forecast(store, 14.0, 0.5)  # its window is not over on day 15
    flag(store, 14.0)  # not resolved
    found = record(store, 15.0)
    assert (found.forecasts, found.counts, found.inside) == (4, 4, 3)
    assert (found.flags, found.confirmed, found.rejected) == (3, 1, 1)
    assert found.weeks == pytest.approx(2.0)
    assert found.alerts_per_week == pytest.approx(1.5)
    assert found.foretold == 2
    assert found.brier == pytest.approx((0.04 + 0.09) / 2)
    assert found.reliability[8] == (1, 0.8, 1)
    assert found.reliability[3] == (1, 0.3, 0)
    assert TrackRecord.read(found.form).form == found.form


def test_a_clinicians_word_goes_before_the_counts(store: Store) -> None:
    forecast(store, 0.0, 0.8)
    number = flag(store, 0.0)
    count(store, 5.0, 0.3, inside=True)
    assert record(store, 6.0).confirmed == 1
    store.ledger.append(Entered.VERDICT, at(6), {"verdict": "rejected", "by": "Dr Example"}, refers=number)
    assert (record(store, 7.0).confirmed, record(store, 7.0).rejected) == (0, 1)


def test_a_flag_that_foretells_nothing_is_resolved_by_a_clinician_alone(store: Store) -> None:
    forecast(store, 0.0, 0.8)
    flag(store, 0.0, probability=None)
    count(store, 5.0, 0.3, inside=True)
    assert (record(store, 30.0).flags, record(store, 30.0).resolved) == (1, 0)


def test_another_version_of_the_program_has_a_record_of_its_own(store: Store) -> None:
    forecast(store, 0.0, 0.8, OTHER)
    count(store, 1.0, 2.0, inside=False, cover=OTHER)
    count(store, 2.0, 2.0, inside=None)
    found = record(store, 9.0)
    assert (found.forecasts, found.counts, found.weeks, found.alerts_per_week) == (0, 0, 0.0, None)


def test_forecasts_whose_curve_was_dropped_are_still_counted(store: Store) -> None:
    forecast(store, 0.0, 0.8)
    count(store, 5.0, 0.3, inside=True)
    with store.transaction():
        store.ledger.drop_bodies(at(1), at(500))
    found = record(store, 500.0)
    assert (found.forecasts, found.counts, found.inside, found.foretold) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("schema = 3", "schema_unsupported"),
        ('schema = "edge-twin.rules/1"\n[t]\na = 1', "malformed"),
        ("no toml", "malformed"),
    ],
)
def test_a_pack_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        read_trust_rules(text)
    assert caught.value.reason == reason


def test_every_threshold_has_mark_and_source() -> None:
    rows = [row for table in trust_rules().tables.values() for row in table.values()]
    assert all(row.mark in {"S", "P", "C", "A", "U"} and row.source for row in rows)
