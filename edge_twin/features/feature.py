"""A feature: one trusted number about a stretch of time, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    name: str
    value: float | None
    unit: str
    start: datetime
    end: datetime
    count: int
    valid_share: float
    reason: str = ""

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
