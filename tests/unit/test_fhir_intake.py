"""FHIR Observations: what is read, what is refused and why, and that one bad entry spoils nothing else."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.codes import BODY_TEMPERATURE, LEUKOCYTES, NEUTROPHILS, STEPS
from edge_twin.errors import ObservationError
from edge_twin.observation import Observation, Origin, Quality, Site
from edge_twin_adapters.errors import FhirError
from edge_twin_adapters.fhir import (
    UCUM,
    Intake,
    anc_observation,
    count_observation,
    read_observations,
    steps_observation,
)

TIME = datetime(2020, 5, 11, 6, 30, tzinfo=UTC)
ORAL = {"coding": [{"system": "http://loinc.org", "code": "8331-1"}]}


def anc(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A good result with fields replaced, or removed where the new value is None."""
    resource = {**anc_observation(1.25, TIME), **changes}
    return {name: value for name, value in resource.items() if value is not None}


def quantity(value: object, unit: str | None = "10*9/L", **extra: object) -> dict[str, object]:
    return {"value": value, "system": UCUM, "code": unit, **extra}


def intake(document: dict[str, Any] | str | bytes) -> Intake:
    return read_observations(json.dumps(document) if isinstance(document, dict) else document, source="fhir:lab")


def single(document: dict[str, Any] | str | bytes) -> Observation:
    result = intake(document)
    assert result.refused == ()
    (observation,) = result.observations
    return observation


def reason(document: dict[str, Any] | str | bytes) -> str:
    result = intake(document)
    assert result.observations == ()
    (refusal,) = result.refused
    return refusal.reason


def test_a_count_as_the_virtual_laboratory_writes_it() -> None:
    observation = single(anc_observation(1.25, TIME, record="r1"))
    assert (observation.code, observation.value, observation.time) == (NEUTROPHILS, 1.25, TIME)
    assert (observation.origin, observation.quality, observation.source) == (Origin.LAB, Quality.GOOD, "fhir:lab")
    assert dict(observation.attributes) == {"loinc": "751-8", "status": "final", "record": "r1"}


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("0.7", "10*9/L", 0.7),
        ("0.7", "10*3/uL", 0.7),
        ("700", "/uL", 0.7),
        ("700", "{cells}/uL", 0.7),
        ("700", "/mm3", 0.7),
        ("700", "10*6/L", 0.7),
        ("1100.0", "/uL", 1.1),
        ("3", "/uL", 0.003),
    ],
)
def test_units_are_converted_in_decimal(value: str, unit: str, expected: float) -> None:
    text = json.dumps(anc(valueQuantity=quantity("@", unit))).replace('"@"', value)
    assert single(text).value == expected


@pytest.mark.parametrize("comparator", ["<", "<="])
def test_a_count_below_what_the_laboratory_resolves_is_read_as_a_limit(comparator: str) -> None:
    limit, exact = single(anc(valueQuantity=quantity(100, "/uL", comparator=comparator))), single(anc())
    assert (limit.value, limit.attributes["comparator"], limit.limit_sign) == (0.1, comparator, comparator)
    assert "comparator" not in exact.attributes
    written = single(anc(valueQuantity=quantity(100, "/uL")))
    assert written.id != limit.id, "0.1 and <0.1 are two results"


@pytest.mark.parametrize("loinc", ["751-8", "26499-4", "753-4"])
def test_codes_of_the_neutrophil_count(loinc: str) -> None:
    local = {"system": "urn:oid:1.2.3", "code": "NEUT"}
    observation = single(anc(code={"coding": [local, {"system": "http://loinc.org", "code": loinc}]}))
    assert observation.code is NEUTROPHILS
    assert observation.attributes["loinc"] == loinc


@pytest.mark.parametrize("loinc", ["6690-2", "26464-8", "804-5"])
def test_codes_of_the_leukocyte_count(loinc: str) -> None:
    observation = single(anc(code={"coding": [{"system": "http://loinc.org", "code": loinc}]}))
    assert (observation.code, observation.value, observation.origin) == (LEUKOCYTES, 1.25, Origin.LAB)
    both = {"coding": [{"system": "http://loinc.org", "code": code} for code in (loinc, "751-8")]}
    assert reason(anc(code=both)) == "ambiguous_code"


def test_a_leukocyte_count_as_the_virtual_laboratory_writes_it() -> None:
    observation = single(count_observation(LEUKOCYTES, 900.0, TIME, unit="/uL", record="r2"))
    assert (observation.code, observation.value) == (LEUKOCYTES, 0.9)
    assert dict(observation.attributes) == {"loinc": "6690-2", "status": "final", "record": "r2"}


