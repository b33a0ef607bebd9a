"""The numbers of the protocol, read from ``protocol.toml``: windows, budget, limits of values, peers."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = "edge-twin.detector-protocol/1"
_FILE = Path(__file__).with_name("protocol.toml")


@cache
def section(name: str) -> dict[str, Any]:
    """Values of one section by key, without their marks and sources.

    Raises:
        KeyError: no such section.
        ValueError: the file is of another schema.
    """
    document = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    if document["schema"] != SCHEMA:
        raise ValueError(f"{_FILE.name} is not {SCHEMA}")
    return {key: entry["value"] for key, entry in document[name].items()}


@dataclass(frozen=True, slots=True)
class Windows:
    """Days from onset, where day 0 is the onset of symptoms.

    Attributes:
        warm_up_valid_days: first valid days of a subject that emit nothing.
        refractory_days: a flagged day alerts when it is at least that long after the previous alert.
        window_first_day, window_last_day: an alert in between is a detection.
        control_before_day, control_after_day: days outside of both are control days.
        eligible_days_before: valid days that an eligible subject has before ``control_before_day``.
        eligible_days_in_window: and in the window.
    """

    warm_up_valid_days: int
    refractory_days: int
    window_first_day: int
    window_last_day: int
    control_before_day: int
    control_after_day: int
    eligible_days_before: int
    eligible_days_in_window: int

    @property
    def days_in_window(self) -> int:
        """Length of the window of a detection."""
        return self.window_last_day - self.window_first_day + 1


@cache
def windows() -> Windows:
    """The windows that ship."""
    return Windows(**section("windows"))
