"""Which features the readings of a day give, and which the days give together; definitions.toml defines each."""

from __future__ import annotations

from edge_twin import codes
from edge_twin.features import activity, glucose, oxygen, sleep, trends, wear, weight
from edge_twin.features.labs import NEWEST_OF
from edge_twin.features.names import SKIN_NIGHTS
from edge_twin.features.temperature import NIGHT_SITES, prefix
from edge_twin.observation import Site

_TEMPERATURE = {f"{prefix(site)}_temperature_{what}_day" for site in Site for what in ("max", "median", "adjusted")}
_TEMPERATURE |= {f"{prefix(site)}_temperature_night" for site in NIGHT_SITES}
_ACTIVITY = {
    activity.STEPS, activity.SOURCES, activity.PEAK, activity.BRISK, activity.WALKING, activity.ACTIVE,
    activity.SEDENTARY, activity.BOUTS, activity.SPEED,
}  # fmt: skip
_MOTION = {wear.WEAR, wear.ANY, sleep.PERIOD, sleep.DURATION, sleep.EFFICIENCY, sleep.MID_SLEEP}
_MOTION |= {f"{code.name}_minutes_day" for code in wear.STREAMS}
_OXYGEN = {oxygen.MEDIAN, oxygen.LOW_END, oxygen.BELOW_90, *(name for name, _ in oxygen.DROPS)}
_PRESSURE = {
    f"{name}_pressure_{part}_day" for name in ("systolic", "diastolic") for part in ("median", "morning", "evening")
}
_PRESSURE |= {"systolic_pressure_min_day"}
_GLUCOSE = {glucose.MEAN, glucose.COVERAGE, *glucose.SHARES}
_GLUCOSE |= {f"glucose_{specimen}_{end}_day" for specimen, _ in glucose.SPOT for end in ("max", "min")}
_NEWEST = {f"{code.name}_day" for code in NEWEST_OF}
_DIARY = {
    f"{name}_{what}_day" for name in codes.names() if name.startswith(codes.DIARY_PREFIX) for what in ("max", "latest")
}
_IMAGING = {
    f"{name}{what}_day"
    for name in codes.names()
    if name.startswith(codes.IMAGING_PREFIX)
    for what in ("", "_uncertainty")
}

DISTILLED = frozenset(
    {weight.READING, weight.HEIGHT}
    | _TEMPERATURE | _ACTIVITY | _MOTION | _OXYGEN | _PRESSURE | _GLUCOSE | _NEWEST | _DIARY | _IMAGING
)  # fmt: skip
"""Names of :func:`edge_twin.features.daily.daily_features`; those of the heart come from its stream."""

TRENDS = frozenset(
    {
        trends.WEIGHT, trends.SLOPE, trends.CHANGE_1_MONTH, trends.CHANGE_6_MONTHS, trends.BODY_MASS_INDEX,
        trends.REGULARITY, trends.GAIT_PROXY, *(f"{name}_deviation" for name in SKIN_NIGHTS),
    }
)  # fmt: skip
"""Names that :func:`edge_twin.features.trends.trends` may give."""
