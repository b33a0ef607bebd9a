"""Acceleration as a stream: frames go in, minutes come out as observations; two open minutes are all the memory.

Samples are not stored. What comes after its minute was closed is counted and lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from edge_twin.features.motion_minute import MotionMinute, measure_minute
from edge_twin.features.stream_settings import setting
from edge_twin.observation import Observation, Quality, Waveform

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = setting("motion", "lowest_rate_hz"), setting("motion", "highest_rate_hz")
RATE_TOLERANCE = setting("motion", "rate_tolerance")
LARGEST_SAMPLE_MG = setting("motion", "largest_sample_mg")
SNAP_US = 1e6 * setting("motion", "snap_s")
GRACE_US = round(1e6 * setting("motion", "grace_s"))
STEP_BACK_S = setting("motion", "step_back_s")
AXES = ("x", "y", "z")

_MINUTE_US = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING_CLOSED = -(2**62)


class _Minute:
    """The places of one minute at the sampling rate that its first frame had; a clock that drifts moves it a little."""

    def __init__(self, period_us: float) -> None:
        self.period_us = period_us
        self.samples = np.full((round(_MINUTE_US / period_us), 3), np.nan, dtype=np.float32)

    def put(self, within_us: int, rows: NDArray[np.float64]) -> int:
        """Fill places from this time of the minute on; returns how many samples the minute took."""
        place = round(within_us / self.period_us)
        taken = min(len(rows), len(self.samples) - place)
        self.samples[place : place + taken] = rows[:taken]
        return taken


class MotionStream:
    """The accelerometer of one device.

    Args:
        source: name of the device.

    Attributes:
        counted: frames and samples that were not used, by reason, and minutes without a rate of breathing.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.counted: Counter[str] = Counter()
        self._period_us = 0.0
        self._open: dict[int, _Minute] = {}
        self._closed = _NOTHING_CLOSED  # last minute that takes no more samples
        self._newest_us = _NOTHING_CLOSED
        self._expected_us = math.nan
        self._late_s = 0.0
        self._told = _NOTHING_CLOSED  # last minute of which observations were made
        self._doubted = _NOTHING_CLOSED  # minutes up to this one were told before the clock was set back
        self._last_cadence = (_NOTHING_CLOSED, math.nan)
        self._placement = "unknown"

    def push(self, frame: Waveform) -> tuple[Observation, ...]:
        """Take one frame of acceleration in m[g]; returns the minutes that it closed."""
        rows = self._admitted(frame)
        if rows is None:
            return ()
        self._placement = frame.attributes.get("placement", "unknown")
        made = self._follow_rate(frame.period_s * 1e6)
        self._place((frame.start - _EPOCH) // _MICROSECOND, rows)
        made += self._follow_clock(frame, len(rows))
        return made + self._close_up_to((self._newest_us - GRACE_US) // _MINUTE_US - 1)

    def finish(self) -> tuple[Observation, ...]:
        """Close what is open, with as many samples as came."""
        return self._close_up_to(max(self._open, default=self._closed))

    def _admitted(self, frame: Waveform) -> NDArray[np.float64] | None:
        """The samples, impossible ones as NaN; None and a count when the frame cannot be used."""
        reason = _refusal(frame)
        if reason:
            self.counted[reason] += 1
            return None
        width = len(frame.channels)
        flat = np.fromiter(chain.from_iterable(frame.samples), np.float64, len(frame.samples) * width)
        rows = flat.reshape(-1, width)
        if frame.channels != AXES:
            rows = rows[:, [frame.channels.index(axis) for axis in AXES]]
        if max(rows.max(), -rows.min()) > LARGEST_SAMPLE_MG:
            absurd = (np.abs(rows) > LARGEST_SAMPLE_MG).any(axis=1)
            self.counted["impossible_samples"] += int(absurd.sum())
            rows[absurd] = np.nan
        return rows

    def _follow_rate(self, period_us: float) -> tuple[Observation, ...]:
        """Another sampling rate ends the minute, and the rest of it is not told twice; a small drift is followed."""
        before, self._period_us = self._period_us, period_us
        if before and abs(period_us / before - 1.0) <= RATE_TOLERANCE:
            return ()
        self.counted["rate_changes"] += before > 0.0
        self._expected_us = math.nan
        return self.finish()

    def _place(self, start_us: int, rows: NDArray[np.float64]) -> None:
        """Put samples where their time says; a small jitter of the time stamp is no hole."""
        if abs(start_us - self._expected_us) <= SNAP_US:
            start_us = round(self._expected_us)
        self._expected_us = start_us + len(rows) * self._period_us
        while len(rows):
            minute, within = divmod(start_us, _MINUTE_US)
            taken = self._fill(minute, within, rows)
            rows = rows[taken:]
            # What the minute does not take belongs to the next one, were it by less than half a sample.
            start_us = max(start_us + round(taken * self._period_us), (minute + 1) * _MINUTE_US)

    def _fill(self, minute: int, within_us: int, rows: NDArray[np.float64]) -> int:
        if minute <= self._closed:
            past = min(len(rows), math.ceil((_MINUTE_US - within_us) / self._period_us))
            self.counted["late_samples"] += past
            return past
        if minute not in self._open:
            self._open[minute] = _Minute(self._period_us)
        taken = self._open[minute].put(within_us, rows)
        self._newest_us = max(self._newest_us, minute * _MINUTE_US + within_us + round(taken * self._period_us))
        return taken

    def _follow_clock(self, frame: Waveform, number: int) -> tuple[Observation, ...]:
        """After a minute of nothing but the past, the device's clock was set back: believe it from here on."""
        past = self._expected_us <= (self._closed + 1) * _MINUTE_US
        self._late_s = self._late_s + number * frame.period_s if past else 0.0
        if self._late_s < STEP_BACK_S:
            return ()
        self.counted["clock_steps_back"] += 1
        made = self.finish()
        self._late_s, self._doubted = 0.0, self._told
        self._closed = int(self._expected_us // _MINUTE_US) - 1
        self._newest_us = round(self._expected_us)
        return made

    def _close_up_to(self, last: int) -> tuple[Observation, ...]:
        if last <= self._closed:
            return ()
        made: list[Observation] = []
        for minute in sorted(minute for minute in self._open if minute <= last):
            made += self._told_of(minute, self._open.pop(minute))
        self._closed = last
        return tuple(made)

    def _told_of(self, minute: int, held: _Minute) -> Iterator[Observation]:
        before, cadence = self._last_cadence
        rate_hz = 1e6 / held.period_us
        measured = measure_minute(
            held.samples.astype(np.float64), rate_hz, cadence if before == minute - 1 else math.nan
        )
        if measured is None:
            self.counted["minutes_with_too_few_samples"] += 1
            return
        self._note(minute, measured)
        remarks = {"placement": self._placement}
        if minute <= self._doubted:
            remarks["reason"] = "clock_stepped_back"
        self._told = max(self._told, minute)
        yield from measured.observations(_EPOCH + minute * timedelta(minutes=1), self.source, remarks)

    def _note(self, minute: int, measured: MotionMinute) -> None:
        self._last_cadence = (minute, measured.walk.last_cadence)
        if measured.breathing.reason:
            self.counted[f"minutes_without_breathing_{measured.breathing.reason}"] += 1


def _refusal(frame: Waveform) -> str:
    if frame.quality not in (Quality.GOOD, Quality.QUESTIONABLE):
        return "frames_called_invalid"
    if frame.channels != AXES and not set(AXES) <= set(frame.channels):
        return "frames_without_three_axes"
    if not LOWEST_RATE_HZ <= 1.0 / frame.period_s <= HIGHEST_RATE_HZ:
        return "frames_of_unsupported_rate"
    return ""
