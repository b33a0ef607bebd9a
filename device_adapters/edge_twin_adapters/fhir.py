"""FHIR R4 Observations (laboratory values, vital signs, steps): read one by one, and written for virtual senders.

HL7 FHIR R4 (4.0.1), resources Observation and Bundle. One bad entry never spoils the others; each entry
that is not used is listed with a reason and its path. Units are never guessed: a value without a UCUM
code is refused, because the same 5.3 or 5300 can be harmless or an emergency.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, NoReturn

from edge_twin.codes import LEUKOCYTES, NEUTROPHILS, STEPS, Code, CodeSystem
from edge_twin.errors import ObservationError
from edge_twin.observation import UPPER_LIMIT_SIGNS, Observation, Origin, as_utc, observe
from edge_twin_adapters.ble.units import fahrenheit_to_celsius
from edge_twin_adapters.errors import AdapterError, FhirError
from edge_twin_adapters.fhir_assay import assay_of
from edge_twin_adapters.fhir_kinds import KINDS, Kind

UCUM = "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

# Observation.status of a result that stands (FHIR R4, ObservationStatus).
_VALID_STATUS = frozenset({"final", "amended", "corrected"})

# FHIR R4 dateTime and instant, but with the time and the offset that a moment needs.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)

_ARITHMETIC = Context(prec=34, traps=[])


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that was not used.

    Attributes:
        reason: short, stable, snake_case.
        path: where in the document, as FHIRPath: ``Bundle.entry[2].resource.valueQuantity``.
        detail: one sentence for a person.
    """

    reason: str
    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What a document gave: observations, and for each entry that gave none a refusal."""

    observations: tuple[Observation, ...]
    refused: tuple[Refusal, ...]


class _RefusedError(AdapterError):
    """Carries a refusal out of the reading of one entry."""

    def __init__(self, reason: str, path: str, detail: str) -> None:
        super().__init__(detail, reason=reason)
        self.refusal = Refusal(reason, path, detail)


def read_observations(document: bytes | str | Mapping[str, Any], *, source: str) -> Intake:
    """Read an Observation, or all Observations of a Bundle.

    Args:
        document: FHIR JSON, or the same already parsed.
        source: name of the sending system for provenance, without patient data.

    Returns:
        The observations in document order, values exactly as written and converted in decimal
        arithmetic; ``attributes`` hold ``loinc``, ``status``, the resource's ``record`` id where there
        is one (an amended result repeats it), where stated ``laboratory`` and ``method``, ``site``, and the
        ``comparator`` "<" or "<=" of a laboratory value, which then is a limit. Refusal reasons: ``other_resource``,
        ``unknown_code``, ``ambiguous_code``, ``not_final``, ``entered_in_error``, ``missing_value``,
        ``not_a_number``, ``comparator``, ``wrong_unit``, ``missing_time``, ``naive_time``,
        ``invalid_time``, ``malformed``.

    Raises:
        FhirError: ``not_json``, or ``not_fhir`` for JSON that is neither an Observation nor a Bundle.
    """
    observations: list[Observation] = []
    refused: list[Refusal] = []
    for path, resource in _resources(_parse(document)):
        try:
            observations.append(_read_observation(resource, path, source))
        except _RefusedError as error:
            refused.append(error.refusal)
    return Intake(tuple(observations), tuple(refused))


def _parse(document: bytes | str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(document, bytes | str):
        try:
            parsed = json.loads(document, parse_float=_number, parse_int=_number, parse_constant=_number)
        except (ValueError, RecursionError) as error:
            raise FhirError("the document is not JSON", reason="not_json") from error
    else:
        parsed = document
    if not isinstance(parsed, Mapping) or parsed.get("resourceType") not in ("Observation", "Bundle"):
        raise FhirError("the document is neither an Observation nor a Bundle", reason="not_fhir")
    return parsed


def _number(text: str) -> Decimal:
    """The decimal of a JSON number; NaN where its exponent is beyond what a decimal can hold."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _resources(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Path and content of each resource, in document order."""
    if document["resourceType"] == "Observation":
        yield "Observation", document
        return
    entries = document.get("entry", [])
    if not isinstance(entries, list):
        raise FhirError("Bundle.entry is not a list", reason="not_fhir")
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        yield f"Bundle.entry[{index}].resource", resource


