"""The numbers of the day-level features, read once from ``daily.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_name("daily.toml")


@cache
def number(table: str, name: str) -> float:
    """One threshold.

    Args:
        table: of ``daily.toml``.
        name: of the number in it; the unit is the end of the name.

    Raises:
        KeyError: there is none of this name.
    """
    return float(_read()[table][name]["value"])


@cache
def words(table: str, name: str) -> tuple[str, ...]:
    """A list of words of ``daily.toml``.

    Raises:
        KeyError: there is none of this name.
    """
    return tuple(_read()[table][name])


@cache
def _read() -> dict[str, Any]:
    with _TABLE.open("rb") as file:
        return tomllib.load(file)
