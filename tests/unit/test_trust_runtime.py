"""The ledger in the loop: promises before outcomes, nothing of a model shown unearned, trust taken away by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes
from edge_twin.contract import Dose, TwinInput
from edge_twin.flags.life import Act
from edge_twin.ledger import Entered, verify
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program
from edge_twin.promises import cover_of
from edge_twin.reduced_model import ReducedModel
from edge_twin.runtime import Outgoing, Plan, Runtime
from edge_twin.signing import DEVELOPMENT, SigningKey, TrustedKeys
from edge_twin.store import Store
from edge_twin.track_record import TrackRecord
from edge_twin.trust import SiteTrust, Stage, TrustGrant
from edge_twin.trusting import Bookkeeper, stage_kept
from edge_twin.twin import advance
from edge_twin_app.trusting import Entrance, record_of, signed_grant

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = SigningKey("Dr Example", b"\x07" * 32)
SITE = SiteTrust("ward 5", TrustedKeys(DEVELOPMENT, (KEY.trusted,)))
DOSE = Dose(START, "docetaxel", 150.0, timedelta(hours=1))


class Clock:
    def __init__(self) -> None:
        self.now = START + timedelta(days=1)

    def __call__(self) -> datetime:
        return self.now


class Collecting:
    def __init__(self) -> None:
        self.flags: list[str] = []

    def put(self, outgoing: Outgoing) -> None:
        self.flags += [life.key for life in outgoing.flags]


class Given:
    """A source of a list."""

    name = "laboratory"

    def __init__(self, items: list[Observation]) -> None:
        self._items = items

    async def stream(self):  # type: ignore[no-untyped-def] # noqa: ANN201 - an async generator of the items
        for item in self._items:
            yield item


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


def count(value: float, day: float) -> Observation:
    time_ = START + timedelta(days=day)
    return observe(codes.NEUTROPHILS, value, time_, source="laboratory", origin=Origin.LAB)


def trusted(store: Store, program: Program, bundle: str, stage: Stage) -> None:
    cover, now = cover_of(program, bundle), START
    evidence = TrackRecord(
        cover, patients=1, weeks=200.0, counts=100, inside=96, flags=60, confirmed=45, rejected=10,
        heads=("5:" + "ab" * 32,),
    )  # fmt: skip
    for step in tuple(Stage)[1 : stage.rank + 1]:
        issued = now - timedelta(hours=9 - step.rank)
        expires = now + timedelta(days=300)
        grant = TrustGrant(cover, SITE.site, step, evidence, KEY.name, KEY.trusted.fingerprint, issued, expires)
        Entrance(store, cover, SITE).enter(signed_grant(grant, KEY), now)


async def ran(store: Store, program: Program, model: ReducedModel, stage: Stage) -> Collecting:
    """Day 4 after a dose with counts that fall: a low count is foretold; the fever is a rule on a measured value."""
    if stage is not Stage.SILENT:
        trusted(store, program, model.id, stage)
    clock, outlet = Clock(), Collecting()
    clock.now = START + timedelta(days=5, hours=1)
    fever = observe(
        codes.BODY_TEMPERATURE, 38.6, clock.now - timedelta(minutes=20), source="thermometer",
        attributes={"site": "oral"},
    )  # fmt: skip
    plan = Plan("UTC", program, model, (DOSE,), members=200, trust=SITE)
    items = [count(3.0, 0), count(1.4, 3), count(0.9, 5), fever]
    await Runtime(store, plan, [Given(items)], clock=clock, outlet=outlet).run()
    return outlet


FORECAST, FEVER = "anc_below_0_5_within_7_days", "fever_under_chemotherapy"


@pytest.mark.parametrize(
    ("stage", "shown"), [(Stage.SILENT, (False, False)), (Stage.ADVISORY, (True, False)), (Stage.ACTIVE, (True, True))]
)
async def test_hz_trust_07_what_a_model_says_is_shown_as_far_as_it_is_trusted(
    store: Store, program: Program, model: ReducedModel, stage: Stage, shown: tuple[bool, bool]
) -> None:
    outlet = await ran(store, program, model, stage)
    alerts = {event.key for event in store.flags.events() if event.act is Act.NOTIFIED}
    assert stage_kept(store.ledger) is stage
    assert (FORECAST in outlet.flags, FORECAST in alerts) == shown
    assert FEVER in outlet.flags  # a rule on a measured value, at every stage
    assert FEVER in alerts
    chained = {entry.says["key"] for entry in store.ledger.entries((Entered.FLAG,))}
    assert {FORECAST, FEVER} <= chained
    assert verify(store.ledger.entries()).broken is None


def walk(
    store: Store, program: Program, model: ReducedModel, steps: list[tuple[float, list[Observation]]]
) -> Bookkeeper:
    """Steps at stated days, each with the counts that are new; counts must lie after the step before."""
    book = Bookkeeper(store.ledger, program, SITE, model.id)
    known: list[Observation] = []
    for day, new in steps:
        now = START + timedelta(days=day)
        known += new
        given = TwinInput(now, "UTC", program, model, tuple(known), doses=(DOSE,), members=100)
        with store.transaction():
            book.came(new, now)
            book.record(given, advance(given))
    return book


def test_hz_trust_08_a_count_is_held_against_a_promise_that_was_chained_before_it_was_taken(
    store: Store, program: Program, model: ReducedModel
) -> None:
    walk(store, program, model, [(1.0, []), (3.1, [count(2.0, 3.0)]), (3.2, [count(0.01, 2.0)])])
    (first, late) = store.ledger.entries((Entered.COUNT,))
    for entry, taken in ((first, 3.0), (late, 2.0)):
        promise = next(e for e in store.ledger.entries() if e.number == entry.refers)
        assert promise.kind == Entered.FORECAST
        assert promise.number < entry.number
        assert promise.at < START + timedelta(days=taken)
    assert late.says["inside"] is False
    assert first.says["lower"] < first.says["upper"]


def test_a_count_before_any_promise_counts_for_nothing(store: Store, program: Program, model: ReducedModel) -> None:
    walk(store, program, model, [(1.0, [count(2.0, 0.5)])])
    (entry,) = store.ledger.entries((Entered.COUNT,))
    assert entry.refers == 0
    assert record_of(store, program, model.id, START + timedelta(days=2)).counts == 0


def test_steps_of_one_hour_chain_one_forecast(store: Store, program: Program, model: ReducedModel) -> None:
    walk(store, program, model, [(1.0 + n / 96, []) for n in range(8)])
    kinds = [entry.kind for entry in store.ledger.entries()]
    assert kinds == [Entered.FORECAST, Entered.STAGE]


def test_hz_trust_06_misses_take_trust_away_and_the_ledger_says_why(
    store: Store, program: Program, model: ReducedModel
) -> None:
    trusted(store, program, model.id, Stage.ACTIVE)
    absurd = [count(0.02, 1.5), count(0.02, 1.6), count(0.02, 1.7)]
    book = walk(store, program, model, [(1.0, []), (2.0, absurd)])
    (demotion,) = store.ledger.entries((Entered.DEMOTION,))
    assert (demotion.says["why"], demotion.says["stage"]) == ("coverage", "silent")
    assert demotion.says["failed"] == demotion.says["seen"] == 3
    assert book.stage is stage_kept(store.ledger) is Stage.SILENT
    assert verify(store.ledger.entries()).broken is None
    again = walk(store, program, model, [(7.0, [])])  # a restart does not forget it
    assert again.stage is Stage.SILENT


def test_rejected_flags_take_one_step_away_at_the_next_step(
    store: Store, program: Program, model: ReducedModel
) -> None:
    trusted(store, program, model.id, Stage.ACTIVE)
    book = walk(store, program, model, [(1.0, [])])
    cover = cover_of(program, model.id)
    with store.transaction():
        for number in range(1, 13):
            says = {
                "flag": number, "key": FORECAST, "kind": FORECAST, "urgency": "today", "origin": "model",
                "time": START + timedelta(days=1), "probability": 0.6, "horizon": None, "cover": cover.text,
                "learned": False,
            }  # fmt: skip
            flag = store.ledger.append(Entered.FLAG, START + timedelta(days=1), says, subject=str(number))
            verdict = {"verdict": "rejected", "by": "Dr Example"}
            store.ledger.append(
                Entered.VERDICT, START + timedelta(days=1), verdict, subject=str(number), refers=flag.number
            )
    given = TwinInput(START + timedelta(days=1.1), "UTC", program, model, doses=(DOSE,), members=100)
    with store.transaction():
        book.record(given, advance(given))
    (demotion,) = store.ledger.entries((Entered.DEMOTION,))
    assert (demotion.says["why"], demotion.says["failed"]) == ("precision", 12)
    assert book.stage is stage_kept(store.ledger) is Stage.ADVISORY


def test_the_ledger_costs_a_step_little(store: Store, program: Program, model: ReducedModel) -> None:
    """Measured and printed: what a step costs, and what the ledger adds to it (a commit included)."""
    book = walk(store, program, model, [(1.0, [])])
    given = TwinInput(START + timedelta(days=1.01), "UTC", program, model, doses=(DOSE,))
    began = time.perf_counter()
    output = advance(given)
    step = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(50):
        with store.transaction():
            book.record(given, output)
    print(f"step {1e3 * step:.1f} ms, ledger {1e3 * (time.perf_counter() - began) / 50:.2f} ms")  # noqa: T201 - measured
    assert len(list(store.ledger.entries((Entered.FORECAST,)))) == 1
