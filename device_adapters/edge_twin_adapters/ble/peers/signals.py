"""Seeded signals for virtual sensors, and beats from recordings.

The generated ones are made up: levels and swings are assumed, chosen to look like a resting adult. They
exercise the road from the sensor to the twin and say nothing about a patient.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from edge_twin_adapters.ble.heart_rate import UNITS_PER_SECOND
from edge_twin_adapters.errors import AdapterError
from edge_twin_adapters.recordings import load_recordings

# Waves of a beat: place in the cycle, width, height in microvolts. Assumed; a stick figure of lead I.
_WAVES = ((0.18, 0.03, 90.0), (0.285, 0.012, -120.0), (0.30, 0.011, 1050.0), (0.32, 0.012, -220.0), (0.55, 0.05, 260.0))
_CYCLE_STEPS = 1000


class Wander:
    """A number that wanders about a level and comes back to it.

    Args:
        level: where it returns to.
        swing: largest distance from the level.
        step: the digits it is told with, for instance ``Decimal("0.1")``.
        rng: seeded.
    """

    def __init__(self, level: float, swing: float, step: Decimal, rng: random.Random) -> None:
        self._level, self._swing, self._step, self._rng = level, swing, step, rng
        self._off = 0.0

    def next(self) -> Decimal:
        """The next value, a whole number of steps."""
        # Half the distance is kept, which makes neighbours alike; the bound holds because |off| <= swing.
        self._off = 0.5 * self._off + 0.5 * self._rng.uniform(-self._swing, self._swing)
        return round(Decimal(self._level + self._off) / self._step) * self._step


def recorded_beats() -> tuple[int, ...]:
    """The RR intervals in ms of all recordings that come with the package, one after the other."""
    return tuple(interval for recording in load_recordings() for interval in recording.rr_ms)


class BeatTrain:
    """Beats without end, from a list of intervals that is begun again when it is through.

    Args:
        rr_ms: RR intervals in ms, each above zero.

    Raises:
        AdapterError: ``out_of_range`` without intervals or with one that is not above zero.
    """

    def __init__(self, rr_ms: Sequence[float]) -> None:
        self._units = tuple(round(interval * UNITS_PER_SECOND / 1000) for interval in rr_ms)
        if not self._units or min(self._units) <= 0:
            raise AdapterError("a heart beats at intervals above zero", reason="out_of_range")
        self._next = self._cycle()
        self._pending = next(self._next)
        self._end_units = self._pending
        self._until_units = 0

    def _cycle(self) -> Iterator[int]:
        while True:
            yield from self._units

    def during(self, seconds: float) -> list[int]:
        """The intervals, in 1/1024 s, of the beats that end in the next ``seconds``."""
        self._until_units += round(seconds * UNITS_PER_SECOND)
        ended = []
        while self._end_units <= self._until_units:
            ended.append(self._pending)
            self._pending = next(self._next)
            self._end_units += self._pending
        return ended


class ElectrocardiogramSignal:
    """One lead: five waves a beat, at the beats of a list of intervals, and noise.

    Args:
        rr_ms: RR intervals in ms; begun again when through.
        rate_hz: samples per second.
        seed: of the noise.
    """

    def __init__(self, rr_ms: Sequence[float], rate_hz: float, seed: int) -> None:
        self._ends = np.cumsum(np.asarray(rr_ms, dtype=np.float64)) / 1000.0
        self._rate_hz = rate_hz
        self._noise = np.random.default_rng(seed)
        self._template = _template()

    def samples(self, first: int, count: int) -> list[int]:
        """Samples ``first`` to ``first + count - 1`` in microvolts; ask for them in order."""
        times = (first + np.arange(count)) / self._rate_hz % self._ends[-1]
        beat = np.searchsorted(self._ends, times, side="right")
        begin = np.where(beat > 0, self._ends[beat - 1], 0.0)
        phase = (times - begin) / (self._ends[beat] - begin)
        clean = self._template[(phase * _CYCLE_STEPS).astype(np.int64)]
        noisy: NDArray[np.int64] = np.rint(clean + self._noise.normal(0.0, 8.0, count)).astype(np.int64)
        return list(map(int, noisy.tolist()))


def _template() -> NDArray[np.float64]:
    phase = np.arange(_CYCLE_STEPS) / _CYCLE_STEPS
    waves = [height * np.exp(-0.5 * ((phase - place) / width) ** 2) for place, width, height in _WAVES]
    template: NDArray[np.float64] = np.sum(waves, axis=0, dtype=np.float64)
    return template


class AccelerationSignal:
    """Three axes in mg: gravity on one of them, breathing, and noise.

    Args:
        rate_hz: samples per second.
        seed: of the noise.
    """

    def __init__(self, rate_hz: float, seed: int) -> None:
        self._rate_hz = rate_hz
        self._noise = np.random.default_rng(seed)

    def samples(self, first: int, count: int) -> list[list[int]]:
        """Rows ``first`` to ``first + count - 1``; ask for them in order."""
        breath = 15.0 * np.sin(2 * np.pi * 0.25 * (first + np.arange(count)) / self._rate_hz)
        # Cut at 60 mg, so that a difference always fits nine bits and a frame the smallest LL packet.
        noise = np.clip(self._noise.normal(0.0, 6.0, (count, 3)), -60.0, 60.0)
        rows: NDArray[np.int64] = np.rint(np.array([0.0, 0.0, 1000.0]) + noise + breath[:, None]).astype(np.int64)
        return [list(map(int, row)) for row in rows.tolist()]
