"""Who measured a laboratory value and how, as far as a FHIR Observation says so: values of two assays are not compared.

Organizations alone are named: a performer that is a person is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def assay_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The attributes ``laboratory`` and ``method`` of an Observation, each only where the resource states it.

    Args:
        fields: of the resource; what has another form than FHIR R4 gives it says nothing.
    """
    laboratory = next(_organizations(fields.get("performer")), "")
    method = _concept(fields.get("method"))
    return {name: text for name, text in (("laboratory", laboratory), ("method", method)) if text}


def _organizations(performers: object) -> Iterator[str]:
    """Name of each performer that is an organization: its identifier, or else its reference."""
    for performer in performers if isinstance(performers, list) else ():
        if not isinstance(performer, Mapping):
            continue
        reference = _text(performer.get("reference"))
        if performer.get("type") == "Organization" or "Organization/" in reference:
            identifier = performer.get("identifier")
            yield (_text(identifier.get("value")) if isinstance(identifier, Mapping) else "") or reference


def _concept(concept: object) -> str:
    """First code of a CodeableConcept, or else its text."""
    if not isinstance(concept, Mapping):
        return ""
    codings = concept.get("coding")
    first = codings[0] if isinstance(codings, list) and codings else None
    code = _text(first.get("code")) if isinstance(first, Mapping) else ""
    return code or _text(concept.get("text"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
