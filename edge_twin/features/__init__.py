"""Features: from raw readings to a few trusted numbers, each with its definition in docs/features.md."""

from edge_twin.features.distil import (
    DAY_DIASTOLIC,
    DAY_SATURATION,
    DAY_STEPS,
    DAY_SYSTOLIC,
    DAY_TEMPERATURE,
    distil,
    in_order,
    merge,
)
from edge_twin.features.feature import Feature
from edge_twin.features.heart_day import NIGHT_HEART_RATE
from edge_twin.features.windows import WINDOW_HEART_RATE, WINDOW_RMSSD

__all__ = [
    "DAY_DIASTOLIC",
    "DAY_SATURATION",
    "DAY_STEPS",
    "DAY_SYSTOLIC",
    "DAY_TEMPERATURE",
    "NIGHT_HEART_RATE",
    "WINDOW_HEART_RATE",
    "WINDOW_RMSSD",
    "Feature",
    "distil",
    "in_order",
    "merge",
]
