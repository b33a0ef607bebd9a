"""Sentences for people as data: a message is an id with its values, and a catalogue turns it into a language.

A flag carries messages, never finished text, so that every language shows the same numbers. A catalogue that
does not know a message still shows its id and all of its values: a number is never lost to a missing translation.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from edge_twin.errors import WordingError

REFERENCE = "en"  # the language in which the safety texts are written first
WORDS = "words"  # table of single words (names of counts, sites, drugs) that a catalogue may translate
_FOLDER = Path(__file__).parent
_TIME_FORM = "%H:%M on %Y-%m-%d"
_PARSER = string.Formatter()


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, or a part of one, before it is put into a language.

    Attributes:
        id: where it stands in a catalogue: table and name, joined by a dot.
        arguments: names and values of the placeholders; a time is aware and in the patient's zone; a text is
            looked up among the catalogue's words and shown as it is when it is none of them.
    """

    id: str
    arguments: tuple[tuple[str, str | float | datetime | Message], ...] = ()

    @property
    def text(self) -> str:
        """The message in the reference language."""
        return reference().sentence(self)


Text = tuple[Message, ...]
"""Sentences that follow each other."""

Values = dict[str, str | float | datetime | Message]
"""Values of placeholders, where several messages share them."""


def say(id: str, /, **arguments: str | float | datetime | Message) -> Message:  # noqa: A002 - the field's name
    """A message from its parts."""
    return Message(id, tuple(arguments.items()))


def english(text: Iterable[Message]) -> str:
    """Sentences in the reference language."""
    return reference().render(text)


@dataclass(frozen=True)
class Catalogue:
    """The messages of one language.

    Attributes:
        language: BCP 47 tag.
        templates: text by message id, with placeholders ``{name}`` or ``{name:format}``.
        words: single words by their reference word.
    """

    language: str
    templates: Mapping[str, str]
    words: Mapping[str, str]

    def render(self, text: Iterable[Message]) -> str:
        """Sentences joined by a space."""
        return " ".join(self.sentence(message) for message in text)

    def sentence(self, message: Message) -> str:
        """One message with its first letter in upper case."""
        said = self._fill(message)
        return said[:1].upper() + said[1:]

    def _fill(self, message: Message) -> str:
        template = self.templates.get(message.id)
        values = dict(message.arguments)
        if template is None or not _names(template) <= values.keys():
            return _bare(message, self)
        return "".join(self._parts(template, values))

    def _parts(self, template: str, values: Mapping[str, Any]) -> Iterator[str]:
        for literal, name, form, _ in _PARSER.parse(template):
            yield literal
            if name is not None:
                yield self._shown(values[name], form or "")

    def _shown(self, value: object, form: str) -> str:
        if isinstance(value, Message):
            return self._fill(value)
        if isinstance(value, datetime):
            return value.strftime(form or _TIME_FORM)
        if isinstance(value, str):
            return self.words.get(value, value)
        return format(value, form)


def _bare(message: Message, catalogue: Catalogue) -> str:
    """What is left without a template: the id and every value."""
    values = "; ".join(f"{name} {catalogue._shown(value, '')}" for name, value in message.arguments)  # noqa: SLF001 - its own module
    return f"{message.id} ({values})" if values else message.id


def placeholders(template: str) -> frozenset[str]:
    """Names of the values that a template shows.

    Raises:
        WordingError: ``bad_template`` for a placeholder that is not a plain name, or for broken braces.
    """
    try:
        names = [(name, conversion) for _, name, _, conversion in _PARSER.parse(template) if name is not None]
    except ValueError as error:
        raise WordingError(f"template {template!r}: {error}", reason="bad_template") from error
    if any(not name.isidentifier() or conversion for name, conversion in names):
        raise WordingError(f"template {template!r} holds more than plain names", reason="bad_template")
    return frozenset(name for name, _ in names)


@cache
def _names(template: str) -> frozenset[str]:
    return placeholders(template)


@cache
def reference() -> Catalogue:
    """The catalogue of the reference language, read once."""
    return load(REFERENCE)


def load(language: str, folder: Path | None = None) -> Catalogue:
    """Every file of a language's folder as one catalogue.

    Args:
        language: BCP 47 tag, the folder's name.
        folder: where the folders of languages lie; the package's own when None.

    Raises:
        WordingError: ``not_found``, ``malformed``, ``bad_template``, or ``repeated`` when two files hold one id.
    """
    if not language.replace("-", "").isalnum():
        raise WordingError(f"{language!r} is no language tag", reason="not_found")
    files = sorted(((folder or _FOLDER) / language).glob("*.toml"))
    if not files:
        raise WordingError(f"no catalogue of {language}", reason="not_found")
    templates: dict[str, str] = {}
    words: dict[str, str] = {}
    for file in files:
        _add(file, templates, words)
    return Catalogue(language, templates, words)


def _add(file: Path, templates: dict[str, str], words: dict[str, str]) -> None:
    for table, rows in _document(file).items():
        target, prefix = (words, "") if table == WORDS else (templates, f"{table}.")
        for name, text in rows.items():
            if prefix + name in target:
                raise WordingError(f"{prefix}{name} stands twice", reason="repeated")
            placeholders(text)
            target[prefix + name] = text


def _document(file: Path) -> dict[str, dict[str, str]]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WordingError(f"{file.name}: {error}", reason="malformed") from error
    tables = all(isinstance(rows, dict) for rows in document.values())
    if not tables or not all(isinstance(text, str) for rows in document.values() for text in rows.values()):
        raise WordingError(f"{file.name} holds more than tables of texts", reason="malformed")
    return document
