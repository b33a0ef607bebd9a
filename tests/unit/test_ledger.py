"""The chain: any byte changed, any entry moved, taken out or cut off is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_twin.ledger import GENESIS, Entered, Entry, Head, linked, read_head, verify
from edge_twin.store import Store

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LENGTH = 8


def chain(length: int = LENGTH) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(1, length + 1):
        previous = entries[-1].digest if entries else GENESIS
        at, body = START + timedelta(hours=number), b'{"value":%d}' % number
        entries.append(linked(previous, number, at, Entered.FORECAST, subject="p/1/m", refers=0, body=body))
    return entries


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


def fill(store: Store, length: int = LENGTH) -> None:
    with store.transaction():
        for number in range(length):
            store.ledger.append(Entered.FORECAST, START + timedelta(days=number), {"value": number}, subject="p/1/m")


def test_an_untouched_chain_holds() -> None:
    entries = chain()
    found = verify(entries)
    assert (found.entries, found.broken, found.head.digest) == (LENGTH, None, entries[-1].digest.hex())
    assert verify([]).head == Head(0, GENESIS.hex())


def flipped(content: bytes, bit: int) -> bytes:
    place, mask = divmod(bit % (8 * len(content)), 8)
    return content[:place] + bytes((content[place] ^ (1 << mask),)) + content[place + 1 :]


@given(st.integers(0, LENGTH - 1), st.sampled_from(("body", "body_digest", "digest")), st.integers(0, 4000))
def test_hz_trust_01_any_bit_of_any_entry_that_changes_is_found_and_named(place: int, part: str, bit: int) -> None:
    entries = chain()
    changed = flipped(getattr(entries[place], part), bit)
    entries[place] = replace(entries[place], **{part: changed})  # type: ignore[arg-type] # any part
    assert verify(entries).broken == place + 1


@given(
    st.integers(0, LENGTH - 1),
    st.sampled_from(
        (
            {"at": START},
            {"kind": "flag"},
            {"subject": "other"},
            {"refers": 3},
            {"number": 77},
        )
    ),
)
def test_what_stands_beside_the_body_is_bound_too(place: int, change: dict[str, object]) -> None:
    entries = chain()
    entries[place] = replace(entries[place], **change)  # type: ignore[arg-type] # any field
    assert verify(entries).broken == place + 1


@given(st.permutations(range(LENGTH)))
def test_any_other_order_is_found(order: list[int]) -> None:
    entries = chain()
    moved = verify([entries[place] for place in order])
    if order == sorted(order):
        assert moved.broken is None
    else:
        first = next(n for n, place in enumerate(order) if n != place)
        assert moved.broken == first + 1


@given(st.integers(0, LENGTH - 2))
def test_an_entry_that_was_taken_out_is_found(place: int) -> None:
    entries = chain()
    del entries[place]
    assert verify(entries).broken == place + 1


@given(st.integers(0, LENGTH - 1))
def test_hz_trust_02_a_chain_cut_off_is_found_against_a_kept_head(left: int) -> None:
    entries = chain()
    kept = verify(entries).head
    assert verify(entries[:left]).broken is None  # the chain alone cannot show it
    found = verify(entries[:left], [read_head(kept.text)])
    assert (found.broken, found.why) == (left + 1, "truncated")


def test_a_chain_written_anew_is_found_against_a_kept_head() -> None:
    kept = verify(chain(5)).head
    previous, forged = GENESIS, []
    for entry in chain():
        forged.append(linked(previous, entry.number, entry.at, "flag", subject="", refers=0, body=b"{}"))
        previous = forged[-1].digest
    assert verify(forged).broken is None
    assert (verify(forged, [kept]).broken, verify(forged, [kept]).why) == (5, "head")


@pytest.mark.parametrize("text", ["", "5", "5:12", "x:" + "00" * 32, "-1:" + "00" * 32])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_head(text)


def test_the_store_keeps_the_chain_and_its_head(store: Store) -> None:
    fill(store)
    found = verify(store.ledger.entries(), [store.ledger.head()])
    assert (found.entries, found.broken) == (LENGTH, None)
    assert [e.says["value"] for e in store.ledger.entries(after=6)] == [6, 7]


def test_dropped_bodies_leave_a_checkpoint_and_a_chain_that_holds(store: Store) -> None:
    fill(store)
    kept = store.ledger.head()
    with store.transaction():
        assert store.ledger.drop_bodies(START + timedelta(days=3), START + timedelta(days=20)) == 3
        assert store.ledger.drop_bodies(START + timedelta(days=3), START + timedelta(days=20)) == 0
    found = verify(store.ledger.entries(), [kept])
    assert (found.entries, found.broken) == (LENGTH + 1, None)
    assert [entry.body is None for entry in store.ledger.entries()] == [True] * 3 + [False] * (LENGTH - 2)


def test_a_body_that_is_gone_without_a_checkpoint_is_found(store: Store) -> None:
    fill(store)
    store.database.execute("UPDATE ledger SET body = NULL WHERE number = 4")
    assert (verify(store.ledger.entries()).broken, verify(store.ledger.entries()).why) == (4, "dropped")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3))
def test_a_body_comes_back_as_it_was(store: Store, says: dict[str, object]) -> None:
    with store.transaction():
        entry = store.ledger.append(Entered.FLAG, START, says)
    last = store.ledger.last()
    assert last == entry
    assert last is not None
    assert last.says == says


def test_an_entry_that_is_not_committed_leaves_no_trace(store: Store) -> None:
    fill(store, 2)
    before = store.ledger.head()

    def fail() -> None:
        with store.transaction():
            store.ledger.append(Entered.FLAG, START, {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert store.ledger.head() == before
