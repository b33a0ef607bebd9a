"""Windows of beats as a stream: beats go in, closed windows come out, and one open window is all the memory.

A window is a run of beats of one device without a pause above 60 s, at most five minutes long.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_twin.features import names
from edge_twin.features.beats import WindowStatistics, keep_mask, window_statistics
from edge_twin.features.breathing import Breathing, breathing_from_beats
from edge_twin.features.feature import Feature
from edge_twin.features.stream_settings import setting
from edge_twin.observation import Observation

LONGEST_PAUSE = timedelta(seconds=setting("windows", "longest_pause_s"))
LONGEST_WINDOW = timedelta(seconds=setting("windows", "longest_s"))
SHORTEST_WINDOW = timedelta(seconds=setting("windows", "shortest_s"))
SDNN_SHORTEST = timedelta(seconds=setting("windows", "sdnn_shortest_s"))
FLAT_LINE = timedelta(seconds=setting("beats", "flat_line_s"))
MOST_BEATS = int(setting("windows", "most_beats"))

WINDOW_HEART_RATE = names.WINDOW_HEART_RATE
WINDOW_RMSSD = names.WINDOW_RMSSD
WINDOW_SDNN = "sdnn_5min"
WINDOW_PNN50 = "pnn50_window"
WINDOW_RESPIRATION = "respiration_rate_window"
WINDOW_NAMES = (WINDOW_HEART_RATE, WINDOW_RMSSD, WINDOW_SDNN, WINDOW_PNN50, WINDOW_RESPIRATION)
"""Features of single windows, a few hundred a day; all others are of nights and days."""


class Window(NamedTuple):
    """One window of beats, closed or as far as it has come.

    Attributes:
        start, end: time stamps of its first and last beat.
        beats: number of beats in it, usable or not.
        kept_rr_ms: intervals that cleaning kept, oldest first, shape [kept].
        statistics: what they say.
        breathing: rate of breathing or the reason why there is none.
        reason: why the window as a whole says nothing: ``window_too_short``, ``flat_line`` or
            ``too_many_artefacts``; empty when it speaks.
    """

    start: datetime
    end: datetime
    beats: int
    kept_rr_ms: NDArray[np.float64]
    statistics: WindowStatistics
    breathing: Breathing
    reason: str

    def features(self) -> Iterator[Feature]:
        """Each number of the window, or why there is none."""
        found = self.statistics
        yield self._feature(WINDOW_HEART_RATE, found.heart_rate_per_min, "/min")
        yield self._feature(WINDOW_RMSSD, found.rmssd_ms, "ms")
        short = "window_too_short" if self.end - self.start < SDNN_SHORTEST else ""
        yield self._feature(WINDOW_SDNN, found.sdnn_ms, "ms", short)
        yield self._feature(WINDOW_PNN50, found.pnn50, "1")
        yield self._feature(WINDOW_RESPIRATION, self.breathing.rate_per_min, "/min", self.breathing.reason)

    def _feature(self, name: str, value: float | None, unit: str, reason: str = "") -> Feature:
        why = self.reason or reason or ("" if value is not None else "too_many_artefacts")
        kept = self.statistics.kept
        return Feature(name, None if why else value, unit, self.start, self.end, kept, kept / self.beats, why)


class WindowStream:
    """Cuts a stream of beats into windows.

    The beats must come in the order of ``key``; :attr:`last` says how far the stream has come.
    """

    def __init__(self) -> None:
        self.last: tuple[datetime, str, int, float] | None = None
        self._times: list[datetime] = []
        self._rr_ms: list[float] = []
        self._usable: list[bool] = []
        self._source = ""

    @staticmethod
    def key(beat: Observation) -> tuple[datetime, str, int, float]:
        """What orders beats."""
        return beat.time, beat.source, beat.sequence, beat.value

    def push(self, beat: Observation) -> Window | None:
        """Take one beat; returns the window that it closed, if it closed one.

        Args:
            beat: not before the last one.
        """
        closed = self.peek() if self._times and self._ends(beat) else None
        if closed is not None:
            self._times, self._rr_ms, self._usable = [], [], []
        self._times.append(beat.time)
        self._rr_ms.append(beat.value)
        self._usable.append(beat.is_usable)
        self._source = beat.source
        self.last = self.key(beat)
        return closed

    def peek(self) -> Window | None:
        """The open window as it would be if it ended now; None before the first beat."""
        if not self._times:
            return None
        return _window(self._times[0], self._times[-1], np.array(self._rr_ms), np.array(self._usable))

    def _ends(self, beat: Observation) -> bool:
        return (
            beat.time - self._times[-1] > LONGEST_PAUSE
            or beat.time - self._times[0] > LONGEST_WINDOW
            or beat.source != self._source
            or len(self._times) >= MOST_BEATS
        )


def _window(start: datetime, end: datetime, rr_ms: NDArray[np.float64], usable: NDArray[np.bool_]) -> Window:
    places = np.flatnonzero(usable)
    used = rr_ms[places]
    kept = keep_mask(used)
    statistics = window_statistics(used, np.diff(places) == 1, kept)
    reason = _reason(end - start, used, statistics)
    breathing = Breathing(None, reason)
    if not reason:
        breathing = breathing_from_beats(used, kept, (end - start).total_seconds())
    return Window(start, end, rr_ms.size, used[kept], statistics, breathing, reason)


def _reason(length: timedelta, rr_ms: NDArray[np.float64], statistics: WindowStatistics) -> str:
    if length < SHORTEST_WINDOW:
        return "window_too_short"
    if length >= FLAT_LINE and rr_ms.size and rr_ms.min() == rr_ms.max():
        return "flat_line"
    return "" if statistics.heart_rate_per_min is not None else "too_many_artefacts"
