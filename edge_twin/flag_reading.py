"""Flags as JSON values back into messages, so that what was kept can be shown in any language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge_twin.errors import WordingError
from edge_twin.flag import Urgency
from edge_twin.wording import Message, Text

PARTS = ("action", "reason", "clinician", "would_change", "limits", "data_quality")
"""Parts of what a flag says (:class:`edge_twin.flag.Sentences`); their places are numbers on the wire: only add."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?[+-]\d\d:\d\d")


# The scale before there were four urgencies: in the first schema of the store and in flag records of version 1.
_EARLIER: Mapping[str, Urgency] = {"urgent": Urgency.NOW, "soon": Urgency.TODAY, "attention": Urgency.TODAY}
_EARLIER_OF_KIND: Mapping[tuple[str, str], Urgency] = {("forecast_mismatch", "attention"): Urgency.THIS_WEEK}


def earlier_urgency(kind: str, word: str) -> Urgency:
    """An urgency of the earlier scale in today's words; today's words stay.

    Raises:
        ValueError: a word of neither scale.
    """
    return _EARLIER_OF_KIND.get((kind, word)) or _EARLIER.get(word) or Urgency(word)


def read_messages(form: Mapping[str, Any]) -> dict[str, Text]:
    """The sentences of a flag's form (``edge_twin.jsonform.flag_form``) as messages, by part.

    Raises:
        WordingError: ``malformed`` when the form holds anything else.
    """
    try:
        return {part: tuple(read_message(row) for row in rows) for part, rows in form["messages"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise WordingError(f"not the messages of a flag: {error!r}", reason="malformed") from error


def read_message(form: Mapping[str, Any]) -> Message:
    """One message from its form; a text that is a time with an offset becomes that time again."""
    arguments = ((str(name), _argument(value)) for name, value in form["arguments"].items())
    return Message(str(form["id"]), tuple(arguments))


def _argument(value: Any) -> str | float | datetime | Message:  # noqa: ANN401 - any JSON value comes in
    if isinstance(value, Mapping):
        return read_message(value)
    if isinstance(value, str):
        return datetime.fromisoformat(value) if _TIME.fullmatch(value) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    return value
