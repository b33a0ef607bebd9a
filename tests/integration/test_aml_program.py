"""The second program from the laboratory's message to the centre's record: no step of the way knows a disease."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_twin import codes
from edge_twin.case import Case, read_case, replay
from edge_twin.flag import FlagKind
from edge_twin.observation import Observation, observe
from edge_twin.patient import PatientTwin, restore
from edge_twin.rehearsal import rehearse
from edge_twin.runtime import Item, Plan, Runtime
from edge_twin.store import Store
from edge_twin.twin import advance
from edge_twin_adapters.fhir import count_observation, read_observations
from edge_twin_app.models import load_model
from edge_twin_app.outlet import OutboxOutlet
from edge_twin_app.rehearsing import option_row
from edge_twin_sync.flag_record import FlagStateRecord
from edge_twin_sync.outbox import Outbox, RowId
from edge_twin_sync.records import decode_batch
from edge_twin_sync.state_record import StateRecord

MODEL = load_model("aml", "numpy")


def form(name: str = "aml") -> dict[str, Any]:
    text = (resources.files("edge_twin_app") / "cases" / f"{name}.json").read_text(encoding="utf-8")
    return {**json.loads(text), "members": 100}


def case(**changes: object) -> Case:
    return read_case(json.dumps({**form(), **changes}))


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    return list(json.loads(replay(case(), MODEL))["steps"])


def test_the_case_replays_to_the_same_bytes(steps: list[dict[str, Any]]) -> None:
    last = json.loads(replay(case(now=form()["now"][-1:]), MODEL))["steps"]
    assert last == steps[-1:]


def test_the_forecast_speaks_of_leukocytes_and_says_it_days_ahead(steps: list[dict[str, Any]]) -> None:
    assert all("p_anc_below_0_5" not in step["forecast"] for step in steps)
    kinds = [{flag["kind"] for flag in step["flags"]} for step in steps]
    measured = next(i for i, found in enumerate(kinds) if "wbc_below_1_0_measured" in found)
    raised = next(i for i, found in enumerate(kinds) if "wbc_below_1_0_in_this_cycle" in found)
    assert raised < measured
    chances = [step["forecast"]["p_wbc_below_1_0"] for step in steps]
    assert chances[measured] > 0.5 > chances[-1]
    assert [step["forecast"]["counts_used"] for step in steps] == list(range(1, len(steps) + 1))
    (reason,) = [f["reason"] for f in steps[raised]["flags"] if f["kind"] == "wbc_below_1_0_in_this_cycle"]
    assert reason.startswith("Leukocytes expected below 1 ×10⁹/L in this cycle")


def test_the_window_ends_with_the_cycle_not_days_from_now() -> None:
    """In the third week after the nadir nothing low is left in this cycle, whatever comes after it."""
    given = case().inputs(MODEL)[-1]
    narrow = replace(given.program.thresholds["forecast"]["window_days"], value=8.0)
    tables = {**given.program.thresholds, "forecast": {**given.program.thresholds["forecast"], "window_days": narrow}}
    early = replace(case().inputs(MODEL)[2], program=replace(given.program, thresholds=tables))
    full, cut = advance(case().inputs(MODEL)[2]).forecast, advance(early).forecast
    assert full is not None
    assert cut is not None
    assert cut.p_below < full.p_below  # day 4.5 + 8 lies before the nadir of many members


def neutrophils_of_another_case() -> tuple[Observation, ...]:
    return read_case(json.dumps(form("sensitive"))).template.observations


def test_hz_program_01_neutrophils_move_nothing_in_a_program_of_leukocytes() -> None:
    given = case().inputs(MODEL)[3]
    others = tuple(o for o in neutrophils_of_another_case() if o.time <= given.now)
    assert others
    forecast = advance(given).forecast
    same = advance(replace(given, observations=(*given.observations, *others))).forecast
    assert forecast is not None
    assert same is not None
    np.testing.assert_array_equal(forecast.median, same.median)
    with pytest.raises(AttributeError, match="leukocytes below 1"):
        _ = forecast.p_anc_below_0_5


def test_every_division_is_rehearsed_at_equal_dose_with_its_effect_and_its_limits() -> None:
    given = case().inputs(MODEL)[-1]
    planned = case().next_cycle
    posterior = advance(given).posterior
    assert planned is not None
    assert posterior is not None
    strict = given.program.with_tightened("dose_per_administration_mg_per_m2", 2000.0, "kidney function")
    options = {o.option: o for o in rehearse(MODEL, posterior.log_parameters, given.doses, planned, strict)}
    assert list(options) == [regimen.id for regimen in given.program.regimens]
    assert all(o.amount_mg == pytest.approx(planned.dose.amount_mg) for o in options.values())
    usual, two, spread = (options[name] for name in ("days_1_3_5_twice", "days_1_15_once", "every_4_days_six_times"))
    assert usual.effect_share == pytest.approx(1.0)
    assert (two.effect_share or 1.0) < 0.6
    assert (spread.effect_share or 0.0) > 0.95
    assert two.p_below < spread.p_below < usual.p_below
    assert not two.allowed
    assert "kidney function" in two.limits_broken[0]
    assert (usual.days_to_recovery or 0.0) > 7.0
    row = option_row(usual)
    assert {"p_wbc_below_1_0", "days_below_1_0", "wbc_on_dose_day"} <= set(row)
    assert not any("anc" in name or "0_5" in name for name in row)


def test_the_public_twin_takes_leukocytes_and_explains_them() -> None:
    told = case()
    planned = told.next_cycle
    assert planned is not None
    twin = PatientTwin(MODEL, replace(told.program, members=100)).given(*told.template.doses)
    for reading in told.template.observations:
        twin = twin.counted(reading.value, reading.time)
    now = told.moments[-1]
    assert {reading.code for reading in twin.counts} == {codes.LEUKOCYTES}
    options = twin.rehearse(planned, now)
    assert [option.event.probability_name for option in options] == ["p_wbc_below_1_0"] * len(options)
    with pytest.raises(AttributeError, match="leukocytes below 1"):
        _ = options[0].anc_on_dose_day
    assert any("wbc0" in sentence for sentence in twin.explain(now))
    assert restore(twin.save(now)).names == MODEL.parameter_names


def test_a_low_fever_reason_names_leukocytes() -> None:
    given = case().inputs(MODEL)[4]
    hot = observe(
        codes.BODY_TEMPERATURE, 38.6, given.now - timedelta(minutes=5), source="t", attributes={"site": "oral"}
    )
    flags = advance(replace(given, observations=(*given.observations, hot))).flags
    (fever,) = [flag for flag in flags if flag.kind is FlagKind.FEVER]
    assert "Leukocytes 0.41 ×10⁹/L" in fever.reason
    assert "below 1." in fever.reason


class Laboratory:
    """FHIR messages as they arrive."""

    name = "fhir:lab"

    def __init__(self, counts: Sequence[Observation]) -> None:
        self._messages = [json.dumps(count_observation(codes.LEUKOCYTES, o.value, o.time)) for o in counts]

    async def stream(self) -> AsyncIterator[Item]:
        for message in self._messages:
            for reading in read_observations(message, source=self.name).observations:
                yield reading


async def test_fhir_counts_reach_the_twin_and_its_flag_and_state_leave(tmp_path: Path) -> None:
    told = case()
    moment = told.moments[4]
    counts = [o for o in told.template.observations if o.time <= moment]
    store = Store(tmp_path / "edge-twin.db")
    outbox = _Recording()
    plan = Plan("UTC", told.program, MODEL, told.template.doses, members=100)
    clock = _Fixed(moment)
    await Runtime(store, plan, [Laboratory(counts)], clock=clock, outlet=OutboxOutlet(outbox, store.flags)).run()
    kinds = {life.form["kind"] for life in store.flags.all()}
    store.close()
    assert {FlagKind.LEUKOCYTES_LOW, FlagKind.LEUKOPENIA_FORECAST} <= kinds
    records = [record for body in outbox.bodies for record in decode_batch(body)[1]]
    left = {record.kind for record in records if isinstance(record, FlagStateRecord)}
    assert left == kinds - {FlagKind.LEUKOPENIA_FORECAST}  # a model's flag leaves once a clinician has signed for it
    (state,) = [record for record in records if isinstance(record, StateRecord)][-1:]
    assert state.names == MODEL.parameter_names
    assert state.deviations[3] == pytest.approx(0.0, abs=1e-9)  # gamma is the same for all patients


class _Fixed:
    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def __call__(self) -> datetime:
        self._moment += timedelta(milliseconds=1)
        return self._moment


class _Recording(Outbox):
    """Keeps the bodies; sealing and sending are tested in their own room."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def enqueue(self, stream: object, schema: object, body: bytes, now: datetime) -> RowId:  # type: ignore[override]
        del stream, schema, now
        self.bodies.append(body)
        return 0, 0, len(self.bodies)

    def holds(self, row: RowId) -> bool:
        del row
        return True


def test_the_nadir_of_an_earlier_cycle_is_not_expected_again() -> None:
    """A second cycle of a tenth of the dose: what is expected lies after it, and is higher than the first nadir."""
    told = case()
    assert told.next_cycle is not None
    small = replace(told.next_cycle.dose, amount_mg=told.next_cycle.dose.amount_mg / 60.0)
    given = replace(told.inputs(MODEL)[-1], now=small.time + timedelta(days=1), doses=(*told.template.doses, small))
    forecast = advance(given).forecast
    assert forecast is not None
    assert forecast.nadir_day >= 28.0
    assert forecast.nadir > 2.0 * float(forecast.median.min())
