"""The heart of one local day as a stream: beats, heart rate and steps go in, features come out.

The same code serves the pure step (all readings of a day at once) and the device (each as it comes).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from edge_twin import codes
from edge_twin.features import names
from edge_twin.features.calendar import day_bounds, local_date, night_bounds
from edge_twin.features.feature import Feature, middle
from edge_twin.features.minutes import STILL_MINUTES, MinuteTable, Rates
from edge_twin.features.stream_settings import setting
from edge_twin.features.windows import WINDOW_NAMES, Window, WindowStream
from edge_twin.observation import Observation, Quality

NIGHT_HEART_RATE = names.NIGHT_HEART_RATE
NIGHT_HEART_RATE_LOW = "heart_rate_night_low"
NIGHT_HEART_RATE_MEAN = "heart_rate_night_mean"
REST_HEART_RATE = "heart_rate_awake_rest"
NIGHT_RESPIRATION = "respiration_rate_night"
NIGHT_RESPIRATION_MOTION = "respiration_motion_night"
DAY_SDNN = "sdnn_day"
DAY_HEART_VALID = "heart_valid_share_day"
DAY_HEART_MINUTES = "heart_minutes_day"

HEART_FEATURES = frozenset(
    (
        *WINDOW_NAMES, NIGHT_HEART_RATE, NIGHT_HEART_RATE_LOW, NIGHT_HEART_RATE_MEAN, REST_HEART_RATE, DAY_SDNN,
        NIGHT_RESPIRATION, NIGHT_RESPIRATION_MOTION, DAY_HEART_VALID, DAY_HEART_MINUTES,
    )
)  # fmt: skip
"""Names of everything that comes from here."""

HEART_CODES = names.HEART_CODES
"""What a day of the heart listens to."""

HEART_NAMES = frozenset(code.name for code in HEART_CODES)
_BEAT, _RATE, _STEPS = codes.RR_INTERVAL.name, codes.HEART_RATE.name, codes.STEPS.name

NIGHT_QUANTILE = setting("heart_rate", "night_quantile")
FEWEST_NIGHT_MINUTES = int(setting("heart_rate", "fewest_night_minutes"))
FEWEST_REST_MINUTES = int(setting("heart_rate", "fewest_rest_minutes"))
FEWEST_NIGHT_WINDOWS = int(setting("respiration", "fewest_night_windows"))
FEWEST_BREATHING_MINUTES = int(setting("respiration", "fewest_night_minutes"))
SHORTEST_DAY_S = 3600.0 * setting("windows", "day_shortest_h")
_MOST_RATES = 1440  # a night has fewer minutes; whoever sends more is not kept


class _Totals:
    """What the windows of a day add up to."""

    def __init__(self, night_ends: datetime) -> None:
        self.night_ends = night_ends
        self.night_windows = 0
        self.night_rates = 0
        self.lowest = math.inf
        self.breaths: tuple[float, ...] = ()  # rates of breathing of the night's windows
        self.breath_windows = 0
        self.beats = 0
        self.kept = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of squared differences from the mean
        self.covered_s = 0.0

    def add(self, window: Window) -> None:
        """Count one window; rejected and short ones count as windows and give nothing else."""
        at_night = window.start < self.night_ends
        self.night_windows += at_night
        self.beats += window.beats
        if window.reason:
            return
        self._add_beats(window.kept_rr_ms)
        if at_night:
            self._add_night(window)

    def _add_night(self, window: Window) -> None:
        self.night_rates += 1
        self.lowest = min(self.lowest, window.statistics.heart_rate_per_min or math.inf)
        if window.breathing.rate_per_min is not None and len(self.breaths) < _MOST_RATES:
            self.breaths = (*self.breaths, window.breathing.rate_per_min)

    def _add_beats(self, rr_ms: NDArray[np.float64]) -> None:
        """Chan's update of mean and squares (Chan, Golub and LeVeque, Am Stat 1983;37:242)."""
        number, mean = rr_ms.size, float(rr_ms.mean())
        whole, difference = self.kept + number, mean - self._mean
        self._squares += float(((rr_ms - mean) ** 2).sum()) + difference**2 * self.kept * number / whole
        self._mean += difference * number / whole
        self.kept = whole
        self.covered_s += float(rr_ms.sum()) / 1000.0

    @property
    def sdnn_ms(self) -> float:
        return math.sqrt(self._squares / (self.kept - 1))


