"""Laboratory values and vital signs from FHIR: each code becomes what it says, and units are converted exactly."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin.observation import Observation, Origin, Quality
from edge_twin_adapters.fhir import UCUM, read_observations
from edge_twin_adapters.fhir_kinds import KINDS

TIME = datetime(2020, 5, 11, 6, 30, tzinfo=UTC)


def resource(loinc: str, value: str, unit: str, **extra: str) -> str:
    """A result whose number is written in exactly these digits."""
    form: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "effectiveDateTime": TIME.isoformat(),
        "valueQuantity": {"value": "@", "system": UCUM, "code": unit, **extra},
    }
    return json.dumps(form).replace('"@"', value)


def single(loinc: str, value: str, unit: str, **extra: str) -> Observation:
    intake = read_observations(resource(loinc, value, unit, **extra), source="fhir:lab")
    assert intake.refused == ()
    return intake.observations[0]


@pytest.mark.parametrize(
    ("loinc", "written", "unit", "code", "value"),
    [
        ("777-3", "49000", "/uL", codes.PLATELETS, 49.0),
        ("26515-7", "49", "10*3/uL", codes.PLATELETS, 49.0),
        ("731-0", "0.4", "10*9/L", codes.LYMPHOCYTES, 0.4),
        ("742-7", "199", "/mm3", codes.MONOCYTES, 0.199),
        ("718-7", "79", "g/L", codes.HAEMOGLOBIN, 7.9),
        ("2160-0", "1.3", "mg/dL", codes.CREATININE, 1.3),
        ("14682-9", "0.115", "mmol/L", codes.CREATININE_MOLAR, 115.0),
        ("1988-5", "12.3", "mg/dL", codes.C_REACTIVE_PROTEIN, 123.0),
        ("33959-8", "0.51", "ug/L", codes.PROCALCITONIN, 0.51),
        ("2524-7", "2.1", "meq/L", codes.LACTATE, 2.1),
        ("1742-6", "1.5", "ukat/L", codes.ALANINE_AMINOTRANSFERASE, 90.0),
        ("2532-0", "240", "U/L", codes.LACTATE_DEHYDROGENASE, 240.0),
        ("10334-1", "35.1", "U/mL", codes.CANCER_ANTIGEN_125, 35.1),
        ("2857-1", "2.01", "ng/mL", codes.PROSTATE_SPECIFIC_ANTIGEN, 2.01),
        ("1751-7", "38", "g/L", codes.ALBUMIN, 3.8),
    ],
)
def test_a_laboratory_value(loinc: str, written: str, unit: str, code: Code, value: float) -> None:
    observation = single(loinc, written, unit)
    assert (observation.code, observation.value, observation.origin) == (code, value, Origin.LAB)
    assert (observation.quality, observation.attributes["loinc"]) == (Quality.GOOD, loinc)


@pytest.mark.parametrize(
    ("loinc", "written", "unit", "code", "value"),
    [
        ("29463-7", "154", "[lb_av]", codes.BODY_WEIGHT, 69.85322498),
        ("8302-2", "70", "[in_i]", codes.BODY_HEIGHT, 1.778),
        ("9279-1", "25", "{breaths}/min", codes.RESPIRATORY_RATE, 25.0),
        ("76634-5", "0.501", "s", codes.QTC_INTERVAL_FRIDERICIA, 501.0),
        ("8480-6", "91", "mm[Hg]", codes.SYSTOLIC_PRESSURE, 91.0),
    ],
)
def test_a_clinical_value(loinc: str, written: str, unit: str, code: Code, value: float) -> None:
    observation = single(loinc, written, unit)
    assert (observation.code, observation.value, observation.origin) == (code, value, Origin.CLINICIAN)


@pytest.mark.parametrize(
    ("loinc", "unit"),
    [("2160-0", "umol/L"), ("14682-9", "mg/dL"), ("718-7", "mmol/L"), ("2345-7", "mmol/L"), ("1975-2", "umol/L")],
)
def test_mass_and_substance_concentration_are_never_converted(loinc: str, unit: str) -> None:
    (refusal,) = read_observations(resource(loinc, "5", unit), source="fhir:lab").refused
    assert refusal.reason == "wrong_unit"


def test_a_limit_of_a_laboratory_keeps_its_sign_and_a_vital_sign_has_none() -> None:
    assert single("33959-8", "0.05", "ng/mL", comparator="<").limit_sign == "<"
    (refusal,) = read_observations(resource("9279-1", "8", "/min", comparator="<"), source="fhir:ward").refused
    assert refusal.reason == "comparator"


def test_the_pulse_rhythm_code_is_no_qtc() -> None:
    (refusal,) = read_observations(resource("44974-4", "480", "ms"), source="fhir:ecg").refused
    assert refusal.reason == "unknown_code"


@given(
    kind=st.sampled_from([(loinc, unit) for loinc, kind in KINDS.items() for unit in kind.factors]),
    value=st.decimals(0, 10**6, places=4),
)
def test_every_accepted_unit_gives_the_decimal_product(kind: tuple[str, str], value: Decimal) -> None:
    loinc, unit = kind
    observation = single(loinc, str(value), unit)
    factor = KINDS[loinc].factors[unit]
    if factor is not None:
        assert observation.value == float(value * factor)
    assert observation.code.unit == KINDS[loinc].code.unit
