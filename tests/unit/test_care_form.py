"""What the clinic knows, from a case file or settings: read whole or refused with a reason."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.care import CareContext, LaboratoryRange, MedicineKind
from edge_twin.care_form import read_care
from edge_twin.case import read_case
from edge_twin.errors import CareError, CaseError
from edge_twin.flag import CtcaeVersion

FULL: dict[str, Any] = {
    "ctcae_version": "6.0",
    "medicines": [{"name": "dexamethasone", "kind": "steroid", "start": "2026-03-01T08:00:00Z"}],
    "medicines_complete": True,
    "cell_therapy": ["2026-03-01T10:00:00+01:00"],
    "saturation_target_88_92": True,
    "laboratory_ranges": [{"code": "creatinine", "low": 0.6, "high": 1.1}],
    "age_years": 61,
    "pregnant": False,
    "diabetes": True,
    "usual_stools_per_day": 1.5,
    "symptoms_before": {"diary_pain": 2},
    "markers_since": "2026-01-05T08:00:00+01:00",
    "values_before": {"creatinine": 0.9},
    "male": True,
    "opioid_naive": False,
    "sleep_disordered_breathing": False,
    "heart_failure": True,
}


def test_everything_is_read() -> None:
    care = read_care(FULL)
    assert care.ctcae_version is CtcaeVersion.V6
    assert (care.medicines[0].kind, care.medicines[0].end) == (MedicineKind.STEROID, None)
    assert care.cell_therapy[0].isoformat() == "2026-03-01T09:00:00+00:00"
    assert care.laboratory_ranges == (LaboratoryRange("creatinine", 0.6, 1.1),)
    assert (care.value_before("creatinine"), care.value_before("platelets")) == (0.9, None)
    assert set(FULL) == set(CareContext.__dataclass_fields__)


def test_nothing_stated_is_nothing_known() -> None:
    assert read_care({}) == CareContext()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ctcae": "5.0"}, "unknown_key"),
        ({"ctcae_version": "4.0"}, "malformed"),
        ({"pregnant": "no"}, "malformed"),
        ({"pregnant": 0}, "malformed"),
        ({"age_years": True}, "malformed"),
        ({"age_years": -1}, "malformed"),
        ({"age_years": float("nan")}, "malformed"),
        ({"cell_therapy": "2026-03-01T10:00:00Z"}, "malformed"),
        ({"cell_therapy": ["2026-03-01T10:00:00"]}, "malformed"),
        ({"medicines": [{"name": "x", "kind": "steroid"}]}, "malformed"),
        ({"medicines": [{"name": "", "kind": "steroid", "start": "2026-03-01T08:00:00Z"}]}, "malformed"),
        ({"medicines": [{"name": "x", "kind": "magic", "start": "2026-03-01T08:00:00Z"}]}, "malformed"),
        ({"medicines": [{"name": "x", "kind": "other", "start": "2026-03-01T08:00:00Z", "dose": 1}]}, "unknown_key"),
        (
            {"medicines": [{"name": "x", "kind": "other", "start": "2026-03-02T08:00Z", "end": "2026-03-01T08:00Z"}]},
            "malformed",
        ),
        ({"laboratory_ranges": [{"code": "creatinin", "low": 1}]}, "unknown_code"),
        ({"laboratory_ranges": [{"code": "creatinine", "low": 2, "high": 1}]}, "malformed"),
        ({"values_before": {"nothing": 1}}, "unknown_code"),
        ({"values_before": [1]}, "malformed"),
    ],
)
def test_what_cannot_be_read_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(CareError) as caught:
        read_care({**FULL, **changed})
    assert caught.value.reason == reason


TEXTS = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(FULL)) | TEXTS, JSON, max_size=4))
def test_any_form_is_read_or_refused(form: dict[str, Any]) -> None:
    with suppress(CareError):
        assert isinstance(read_care(form), CareContext)


CASE = """{"schema": "edge-twin.case/2", "time_zone": "UTC", "program": "neutropenia", "now": ["2026-03-10T12:00:00Z"],
 "care": %s}"""


def test_a_case_file_carries_it() -> None:
    assert read_case(CASE % '{"ctcae_version": "6.0"}').template.care.ctcae_version is CtcaeVersion.V6


def test_the_first_version_of_a_case_knows_no_care_and_stays_readable() -> None:
    old = (CASE % "{}").replace("case/2", "case/1")
    with pytest.raises(CaseError) as caught:
        read_case(old)
    assert caught.value.reason == "unknown_key"
    assert read_case(old.replace(',\n "care": {}', "")).template.care == CareContext()


@pytest.mark.parametrize(
    ("care", "reason"), [('{"typo": 1}', "unknown_key"), ("3", "malformed"), ("null", "malformed")]
)
def test_a_case_file_with_care_that_is_none_is_refused(care: str, reason: str) -> None:
    with pytest.raises((CaseError, CareError)) as caught:
        read_case(CASE % care)
    assert caught.value.reason == reason
