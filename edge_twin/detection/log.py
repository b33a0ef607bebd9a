"""What the detector remembers of a person: recent values, scores and alerts, each under its day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edge_twin.detection.baseline import NO_CYCLE, Series


@dataclass(slots=True)
class StreamLog:
    """Usable values of one stream, oldest first, in transformed units."""

    days: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, day: int, value: float) -> None:
        """Append the value of a day later than all others."""
        self.days.append(day)
        self.values.append(value)

    def forget(self, before: int, since: int) -> None:
        """Drop days before ``before``, and ``since`` and later ones."""
        low, high = bisect_right(self.days, before - 1), bisect_right(self.days, since - 1)
        if low or high < len(self.days):
            self.days, self.values = self.days[low:high], self.values[low:high]

    def between(self, first: int, last: int, cycle_days: dict[int, int]) -> Series:
        """Values of the days ``first`` to ``last``, ends included."""
        low, high = bisect_right(self.days, first - 1), bisect_right(self.days, last)
        days = self.days[low:high]
        cycle = [cycle_days.get(day, NO_CYCLE) for day in days] if cycle_days else [NO_CYCLE] * len(days)
        return Series(
            np.array(days, dtype=np.intp),
            np.array(self.values[low:high], dtype=np.float64),
            np.array(cycle, dtype=np.intp),
        )


@dataclass(slots=True)
class PersonLog:
    """All that is kept of one person.

    Attributes:
        streams: values by name of stream.
        cycle_days: days since the newest dose, by day; only days that have one.
        valid: days with at least one usable value; the newest ones that warm-up needs.
        scores: fused log-likelihood ratio by day, before the person's own history moves it.
        alerts: days of alerts.
        last: the newest day that was recorded, None at the start.
    """

    streams: dict[str, StreamLog]
    cycle_days: dict[int, int] = field(default_factory=dict)
    valid: list[int] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    alerts: list[int] = field(default_factory=list)
    last: int | None = None

    def retract(self, day: int) -> None:
        """Forget everything of ``day``, the newest one, so that it can be recorded again."""
        for log in self.streams.values():
            log.forget(day - len(log.days) - _EVER, day)
        self.cycle_days.pop(day, None)
        self.scores.pop(day, None)
        self.valid = [other for other in self.valid if other != day]
        self.alerts = [other for other in self.alerts if other != day]

    def trim(self, keep_days: int, valid_days: int) -> None:
        """Drop what no later answer needs: days older than ``keep_days``; more than ``valid_days`` valid days."""
        if self.last is None:
            return
        oldest = self.last - keep_days
        for log in self.streams.values():
            log.forget(oldest, self.last + 1)
        self.cycle_days = {day: at for day, at in self.cycle_days.items() if day >= oldest}
        self.scores = {day: score for day, score in self.scores.items() if day >= oldest}
        self.valid = self.valid[-valid_days:]
        self.alerts = [day for day in self.alerts if day >= oldest]

    def without(self, series: Series, frozen_days: int) -> Series:
        """The series without days on which, or shortly after which, an alert stood."""
        if not self.alerts or not frozen_days:
            return series
        kept = ~_near(series.days.tolist(), self.alerts, frozen_days)
        return Series(series.days[kept], series.values[kept], series.cycle_days[kept])


_EVER = 10**9  # days before everything


def _near(days: Iterable[int], alerts: Iterable[int], frozen_days: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    frozen = {alert + step for alert in alerts for step in range(frozen_days)}
    return np.array([day in frozen for day in days], dtype=np.bool_)
