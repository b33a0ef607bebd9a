"""Answers of a questionnaire that a site installed (PRO-CTCAE), as JSON.

    {"schema": "edge-twin.survey-answers/1", "instrument": "PRO-CTCAE", "version": "1.0", "language": "en",
     "time": "2026-03-10T18:00:00+01:00", "answers": {"pain": {"frequency": 2, "severity": 3, "interference": null}}}

A skipped item is stored as 0 with ``not_asked: branching``; an unanswered one is no observation, never a 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_twin.errors import ObservationError, SurveyError
from edge_twin.observation import Observation, Origin, as_utc, observe
from edge_twin.proctcae import Attribute, Pack, Response, Term, branched
from edge_twin_adapters.errors import AdapterError
from edge_twin_adapters.fhir import Intake, Refusal

SCHEMA = "edge-twin.survey-answers/1"
_KEYS = frozenset(("schema", "instrument", "version", "language", "time", "answers"))


class SurveyAnswerError(AdapterError):
    """A document that is no set of answers to the questionnaire at hand."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one document gave.

    Attributes:
        observations: one for each answered or skipped item.
        responses: all items of the chosen terms, unanswered ones too.
        refused: terms that were not used, each with its reason.
        composite_grade: always None: no mapping to a grade is installed.
    """

    observations: tuple[Observation, ...]
    responses: tuple[Response, ...]
    refused: tuple[Refusal, ...]
    composite_grade: None = None

    @property
    def intake(self) -> Intake:
        """The same as a folder of documents takes it."""
        return Intake(self.observations, self.refused)


class _RefusedError(AdapterError):
    """A term that is not used; the reason goes into the refusal."""


def read_answers(document: bytes | str | Mapping[str, Any], *, source: str, pack: Pack | None) -> Answers:
    """Read one set of answers.

    Args:
        document: JSON, or the same already parsed.
        source: provenance, without patient data.
        pack: the verified content pack; its instrument and version must be those of the answers.

    Returns:
        Observations with origin ``patient_reported`` and the attributes ``instrument``, ``pack_version``, ``term``,
        ``language``, ``recall``, where branching skipped the item ``not_asked``, and where items of the term were
        left out ``unanswered``. Refusal reasons: ``unknown_term``, ``unknown_attribute``, ``not_a_whole_number``,
        ``outside_scale``, ``answer_contradicts_branching``, ``malformed``.

    Raises:
        SurveyAnswerError: ``no_pack``, ``not_json``, ``schema_unsupported``, ``unknown_key``, ``missing_key``,
            ``malformed``, ``other_pack``, ``unknown_language``, ``invalid_time`` or ``naive_time``.
    """
    if pack is None:
        raise SurveyAnswerError("no questionnaire is installed", reason="no_pack")
    fields = _fields(document)
    _check_pack(fields, pack)
    time = _time(fields["time"])
    observations: list[Observation] = []
    responses: list[Response] = []
    refused: list[Refusal] = []
    for name, given in fields["answers"].items():
        try:
            of_term = _of_term(pack, name, given)
        except (_RefusedError, SurveyError) as error:
            refused.append(Refusal(error.reason, f"answers.{name}", str(error)))
            continue
        responses += of_term
        observations += _observations(pack, fields["language"], of_term, time, source)
    return Answers(tuple(observations), tuple(responses), tuple(refused))


def _fields(document: bytes | str | Mapping[str, Any]) -> Mapping[str, Any]:
    fields = _parsed(document)
    if not isinstance(fields, Mapping) or fields.get("schema") != SCHEMA:
        raise SurveyAnswerError(f"not answers of schema {SCHEMA}", reason="schema_unsupported")
    if unknown := set(fields) - _KEYS:
        raise SurveyAnswerError(f"unknown key {min(map(str, unknown))!r}", reason="unknown_key")
    if missing := _KEYS - set(fields):
        raise SurveyAnswerError(f"no {min(missing)!r}", reason="missing_key")
    if not isinstance(fields["answers"], Mapping) or not isinstance(fields["language"], str):
        raise SurveyAnswerError("answers are no object, or the language is no text", reason="malformed")
    return fields


def _parsed(document: bytes | str | Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(document, Mapping):
        return document
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise SurveyAnswerError("the document is not JSON", reason="not_json") from error


def _check_pack(fields: Mapping[str, Any], pack: Pack) -> None:
    if (fields["instrument"], fields["version"]) != (pack.instrument.value, pack.version):
        raise SurveyAnswerError("answers to another pack than the installed one", reason="other_pack")
    if fields["language"] not in pack.recalls:
        raise SurveyAnswerError(f"the pack has no language {fields['language']!r}", reason="unknown_language")


def _of_term(pack: Pack, name: str, given: object) -> tuple[Response, ...]:
    term = pack.term(name)
    if not isinstance(given, Mapping):
        raise _RefusedError("the answers of a term are no object", reason="malformed")
    if unknown := set(given) - set(term.attributes):
        raise _RefusedError(f"{name} has no {min(map(str, unknown))!r}", reason="unknown_attribute")
    return branched(term, {attribute: _score(term, attribute, given) for attribute in term.attributes})


def _score(term: Term, attribute: Attribute, given: Mapping[str, Any]) -> int | None:
    score = given.get(attribute.value)
    if score is None:
        return None
    if type(score) is not int:
        raise _RefusedError(f"{term.id}: {attribute} is no whole number", reason="not_a_whole_number")
    if not 0 <= score < attribute.levels:
        raise _RefusedError(f"{term.id}: {attribute} {score}", reason="outside_scale")
    return score


def _observations(
    pack: Pack, language: str, responses: tuple[Response, ...], time: datetime, source: str
) -> Iterator[Observation]:
    unanswered = [r.attribute.value for r in responses if r.score is None]
    shared = {
        "instrument": pack.instrument.value,
        "pack_version": pack.version,
        "language": language,
        "recall": pack.recalls[language],
        **({"unanswered": ",".join(unanswered)} if unanswered else {}),
    }
    for response in responses:
        if response.score is not None:
            skipped = {"not_asked": "branching"} if response.not_asked else {}
            yield observe(
                response.attribute.code,
                float(response.score),
                time,
                source=source,
                origin=Origin.PATIENT_REPORTED,
                attributes={**shared, "term": response.term, **skipped},
                sequence=pack.sequence(response.term, response.attribute),
            )


def _time(text: object) -> datetime:
    try:
        return as_utc(datetime.fromisoformat(str(text)))
    except ObservationError as error:
        raise SurveyAnswerError(str(error), reason=error.reason) from error
    except (ValueError, OverflowError) as error:
        raise SurveyAnswerError(f"{text!r} is no time", reason="invalid_time") from error
