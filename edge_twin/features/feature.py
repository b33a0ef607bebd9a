"""A feature: one trusted number about a stretch of time, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Feature:
    """One distilled number.

    Attributes:
        name: what it is; definitions stand in docs/features.md.
        value: in ``unit``; None when the period's data did not qualify (``reason`` says why).
        unit: UCUM unit.
        start, end: the period that it describes, aware UTC.
        count: how many observations of the period were used.
        valid_share: share of the period's observations that were usable, 0 to 1.
        reason: why there is no value, as a snake_case word; empty with a value.
        version: 1 for the first number about this period, one more for each that replaced it.
        corrected: when a number of a period that had already settled was last replaced (late or amended data),
            aware UTC; None when that never happened. Neither plays a part in comparisons.
    """

    name: str
    value: float | None
    unit: str
    start: datetime
    end: datetime
    count: int
    valid_share: float
    reason: str = ""
    version: int = field(default=1, compare=False)
    corrected: datetime | None = field(default=None, compare=False)

    @property
    def supersedes(self) -> str:
        """The version that this one replaces, as ``name/start/version``; empty for a first version."""
        return f"{self.name}/{self.start.isoformat()}/{self.version - 1}" if self.version > 1 else ""

    @property
    def key(self) -> tuple[str, datetime]:
        """What a later version of the same feature replaces: its name and start."""
        return self.name, self.start


def middle(values: Sequence[float]) -> float:
    """The median; that of the standard library, and numpy's, cost a phone half a megabyte and more to load.

    Args:
        values: at least one.
    """
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of these values, linear between neighbours as numpy's default.

    Args:
        values: at least one.
        share: 0 to 1.
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
