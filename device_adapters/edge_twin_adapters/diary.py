"""Diary entries as JSON, as a patient's app or a clinic's web form writes them.

    {"schema": "edge-twin.diary-entry/1", "form": "daily", "time": "2026-03-10T18:00:00+01:00",
     "answers": {"diary_pain": 3, "diary_nausea": null}, "reported_by": "patient"}

An answer of null, or none at all, is an unanswered item: it becomes no observation and is named, never a 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_twin.diary import Diary, Item, load_diary
from edge_twin.errors import ObservationError, SurveyError
from edge_twin.observation import Observation, Origin, as_utc, observe
from edge_twin_adapters.errors import AdapterError
from edge_twin_adapters.fhir import Intake, Refusal

SCHEMA = "edge-twin.diary-entry/1"
REPORTERS = ("patient", "relative", "nurse")
_KEYS = {"schema", "form", "time", "answers", "reported_by"}
_NEEDED = {"schema", "form", "time", "answers"}


class DiaryError(AdapterError):
    """A document that is no entry of the diary."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry gave.

    Attributes:
        observations: one for each answer, in the form's order.
        unanswered: short names of the codes of items without an answer.
        refused: answers that were not used, each with its reason.
    """

    observations: tuple[Observation, ...]
    unanswered: tuple[str, ...]
    refused: tuple[Refusal, ...]

    @property
    def intake(self) -> Intake:
        """The same without the unanswered items, as a folder of documents takes it."""
        return Intake(self.observations, self.refused)


def read_entry(document: bytes | str | Mapping[str, Any], *, source: str, diary: Diary | None = None) -> Entry:
    """Read one entry.

    Args:
        document: JSON, or the same already parsed.
        source: provenance, without patient data.
        diary: the forms; the shipped ones when None.

    Returns:
        Observations with origin ``patient_reported`` and the attributes ``form``, ``recall``, ``diary_version``,
        ``reported_by`` and, where items were left out, ``unanswered``. Refusal reasons: ``unknown_item``,
        ``not_a_whole_number``, ``outside_scale``.

    Raises:
        DiaryError: ``not_json``, ``schema_unsupported``, ``unknown_key``, ``missing_key``, ``malformed``,
            ``unknown_form``, ``unknown_reporter``, ``invalid_time`` or ``naive_time``; then nothing was used.
    """
    fields = _fields(document)
    diary = diary or load_diary()
    items = _items(diary, fields["form"])
    answers = fields["answers"]
    refused = tuple(_refusals(items, answers))
    unanswered = tuple(item.code.name for item in items if answers.get(item.code.name) is None)
    attributes = _attributes(fields, diary, unanswered)
    time = _time(fields["time"])
    given = (item for item in items if not _why_not(item, answers.get(item.code.name)))
    observations = tuple(
        observe(
            item.code,
            float(answers[item.code.name]),
            time,
            source=source,
            origin=Origin.PATIENT_REPORTED,
            attributes={**attributes, "recall": item.recall},
        )
        for item in given
    )
    return Entry(observations, unanswered, refused)


def _fields(document: bytes | str | Mapping[str, Any]) -> Mapping[str, Any]:
    fields = _parsed(document)
    if not isinstance(fields, Mapping) or fields.get("schema") != SCHEMA:
        raise DiaryError(f"not an entry of schema {SCHEMA}", reason="schema_unsupported")
    if unknown := set(fields) - _KEYS:
        raise DiaryError(f"unknown key {min(map(str, unknown))!r}", reason="unknown_key")
    if missing := _NEEDED - set(fields):
        raise DiaryError(f"no {min(missing)!r}", reason="missing_key")
    if not isinstance(fields["answers"], Mapping) or not isinstance(fields["form"], str):
        raise DiaryError("answers are no object, or the form is no name", reason="malformed")
    if fields.get("reported_by", REPORTERS[0]) not in REPORTERS:
        raise DiaryError("an entry is reported by the patient, a relative or a nurse", reason="unknown_reporter")
    return fields


def _parsed(document: bytes | str | Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(document, Mapping):
        return document
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise DiaryError("the document is not JSON", reason="not_json") from error


def _items(diary: Diary, form: str) -> tuple[Item, ...]:
    try:
        return diary.form(form)
    except SurveyError as error:
        raise DiaryError(str(error), reason=error.reason) from error


def _refusals(items: tuple[Item, ...], answers: Mapping[Any, Any]) -> Iterator[Refusal]:
    asked = {item.code.name: item for item in items}
    for name, answer in answers.items():
        if name not in asked:
            yield Refusal("unknown_item", f"answers.{name}", "the form has no such item")
        elif answer is not None and (reason := _why_not(asked[name], answer)):
            low, high = asked[name].scale.low, asked[name].scale.high
            yield Refusal(reason, f"answers.{name}", f"an answer is a whole number from {low} to {high}")


def _why_not(item: Item, answer: object) -> str:
    if type(answer) is not int:
        return "not_a_whole_number"
    return "" if item.scale.low <= answer <= item.scale.high else "outside_scale"


def _attributes(fields: Mapping[str, Any], diary: Diary, unanswered: tuple[str, ...]) -> dict[str, str]:
    attributes = {
        "form": fields["form"],
        "diary_version": str(diary.version),
        "reported_by": fields.get("reported_by", REPORTERS[0]),
    }
    return {**attributes, "unanswered": ",".join(unanswered)} if unanswered else attributes


def _time(text: object) -> datetime:
    try:
        return as_utc(datetime.fromisoformat(str(text)))
    except ObservationError as error:
        raise DiaryError(str(error), reason=error.reason) from error
    except (ValueError, OverflowError) as error:
        raise DiaryError(f"{text!r} is no time", reason="invalid_time") from error
