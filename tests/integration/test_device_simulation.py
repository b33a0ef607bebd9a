"""Virtual sensors from the application: what is printed is what was counted."""

from __future__ import annotations

import argparse
import json

import pytest

from edge_twin_adapters.errors import AdapterError
from edge_twin_app.device_simulation import add_arguments, run, simulate
from edge_twin_app.errors import AppError


def parsed(*words: str, as_json: bool) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.set_defaults(json=as_json)
    return parser.parse_args(words)


def test_json_holds_an_account_for_each_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parsed("oximeter", "room", "--seconds", "30", as_json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["closed"] is True
    assert {row["stream"] for row in told["rows"]} >= {"oxygen_saturation", "ambient_temperature"}
    assert all(row["once"] == row["measured"] > 0 for row in told["rows"])
    assert told["values"] >= 30


def test_the_table_says_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parsed("heart_rate", "--seconds", "30", "--faults", as_json=False)) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split()[:3] == ["sensor", "stream", "measured"]
    assert "faults: 1 disconnect" in printed
    assert printed.endswith("every record arrived once or lies in a gap\n")


@pytest.mark.parametrize(("seconds", "speed"), [(0.0, None), (float("inf"), None), (float("nan"), 1.0), (5.0, -1.0)])
def test_a_length_or_speed_that_cannot_be_is_refused(seconds: float, speed: float | None) -> None:
    with pytest.raises(AppError) as caught:
        simulate(["oximeter"], seconds, speed=speed)
    assert caught.value.reason == "bad_request"


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(AdapterError) as other:
        simulate(["toaster"], 10.0)
    assert other.value.reason == "unknown_sensor"
