"""Steps of one minute of acceleration: rhythm of walking in the magnitude, five seconds at a time.

A block counts as walking when its motion between 0.5 and 3 Hz is large enough, holds enough of all motion (shaking and
engines lie above), repeats itself from step to step, and has a neighbour that walks at about the same cadence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_twin.features.stream_settings import setting

LOWEST_HZ, HIGHEST_HZ = setting("gait", "lowest_hz"), setting("gait", "highest_hz")
BLOCK_S = setting("gait", "block_s")
BLOCK_COVERAGE = setting("gait", "block_coverage")
SHORTEST_PERIOD_S, LONGEST_PERIOD_S = setting("gait", "shortest_period_s"), setting("gait", "longest_period_s")
SMALLEST_SD_MG = setting("gait", "smallest_sd_mg")
SMALLEST_BAND_SHARE = setting("gait", "smallest_band_share")
SMALLEST_REGULARITY = setting("gait", "smallest_regularity")
HALF_PERIOD_REGULARITY = setting("gait", "half_period_regularity")
LARGEST_CHANGE_PER_MIN = setting("gait", "largest_change_per_min")

Vector = NDArray[np.float64]


class Walk(NamedTuple):
    """Walking within one minute.

    Attributes:
        steps: whole steps, both feet.
        seconds: time in blocks that count as walking.
        last_cadence: cadence of the minute's last block as its rhythm alone says it, NaN when it has none; the
            next minute's first block may find its neighbour there.
    """

    steps: int
    seconds: float
    last_cadence: float

    @property
    def cadence_per_min(self) -> float | None:
        """Steps per minute of walking; None without walking."""
        return 60.0 * self.steps / self.seconds if self.seconds else None


def count_steps(magnitude_mg: Vector, filled: NDArray[np.bool_], rate_hz: float, before: float = math.nan) -> Walk:
    """Count the steps of a minute.

    Args:
        magnitude_mg: length of the acceleration vector, evenly sampled, holes bridged, shape [n].
        filled: where there was a sample, shape [n].
        rate_hz: samples per second.
        before: ``last_cadence`` of the minute before, NaN when there was none.
    """
    size = round(BLOCK_S * rate_hz)
    number = magnitude_mg.size // size
    blocks = _blocks(magnitude_mg, size, number)
    band = _blocks(_band_passed(magnitude_mg, rate_hz), size, number)
    judged = _blocks(filled, size, number).mean(axis=1) >= BLOCK_COVERAGE
    inside, whole = band.var(axis=1), blocks.var(axis=1)
    moving = judged & (inside >= SMALLEST_SD_MG**2) & (inside >= SMALLEST_BAND_SHARE * whole)
    cadence = np.full(number, np.nan)
    for place in np.flatnonzero(moving):
        cadence[place] = _cadence(band[place], rate_hz)
    walking = _with_neighbour(cadence, before)
    seconds = float(np.count_nonzero(walking)) * size / rate_hz
    steps = float(cadence[walking].sum()) * size / rate_hz / 60.0
    return Walk(round(steps), seconds, float(cadence[-1]) if number else math.nan)


def _blocks(values: NDArray[np.float64] | NDArray[np.bool_], size: int, number: int) -> Vector:
    return np.asarray(values[: size * number].reshape(number, size), dtype=np.float64)


def _band_passed(magnitude: Vector, rate_hz: float) -> Vector:
    spectrum = np.fft.rfft(magnitude)
    frequency = np.fft.rfftfreq(magnitude.size, 1.0 / rate_hz)
    spectrum[(frequency < LOWEST_HZ) | (frequency > HIGHEST_HZ)] = 0.0
    return np.asarray(np.fft.irfft(spectrum, magnitude.size), dtype=np.float64)


def _cadence(block: Vector, rate_hz: float) -> float:
    """Steps per minute from the autocorrelation; NaN without a regular rhythm."""
    low, high = math.ceil(SHORTEST_PERIOD_S * rate_hz), int(LONGEST_PERIOD_S * rate_hz)
    regularity = _autocorrelation(block - block.mean(), high + 2)
    lag = low + int(regularity[low : high + 1].argmax())
    lag = _step_lag(regularity, lag, low)
    if regularity[lag] < SMALLEST_REGULARITY:
        return math.nan
    return 60.0 * rate_hz / _top(regularity, lag)


def _step_lag(regularity: Vector, lag: int, low: int) -> int:
    """Half the lag when the rhythm is nearly as regular there: then the lag was a stride, two steps."""
    near = range(max(low, lag // 2 - lag // 10), lag // 2 + lag // 10 + 1)
    half = max(near, key=lambda place: float(regularity[place]), default=lag)
    peak = regularity[half] >= max(regularity[half - 1], regularity[half + 1])
    return half if peak and regularity[half] >= HALF_PERIOD_REGULARITY * regularity[lag] else lag


def _autocorrelation(block: Vector, lags: int) -> Vector:
    """Unbiased, 1 at lag 0."""
    size = 1 << (block.size + lags - 1).bit_length()
    power = np.abs(np.fft.rfft(block, size)) ** 2
    products = np.fft.irfft(power, size)[:lags]
    return np.asarray(products / products[0] * block.size / (block.size - np.arange(lags)), dtype=np.float64)


def _top(values: Vector, place: int) -> float:
    """Place of the maximum of the parabola through three neighbours."""
    before, at, after = values[place - 1 : place + 2]
    bend = before - 2.0 * at + after
    return place + (0.5 * float((before - after) / bend) if bend < 0.0 else 0.0)


def _with_neighbour(cadence: Vector, before: float) -> NDArray[np.bool_]:
    near = np.abs(np.diff(cadence, prepend=before)) <= LARGEST_CHANGE_PER_MIN  # NaN compares as False
    return np.asarray(near | np.append(near[1:], False), dtype=np.bool_)
