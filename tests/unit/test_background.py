"""What the rules see of older days: read by code and time from the store, never distilled again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes
from edge_twin.background import LOOK_BACK, OFTEN, PAUSE, PROMPT, is_prompt, read_background
from edge_twin.care import CareContext
from edge_twin.flag import CtcaeVersion, FlagKind
from edge_twin.observation import Observation, observe
from edge_twin.runtime import Item, Plan, Runtime
from edge_twin.store import Store
from tests.rule_bench import NOW, lab, neutropenia, oral, reading

DAY = 1440.0


class Given:
    """A source that yields a list and ends."""

    name = "given"

    def __init__(self, *items: Item) -> None:
        self._items = items

    async def stream(self) -> AsyncIterator[Item]:
        for item in self._items:
            yield item
            await asyncio.sleep(0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "edge-twin.db")
    yield opened
    opened.close()


def keep(store: Store, *readings: Observation) -> None:
    with store.transaction():
        store.add_observations(readings)


async def run(store: Store, *items: Item, now: datetime = NOW, care: CareContext | None = None) -> Runtime:
    plan = Plan("UTC", neutropenia(), None, care=care or CareContext())
    looping = Runtime(store, plan, [Given(*items)], clock=lambda: now)
    await looping.run()
    return looping


async def test_weights_of_half_a_year_reach_the_rule_after_a_restart(store: Store) -> None:
    keep(store, *[reading(codes.BODY_WEIGHT, 70.0, DAY * (150 - k)) for k in range(3)])
    keep(store, *[reading(codes.BODY_WEIGHT, 64.0, DAY * (5 - k)) for k in range(3)])
    looping = await run(store, reading(codes.BODY_WEIGHT, 64.0, 5.0))
    assert looping.last is not None
    assert FlagKind.WEIGHT_LOSS in [flag.kind for flag in looping.last.flags]


async def test_a_pressure_before_midnight_and_a_breath_after_it_are_one_set(store: Store) -> None:
    midnight = NOW.replace(hour=0)
    low = observe(codes.SYSTOLIC_PRESSURE, 88.0, midnight - timedelta(minutes=5), source="cuff")
    fast = observe(codes.RESPIRATORY_RATE, 26.0, midnight + timedelta(minutes=5), source="monitor")
    keep(store, low)
    looping = await run(store, fast, now=midnight + timedelta(minutes=10))
    assert looping.last is not None
    assert FlagKind.SEPSIS_SCREEN in [flag.kind for flag in looping.last.flags]


async def test_old_days_are_not_distilled_again(store: Store) -> None:
    yesterday = [reading(codes.SYSTOLIC_PRESSURE, value, DAY + k) for k, value in enumerate((110.0, 130.0))]
    await run(store, *yesterday, now=NOW - timedelta(days=1))
    before = store.features()
    looping = await run(store, oral(36.8))
    assert set(before) <= set(store.features())
    assert looping.last_input is not None
    assert {o.id for o in looping.last_input.background} >= {o.id for o in yesterday[:1]}


async def test_what_the_clinic_knows_reaches_the_rules(store: Store) -> None:
    looping = await run(store, lab(codes.PLATELETS, 15.0), care=CareContext(CtcaeVersion.V6))
    assert looping.last is not None
    (flag,) = looping.last.flags
    assert flag.ctcae[0].ctcae_version is CtcaeVersion.V6


async def test_two_values_are_two_flags_in_the_store(store: Store) -> None:
    await run(store, lab(codes.PLATELETS, 9.0, 2.0), lab(codes.HAEMOGLOBIN, 6.5, 2.0))
    assert {life.key for life in store.flags.all() if life.is_open} == {
        "laboratory_value/platelets",
        "laboratory_value/haemoglobin",
    }


def test_the_newest_hour_of_the_heart_rate_is_there_today_too(store: Store) -> None:
    keep(store, *[reading(codes.HEART_RATE, 70.0, minutes) for minutes in (1.0, 64.0, 66.0)])
    assert [o.time for o in read_background(store, NOW, NOW.replace(hour=0))] == [
        NOW - timedelta(minutes=minutes) for minutes in (64.0, 1.0)
    ]


def test_readings_of_today_are_not_read_twice(store: Store) -> None:
    keep(store, lab(codes.PLATELETS, 50.0, 1.0), lab(codes.PLATELETS, 60.0, 20.0))
    today = NOW.replace(hour=0)
    assert [o.value for o in read_background(store, NOW, today)] == [60.0]


@pytest.mark.parametrize(
    ("code", "since_last", "prompt"),
    [
        (codes.SYSTOLIC_PRESSURE, timedelta(0), True),
        (codes.OXYGEN_SATURATION, PAUSE, True),
        (codes.OXYGEN_SATURATION, PAUSE - timedelta(seconds=1), False),
        (codes.HEART_RATE, timedelta(days=1), False),
        (codes.RR_INTERVAL, timedelta.max, False),
    ],
)
def test_single_measurements_call_for_a_step_and_streams_after_a_pause(
    code: codes.Code,
    since_last: timedelta,
    prompt: bool,  # noqa: FBT001 - parametrised
) -> None:
    assert is_prompt(replace(reading(codes.HEART_RATE, 70.0), code=code), since_last) is prompt


def test_no_kind_is_both_prompt_and_often() -> None:
    assert not PROMPT & OFTEN


@pytest.mark.parametrize(
    ("code", "table", "name"),
    [
        (codes.RESPIRATORY_RATE, "news2", "active_hours"),
        (codes.OXYGEN_SATURATION, "opioid", "active_hours"),
        (codes.SYSTOLIC_PRESSURE, "cell_therapy", "active_hours"),
        (codes.SYSTOLIC_PRESSURE, "dehydration", "active_hours"),
        (codes.OXYGEN_FLOW, "cell_therapy", "active_hours"),
        (codes.DIARY_STOOLS, "dehydration", "stools_hours"),
        (codes.BODY_WEIGHT, "weight_loss", "months_as_days"),
        (codes.PLATELETS, "laboratory", "fresh_hours"),
        (codes.QTC_INTERVAL, "qtc", "fresh_days"),
        (codes.GLUCOSE_CAPILLARY, "glucose", "active_hours"),
        (codes.HEART_RATE, "news2", "window_minutes"),
        (codes.HEART_RATE, "data_quality", "stuck_minutes"),
    ],
)
def test_the_store_is_read_as_far_back_as_the_rule_looks(code: codes.Code, table: str, name: str) -> None:
    unit = {"hours": "hours", "days": "days", "minutes": "minutes"}[name.rsplit("_", 1)[1]]
    assert LOOK_BACK[code] >= timedelta(**{unit: neutropenia().threshold(table, name)})
