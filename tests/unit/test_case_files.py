"""Case files: canonical, refused with a reason when they are not right, never a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.case import SCHEMA, read_case, replay
from edge_twin.errors import CaseError, EdgeTwinError
from edge_twin.reduced_model import ReducedModel


@pytest.fixture
def form() -> dict[str, Any]:
    text = (resources.files("edge_twin_app") / "cases" / "sensitive.json").read_text(encoding="utf-8")
    return dict(json.loads(text), members=100)


def refused(form: dict[str, Any]) -> str:
    with pytest.raises(CaseError) as caught:
        read_case(json.dumps(form))
    return caught.value.reason


def test_the_same_case_gives_the_same_bytes_and_they_are_canonical(form: dict[str, Any], model: ReducedModel) -> None:
    result = replay(read_case(json.dumps(form)), model)
    shuffled = dict(reversed(list(form.items())), observations=list(reversed(form["observations"])))
    assert replay(read_case(json.dumps(shuffled)), model) == result
    document = json.loads(result)
    assert result == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert [step["now"] for step in document["steps"]] == sorted(form["now"])


def test_at_each_moment_only_what_was_known_by_then_counts(form: dict[str, Any], model: ReducedModel) -> None:
    steps = json.loads(replay(read_case(json.dumps(form)), model))["steps"]
    assert [step["forecast"]["counts_used"] for step in steps] == [1, 2, 3, 4, 5, 6]


def test_a_count_below_a_limit_is_not_the_same_case_as_the_limit(form: dict[str, Any], model: ReducedModel) -> None:
    last = form["observations"][-1]
    assert last["code"] == "absolute_neutrophil_count"
    results = []
    for attributes in ({}, {"comparator": "<"}):
        last["value"], last["attributes"] = 0.3, attributes
        results.append(json.loads(replay(read_case(json.dumps(form)), model))["steps"][-1])
    exact, limit = results
    assert exact["forecast"]["counts_used"] == limit["forecast"]["counts_used"]
    assert exact["forecast"]["median"] != limit["forecast"]["median"]


NIGHT = {
    "name": "resting_heart_rate_night", "value": 58, "unit": "/min", "start": "2026-03-02T00:00:00Z",
    "end": "2026-03-02T07:00:00Z", "count": 60, "valid_share": 0.9,
}  # fmt: skip


def test_features_distilled_before_are_known_from_their_end_on(form: dict[str, Any]) -> None:
    case = read_case(json.dumps({**form, "schema": SCHEMA, "features": [NIGHT]}))
    moments = (datetime(2026, 3, 2, 6, tzinfo=UTC), datetime(2026, 3, 2, 7, tzinfo=UTC))
    before, after = replace(case, moments=moments).inputs(None)
    assert before.features == ()
    assert [feature.value for feature in after.features] == [58.0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": "x"}, "malformed"),
        ({"value": float("inf")}, "malformed"),
        ({"valid_share": 1.5}, "malformed"),
        ({"end": "2026-03-01T00:00:00Z"}, "malformed"),
        ({"end": "2026-03-02T07:00:00"}, "naive_time"),
        ({"count": -1}, "malformed"),
        ({"colour": "red"}, "unknown_key"),
    ],
)
def test_a_feature_that_is_none_is_refused(form: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    assert refused({**form, "schema": SCHEMA, "features": [{**NIGHT, **change}]}) == reason


def test_hz_input_02_a_wrong_unit_is_refused(form: dict[str, Any]) -> None:
    form["observations"][0]["unit"] = "/uL"
    assert refused(form) == "wrong_unit"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "edge-twin.case/99"}, "schema_unsupported"),
        ({"obsevations": []}, "unknown_key"),
        ({"now": []}, "malformed"),
        ({"now": ["2026-03-02T09:00:00"]}, "naive_time"),
        ({"time_zone": "Mars/Olympus"}, "malformed"),
    ],
)  # fmt: skip
def test_a_case_that_is_not_right_is_refused_with_its_reason(
    form: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    assert refused({**form, **change}) == reason


@pytest.mark.parametrize("amount", [-1, 0, float("nan"), float("inf"), "much"])
def test_a_dose_that_is_not_one_is_refused(form: dict[str, Any], amount: object) -> None:
    form["doses"][0]["amount_mg"] = amount
    assert refused(form) == "malformed"


@pytest.mark.parametrize(("key", "value"), [("body_surface_m2", 18), ("amount_mg", -5)])
def test_a_next_cycle_that_is_not_one_is_refused(form: dict[str, Any], key: str, value: float) -> None:
    form["next_cycle"][key] = value
    assert refused(form) == "malformed"


@pytest.mark.parametrize("members", [1, 10**9, 99.5, "100", True])
def test_an_ensemble_has_a_size(form: dict[str, Any], members: object) -> None:
    assert refused({**form, "members": members}) == "malformed"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("value", float("nan"), "not_a_number"),
        ("value", "much", "malformed"),
        ("code", "hair_colour", "unknown_code"),
        ("origin", "rumour", "malformed"),
        ("time", "yesterday", "malformed"),
        ("colour", "red", "unknown_key"),
    ],
)
def test_an_observation_that_is_not_right_is_refused(form: dict[str, Any], key: str, value: Any, reason: str) -> None:  # noqa: ANN401
    form["observations"][0][key] = value
    assert refused(form) == reason


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_input_only_ever_raises_a_case_error(document: bytes | str) -> None:
    with pytest.raises(CaseError):
        read_case(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@given(
    key=st.sampled_from(["now", "time_zone", "program", "seed", "members", "observations", "doses", "coverage"]),
    value=JSON,
)
def test_any_json_in_any_place_only_ever_raises_a_typed_error(key: str, value: object) -> None:
    text = (resources.files("edge_twin_app") / "cases" / "tolerant.json").read_text(encoding="utf-8")
    try:
        read_case(json.dumps({**json.loads(text), key: value}))
    except EdgeTwinError:
        return
    except Exception as error:  # noqa: BLE001 - the point of the test
        pytest.fail(f"{type(error).__name__}: {error}")
