"""Stories: a case as what people see of its flags, the same bytes every time."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from edge_twin.case import read_case
from edge_twin.reduced_model import ReducedModel
from edge_twin.story import tell_case
from edge_twin_app.cli import main


def case(*readings: tuple[str, float], now: list[str]) -> bytes:
    form = {
        "schema": "edge-twin.case/1", "title": "a fever", "time_zone": "Europe/Berlin", "program": "neutropenia",
        "now": now, "members": 100,
        "doses": [{"time": "2026-03-02T09:00:00Z", "drug": "docetaxel", "amount_mg": 150, "infusion_minutes": 60}],
        "observations": [
            {"code": "body_temperature", "value": value, "unit": "Cel", "time": time, "source": "thermometer",
             "attributes": {"site": "oral"}} for time, value in readings
        ],
    }  # fmt: skip
    return json.dumps(form).encode()


STORY = case(
    ("2026-03-10T07:00:00Z", 38.1),
    ("2026-03-10T07:40:00Z", 38.2),
    now=["2026-03-10T07:01:00Z", "2026-03-10T07:20:00Z", "2026-03-10T07:41:00Z", "2026-03-11T09:00:00Z"],
)


def acts(steps: list[dict[str, Any]], key: str) -> list[list[str]]:
    return [[event["act"] for event in step["events"] if event["key"] == key] for step in steps]


def test_a_request_becomes_an_alarm_and_ends(model: ReducedModel) -> None:
    told = json.loads(tell_case(read_case(STORY), model))
    assert told["schema"] == "edge-twin.story-result/1"
    steps = told["steps"]
    assert acts(steps, "fever_repeat_reading") == [["raised", "notified"], [], ["resolved"], []]
    assert acts(steps, "fever_under_chemotherapy")[:2] == [[], []]
    assert acts(steps, "fever_under_chemotherapy")[2][:2] == ["raised", "notified"]
    assert acts(steps, "fever_under_chemotherapy")[3] == ["resolved"]
    (raised,) = [event for event in steps[2]["events"] if event["act"] == "raised"]
    assert raised["action"].startswith("Call your team now")
    assert "38.2" in raised["reason"]
    assert {flag["key"] for flag in steps[2]["up"]} >= {"fever_under_chemotherapy"}


def test_the_same_case_gives_the_same_bytes(model: ReducedModel) -> None:
    assert tell_case(read_case(STORY), model) == tell_case(read_case(STORY), model)


def test_a_quiet_day_tells_nothing_of_fever(model: ReducedModel) -> None:
    quiet = case(("2026-03-10T07:00:00Z", 36.8), now=["2026-03-10T07:01:00Z", "2026-03-10T20:00:00Z"])
    steps = json.loads(tell_case(read_case(quiet), model))["steps"]
    assert acts(steps, "fever_under_chemotherapy") == [[], []]


@pytest.mark.parametrize("life", [False, True])
def test_both_replays_come_from_the_command_line(capsysbinary: pytest.CaptureFixture[bytes], *, life: bool) -> None:
    path = str(resources.files("edge_twin_app") / "cases" / "tolerant.json")
    assert main(["replay", path, *(["--life"] if life else [])]) == 0
    schema = json.loads(capsysbinary.readouterr().out)["schema"]
    assert schema.startswith("edge-twin.story-result/" if life else "edge-twin.case-result/")
