"""What goes into the detector for one day and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Dropped(StrEnum):
    """Why a value of a day was not used."""

    NOT_A_NUMBER = "not_a_number"
    IMPLAUSIBLE = "implausible_value"
    EXCLUDED = "excluded"
    UNKNOWN_STREAM = "unknown_stream"


class NoScore(StrEnum):
    """Why a day has no score."""

    WARM_UP = "warm_up"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class DayRecord:
    """The daily values of one person.

    Attributes:
        day: whole number of the day; only differences matter, and ``day % 7`` as the day of the week.
        values: value by name of stream, in the unit that ``detector.toml`` names; an absent stream is missing.
        cycle_day: days since the newest dose of a treatment that comes in cycles, None without one.
        excluded: streams whose value of this day is known to be unfit and is to count as missing.
    """

    day: int
    values: Mapping[str, float]
    cycle_day: int | None = None
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DayScore:
    """What the detector says about one day, from this day and earlier ones alone.

    Attributes:
        day: the day.
        score: log-odds-like, higher is more abnormal; None when nothing can be said (``reason`` tells why).
        alert: whether the score reached the shipped threshold, outside warm-up and the refractory time.
        probability: that symptoms of an acute illness begin within the window that ``detector.toml`` states;
            calibrated on simulated people only. None where there is no score.
        contributions: log-likelihood ratio by stream, exact Shapley values against "all streams missing", and
            ``own_history``, how far this person's own usual scores move the bar. They sum to ``score``; a
            missing stream contributes 0.
        reason: why there is no score; None with a score.
        dropped: why a value of this day was left out, by stream.
        missing: streams without a usable value on this day, in the order of ``detector.toml``.
    """

    day: int
    score: float | None
    alert: bool
    probability: float | None
    contributions: dict[str, float] = field(default_factory=dict)
    reason: NoScore | None = None
    dropped: dict[str, Dropped] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def judged(value: float, low: float, high: float) -> Dropped | None:
    """Why a value cannot be used, None when it can.

    Args:
        value: any number.
        low: lower end of the plausible range, included.
        high: upper end, included.
    """
    if not math.isfinite(value):
        return Dropped.NOT_A_NUMBER
    return None if low <= value <= high else Dropped.IMPLAUSIBLE
