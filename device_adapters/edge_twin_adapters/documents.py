"""One reader for the documents of an intake folder: FHIR, entries of the diary, answers of a questionnaire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edge_twin.proctcae import Pack
from edge_twin_adapters import diary, fhir, survey
from edge_twin_adapters.fhir import Intake


def read_document(document: bytes, *, source: str, pack: Pack | None = None) -> Intake:
    """Read a document of any kind that says by itself what it is; everything else is read as FHIR.

    Args:
        document: JSON.
        source: provenance, without patient data, as kind and place (``fhir:intake``); a diary and a questionnaire
            put their own kind in its stead.
        pack: the questionnaire that the site installed; without one its answers are refused.

    Raises:
        FhirError, DiaryError, SurveyAnswerError: see the readers.
    """
    schema = _schema(document)
    if schema == diary.SCHEMA:
        return diary.read_entry(document, source=_of_kind("diary", source)).intake
    if schema == survey.SCHEMA:
        return survey.read_answers(document, source=_of_kind("survey", source), pack=pack).intake
    return fhir.read_observations(document, source=source)


def _of_kind(kind: str, source: str) -> str:
    return f"{kind}:{source.rpartition(':')[2]}"


def _schema(document: bytes) -> str:
    """What a document says of itself; empty for what is no JSON object or names nothing."""
    if b"edge-twin." not in document:
        return ""
    try:
        fields: Any = json.loads(document)
    except (ValueError, RecursionError):
        return ""
    return str(fields.get("schema", "")) if isinstance(fields, Mapping) else ""