@pytest.mark.parametrize(
    ("loinc", "value", "unit", "celsius", "site"),
    [
        ("8310-5", 38.2, "Cel", 38.2, Site.UNKNOWN),
        ("8331-1", 38.2, "Cel", 38.2, Site.ORAL),
        ("8331-1", 100.4, "[degF]", 38.0, Site.ORAL),
    ],
)
def test_body_temperature(loinc: str, value: float, unit: str, celsius: float, site: Site) -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": loinc}]}
    observation = single(anc(code=code, valueQuantity=quantity(value, unit)))
    assert (observation.code, observation.value, observation.site) == (BODY_TEMPERATURE, celsius, site)


def test_steps_as_a_phone_exports_them() -> None:
    observation = single(steps_observation(4321, TIME, record="s1"))
    assert (observation.code, observation.value, observation.origin) == (STEPS, 4321.0, Origin.DEVICE)
    assert (observation.time, observation.attributes["record"]) == (TIME, "s1")
    assert reason({**steps_observation(4321, TIME), "valueQuantity": quantity(4321, "/min")}) == "wrong_unit"


def test_cells_with_the_wrong_unit_are_kept_as_implausible() -> None:
    observation = single(anc(valueQuantity=quantity(5300)))
    assert (observation.value, observation.quality) == (5300.0, Quality.IMPLAUSIBLE)
    assert single(anc(valueQuantity=quantity(-1))).quality is Quality.IMPLAUSIBLE


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_results_that_stand(status: str) -> None:
    assert single(anc(status=status)).attributes["status"] == status


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "preliminary"}, "not_final"),
        ({"status": "registered"}, "not_final"),
        ({"status": "cancelled"}, "not_final"),
        ({"status": None}, "not_final"),
        ({"status": ["final"]}, "not_final"),
        ({"status": "entered-in-error"}, "entered_in_error"),
        ({"code": None}, "unknown_code"),
        ({"code": {"text": "ANC"}}, "unknown_code"),
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "4544-3"}]}}, "unknown_code"),
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}}, "wrong_unit"),
        ({"code": {"coding": [{"system": "http://snomed.info/sct", "code": "751-8"}]}}, "unknown_code"),
        ({"code": {"coding": [{"system": "http://loinc.org", "code": ["751-8"]}]}}, "unknown_code"),
        ({"code": {"coding": "751-8"}}, "malformed"),
        ({"code": "751-8"}, "malformed"),
        (
            {"code": {"coding": [{"system": "http://loinc.org", "code": code} for code in ("751-8", "8310-5")]}},
            "ambiguous_code",
        ),
        ({"valueQuantity": None}, "missing_value"),
        ({"valueQuantity": None, "valueString": "1.2"}, "missing_value"),
        ({"valueQuantity": quantity(None)}, "missing_value"),
        ({"valueQuantity": 1.2}, "malformed"),
        ({"valueQuantity": quantity("1.2")}, "not_a_number"),
        ({"valueQuantity": quantity(value=True)}, "not_a_number"),
        ({"valueQuantity": quantity(math.nan)}, "not_a_number"),
        ({"valueQuantity": quantity(math.inf)}, "not_a_number"),
        ({"valueQuantity": quantity(0.1, comparator=">")}, "comparator"),
        ({"valueQuantity": quantity(0.1, comparator=">=")}, "comparator"),
        ({"valueQuantity": quantity(0.1, comparator="ad")}, "comparator"),
        ({"valueQuantity": quantity(0.1, comparator=["<"])}, "comparator"),
        ({"code": ORAL, "valueQuantity": quantity(36.0, "Cel", comparator="<")}, "comparator"),
        ({"valueQuantity": quantity(1.2, "mg/dL")}, "wrong_unit"),
        ({"valueQuantity": quantity(1.2, "Cel")}, "wrong_unit"),
        ({"valueQuantity": {"value": 1.2, "system": UCUM, "unit": "10*9/L"}}, "wrong_unit"),
        ({"valueQuantity": {"value": 1.2}}, "wrong_unit"),
        ({"valueQuantity": {"value": 1.2, "code": "10*9/L"}}, "wrong_unit"),
        ({"valueQuantity": quantity(1.2, system="http://example.org")}, "wrong_unit"),
        ({"effectiveDateTime": None}, "missing_time"),
        ({"effectiveDateTime": 5}, "invalid_time"),
        ({"effectiveDateTime": "2020-05-11"}, "naive_time"),
        ({"effectiveDateTime": "2020"}, "naive_time"),
        ({"effectiveDateTime": "2020-05-11T06:30:00"}, "naive_time"),
        ({"effectiveDateTime": "2020-05-11T06:30:60Z"}, "invalid_time"),
        ({"effectiveDateTime": "2020-13-11T06:30:00Z"}, "invalid_time"),
        ({"effectiveDateTime": "0001-01-01T00:00:00+14:00"}, "invalid_time"),
        ({"effectiveDateTime": "today T"}, "invalid_time"),
        ({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}, "other_resource"),
        ({"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1"}]}, "malformed"),
        ({"resourceType": "Bundle", "entry": ["no object"]}, "malformed"),
    ],
)
def test_refusals_name_their_reason(changes: dict[str, Any], expected: str) -> None:
    assert reason(anc(**changes)) == expected


