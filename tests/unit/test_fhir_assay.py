"""Laboratory and method of a FHIR Observation (hazard HZ-MARKER-04)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_adapters.fhir import anc_observation, read_observations
from edge_twin_adapters.fhir_assay import assay_of

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PLACE = {"reference": "Organization/17"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"performer": [PLACE]}, {"laboratory": "Organization/17"}),
        ({"performer": [{"reference": "Practitioner/1"}, PLACE]}, {"laboratory": "Organization/17"}),
        ({"performer": [{"type": "Organization", "identifier": {"value": "lab-9"}}]}, {"laboratory": "lab-9"}),
        ({"performer": [{"reference": "Practitioner/1", "display": "Dr N. N."}]}, {}),
        ({"method": {"coding": [{"code": "1234"}], "text": "x"}}, {"method": "1234"}),
        ({"method": {"text": "immunoassay"}}, {"method": "immunoassay"}),
        ({}, {}),
    ],
)
def test_organization_and_method(fields: dict[str, object], expected: dict[str, str]) -> None:
    assert assay_of(fields) == expected


@given(performer=JSON_VALUES, method=JSON_VALUES)
def test_any_form_is_read_or_says_nothing(performer: object, method: object) -> None:
    assert all(isinstance(text, str) and text for text in assay_of({"performer": performer, "method": method}).values())


def test_hz_marker_04_an_observation_carries_its_laboratory() -> None:
    resource = {**anc_observation(3.2, datetime(2026, 3, 10, tzinfo=UTC)), "performer": [PLACE]}
    (observation,) = read_observations(json.dumps(resource), source="fhir:lab").observations
    assert observation.attributes["laboratory"] == "Organization/17"
