"""The flag follows the patient, not the prior (simulated patients; the teacher makes the counts)."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_twin.case import read_case, replay
from edge_twin.reduced_model import ReducedModel

FLAG = "anc_below_0_5_within_7_days"


@pytest.fixture(scope="module")
def make_cases() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_cases", Path(__file__).parent / "make_cases.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def shipped(name: str) -> bytes:
    return (resources.files("edge_twin_app") / "cases" / f"{name}.json").read_bytes()


def flagged(document: bytes | str, model: ReducedModel) -> list[bool]:
    """Whether the forecast flag is up at each step of a case."""
    steps = json.loads(replay(read_case(document), model))["steps"]
    return [FLAG in {flag["kind"] for flag in step["flags"]} for step in steps]


def test_the_shipped_cases_are_what_the_teacher_makes(make_cases: ModuleType) -> None:
    for name in make_cases.DEVIATIONS:
        assert json.loads(shipped(name)) == make_cases.case(name)


def test_hz_count_01_the_flag_stays_in_the_sensitive_and_is_withdrawn_in_the_tolerant(
    make_cases: ModuleType, model: ReducedModel
) -> None:
    days = np.arange(0.0, 21.0, 0.25)
    sensitive, tolerant = (make_cases.true_counts(name, days) for name in ("sensitive", "tolerant"))
    assert sensitive.min() < 0.5 < tolerant.min()
    assert all(flagged(shipped("sensitive"), model))
    history = flagged(shipped("tolerant"), model)
    assert history[0]
    withdrawn = history.index(False)
    assert not any(history[withdrawn:])
    nadir_day = float(days[tolerant.argmin()])
    assert nadir_day - (make_cases.COUNT_DAYS[withdrawn] + 0.5 / 24) >= 3.0


def test_it_does_so_for_most_measurement_errors(make_cases: ModuleType, model: ReducedModel) -> None:
    """The shipped pair is one draw of the measurement error; these are fifty."""

    def last(name: str, seed: int) -> bool:
        case: dict[str, Any] = make_cases.case(name, seed)
        return flagged(json.dumps({**case, "now": case["now"][4:5], "members": 500}), model)[-1]

    stays = np.mean([last("sensitive", seed) for seed in range(50)])
    remains = np.mean([last("tolerant", seed) for seed in range(50)])
    print(
        f"\nforecast flag up on day 4, 50 draws of the measurement error: sensitive {stays:.0%}, tolerant {remains:.0%}"
    )
    assert stays >= 0.85
    assert remains <= 0.30
