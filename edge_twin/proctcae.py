"""PRO-CTCAE from a content pack that a site installs; the texts of its items are not part of this software.

NCI's items may be used unmodified and in NCI's own translations alone, with their recall of seven days, and every
attribute of a chosen term is asked (NCI PRO-CTCAE FAQ; docs/symptoms.md). The loader refuses a pack that breaks one
of these. Its digest is pinned by the site, since a pack that vouches for itself proves nothing.

No composite grade is computed: the published mapping is not part of this project.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_twin import codes
from edge_twin.errors import SurveyError
from edge_twin.survey_files import read_files

SCHEMA = "edge-twin.proctcae-pack/1"
MANIFEST = "pack.toml"
RECALL_DAYS = 7
ENGLISH_RECALL = "the last 7 days"  # NCI PRO-CTCAE FAQ; the other languages state theirs in the pack
TRANSLATIONS = ("original", "publisher")  # who made the texts of a locale; nothing else is accepted


class Instrument(StrEnum):
    """What a pack holds; answers carry this name."""

    PRO_CTCAE = "PRO-CTCAE"
    FIXTURE = "fixture"  # invented items for tests; refused unless asked for


class Attribute(StrEnum):
    """What is asked about a term, in the order of asking."""

    PRESENCE = "presence"
    AMOUNT = "amount"
    FREQUENCY = "frequency"
    SEVERITY = "severity"
    INTERFERENCE = "interference"

    @property
    def code(self) -> codes.Code:
        """The observation that an answer becomes; its attributes name the term."""
        code = codes.by_name(f"survey_{self.value}")
        assert code is not None  # noqa: S101 - the registry holds all five
        return code

    @property
    def levels(self) -> int:
        """How many answers there are: yes and no, or five from 0 to 4."""
        return int(self.code.high) + 1


@dataclass(frozen=True, slots=True)
class Term:
    """A symptom term with all of its attributes, in the order of asking."""

    id: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One item in one language, exactly as the pack has it."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """A verified content pack.

    Attributes:
        instrument: see :class:`Instrument`.
        version: the publisher's.
        digest: SHA-256 of the manifest, which holds the hashes of all other files.
        terms: all terms.
        recalls: recall text by language (BCP 47).
        questions: by language, term and attribute.
    """

    instrument: Instrument
    version: str
    digest: str
    terms: tuple[Term, ...]
    recalls: Mapping[str, str]
    questions: Mapping[tuple[str, str, Attribute], Question]

    def term(self, name: str) -> Term:
        """One term.

        Raises:
            SurveyError: ``unknown_term``.
        """
        for term in self.terms:
            if term.id == name:
                return term
        raise SurveyError(f"the pack has no term {name!r}", reason="unknown_term")

    def sequence(self, term: str, attribute: Attribute) -> int:
        """The number of an item within the pack, the same in every language."""
        return [(t.id, a) for t in self.terms for a in t.attributes].index((term, attribute))


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one item.

    Attributes:
        term, attribute: which item.
        score: 0 to 4, or 0 and 1 for presence; None when it was not answered, which is never a 0.
        not_asked: the score is 0 because branching skipped the item.
    """

    term: str
    attribute: Attribute
    score: int | None
    not_asked: bool = False


def load_pack(path: Path, *, digest: str, allow_fixture: bool = False) -> Pack:
    """Read and verify a pack.

    Args:
        path: a directory, or a ZIP file with the same content.
        digest: SHA-256 of the manifest in hex, as the site noted it when it installed the pack.
        allow_fixture: accept invented items; for tests.

    Raises:
        SurveyError: ``not_found``, ``too_large``, ``digest_differs``, ``file_missing``, ``file_unlisted``,
            ``file_altered``, ``schema_unsupported``, ``malformed``, ``fixture_pack``, ``unknown_attribute``,
            ``attribute_missing``, ``answers_incomplete``, ``recall_altered`` or ``machine_translated``.
    """
    files = read_files(path)
    manifest = files.pop(MANIFEST, b"")
    if hashlib.sha256(manifest).hexdigest() != digest.lower():
        raise SurveyError("the pack is not the one that the site installed", reason="digest_differs")
    try:
        return _pack(tomllib.loads(manifest.decode()), files, digest.lower(), allow_fixture=allow_fixture)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SurveyError(f"malformed pack: {error!r}", reason="malformed") from error


