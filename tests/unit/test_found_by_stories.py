"""Faults that the clinical stories showed (tests/clinical/stories), each held by a test of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_twin import codes
from edge_twin.care import Medicine, MedicineKind
from edge_twin.case import read_case
from edge_twin.contract import Dose, TwinInput
from edge_twin.errors import CaseError
from edge_twin.features import Feature
from edge_twin.flag import FlagKind
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program
from edge_twin.twin import advance
from tests.rule_bench import ADULT, NOW

QUALITY = FlagKind.DATA_QUALITY


def weight(kilograms: float, days_ago: float) -> Observation:
    return observe(codes.BODY_WEIGHT, kilograms, NOW - timedelta(days=days_ago), source="scale")


def reasons(program: Program, *observations: Observation, features: tuple[Feature, ...] = ()) -> dict[str, str]:
    given = TwinInput(NOW, "Europe/Berlin", program, None, observations, features=features)
    return {flag.key: flag.reason for flag in advance(given).flags}


def case(schema: str, **late: str) -> str:
    reading = {"code": "body_temperature", "value": 38.5, "unit": "Cel", "time": "2026-03-10T03:00:00Z",
               "source": "thermometer", "attributes": {"site": "oral"}, **late}  # fmt: skip
    form: dict[str, Any] = {"schema": schema, "time_zone": "Europe/Berlin", "program": "neutropenia",
                            "now": ["2026-03-10T06:00:00Z", "2026-03-10T09:00:00Z", "2026-03-10T12:00:00Z"],
                            "observations": [reading]}  # fmt: skip
    return json.dumps(form)


def known(document: str) -> list[int]:
    return [len(given.observations) for given in read_case(document).inputs(None)]


def test_a_late_observation_is_unknown_until_it_has_arrived() -> None:
    assert known(case("edge-twin.case/2")) == [1, 1, 1]
    assert known(case("edge-twin.case/2", arrived="2026-03-10T09:00:00Z")) == [0, 1, 1]


@pytest.mark.parametrize(
    ("schema", "arrived"), [("edge-twin.case/1", "2026-03-10T09:00:00Z"), ("edge-twin.case/2", "x")]
)
def test_an_arrival_that_is_none_is_refused(schema: str, arrived: str) -> None:
    with pytest.raises(CaseError) as refused:
        read_case(case(schema, arrived=arrived))
    assert refused.value.reason == ("unknown_key" if schema.endswith("1") else "malformed")


def test_silence_counts_from_the_last_reading_and_not_from_the_midnight_after_it(program: Program) -> None:
    reading = observe(codes.BODY_TEMPERATURE, 36.8, NOW - timedelta(hours=24, minutes=1), source="thermometer",
                      attributes={"site": "oral"})  # fmt: skip
    day = Feature(
        "oral_temperature_max_day", 36.8, "Cel", NOW - timedelta(hours=30), NOW - timedelta(hours=6), 1, 1.0, ""
    )
    assert f"{QUALITY}/all" in reasons(program, reading, features=(day,))
    assert f"{QUALITY}/all" not in reasons(program, replace(reading, time=NOW - timedelta(hours=24)))


def test_a_reading_from_the_future_that_was_sent_twice_is_one(program: Program) -> None:
    ahead = observe(codes.BODY_TEMPERATURE, 39.0, NOW + timedelta(days=3), source="thermometer")
    later = replace(ahead, time=NOW + timedelta(days=4))
    assert "in the future: 2," in reasons(program, ahead, later, ahead)[f"{QUALITY}/clock"]


@pytest.mark.parametrize(("usual", "newest"), [(74.0, 33.6), (33.6, 74.0)])
def test_a_change_of_the_scales_unit_is_told_at_once_and_with_both_weights(
    program: Program, usual: float, newest: float
) -> None:
    days = tuple(weight(usual + 0.1 * (day % 3), day) for day in range(8, 0, -1))
    said = reasons(program, *days, weight(newest, 0.01))
    assert [key for key in said if key.startswith(QUALITY)] == [f"{QUALITY}/body_weight_unit"]
    assert f"{newest:g} kg" in said[f"{QUALITY}/body_weight_unit"]
    assert f"after {usual + 0.1:g} kg" in said[f"{QUALITY}/body_weight_unit"]
    assert FlagKind.WEIGHT_LOSS not in said


def test_a_forecast_names_the_newest_count_that_it_rests_on(twin_input_with_counts: TwinInput) -> None:
    (flag,) = [f for f in advance(twin_input_with_counts).flags if f.kind is FlagKind.NEUTROPENIA_FORECAST]
    assert "the newest 0.6 ×10⁹/L at" in flag.reason


def test_a_medicine_of_yesterday_that_can_hide_a_fever_is_named(program: Program) -> None:
    hour = timedelta(hours=1)
    given = Medicine("tocilizumab", MedicineKind.TOCILIZUMAB, NOW - 24 * hour, NOW - 23 * hour)
    care = replace(ADULT, medicines=(given,), cell_therapy=(NOW - 72 * hour,), medicines_complete=True)
    low = observe(codes.SYSTOLIC_PRESSURE, 86.0, NOW, source="cuff")
    output = advance(TwinInput(NOW, "Europe/Berlin", program, None, (low,), care=care))
    (flag,) = [f for f in output.flags if f.kind is FlagKind.CYTOKINE_RELEASE]
    assert "Taken: tocilizumab (tocilizumab, from" in flag.clinician
    assert "none of these is taken" not in flag.clinician


@pytest.mark.parametrize(("hours_ago", "named"), [(1, True), (24, True), (25, False)])
def test_a_tablet_of_the_last_day_is_named_with_the_fever(
    program: Program, docetaxel: Dose, hours_ago: int, *, named: bool
) -> None:
    last = NOW - timedelta(hours=hours_ago)
    care = replace(ADULT, medicines=(Medicine("paracetamol", MedicineKind.ANTIPYRETIC, last, last),))
    warm = observe(codes.BODY_TEMPERATURE, 38.4, NOW, source="thermometer", attributes={"site": "oral"})
    dose = replace(docetaxel, time=NOW - timedelta(days=8))
    output = advance(TwinInput(NOW, "Europe/Berlin", program, None, (warm,), doses=(dose,), care=care))
    (flag,) = [f for f in output.flags if f.kind is FlagKind.FEVER]
    assert ("paracetamol" in flag.reason) is named


@pytest.fixture
def twin_input_with_counts(program: Program, model: Any, docetaxel: Any) -> TwinInput:  # noqa: ANN401 - fixtures
    start = docetaxel.time
    counts = tuple(
        observe(codes.NEUTROPHILS, value, start + timedelta(days=day), source="lab", origin=Origin.LAB)
        for day, value in ((0, 2.9), (3, 2.0), (5, 0.6))
    )
    now = start + timedelta(days=5, hours=1)
    return TwinInput(now, "Europe/Berlin", program, model, counts, doses=(docetaxel,), members=100)
