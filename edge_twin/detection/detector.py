"""The detector of changes against a person's own baseline; one object per person, one record per day."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge_twin.detection import settings as shipped_settings
from edge_twin.detection.baseline import Series, baseline_of
from edge_twin.detection.form import log_form, log_of
from edge_twin.detection.fusion import OWN_HISTORY, Fusion
from edge_twin.detection.log import PersonLog, StreamLog
from edge_twin.detection.onset import ResponseKernel
from edge_twin.detection.record import DayRecord, DayScore, Dropped, NoScore, judged
from edge_twin.detection.settings import Settings, StreamSettings
from edge_twin.errors import DetectionError

Vector = NDArray[np.float64]


class Detector:
    """Scores each day of one person from that day and earlier ones.

    Args:
        settings: all parameters; ``Detector.shipped()`` takes those of the package.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = PersonLog({stream.name: StreamLog() for stream in settings.streams})
        self._streams = {stream.name: stream for stream in settings.streams}
        self._kernels = {stream.name: ResponseKernel(stream, settings.onset) for stream in settings.streams}
        self._fusion = Fusion(settings)

    @classmethod
    def shipped(cls) -> Self:
        """A detector with the shipped settings, for a person of whom nothing is known yet."""
        return cls(shipped_settings.shipped())

    def to_form(self) -> dict[str, Any]:
        """The state as JSON values, versioned."""
        return log_form(self.log, self.settings.version)

    @classmethod
    def from_form(cls, form: Any, settings: Settings | None = None) -> Self:  # noqa: ANN401 - anything may be read from a file
        """A detector that goes on where ``to_form`` stopped.

        Args:
            form: what ``to_form`` gave, perhaps through JSON.
            settings: those that the state was made under; the shipped ones when None.

        Raises:
            DetectionError: ``bad_state`` or ``other_settings``.
        """
        detector = cls(settings or shipped_settings.shipped())
        detector.log = log_of(form, tuple(detector.log.streams), detector.settings.version)
        return detector

    def update(self, record: DayRecord) -> DayScore:
        """Take one day and answer for it.

        A day that was the newest one already replaces what was recorded for it.

        Raises:
            DetectionError: ``day_out_of_order`` for a day before the newest one.
        """
        self._begin(record)
        usable, dropped = self._usable(record)
        for name, value in usable.items():
            self.log.streams[name].add(record.day, value)
        if usable:
            self.log.valid.append(record.day)
        score = self._score(record.day, usable, dropped)
        self._end(score)
        return score

    def _begin(self, record: DayRecord) -> None:
        last = self.log.last
        if last is not None and record.day < last:
            raise DetectionError(f"day {record.day} after day {last}", reason="day_out_of_order")
        if record.day == last:
            self.log.retract(record.day)
        self.log.last = record.day
        if record.cycle_day is not None and record.cycle_day >= 0:
            self.log.cycle_days[record.day] = record.cycle_day

    def _end(self, score: DayScore) -> None:
        if score.alert:
            self.log.alerts.append(score.day)
        self.log.trim(self.keep_days, self.settings.alert.warm_up_days + 1)

    @property
    def keep_days(self) -> int:
        """How many days back a record can still change an answer."""
        onset = self.settings.onset
        days = max(onset.window_days, onset.cycle_window_days) + onset.lag_days
        return max(days, onset.memory_days, self.settings.person.history_days)

    def _usable(self, record: DayRecord) -> tuple[dict[str, float], dict[str, Dropped]]:
        """Transformed values that can be used, and why each other one was dropped."""
        usable, dropped = {}, {}
        for name, value in record.values.items():
            reason = self._reason(name, value, record.excluded)
            if reason is None:
                usable[name] = _transformed(value, self._streams[name])
            else:
                dropped[name] = reason
        return usable, dropped

    def _reason(self, name: str, value: float, excluded: frozenset[str]) -> Dropped | None:
        stream = self._streams.get(name)
        if stream is None:
            return Dropped.UNKNOWN_STREAM
        return Dropped.EXCLUDED if name in excluded else judged(value, stream.lowest, stream.highest)

    def _score(self, day: int, usable: Mapping[str, float], dropped: dict[str, Dropped]) -> DayScore:
        missing = tuple(name for name in self._streams if name not in usable)
        ratios = self._ratios(day, usable)
        if not ratios:
            return DayScore(day, None, False, None, {}, NoScore.INSUFFICIENT_DATA, dropped, missing)  # noqa: FBT003 - no alert
        contributions = self._fusion.contributions(ratios)
        self.log.scores[day] = sum(contributions.values())
        if len(self.log.valid) <= self.settings.alert.warm_up_days:
            return DayScore(day, None, False, None, {}, NoScore.WARM_UP, dropped, missing)  # noqa: FBT003 - no alert
        contributions[OWN_HISTORY] = -self._fusion.own_level(self.log.scores, day)
        score = sum(contributions.values())
        contributions |= dict.fromkeys(missing, 0.0)
        probability = self._fusion.probability(score)
        return DayScore(day, score, self._alerts(day, score), probability, contributions, None, dropped, missing)

    def _ratios(self, day: int, usable: Mapping[str, float]) -> dict[str, Vector]:
        """Log-likelihood ratio by candidate day of onset, of each stream with a value today and a baseline."""
        found = {name: self._log_ratios(name, day) for name in self._streams if name in usable}
        return {name: ratios for name, ratios in found.items() if ratios is not None}

    def _log_ratios(self, name: str, day: int) -> Vector | None:
        log, cycle_days = self.log.streams[name], self.log.cycle_days
        window = self._window(name, day)
        if len(window.days) < self.settings.onset.least_values:
            return None
        newest = day - self.settings.onset.lag_days
        first = newest - self.settings.onset.cycle_window_days
        cycles = log.between(first + 1, newest, cycle_days) if cycle_days else None
        recent = log.between(day - self.settings.onset.memory_days + 1, day, cycle_days)
        return self._kernels[name].log_ratios(recent, baseline_of(window, self._streams[name], cycles), day)

    def _window(self, name: str, day: int) -> Series:
        """The days of the baseline; those of an alert stay out as long as enough others are left."""
        onset, log = self.settings.onset, self.log
        newest = day - onset.lag_days
        window = log.streams[name].between(newest - onset.window_days + 1, newest, log.cycle_days)
        unfrozen = log.without(window, onset.freeze_days)
        return unfrozen if len(unfrozen.days) >= onset.least_values else window

    def _alerts(self, day: int, score: float) -> bool:
        alert = self.settings.alert
        rested = not self.log.alerts or day - self.log.alerts[-1] >= alert.refractory_days
        return rested and score >= alert.threshold


def _transformed(value: float, stream: StreamSettings) -> float:
    return math.log1p(value) if stream.logarithm else float(value)
