"""Features: from raw readings to a few trusted numbers, each with its definition in docs/features.md."""

from edge_twin.features.distil import (
    DAY_DIASTOLIC,
    DAY_SATURATION,
    DAY_STEPS,
    DAY_SYSTOLIC,
    DAY_TEMPERATURE,
    distil,
    in_order,
)
from edge_twin.features.feature import Feature
from edge_twin.features.late import merge, renewed
from edge_twin.features.names import LOOK_BACK, NIGHT_HEART_RATE, TREND_INPUTS, WINDOW_HEART_RATE, WINDOW_RMSSD

__all__ = [
    "DAY_DIASTOLIC",
    "DAY_SATURATION",
    "DAY_STEPS",
    "DAY_SYSTOLIC",
    "DAY_TEMPERATURE",
    "LOOK_BACK",
    "NIGHT_HEART_RATE",
    "TREND_INPUTS",
    "WINDOW_HEART_RATE",
    "WINDOW_RMSSD",
    "Feature",
    "distil",
    "in_order",
    "merge",
    "renewed",
]
