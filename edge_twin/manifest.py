"""Typed reading of untrusted JSON: each getter returns what it says or refuses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge_twin.errors import BundleError

_RELEASE_PARTS = 3
_LONGEST_NUMBER = 9  # figures


def malformed(message: str) -> BundleError:
    """The refusal of everything that is not of the expected kind."""
    return BundleError(message, reason="malformed")


def release(text: str) -> tuple[int, int, int]:
    """``"1.2.3"`` as numbers that can be compared."""
    parts = text.split(".")
    if len(parts) != _RELEASE_PARTS or not all(
        part.isascii() and part.isdigit() and len(part) <= _LONGEST_NUMBER for part in parts
    ):
        raise malformed(f"{text!r} is not a release such as 1.2.3")
    major, minor, patch = map(int, parts)
    return major, minor, patch


@dataclass(frozen=True, slots=True)
class Reader:
    """One JSON object.

    Every getter raises BundleError ``malformed`` when the key is absent or its value is of another kind.

    Attributes:
        content: the object as parsed.
    """

    content: Mapping[str, Any]

    def text(self, key: str) -> str:
        """A non-empty string."""
        value = self.content.get(key)
        if not isinstance(value, str) or not value:
            raise malformed(f"{key} is not a text")
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """A string out of ``allowed``."""
        value = self.text(key)
        if value not in allowed:
            raise malformed(f"{key} is none of {', '.join(allowed)}")
        return value

    def number(self, key: str, *, low: float = -math.inf, above: float = -math.inf) -> float:
        """A finite number, at least ``low`` and greater than ``above``."""
        value = _finite(self.content.get(key), key)
        if value < low or value <= above:
            raise malformed(f"{key} is too small")
        return value

    def whole(self, key: str) -> int:
        """A whole number, at least 1."""
        value = self.content.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise malformed(f"{key} is not a positive whole number")
        return value

    def time(self, key: str) -> datetime:
        """An ISO 8601 time with a zone, as aware UTC."""
        try:
            value = datetime.fromisoformat(self.text(key))
        except ValueError as error:
            raise malformed(f"{key} is not a time") from error
        if value.tzinfo is None:
            raise malformed(f"{key} has no time zone")
        try:
            return value.astimezone(UTC)
        except OverflowError as error:
            raise malformed(f"{key} is not a time") from error

    def release(self, key: str) -> tuple[int, int, int]:
        """A release such as ``"1.2.3"``; every runtime is new enough when the key is absent."""
        return release(self.text(key)) if key in self.content else (0, 0, 0)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of at least one non-empty string, each there once."""
        value = self.content.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise malformed(f"{key} is not a list of texts")
        if len(set(value)) != len(value):
            raise malformed(f"{key} has an entry twice")
        return tuple(value)

    def mapping(self, key: str) -> Mapping[str, str]:
        """An object whose values are strings."""
        value = self.content.get(key)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise malformed(f"{key} is not an object of texts")
        return value

    def child(self, key: str) -> Reader:
        """An object."""
        value = self.content.get(key)
        if not isinstance(value, dict):
            raise malformed(f"{key} is not an object")
        return Reader(value)

    def children(self, key: str) -> tuple[Reader, ...]:
        """A list of objects."""
        value = self.content.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise malformed(f"{key} is not a list of objects")
        return tuple(Reader(item) for item in value)

    def matrix(self, key: str) -> list[list[float]]:
        """A list of equally long rows of finite numbers."""
        value = self.content.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
            raise malformed(f"{key} is not a matrix")
        if len({len(row) for row in value}) != 1:
            raise malformed(f"{key} has rows of different lengths")
        return [[_finite(item, key) for item in row] for row in value]


def _finite(value: object, key: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise malformed(f"{key} is not a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise malformed(f"{key} is too large") from error
    if not math.isfinite(number):
        raise malformed(f"{key} is not finite")
    return number
