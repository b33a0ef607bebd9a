"""Waveforms: what one is, what cannot be one, and that the runtime counts them and keeps its memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes
from edge_twin.errors import ObservationError
from edge_twin.jsonform import waveform_form
from edge_twin.observation import Observation, Waveform, observe, sample
from edge_twin.program import load_program
from edge_twin.runtime import Item, Plan, Runtime
from edge_twin.store import Store

START = datetime(2024, 5, 11, 8, 0, tzinfo=UTC)


def ecg(
    samples: list[tuple[float, ...]], *, start: datetime = START, period_s: float = 0.01, source: str = "h10"
) -> Waveform:
    return sample(codes.ECG, samples, start=start, period_s=period_s, channels=("value",), source=source)


def test_a_waveform_knows_its_times_and_channels() -> None:
    acc = sample(
        codes.ACCELERATION,
        [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0)],
        start=START.astimezone(),
        period_s=1 / 3,
        channels=("x", "y", "z"),
        source="h10",
    )
    assert (acc.start, acc.start.tzinfo) == (START, UTC)
    assert acc.time_of(1) == START + timedelta(microseconds=333_333)
    assert acc.end == START + timedelta(microseconds=666_667)
    assert acc.channel("y") == (2.0, 5.0, 8.0)
    with pytest.raises(KeyError):
        acc.channel("w")


def test_the_id_depends_on_everything_that_was_said() -> None:
    first = ecg([(1.0,), (2.0,)])
    others = [
        ecg([(1.0,), (2.5,)]),
        ecg([(2.0,), (1.0,)]),
        ecg([(1.0,)]),
        ecg([(1.0,), (2.0,)], start=START + timedelta(microseconds=1)),
        ecg([(1.0,), (2.0,)], period_s=0.02),
        ecg([(1.0,), (2.0,)], source="h9"),
    ]
    assert first.id == ecg([(1.0,), (2.0,)]).id
    assert len({first.id, *(other.id for other in others)}) == 1 + len(others)
    assert len(first.id) == 32


@pytest.mark.parametrize(
    ("samples", "period_s", "reason"),
    [
        ([], 0.01, "no_samples"),
        ([(1.0, 2.0)], 0.01, "wrong_channels"),
        ([(1.0,), ()], 0.01, "wrong_channels"),
        ([(1.0,), (float("nan"),)], 0.01, "not_a_number"),
        ([(float("-inf"),)], 0.01, "not_a_number"),
        ([(1.0,)], 0.0, "not_a_number"),
        ([(1.0,)], float("nan"), "not_a_number"),
        ([(1.0,)], float("inf"), "not_a_number"),
    ],
)
def test_what_is_no_waveform(samples: list[tuple[float, ...]], period_s: float, reason: str) -> None:
    with pytest.raises(ObservationError) as caught:
        ecg(samples, period_s=period_s)
    assert caught.value.reason == reason


def test_large_samples_whose_sum_overflows_are_still_numbers() -> None:
    assert ecg([(1.7e308,), (1.7e308,)]).samples == ((1.7e308,), (1.7e308,))


def test_a_start_without_zone_is_refused() -> None:
    with pytest.raises(ObservationError) as caught:
        ecg([(1.0,)], start=START.replace(tzinfo=None))
    assert caught.value.reason == "naive_time"


def test_the_json_form_keeps_every_digit() -> None:
    form = waveform_form(ecg([(0.1 + 0.2,), (1e-17,)]))
    again = json.loads(json.dumps(form))
    assert again["samples"] == [[0.1 + 0.2], [1e-17]]
    assert (again["code"], again["unit"], again["start"]) == ("ecg", "uV", "2024-05-11T08:00:00Z")
    assert again["id"] == ecg([(0.1 + 0.2,), (1e-17,)]).id


def test_a_waveform_code_is_never_a_single_observation() -> None:
    assert codes.waveform_by_name("ecg") is codes.ECG
    assert codes.waveform_by_name("heart_rate") is None
    assert codes.by_name("ecg") is None
    assert codes.by_code(codes.ECG.system, codes.ECG.code) is None


class Replay:
    """A source that yields what it was given."""

    name = "replay"

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    async def stream(self) -> AsyncIterator[Item]:
        for item in self._items:
            yield item


RATE = observe(codes.HEART_RATE, 60.0, START, source="h10")


@pytest.mark.parametrize("others", [[RATE], []])
async def test_the_runtime_counts_waveforms_and_stores_none(tmp_path: Path, others: list[Observation]) -> None:
    items: list[Item] = [ecg([(1.0,), (2.0,)]), *others, ecg([(3.0,)])]
    store = Store(tmp_path / "twin.db")
    plan = Plan(time_zone="UTC", program=load_program("neutropenia"), model=None)
    await Runtime(store, plan, [Replay(items)], clock=lambda: START).run()
    counters, stored = store.counters(), store.observations()
    store.close()
    assert (counters["waveforms_ecg"], counters["samples_ecg"]) == (2, 3)
    assert stored == tuple(others)


async def test_waveforms_take_no_place_in_the_queue(tmp_path: Path) -> None:
    class Slow(Store):
        """A store that shows how much waits while it works."""

        most = 0

        def add_observations(self, observations: Iterable[Observation]) -> list[Observation]:
            Slow.most = max(Slow.most, runtime._queue.qsize())
            return super().add_observations(observations)

    store = Slow(tmp_path / "twin.db")
    plan = Plan(time_zone="UTC", program=load_program("neutropenia"), model=None)
    items: list[Item] = [RATE, *[ecg([(1.0,)])] * 5000]
    runtime = Runtime(store, plan, [Replay(items)], clock=lambda: START)
    await runtime.run()
    counters = store.counters()
    store.close()
    assert counters["waveforms_ecg"] == 5000
    assert Slow.most == 0
