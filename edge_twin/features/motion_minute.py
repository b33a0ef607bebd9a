"""What one minute of three-axis acceleration says: excess over gravity, angle, spread, steps, breathing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge_twin import codes
from edge_twin.features.breathing import Breathing, breathing_from_axes
from edge_twin.features.gait import Walk, count_steps
from edge_twin.features.stream_settings import setting
from edge_twin.observation import Observation, Quality, observe

GRAVITY_MG = 1000.0
SMALLEST_COVERAGE = setting("motion", "smallest_coverage")
NO_EPOCH_COVERAGE = setting("motion", "no_epoch_coverage")
SATURATED_SHARE, SATURATED_ABOVE_MG = setting("motion", "saturated_share"), setting("motion", "saturated_above_mg")
QUIET_SPREAD_MG = setting("motion", "quiet_spread_mg")
QUIET_MG = setting("motion", "smallest_gravity_mg"), setting("motion", "largest_gravity_mg")
MOVING_MG = setting("motion", "smallest_moving_mg"), setting("motion", "largest_moving_mg")
BREATHING_COVERAGE = setting("motion", "breathing_coverage")
BREATHING_SPREAD_MG = setting("respiration", "motion_largest_spread_mg")
BREATHING_HZ = setting("respiration", "motion_resampled_hz")

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionMinute:
    """One minute of acceleration.

    Attributes:
        enmo_mg: mean of max(length of the vector - 1000, 0) (van Hees et al., PLoS One 2013;8:e61691).
        angle_deg: median of atan(z / sqrt(x² + y²)) (van Hees et al., PLoS One 2015;10:e0142533).
        spread_mg: second smallest of the standard deviations of the three axes.
        walk: steps and cadence.
        breathing: rate of breathing or the reason why there is none.
        coverage: samples that came / samples of a minute, 0 to 1.
        reason: what speaks against the minute: ``flat_line``, ``gravity_off``, ``saturated`` or ``few_samples``;
            empty when nothing does.
    """

    enmo_mg: float
    angle_deg: float
    spread_mg: float
    walk: Walk
    breathing: Breathing
    coverage: float
    reason: str

    def observations(self, start: datetime, source: str, remarks: dict[str, str]) -> Iterator[Observation]:
        """The minute as observations, timed at its start.

        Args:
            start: of the minute, aware UTC.
            source: the device.
            remarks: further attributes; a ``reason`` among them makes every value questionable.
        """
        attributes = self._attributes(remarks)
        values = {
            codes.MOTION_ENMO: self.enmo_mg,
            codes.MOTION_ANGLE: self.angle_deg,
            codes.MOTION_SPREAD: self.spread_mg,
            codes.STEPS: None if self.reason == "flat_line" else float(self.walk.steps),
            codes.CADENCE: self.walk.cadence_per_min,
            codes.MOTION_RESPIRATION: self.breathing.rate_per_min,
        }
        for code, value in values.items():
            if value is not None:
                quality = self._quality(code, attributes)
                yield observe(code, value, start, source=source, quality=quality, attributes=attributes)

    def _attributes(self, remarks: dict[str, str]) -> dict[str, str]:
        own = {"epoch_seconds": "60", "derived": "acceleration", "coverage": f"{self.coverage:.3f}"}
        reason = {"reason": self.reason} if self.reason else {}
        return own | remarks | reason

    def _quality(self, code: codes.Code, attributes: dict[str, str]) -> Quality:
        """A stuck sensor is as still as one that is not worn, so that its spread may be looked at."""
        if self.reason == "gravity_off" or (self.reason == "flat_line" and code != codes.MOTION_SPREAD):
            return Quality.INVALID
        return Quality.QUESTIONABLE if "reason" in attributes else Quality.GOOD


def measure_minute(samples_mg: Matrix, rate_hz: float, before: float = math.nan) -> MotionMinute | None:
    """Measure one minute.

    Args:
        samples_mg: x, y, z of every place in the minute in m[g], NaN where no sample came, shape [n, 3].
        rate_hz: samples per second.
        before: cadence of the last block of the minute before, NaN when there was none.

    Returns:
        None when too few samples came to say anything.
    """
    filled = ~np.isnan(samples_mg[:, 0])
    coverage = float(filled.mean())
    if coverage < NO_EPOCH_COVERAGE:
        return None
    axes = np.ascontiguousarray(samples_mg.T if coverage == 1.0 else samples_mg[filled].T)  # rows reduce faster
    x, y, z = axes
    across = x**2 + y**2
    magnitude = np.sqrt(across + z**2)
    spread = float(np.sort(axes.std(axis=1))[1])
    walk = count_steps(_bridged(magnitude, filled), filled, rate_hz, before)
    return MotionMinute(
        enmo_mg=float(np.maximum(magnitude - GRAVITY_MG, 0.0).mean()),
        angle_deg=math.degrees(_middle(np.arctan2(z, np.sqrt(across)))),
        spread_mg=spread,
        walk=walk,
        breathing=_breathing(axes, filled, rate_hz, spread, walk),
        coverage=coverage,
        reason=_reason(axes, float(magnitude.mean()), spread, coverage),
    )


def _reason(axes: Matrix, mean_mg: float, spread: float, coverage: float) -> str:
    low, high = QUIET_MG if spread < QUIET_SPREAD_MG else MOVING_MG
    reasons = {
        "gravity_off": not low <= mean_mg <= high,
        "flat_line": bool((axes.min(axis=1) == axes.max(axis=1)).all()),
        "saturated": _saturated_share(axes) >= SATURATED_SHARE,
        "few_samples": coverage < SMALLEST_COVERAGE,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _saturated_share(axes: Matrix) -> float:
    """Share of the samples with an axis at its own extreme, where that is large enough to be a sensor's end."""
    size = np.abs(axes)
    top = size.max(axis=1)
    ends = [axis == largest for axis, largest in zip(size, top, strict=True) if largest > SATURATED_ABOVE_MG]
    return float(np.any(ends, axis=0).mean()) if ends else 0.0


def _bridged(values: NDArray[np.float64], filled: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Straight lines over the holes, for a filter that needs even samples; nothing is counted there."""
    if values.size == filled.size:
        return values
    return np.interp(np.arange(filled.size), np.flatnonzero(filled), values)


def _breathing(axes: Matrix, filled: NDArray[np.bool_], rate_hz: float, spread: float, walk: Walk) -> Breathing:
    if walk.seconds or spread > BREATHING_SPREAD_MG:
        return Breathing(None, "movement")
    if filled.mean() < BREATHING_COVERAGE:
        return Breathing(None, "too_many_holes")
    width = max(1, round(rate_hz / BREATHING_HZ))
    number = filled.size // width
    whole = np.stack([_bridged(axis, filled) for axis in axes])[:, : number * width]
    return breathing_from_axes(whole.reshape(3, number, width).mean(axis=2).T, rate_hz / width)


def _middle(values: NDArray[np.float64]) -> float:
    half = values.size // 2
    parted = np.partition(values, [half - 1, half] if half else [0])
    return float(parted[half] if values.size % 2 else 0.5 * (parted[half - 1] + parted[half]))