@pytest.mark.parametrize("number", ["1e400", "1e99999999999999999999", "-1e400"])
def test_numbers_beyond_a_float_are_refused(number: str) -> None:
    text = json.dumps(anc(valueQuantity=quantity("@"))).replace('"@"', number)
    assert reason(text) == "not_a_number"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("effectiveDateTime", "2020-05-11T08:30:00+02:00"),
        ("effectiveInstant", "2020-05-11T06:30:00.000Z"),
        ("effectiveDateTime", "2020-05-11T06:30Z"),
    ],
)
def test_times_with_an_offset(name: str, text: str) -> None:
    resource = anc(effectiveDateTime=None)
    resource[name] = text
    assert single(resource).time == TIME


def test_one_bad_entry_spoils_nothing_else() -> None:
    entries = [anc(), anc(valueQuantity=quantity(5.3, "mg/dL")), {"resourceType": "Patient"}, anc(status="amended")]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": entry} for entry in entries]}
    result = intake(bundle)
    assert [item.attributes["status"] for item in result.observations] == ["final", "amended"]
    assert [(item.reason, item.path) for item in result.refused] == [
        ("wrong_unit", "Bundle.entry[1].resource.valueQuantity.code"),
        ("other_resource", "Bundle.entry[2].resource"),
    ]
    assert "mg/dL" in result.refused[0].detail


def test_an_empty_bundle_gives_nothing() -> None:
    assert intake({"resourceType": "Bundle", "type": "collection"}) == Intake((), ())


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"", "not_json"),
        (b"\xff\xfe{", "not_json"),
        ("{", "not_json"),
        ("[" * 200_000, "not_json"),
        ("[]", "not_fhir"),
        ("5", "not_fhir"),
        ("{}", "not_fhir"),
        ('{"resourceType": "Patient"}', "not_fhir"),
        ('{"resourceType": ["Bundle"]}', "not_fhir"),
        ('{"resourceType": "Bundle", "entry": {}}', "not_fhir"),
    ],
)
def test_what_is_no_fhir_at_all(document: str | bytes, expected: str) -> None:
    with pytest.raises(FhirError) as caught:
        intake(document)
    assert caught.value.reason == expected


def test_bytes_text_and_parsed_documents_are_read_alike() -> None:
    resource = anc(valueQuantity=quantity(1234.5, "/uL"))
    parsed = read_observations(resource, source="fhir:lab")
    assert parsed == intake(resource) == intake(json.dumps(resource).encode())
    assert parsed.observations[0].value == 1.2345


def test_reading_twice_gives_the_same_identity() -> None:
    assert single(anc()).id == single(anc()).id


def test_the_builder_refuses_what_cannot_be_an_observation() -> None:
    for value, time, expected in [(math.nan, TIME, "not_a_number"), (1.0, TIME.replace(tzinfo=None), "naive_time")]:
        with pytest.raises(ObservationError) as caught:
            anc_observation(value, time)
        assert caught.value.reason == expected


@given(
    st.floats(0, 50, allow_subnormal=False),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is added below
    st.integers(-14 * 60, 14 * 60),
)
def test_builder_and_reader_round_trip(value: float, naive: datetime, minutes: int) -> None:
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    observation = single(anc_observation(value, time))
    assert (observation.value, observation.time) == (value, time)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    ("status",),
    ("code",),
    ("code", "coding"),
    ("valueQuantity",),
    ("valueQuantity", "value"),
    ("valueQuantity", "code"),
    ("valueQuantity", "system"),
    ("valueQuantity", "comparator"),
    ("effectiveDateTime",),
    ("id",),
    ("resourceType",),
]


@given(st.sampled_from(PATHS), JSON)
def test_any_json_in_any_field_spoils_only_its_own_entry(path: tuple[str, ...], junk: object) -> None:
    broken = copy.deepcopy(anc())
    target: dict[str, Any] = broken
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = junk
    bundle = {"resourceType": "Bundle", "entry": [{"resource": broken}, {"resource": anc()}]}
    result = intake(bundle)
    assert len(result.observations) + len(result.refused) == 2
    assert result.observations[-1] == single(anc())


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_document_is_read_or_refused(document: bytes) -> None:
    outcome: object
    try:
        outcome = intake(document)
    except FhirError as error:
        outcome = error.reason
    assert isinstance(outcome, Intake) or outcome in {"not_json", "not_fhir"}