class HeartDay:
    """One local day.

    Args:
        day: calendar date.
        zone: the patient's.

    Attributes:
        late: a beat came that belongs before others that were worked on already. From then on nothing more is
            taken, and the day has to be made anew from all its readings in order.
        changed: something came since the last :meth:`summary`.
        implausible: the latest reading that was held back as implausible, or None.
    """

    def __init__(self, day: date, zone: ZoneInfo) -> None:
        self.start, self.end = day_bounds(day, zone)
        self.late = False
        self.changed = False
        self.implausible: Observation | None = None
        self._night = night_bounds(day, zone)
        self._windows = WindowStream()
        self._totals = _Totals(self._night[1])
        self._minutes = MinuteTable(self.start, self.end)
        self._usable_beats = 0
        self._beats = 0
        self._motion: list[float] = []
        self._motion_seen = 0

    def push(self, reading: Observation) -> tuple[Feature, ...]:
        """Take one reading of this day; returns the features of the window that it closed.

        Args:
            reading: of a code in ``HEART_CODES``; beats in the order of ``WindowStream.key``, all others in any.
        """
        self.changed = True
        if reading.quality is Quality.IMPLAUSIBLE:
            self.implausible = reading
        name = reading.code.name
        if name == _BEAT:
            return self._beat(reading)
        if name == _RATE:
            self._minutes.heart_rate(reading)
        elif name == _STEPS:
            self._minutes.steps(reading)
        else:
            self._breath(reading)
        return ()

    def _beat(self, beat: Observation) -> tuple[Feature, ...]:
        last = self._windows.last
        self.late = self.late or (last is not None and WindowStream.key(beat) < last)
        if self.late:
            return ()
        self._beats += 1
        if beat.is_usable:
            self._usable_beats += 1
            self._minutes.alive(beat.time)
        closed = self._windows.push(beat)
        if closed is None:
            return ()
        self._totals.add(closed)
        self._note(closed)
        return tuple(closed.features())

    def _note(self, window: Window) -> None:
        rate = None if window.reason else window.statistics.heart_rate_per_min
        self._minutes.window(window.start, window.end, rate)

    def _breath(self, reading: Observation) -> None:
        if reading.time >= self._night[1]:
            return
        self._motion_seen += 1
        if reading.is_usable and len(self._motion) < _MOST_RATES:
            self._motion.append(reading.value)

    def summary(self) -> tuple[Feature, ...]:
        """The open window and every feature of the night and the day so far."""
        self.changed = False
        totals, window = copy(self._totals), self._windows.peek()
        if window is not None:
            totals.add(window)
            self._note(window)
        return (
            *(window.features() if window else ()),
            *self._of_windows(totals),
            *self._of_minutes(),
            *self._of_motion(),
            *self._valid(),
        )

    def _of_windows(self, totals: _Totals) -> Iterator[Feature]:
        if totals.night_windows:
            share = totals.night_rates / totals.night_windows
            value, reason = (totals.lowest, "") if totals.night_rates else (None, "no_valid_window")
            yield Feature(NIGHT_HEART_RATE, value, "/min", *self._night, totals.night_rates, share, reason)
            yield self._breathing(NIGHT_RESPIRATION, totals.breaths, totals.night_windows, FEWEST_NIGHT_WINDOWS)
        if totals.beats:
            enough = totals.covered_s >= SHORTEST_DAY_S
            value, reason = (totals.sdnn_ms, "") if enough else (None, "too_few_hours")
            share = totals.kept / totals.beats
            yield Feature(DAY_SDNN, value, "ms", self.start, self.end, totals.kept, share, reason)

    def _of_motion(self) -> Iterator[Feature]:
        if self._motion_seen:
            yield self._breathing(NIGHT_RESPIRATION_MOTION, self._motion, self._motion_seen, FEWEST_BREATHING_MINUTES)

    def _breathing(self, name: str, rates: Sequence[float], offered: int, fewest: int) -> Feature:
        enough = len(rates) >= fewest
        value, reason = (middle(rates), "") if enough else (None, "too_few_windows")
        return Feature(name, value, "/min", *self._night, len(rates), len(rates) / offered, reason)

    def _of_minutes(self) -> Iterator[Feature]:
        dawn = (self._night[1] - self.start) // timedelta(minutes=1)
        asleep = self._minutes.still_rates(0, dawn, 0)
        awake = self._minutes.still_rates(dawn, len(self._minutes), STILL_MINUTES)
        if asleep.minutes:
            low, mean = _quantile(asleep.values, NIGHT_QUANTILE), _mean(asleep.values)
            yield self._rate(NIGHT_HEART_RATE_LOW, low, asleep, FEWEST_NIGHT_MINUTES, self._night)
            yield self._rate(NIGHT_HEART_RATE_MEAN, mean, asleep, FEWEST_NIGHT_MINUTES, self._night)
        if awake.minutes:
            waking = self._night[1], self.end
            median = middle(awake.values) if awake.values else None
            yield self._rate(REST_HEART_RATE, median, awake, FEWEST_REST_MINUTES, waking)

    @staticmethod
    def _rate(name: str, value: float | None, rates: Rates, fewest: int, period: tuple[datetime, datetime]) -> Feature:
        reason = rates.reason or ("" if len(rates.values) >= fewest else "too_few_still_minutes")
        count, share = len(rates.values), len(rates.values) / rates.minutes
        return Feature(name, None if reason else value, "/min", *period, count, share, reason)

    def _valid(self) -> Iterator[Feature]:
        readings = self._beats + self._minutes.readings
        if readings:
            usable = self._usable_beats + self._minutes.usable_readings
            share, minutes = usable / readings, float(self._minutes.minutes_alive)
            yield Feature(DAY_HEART_VALID, share, "1", self.start, self.end, readings, share)
            yield Feature(DAY_HEART_MINUTES, minutes, "min", self.start, self.end, usable, share)


def heart_features(ordered: Iterable[Observation], zone: ZoneInfo) -> Iterator[Feature]:
    """All features of the heart that these readings give.

    Args:
        ordered: each reading once, in the order of time, source, sequence and value.
        zone: the patient's.
    """
    days: dict[datetime, HeartDay] = {}
    current: HeartDay | None = None
    for reading in ordered:
        if reading.code.name not in HEART_NAMES:
            continue
        if current is None or not current.start <= reading.time < current.end:
            current = HeartDay(local_date(reading.time, zone), zone)
            days[current.start] = current
        yield from current.push(reading)
    for day in days.values():
        yield from day.summary()


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Linear between neighbours, as numpy's default; None without values."""
    if not values:
        return None
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    above = ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + (place - low) * (above - ordered[low])
