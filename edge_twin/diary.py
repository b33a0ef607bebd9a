"""Our own short diary: its items, scales and forms as data (``rules/diary.toml``), with questions from the catalogue.

It is not PRO-CTCAE and is never labelled so; items of PRO-CTCAE come from a content pack alone (``proctcae.py``).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge_twin import codes
from edge_twin.errors import SurveyError
from edge_twin.wording import Message, say

SCHEMA = "edge-twin.diary/1"
_SHIPPED = Path(__file__).parent / "rules" / "diary.toml"


@dataclass(frozen=True, slots=True)
class Scale:
    """How an answer is given: a whole number from ``low`` to ``high``.

    Attributes:
        name: of the scale; its anchors stand in the catalogue as ``diary.<name>_low`` and ``diary.<name>_high``.
        low, high: smallest and largest answer.
    """

    name: str
    low: int
    high: int

    @property
    def anchors(self) -> tuple[Message, Message]:
        """What the two ends mean."""
        return say(f"diary.{self.name}_low"), say(f"diary.{self.name}_high")


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Attributes:
        code: of the observation that an answer becomes.
        form: name of the form that it belongs to.
        scale: of its answers.
        recall: the time that it asks about: ``last_24_hours``, ``today`` or ``since_last_entry``.
    """

    code: codes.Code
    form: str
    scale: Scale
    recall: str

    @property
    def question(self) -> Message:
        """The question, as a message of the catalogue."""
        return say(f"diary.{self.code.name}", recall=say(f"diary.{self.recall}"))


@dataclass(frozen=True, slots=True)
class Diary:
    """All forms of one version.

    Attributes:
        version: of the data file.
        items: in the order in which they are asked.
        every_days: how often a form is asked, as pairs of form and days.
    """

    version: int
    items: tuple[Item, ...]
    every_days: tuple[tuple[str, int], ...]

    def form(self, name: str) -> tuple[Item, ...]:
        """The items of one form, in order.

        Raises:
            SurveyError: ``unknown_form``.
        """
        if name not in dict(self.every_days):
            raise SurveyError(f"the diary has no form {name!r}", reason="unknown_form")
        return tuple(item for item in self.items if item.form == name)


@cache
def load_diary() -> Diary:
    """The diary that ships with the package."""
    return read_diary(_SHIPPED.read_text(encoding="utf-8"))


def read_diary(text: str) -> Diary:
    """Read a diary's data file.

    Raises:
        SurveyError: ``schema_unsupported``, or ``malformed`` for what is no diary: an item without a code of its
            own, or a scale that does not fit the code's range.
    """
    try:
        document = tomllib.loads(text)
        if document.get("schema") != SCHEMA:
            raise SurveyError(f"not a diary of schema {SCHEMA}", reason="schema_unsupported")
        return _diary(document)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SurveyError(f"malformed diary: {error!r}", reason="malformed") from error


def _diary(document: dict[str, Any]) -> Diary:
    scales = {name: Scale(name, int(row["low"]), int(row["high"])) for name, row in document["scale"].items()}
    forms = document["form"]
    items = tuple(_item(row, scales, forms) for row in document["item"])
    if len({item.code for item in items}) != len(items):
        raise ValueError("an item stands twice")
    return Diary(int(document["version"]), items, tuple((name, int(row["every_days"])) for name, row in forms.items()))


def _item(row: dict[str, Any], scales: dict[str, Scale], forms: dict[str, Any]) -> Item:
    code, scale = codes.by_name(row["code"]), scales[row["scale"]]
    if code is None or not code.name.startswith(codes.DIARY_PREFIX):
        raise ValueError(f"{row['code']!r} is no code of the diary")
    if not (code.low <= scale.low < scale.high <= code.high):
        raise ValueError(f"scale {scale.name} does not fit {code.name}")
    return Item(code, row["form"], scale, str(row.get("recall", forms[row["form"]]["recall"])))
