"""Late, amended and out-of-order data correct the number of their day, and the reader is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.contract import Refusal
from edge_twin.features import Feature, distil, merge, renewed
from edge_twin.features.day import dates_touched
from edge_twin.features.trends import trends
from edge_twin.jsonform import plain
from edge_twin.observation import Observation, Origin, Site, observe
from edge_twin.program import Program
from edge_twin.runtime import Item, Outgoing, Plan, Runtime
from edge_twin.store import Store
from edge_twin_app.outlet import _batches
from edge_twin_sync.records import FeatureRecord

UTC_ZONE = ZoneInfo("UTC")
DAY = datetime(2026, 3, 2, tzinfo=UTC)
ONE, HOUR = timedelta(days=1), timedelta(hours=1)


def oral(celsius: float, hour: float, day: int = 0) -> Observation:
    return observe(
        codes.BODY_TEMPERATURE,
        celsius,
        DAY + day * ONE + hour * HOUR,
        source="thermometer",
        attributes={"site": Site.ORAL},
    )


def weight(kilograms: float, day: int) -> Observation:
    return observe(codes.BODY_WEIGHT, kilograms, DAY + day * ONE + 7 * HOUR, source="scale")


def highest(features: Sequence[Feature], day: int = 0) -> Feature:
    (feature,) = [f for f in features if f.name == "oral_temperature_max_day" and f.start == DAY + day * ONE]
    return feature


# --- the pure level --------------------------------------------------------------------------------


def test_a_late_reading_is_a_new_version_that_says_when_it_was_corrected() -> None:
    first = renewed((), [oral(37.0, 8)], UTC_ZONE, DAY + 12 * HOUR)
    assert (highest(first).version, highest(first).supersedes, highest(first).corrected) == (1, "", None)
    now = DAY + 3 * ONE + 9 * HOUR
    second = renewed(first, [oral(37.0, 8), oral(38.6, 20)], UTC_ZONE, now)
    feature = highest(second)
    assert (feature.value, feature.version, feature.corrected) == (38.6, 2, now)
    assert feature.supersedes == "oral_temperature_max_day/2026-03-02T00:00:00+00:00/1"
    third = renewed(second, [oral(37.0, 8), oral(38.6, 20)], UTC_ZONE, now + ONE)
    assert (highest(third).version, highest(third).corrected) == (2, now), "nothing new, nothing corrected"


@pytest.mark.parametrize(("hours", "corrected"), [(23.0, False), (26.0, False), (26.01, True)])
def test_a_day_that_fills_up_is_not_corrected(hours: float, *, corrected: bool) -> None:
    """Two hours after its end a number has settled."""
    first = renewed((), [oral(37.0, 8)], UTC_ZONE, DAY + 9 * HOUR)
    now = DAY + hours * HOUR
    feature = highest(renewed(first, [oral(37.0, 8), oral(37.4, 20)], UTC_ZONE, now))
    assert feature.version == 2
    assert (feature.corrected is not None) is corrected


def test_first_versions_keep_their_form_and_later_ones_say_more() -> None:
    form = plain(highest(renewed((), [oral(37.0, 8)], UTC_ZONE, DAY)))
    assert "version" not in form
    assert "corrected" not in form
    later = Feature("steps_day", 1.0, "{steps}", DAY, DAY + ONE, 1, 1.0, version=2, corrected=DAY + 3 * ONE)
    assert (plain(later)["version"], plain(later)["corrected"]) == (2, "2026-03-05T00:00:00Z")


def test_a_number_that_the_data_no_longer_give_is_withdrawn() -> None:
    """A laboratory moves its result to the day before: the other day must not keep it."""
    first = observe(
        codes.C_REACTIVE_PROTEIN, 80.0, DAY + ONE + HOUR, source="lab", origin=Origin.LAB,
        attributes={"record": "r1", "status": "final"},
    )  # fmt: skip
    moved = observe(
        codes.C_REACTIVE_PROTEIN, 80.0, DAY + 20 * HOUR, source="lab", origin=Origin.LAB,
        attributes={"record": "r1", "status": "corrected"},
    )  # fmt: skip
    known = renewed((), [first], UTC_ZONE, DAY + 2 * ONE)
    days = frozenset({DAY.date(), DAY.date() + ONE})
    now = DAY + 3 * ONE
    after = {f.start: f for f in renewed(known, [moved], UTC_ZONE, now, days) if f.name == "c_reactive_protein_day"}
    assert (after[DAY].value, after[DAY].version) == (80.0, 1)
    assert (after[DAY + ONE].value, after[DAY + ONE].reason, after[DAY + ONE].version) == (None, "superseded", 2)
    assert after[DAY + ONE].corrected == now
    again = renewed(tuple(after.values()), [moved], UTC_ZONE, now + ONE, days)
    assert {f.version for f in again if f.name == "c_reactive_protein_day"} == {1, 2}, "withdrawn once"


def test_a_late_weight_corrects_the_trends_that_rest_on_it() -> None:
    readings = [weight(70.0 - 0.1 * day, day) for day in range(28)]
    early = [reading for day, reading in enumerate(readings) if day != 20]
    known = renewed((), early, UTC_ZONE, DAY + 28 * ONE)
    days = frozenset({(DAY + 20 * ONE).date()})
    after = renewed(known, [readings[20]], UTC_ZONE, DAY + 40 * ONE, days)
    whole = renewed((), readings, UTC_ZONE, DAY + 40 * ONE)
    assert set(whole) <= set(after)
    slopes = {f.start: f for f in after if f.name == "weight_slope_28d"}
    assert slopes[DAY + 27 * ONE].count == 28
    assert slopes[DAY + 27 * ONE].corrected == DAY + 40 * ONE
    assert slopes[DAY + 19 * ONE].version == 1, "an earlier day does not know a later weight"


ARRIVALS = st.lists(
    st.one_of(
        st.builds(oral, st.floats(35, 41), st.integers(0, 23), st.integers(0, 20)),
        st.builds(weight, st.floats(40, 120), st.integers(0, 20)),
        st.builds(
            lambda steps, minute: observe(
                codes.STEPS,
                float(steps),
                DAY + minute * timedelta(minutes=1),
                source="watch",
                attributes={"epoch_seconds": "60"},
            ),
            st.integers(0, 150),
            st.integers(0, 20 * 1440),
        ),
    ),
    max_size=30,
    unique_by=lambda o: o.id,
)


@given(ARRIVALS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_any_split_into_arrivals_in_any_order_gives_the_same(
    readings: list[Observation], random: object, parts: int
) -> None:
    """What the runtime does, without its clock: each arrival makes its days anew from all readings of them so far."""
    now = DAY + 30 * ONE
    shuffled = list(readings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    known: tuple[Feature, ...] = ()
    stored: list[Observation] = []
    for part in range(parts):
        new = shuffled[part::parts]
        stored += new
        days: frozenset[date] = frozenset(day for reading in new for day in dates_touched(reading, UTC_ZONE))
        known = renewed(known, [o for o in stored if o.time.date() in days], UTC_ZONE, now, days)
    whole = distil(readings, UTC_ZONE, days=frozenset(o.time.date() for o in readings))
    assert {f for f in known if f.reason != "superseded"} == {*whole, *trends(whole, UTC_ZONE)}


def test_merge_without_a_moment_counts_versions_and_tells_no_correction() -> None:
    first = Feature("steps_day", 1.0, "{steps}", DAY, DAY + ONE, 1, 1.0)
    second = Feature("steps_day", 2.0, "{steps}", DAY, DAY + ONE, 2, 1.0)
    (feature,) = merge([first], [second])
    assert (feature.value, feature.version, feature.corrected) == (2.0, 2, None)


# --- store and runtime -----------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


class Clock:
    now = DAY + 12 * HOUR

    def __call__(self) -> datetime:
        return self.now


class Listed:
    name = "listed"

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    async def stream(self) -> AsyncIterator[Item]:
        for item in self._items:
            yield item


class Collecting:
    def __init__(self) -> None:
        self.taken: list[Outgoing] = []

    def put(self, outgoing: Outgoing) -> None:
        self.taken.append(outgoing)

    def records(self, name: str) -> list[FeatureRecord]:
        made = (record for outgoing in self.taken for _, _, batch in _batches(outgoing) for record in batch)
        return [record for record in made if isinstance(record, FeatureRecord) and record.name == name]


@pytest.fixture
def plan(program: Program) -> Plan:
    return Plan("UTC", program, None)


async def run(store: Store, plan: Plan, items: Sequence[Item], clock: Clock, outlet: Collecting) -> Runtime:
    runtime = Runtime(store, plan, [Listed(items)], clock=clock, outlet=outlet)
    await runtime.run()
    return runtime


async def test_a_reading_three_days_late_changes_its_day_and_is_sent_again(store: Store, plan: Plan) -> None:
    clock, outlet = Clock(), Collecting()
    await run(store, plan, [oral(37.0, 8)], clock, outlet)
    clock.now = DAY + ONE + HOUR
    await run(store, plan, [], clock, outlet)
    clock.now = DAY + 3 * ONE + 9 * HOUR
    await run(store, plan, [oral(38.6, 20), oral(36.9, 8, day=3)], clock, outlet)
    feature = highest(store.features())
    assert (feature.value, feature.version, feature.corrected) == (38.6, 2, clock.now)
    (old,) = [row for row in store.superseded_features() if row["name"] == "oral_temperature_max_day"]
    assert (old["value"], old["version"], old["replaced"], old["start"]) == (37.0, 1, clock.now, DAY)
    sent = outlet.records("oral_temperature_max_day")
    assert [(r.value, r.supersedes) for r in sent if r.start == DAY] == [
        (37.0, None),
        (38.6, "oral_temperature_max_day/2026-03-02T00:00:00+00:00/1"),
    ]
    await run(store, plan, [], clock, outlet)
    assert highest(store.features()).version == 2
    assert len(outlet.records("oral_temperature_max_day")) == len(sent), "sent once"


async def test_a_number_called_back_reaches_the_centre_as_invalid(store: Store, plan: Plan) -> None:
    clock, outlet = Clock(), Collecting()
    first = oral(38.6, 8)
    first = observe(
        first.code, first.value, first.time, source="fhir:ward", origin=Origin.CLINICIAN,
        attributes={"site": "oral", "record": "r1", "status": "final"},
    )  # fmt: skip
    moved = observe(
        first.code, first.value, first.time + 3 * ONE, source="fhir:ward", origin=Origin.CLINICIAN,
        attributes={"site": "oral", "record": "r1", "status": "corrected"},
    )  # fmt: skip
    await run(store, plan, [first], clock, outlet)
    clock.now = DAY + ONE + HOUR
    await run(store, plan, [], clock, outlet)
    clock.now = DAY + 4 * ONE
    await run(store, plan, [moved], clock, outlet)
    sent = [r for r in outlet.records("oral_temperature_max_day") if r.start == DAY]
    assert [(r.value, r.quality.value, r.supersedes is not None) for r in sent] == [
        (38.6, "good", False),
        (0.0, "invalid", True),
    ]
    assert highest(store.features()).reason == "superseded"
    assert highest(store.features(), 3).value == 38.6


async def test_readings_of_the_last_days_never_cut_an_older_day_short(store: Store, plan: Plan) -> None:
    """A step looks at the temperatures of 48 hours; the first of these days is only partly among them."""
    clock, outlet = Clock(), Collecting()
    clock.now = DAY + 21 * HOUR
    await run(store, plan, [oral(38.2, 8), oral(37.0, 20)], clock, outlet)
    clock.now = DAY + 2 * ONE + 12 * HOUR
    await run(store, plan, [oral(36.8, 11, day=2)], clock, outlet)
    assert (highest(store.features()).value, highest(store.features()).version) == (38.2, 1)


async def test_a_reading_of_the_future_waits_for_its_day(store: Store, plan: Plan) -> None:
    clock, outlet = Clock(), Collecting()
    runtime = await run(store, plan, [oral(38.2, 8, day=5)], clock, outlet)
    assert runtime.last is not None
    assert Refusal.FUTURE_DATA in runtime.last.refusals
    assert [f for f in store.features() if f.name == "oral_temperature_max_day"] == []
    clock.now = DAY + 5 * ONE + 9 * HOUR
    await run(store, plan, [], clock, outlet)
    assert highest(store.features(), 5).value == 38.2


async def test_a_day_with_no_data_is_told(store: Store, plan: Plan) -> None:
    clock = Clock()
    await run(store, plan, [], clock, Collecting())
    (feature,) = store.features()
    assert (feature.name, feature.value, feature.reason) == ("reading_minutes_day", None, "no_data")
    clock.now += HOUR
    await run(store, plan, [oral(37.0, 8)], clock, Collecting())
    told = [f for f in store.features() if f.name == "reading_minutes_day"]
    assert [(f.value, f.version, f.corrected) for f in told] == [(1.0, 2, None)]


async def test_an_evenings_motion_makes_the_next_days_sleep(store: Store, plan: Plan) -> None:
    def motion(first: int, last: int, *, still: bool) -> list[Item]:
        return [
            observe(
                codes.MOTION_ANGLE, 20.0 + 0.01 * (minute % 7) if still else 80.0 * ((minute * 37) % 11 - 5) / 5,
                DAY + minute * timedelta(minutes=1), source="watch", attributes={"epoch_seconds": "60"},
            )
            for minute in range(first, last)
        ]  # fmt: skip

    clock, outlet = Clock(), Collecting()
    clock.now = DAY + ONE + 11 * HOUR
    morning = motion(24 * 60, 30 * 60, still=True) + motion(30 * 60, 35 * 60, still=False)
    evening = motion(13 * 60, 22 * 60, still=False) + motion(22 * 60, 24 * 60, still=True)
    await run(store, plan, morning, clock, outlet)
    clock.now = DAY + 3 * ONE
    await run(store, plan, evening, clock, outlet)
    (period,) = [f for f in store.features() if f.name == "sleep_period_day" and f.start == DAY + ONE]
    assert period.value == pytest.approx(8.0, abs=0.1)
    assert (period.version, period.corrected) == (2, clock.now)
