"""Rate of breathing from heart beats or from a chest that moves, behind a gate of two estimators.

The first is the highest peak of the spectrum between 0.1 and 0.5 Hz, the second counts breaths in time. A number is
given only when the peak holds enough of the band's power and the two agree; otherwise a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.features.stream_settings import setting

LOWEST_HZ, HIGHEST_HZ = setting("respiration", "lowest_hz"), setting("respiration", "highest_hz")
SLOW_WAVE_HZ = setting("respiration", "slow_wave_hz")
RESAMPLED_HZ = setting("respiration", "resampled_hz")
PEAK_HALF_WIDTH_HZ = setting("respiration", "peak_half_width_hz")
SHORTEST_S = setting("respiration", "shortest_s")
LARGEST_MISSING_SHARE = setting("respiration", "largest_missing_share")
SMALLEST_SHARE_BEATS = setting("respiration", "smallest_share_beats")
SMALLEST_SHARE_MOTION = setting("respiration", "smallest_share_motion")
LARGEST_DISAGREEMENT = setting("respiration", "largest_disagreement_per_min")
MOTION_SMALLEST_SD_MG = setting("respiration", "motion_smallest_sd_mg")
_FINEST_HZ = 0.004  # spacing of the spectrum after padding; the peak is interpolated below it

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Breathing:
    """A rate of breathing or the reason why there is none.

    Attributes:
        rate_per_min: breaths per minute; None when the signal did not qualify.
        reason: why, as a snake_case word; empty with a rate.
        share: power within 0.03 Hz of the peak / power of the band, 0 to 1.
    """

    rate_per_min: float | None
    reason: str = ""
    share: float = 0.0


def breathing_from_beats(rr_ms: Vector, kept: NDArray[np.bool_], span_s: float) -> Breathing:
    """Rate of breathing from respiratory sinus arrhythmia.

    Args:
        rr_ms: RR intervals of one window in ms, oldest first, shape [n].
        kept: which of them cleaning kept, shape [n].
        span_s: time from the first beat to the last by their time stamps, in seconds.

    Returns:
        A refusal with ``window_too_short``, ``too_many_holes`` (intervals do not add up to the time that passed),
        ``weak_rhythm``, ``estimators_disagree``, ``slow_wave`` (waves of blood pressure move the heart as slow
        breaths do, so that beats alone do not tell which it was) or ``above_half_heart_rate`` (beats cannot show a
        faster rhythm).
    """
    if span_s < SHORTEST_S or np.count_nonzero(kept) < 2:  # noqa: PLR2004 - an interval needs two ends
        return Breathing(None, "window_too_short")
    times = np.cumsum(rr_ms) / 1000.0
    if abs(times[-1] - times[0] - span_s) > LARGEST_MISSING_SHARE * span_s:
        return Breathing(None, "too_many_holes")
    grid = np.arange(times[0], times[-1], 1.0 / RESAMPLED_HZ)
    found = _gated(np.interp(grid, times[kept], rr_ms[kept]), RESAMPLED_HZ, SMALLEST_SHARE_BEATS)
    reason = _not_a_breath(found.rate_per_min, float(rr_ms[kept].mean()))
    return Breathing(None, reason, found.share) if reason else found


def _not_a_breath(rate_per_min: float | None, mean_rr_ms: float) -> str:
    if rate_per_min is None:
        return ""
    if rate_per_min < 60.0 * SLOW_WAVE_HZ:
        return "slow_wave"
    return "above_half_heart_rate" if rate_per_min > 30_000.0 / mean_rr_ms else ""


def breathing_from_axes(axes: Vector, rate_hz: float) -> Breathing:
    """Rate of breathing from a quiet accelerometer on the chest or belly.

    Args:
        axes: m[g], evenly sampled without holes, shape [n, 3].
        rate_hz: samples per second, at least twice the highest rate of breathing.

    Returns:
        A refusal with ``no_breathing_motion`` (less than a sensor's step), ``weak_rhythm`` or ``estimators_disagree``.
    """
    band = _band_passed(_without_trend(axes), rate_hz)
    variances, directions = np.linalg.eigh(band.T @ band / len(band))
    if variances[-1] < MOTION_SMALLEST_SD_MG**2:
        return Breathing(None, "no_breathing_motion")
    return _gated(axes @ directions[:, -1], rate_hz, SMALLEST_SHARE_MOTION)


def _gated(signal: Vector, rate_hz: float, smallest_share: float) -> Breathing:
    flat = _without_trend(signal)
    peak_hz, share = _spectral_peak(flat, rate_hz)
    if share < smallest_share:
        return Breathing(None, "weak_rhythm", share)
    if abs(_counted_hz(_band_passed(flat, rate_hz), rate_hz) - peak_hz) * 60.0 > LARGEST_DISAGREEMENT:
        return Breathing(None, "estimators_disagree", share)
    return Breathing(60.0 * peak_hz, "", share)


def _without_trend(signal: Vector) -> Vector:
    """Without mean and straight line, along the first axis."""
    place = np.linspace(-1.0, 1.0, len(signal))
    centred = signal - signal.mean(axis=0)
    slope = place @ centred / float(place @ place)
    return np.asarray(centred - np.multiply.outer(place, slope), dtype=np.float64)


def _spectral_peak(signal: Vector, rate_hz: float) -> tuple[float, float]:
    """Frequency in Hz of the highest peak inside the band and its share; (0, 0) without a peak."""
    size = 1 << int(np.ceil(np.log2(max(len(signal), rate_hz / _FINEST_HZ))))
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), size)) ** 2
    step = rate_hz / size
    low, high = int(np.ceil(LOWEST_HZ / step)), int(HIGHEST_HZ / step)
    top = low + int(power[low : high + 1].argmax())
    whole = float(power[low : high + 1].sum())
    if top in (low, high) or whole <= 0.0:
        return 0.0, 0.0
    reach = round(PEAK_HALF_WIDTH_HZ / step)
    near = float(power[max(low, top - reach) : min(high, top + reach) + 1].sum())
    before, at, after = power[top - 1 : top + 2]
    bend = before - 2.0 * at + after
    shift = 0.5 * (before - after) / bend if bend else 0.0
    return step * (top + float(shift)), near / whole


def _band_passed(signal: Vector, rate_hz: float) -> Vector:
    """Only the frequencies of the band, along the first axis."""
    spectrum = np.fft.rfft(signal, axis=0)
    frequency = np.fft.rfftfreq(len(signal), 1.0 / rate_hz)
    spectrum[(frequency < LOWEST_HZ) | (frequency > HIGHEST_HZ)] = 0.0
    return np.asarray(np.fft.irfft(spectrum, len(signal), axis=0), dtype=np.float64)


def _counted_hz(band: Vector, rate_hz: float) -> float:
    """Breaths per second between the first and the last time that the signal rises through zero."""
    rises = np.flatnonzero((band[:-1] < 0.0) & (band[1:] >= 0.0))
    if rises.size < 2:  # noqa: PLR2004 - a breath needs two ends
        return 0.0
    exact = rises + band[rises] / (band[rises] - band[rises + 1])
    return float((rises.size - 1) * rate_hz / (exact[-1] - exact[0]))