def _read_observation(resource: object, path: str, source: str) -> Observation:
    fields = _as_object(resource, path)
    if fields.get("resourceType") != "Observation":
        raise _RefusedError("other_resource", path, f"a {fields.get('resourceType')} is not an Observation")
    loinc, kind = _read_code(fields, path)
    status = _read_status(fields, path)
    value = _read_value(fields, f"{path}.valueQuantity", kind)
    time = _read_time(fields, path)
    attributes = {"loinc": loinc, "status": status, **_read_limit(fields["valueQuantity"], path, kind)}
    if isinstance(record := fields.get("id"), str):
        attributes["record"] = record
    if kind.site is not None:
        attributes["site"] = kind.site.value
    attributes |= assay_of(fields)
    try:
        return observe(kind.code, float(value), time, source=source, origin=kind.origin, attributes=attributes)
    except ObservationError as error:
        raise _RefusedError(error.reason, f"{path}.valueQuantity.value", str(error)) from error


def _as_object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _RefusedError("malformed", path, "a JSON object is expected here")
    return value


def _read_code(fields: Mapping[str, Any], path: str) -> tuple[str, Kind]:
    """The LOINC code that is understood; further codings (local, SNOMED CT) may stand beside it."""
    path = f"{path}.code"
    codings = _as_object(fields.get("code", {}), path).get("coding", [])
    if not isinstance(codings, list):
        raise _RefusedError("malformed", f"{path}.coding", "a list is expected here")
    known = {
        coding["code"]: KINDS[coding["code"]]
        for coding in codings
        if isinstance(coding, Mapping)
        and coding.get("system") == CodeSystem.LOINC
        and isinstance(coding.get("code"), str)
        and coding["code"] in KINDS
    }
    if not known:
        raise _RefusedError("unknown_code", path, "no LOINC code that is understood")
    if len({kind.code for kind in known.values()}) > 1:
        raise _RefusedError("ambiguous_code", path, f"the codes {sorted(known)} mean different things")
    return next(iter(known.items()))


def _read_status(fields: Mapping[str, Any], path: str) -> str:
    status = fields.get("status")
    if status == "entered-in-error":
        raise _RefusedError("entered_in_error", f"{path}.status", "the sender withdrew this result")
    if not isinstance(status, str) or status not in _VALID_STATUS:
        raise _RefusedError("not_final", f"{path}.status", f"status {status!r} is not a result that stands")
    return status


def _read_value(fields: Mapping[str, Any], path: str, kind: Kind) -> Decimal:
    """The value in the unit of ``kind.code``."""
    if fields.get("valueQuantity") is None:
        raise _RefusedError("missing_value", path, "there is no valueQuantity")
    quantity = _as_object(fields["valueQuantity"], path)
    if quantity.get("value") is None:
        raise _RefusedError("missing_value", f"{path}.value", "the quantity has no value")
    number = _as_decimal(quantity["value"], f"{path}.value")
    return _convert(number, _read_factor(quantity, path, kind))


def _read_limit(quantity: Mapping[str, Any], path: str, kind: Kind) -> dict[str, str]:
    """The comparator of a value below what the laboratory resolves; every other one says too little to be used."""
    comparator = quantity.get("comparator")
    if comparator is None:
        return {}
    if kind.origin is not Origin.LAB or comparator not in UPPER_LIMIT_SIGNS:
        detail = f"{comparator!r} before a value gives a limit, not a value"
        raise _RefusedError("comparator", f"{path}.valueQuantity.comparator", detail)
    return {"comparator": str(comparator)}