def _pack(document: Mapping[str, Any], files: Mapping[str, bytes], digest: str, *, allow_fixture: bool) -> Pack:
    if document.get("schema") != SCHEMA:
        raise SurveyError(f"not a pack of schema {SCHEMA}", reason="schema_unsupported")
    instrument = Instrument(document["instrument"])
    if instrument is Instrument.FIXTURE and not allow_fixture:
        raise SurveyError("a pack of invented items", reason="fixture_pack")
    _check_files(document["files"], files)
    terms = tuple(_term(row) for row in document["term"])
    if len({term.id for term in terms}) != len(terms):
        raise ValueError("a term stands twice")
    locales = document["locale"]
    questions = {
        (language, *key): question
        for language, row in locales.items()
        for key, question in _locale(language, row, files[row["file"]], terms).items()
    }
    recalls = {language: str(row["recall"]) for language, row in locales.items()}
    return Pack(instrument, str(document["version"]), digest, terms, recalls, questions)


def _check_files(listed: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Exactly the files of the manifest, each with its hash."""
    if missing := set(listed) - set(files):
        raise SurveyError(f"no file {min(missing)}", reason="file_missing")
    if unlisted := set(files) - set(listed):
        raise SurveyError(f"file {min(unlisted)} is not in the manifest", reason="file_unlisted")
    altered = [name for name, content in files.items() if hashlib.sha256(content).hexdigest() != listed[name]]
    if altered:
        raise SurveyError(f"file {min(altered)} was altered", reason="file_altered")


def _term(row: Mapping[str, Any]) -> Term:
    names = row["attributes"]
    if unknown := set(names) - set(Attribute):
        raise SurveyError(f"{row['id']} has attribute {min(unknown)!r}", reason="unknown_attribute")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"attributes {names}")
    return Term(str(row["id"]), tuple(attribute for attribute in Attribute if attribute in names))


def _locale(
    language: str, row: Mapping[str, Any], content: bytes, terms: tuple[Term, ...]
) -> dict[tuple[str, Attribute], Question]:
    """The questions of one language: all of them, no others, each with its recall."""
    if row["translation"] not in TRANSLATIONS:
        raise SurveyError(f"{language}: made by {row['translation']!r}", reason="machine_translated")
    document = json.loads(content)
    _check_recall(language, row["recall"], document["recall"])
    asked = {(term.id, attribute) for term in terms for attribute in term.attributes}
    found = dict(_question(language, row["recall"], item, asked) for item in document["items"])
    if missing := asked - set(found):
        raise SurveyError(f"{language} does not ask {min(missing)}", reason="attribute_missing")
    return found


def _check_recall(language: str, stated: str, used: str) -> None:
    """Seven days, as the pack states it; in English word for word as NCI does."""
    english = language.partition("-")[0].lower() == "en"
    if not stated or used != stated or (english and stated != ENGLISH_RECALL):
        raise SurveyError(f"{language} asks about {used!r}", reason="recall_altered")


def _question(
    language: str, recall: str, item: Mapping[str, Any], asked: set[tuple[str, Attribute]]
) -> tuple[tuple[str, Attribute], Question]:
    if item["attribute"] not in set(Attribute) or (item["term"], item["attribute"]) not in asked:
        raise SurveyError(f"{language} asks {item['term']}/{item['attribute']}", reason="unknown_attribute")
    attribute, question = Attribute(item["attribute"]), Question(str(item["text"]), tuple(map(str, item["answers"])))
    if recall not in question.text:
        raise SurveyError(f"{language}: {item['term']} does not ask about {recall!r}", reason="recall_altered")
    if len(question.answers) != attribute.levels:
        raise SurveyError(
            f"{language}: {item['term']} has {len(question.answers)} answers", reason="answers_incomplete"
        )
    return (item["term"], attribute), question


def branched(term: Term, given: Mapping[Attribute, int | None]) -> tuple[Response, ...]:
    """The responses of one term with NCI's skips: frequency 0 skips the rest, severity 0 skips interference.

    A skipped item is a 0 that was not asked; an item without an answer stays without one.

    Raises:
        SurveyError: ``answer_contradicts_branching`` when a skipped item has an answer above 0.
    """
    return tuple(_responses(term, given))


def _responses(term: Term, given: Mapping[Attribute, int | None]) -> Iterator[Response]:
    for attribute in term.attributes:
        score = given.get(attribute)
        if _skipped(attribute, given):
            if score:
                message = f"{term.id}: {attribute} {score} after an answer that skips it"
                raise SurveyError(message, reason="answer_contradicts_branching")
            yield Response(term.id, attribute, 0, not_asked=True)
        else:
            yield Response(term.id, attribute, score)


def _skipped(attribute: Attribute, given: Mapping[Attribute, int | None]) -> bool:
    never = given.get(Attribute.FREQUENCY) == 0 and attribute in {Attribute.SEVERITY, Attribute.INTERFERENCE}
    none = given.get(Attribute.SEVERITY) == 0 and attribute is Attribute.INTERFERENCE
    return never or none
