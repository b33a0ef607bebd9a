"""Heart rate and steps of one local day, minute by minute: constant memory, and any order gives the same.

"Still" needs to know that there were no steps. A minute without a record of steps is unknown, not still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from edge_twin.features.stream_settings import setting
from edge_twin.observation import Observation, Quality

STILL_MINUTES = int(setting("heart_rate", "still_minutes"))
FLAT_LINE_MINUTES = int(setting("heart_rate", "flat_line_minutes"))
_FINENESS = 1 << 20  # sums of whole numbers are exact, whatever the order; a heart rate is kept to a millionth
_MINUTE = timedelta(minutes=1)


class Rates(NamedTuple):
    """Heart rates of the still minutes of a period.

    Attributes:
        values: one mean a minute, per min, in the order of time.
        minutes: minutes of the period with any record of heart rate.
        reason: why there are none: ``no_usable_reading``, ``flat_line``, ``no_step_minutes`` or
            ``too_few_still_minutes``; empty when there is one at least.
    """

    values: tuple[float, ...]
    minutes: int
    reason: str


class MinuteTable:
    """One local day.

    Args:
        start, end: of the day, aware UTC.
    """

    def __init__(self, start: datetime, end: datetime) -> None:
        size = (end - start) // _MINUTE
        self.start = start
        self.usable_readings = 0
        self.readings = 0
        self._sum = [0] * size
        self._count = [0] * size
        self._low = [0.0] * size
        self._high = [0.0] * size
        self._seen = [False] * size
        self._alive = [False] * size
        self._of_windows: list[float | None] = [None] * size
        self._steps: list[float | None] = [None] * size

    def __len__(self) -> int:
        return len(self._sum)

    def heart_rate(self, reading: Observation) -> None:
        """Take one reading of the heart rate; an unusable one is counted and not used."""
        minute = (reading.time - self.start) // _MINUTE
        self.readings += 1
        self._seen[minute] = True
        if not reading.is_usable:
            return
        self.usable_readings += 1
        self._alive[minute] = True
        value = reading.value
        first = self._count[minute] == 0
        self._low[minute] = value if first else min(self._low[minute], value)
        self._high[minute] = value if first else max(self._high[minute], value)
        self._sum[minute] += round(value * _FINENESS)
        self._count[minute] += 1

    def alive(self, moment: datetime) -> None:
        """Note that a usable reading of the heart came in this minute."""
        self._alive[(moment - self.start) // _MINUTE] = True

    @property
    def minutes_alive(self) -> int:
        """Minutes with a usable reading of the heart, a beat or a heart rate."""
        return sum(self._alive)

    def steps(self, epoch: Observation) -> None:
        """Take the steps of an epoch that says how long it is (attribute ``epoch_seconds``).

        Of two sources the one with more steps counts; no steps are believed only from a good epoch.
        """
        if not epoch.is_usable or (epoch.value == 0.0 and epoch.quality is not Quality.GOOD):
            return
        first = (epoch.time - self.start) // _MINUTE
        for minute in range(first, min(first + _whole_minutes(epoch), len(self))):
            self._steps[minute] = max(self._steps[minute] or 0.0, epoch.value)

    def window(self, start: datetime, end: datetime, rate: float | None) -> None:
        """Note the heart rate of a window of beats (None when rejected) for the minutes that it covers wholly."""
        first, last = -((self.start - start) // _MINUTE), (end - self.start) // _MINUTE
        for minute in range(first, last):
            self._of_windows[minute] = rate
            self._seen[minute] = True

    def still_rates(self, first: int, last: int, still_before: int) -> Rates:
        """Heart rates of minutes without steps.

        Args:
            first: minute of the day.
            last: minute after the period.
            still_before: how many minutes before each must be known to be without steps as well.
        """
        period = range(first, last)
        minutes = sum(self._seen[minute] for minute in period)
        rates = {minute: rate for minute in period if (rate := self._rate(minute)) is not None}
        moving = rates.keys() - self._stuck(first, last)
        still = [minute for minute in sorted(moving) if self._is_still(minute, still_before)]
        reason = "" if still else self._reason(rates, moving, period)
        return Rates(tuple(rates[minute] for minute in still), minutes, reason)

    def _reason(self, rates: dict[int, float], moving: set[int], period: Sequence[int]) -> str:
        if not rates:
            return "no_usable_reading"
        if not moving:
            return "flat_line"
        known = any(self._steps[minute] is not None for minute in period)
        return "too_few_still_minutes" if known else "no_step_minutes"

    def _rate(self, minute: int) -> float | None:
        """From readings of the heart rate where there are any, otherwise of the window of beats around."""
        count = self._count[minute]
        return self._sum[minute] / _FINENESS / count if count else self._of_windows[minute]

    def _is_still(self, minute: int, before: int) -> bool:
        return minute >= before and all(steps == 0.0 for steps in self._steps[minute - before : minute + 1])

    def _stuck(self, first: int, last: int) -> set[int]:
        """Minutes of runs in which the sensor said one and the same value for half an hour or longer."""
        return {m for run in self._runs(first, last) if len(run) >= FLAT_LINE_MINUTES for m in run}

    def _runs(self, first: int, last: int) -> Iterator[list[int]]:
        run: list[int] = []
        for minute in (m for m in range(first, last) if self._count[m]):
            if run and not (self._low[run[-1]] == self._low[minute] == self._high[minute]):
                yield run
                run = []
            if self._low[minute] == self._high[minute]:
                run.append(minute)
        yield run


def _whole_minutes(epoch: Observation) -> int:
    try:
        return int(float(epoch.attributes["epoch_seconds"]) // 60)
    except (KeyError, ValueError, OverflowError):
        return 0