def _as_decimal(value: object, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _RefusedError("not_a_number", path, "the value is not a JSON number")
    # The shortest text of a float is the decimal that was written; its binary expansion is not.
    return value if isinstance(value, Decimal) else _number(repr(value))


def _read_factor(quantity: Mapping[str, Any], path: str, kind: Kind) -> Decimal | None:
    unit = quantity.get("code")
    if quantity.get("system") != UCUM or not isinstance(unit, str) or unit not in kind.factors:
        seen = unit if unit is not None else quantity.get("unit")
        detail = f"unit {seen!r} is not one of {', '.join(kind.factors)} in UCUM"
        raise _RefusedError("wrong_unit", f"{path}.code", detail)
    return kind.factors[unit]


def _convert(number: Decimal, factor: Decimal | None) -> Decimal:
    return fahrenheit_to_celsius(number) if factor is None else _ARITHMETIC.multiply(number, factor)


def _read_time(fields: Mapping[str, Any], path: str) -> datetime:
    name = "effectiveDateTime" if fields.get("effectiveDateTime") is not None else "effectiveInstant"
    text = fields.get(name)
    path = f"{path}.{name}"
    if text is None:
        raise _RefusedError("missing_time", path, "there is no effectiveDateTime or effectiveInstant")
    if not isinstance(text, str):
        _refuse_time("invalid_time", path, text)
    if "T" not in text:
        _refuse_time("naive_time", path, text)
    try:
        if _MOMENT.fullmatch(text):
            return as_utc(datetime.fromisoformat(text))
    except ObservationError:
        _refuse_time("naive_time", path, text)
    except (ValueError, OverflowError):
        _refuse_time("invalid_time", path, text)
    return _refuse_time("invalid_time", path, text)


def _refuse_time(reason: str, path: str, text: object) -> NoReturn:
    raise _RefusedError(reason, path, f"{text!r} is not a moment with date, time and offset")


def anc_observation(
    value: float,
    time: datetime,
    *,
    record: str | None = None,
    status: str = "final",
    unit: str = "10*9/L",
) -> dict[str, Any]:
    """An absolute neutrophil count as a laboratory sends it: see :func:`count_observation`."""
    return count_observation(NEUTROPHILS, value, time, record=record, status=status, unit=unit)


_DISPLAY = MappingProxyType(
    {
        NEUTROPHILS: "Neutrophils [#/volume] in Blood by Automated count",
        LEUKOCYTES: "Leukocytes [#/volume] in Blood by Automated count",
    }
)


def count_observation(  # noqa: PLR0913 - one keyword for each part of the resource
    code: Code,
    value: float,
    time: datetime,
    *,
    record: str | None = None,
    status: str = "final",
    unit: str = "10*9/L",
) -> dict[str, Any]:
    """A blood count as a laboratory sends it: a FHIR R4 Observation, ready for ``json.dumps``.

    Args:
        code: neutrophils or leukocytes.
        value: in ``unit``.
        time: when the blood was drawn, aware.
        record: the resource's id, or None.
        status: FHIR ObservationStatus.
        unit: UCUM code.

    Raises:
        ObservationError: ``not_a_number`` or ``naive_time``.
        KeyError: another code.
    """
    resource = _resource(code, _DISPLAY[code], value, time, unit)
    return _with_record(resource | {"category": [_category("laboratory")], "status": status}, record)


def steps_observation(value: float, time: datetime, *, record: str | None = None) -> dict[str, Any]:
    """A number of steps as a pedometer's app exports it: a FHIR R4 Observation, ready for ``json.dumps``.

    Args:
        value: steps counted.
        time: end of the counted period, aware.
        record: the resource's id, or None.

    Raises:
        ObservationError: ``not_a_number`` or ``naive_time``.
    """
    resource = _resource(STEPS, "Number of steps in unspecified time Pedometer", value, time, STEPS.unit)
    return _with_record(resource | {"category": [_category("activity")]}, record)


def _resource(code: Code, display: str, value: float, time: datetime, unit: str) -> dict[str, Any]:
    if not math.isfinite(value):
        raise ObservationError(f"{code.name} is a finite number", reason="not_a_number")
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": code.system.value, "code": code.code, "display": display}]},
        "effectiveDateTime": as_utc(time).isoformat(),
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
    }


def _category(code: str) -> dict[str, Any]:
    return {"coding": [{"system": _CATEGORY, "code": code}]}


def _with_record(resource: dict[str, Any], record: str | None) -> dict[str, Any]:
    return resource if record is None else {"id": record, **resource}
