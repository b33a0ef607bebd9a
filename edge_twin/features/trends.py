"""What several days say together: made of day-level features alone, so that any order of arrival gives the same.

Weight accepted and its change, body-mass index, regularity of sleep, the night's skin temperature against
earlier nights, and a proxy of gait speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from edge_twin.features.calendar import local_date
from edge_twin.features.feature import Feature, middle
from edge_twin.features.names import HEIGHT, MID_SLEEP, SKIN_NIGHTS, TREND_INPUTS, WALKING
from edge_twin.features.names import WEIGHT_READING as READING
from edge_twin.features.quality import UNIT as UNIT_CHANGE
from edge_twin.features.quality import is_unit_jump
from edge_twin.features.settings import number

WEIGHT = "weight_day"
SLOPE = "weight_slope_28d"
CHANGE_1_MONTH, CHANGE_6_MONTHS = "weight_change_1_month", "weight_change_6_months"
BODY_MASS_INDEX = "body_mass_index_day"
REGULARITY = "sleep_irregularity_7d"
GAIT_PROXY = "gait_speed_proxy_day"
_NIGHT, _DEVIATION = "_temperature_night", "_temperature_night_deviation"
Series = Mapping[date, Feature]


@dataclass(frozen=True, slots=True)
class _History:
    """The inputs by name and date, each series oldest first, without days that have no value."""

    series: Mapping[str, dict[date, Feature]]

    def values(self, name: str, first: date, last: date) -> list[float]:
        """Values of the days from ``first`` to ``last``, oldest first."""
        found = self.series.get(name, {})
        return [f.value for day, f in found.items() if first <= day <= last and f.value is not None]


def trends(features: Iterable[Feature], zone: ZoneInfo, since: date | None = None) -> tuple[Feature, ...]:
    """The trends of each day that has an input of its own, by start and name.

    Args:
        features: day-level features, in any order; what is no input is not used. The inputs of the
            ``LOOK_BACK`` before ``since`` belong to them.
        zone: the patient's time zone.
        since: first day to make trends of; None for all.
    """
    history = _History(_series(features, zone))
    first = since or date.min
    made = [
        *_weights(history, first),
        *_each(history, MID_SLEEP, first, _regularity),
        *_each(history, WALKING, first, _gait_proxy),
        *(f for name in SKIN_NIGHTS for f in _each(history, name, first, _night_deviation)),
    ]
    return tuple(sorted(made, key=lambda feature: (feature.start, feature.name)))


def _series(features: Iterable[Feature], zone: ZoneInfo) -> dict[str, dict[date, Feature]]:
    series: dict[str, dict[date, Feature]] = {}
    wanted = sorted((f for f in features if f.name in TREND_INPUTS), key=lambda f: f.start)
    for feature in wanted:
        series.setdefault(feature.name, {})[local_date(feature.start, zone)] = feature
    return series


_Maker = Callable[[_History, date, Feature], Feature]


def _each(history: _History, name: str, first: date, make: _Maker) -> Iterator[Feature]:
    for day, feature in history.series.get(name, {}).items():
        if day >= first and feature.value is not None:
            yield make(history, day, feature)


def _like(  # noqa: PLR0913, PLR0917 - the fields of a feature
    feature: Feature, name: str, value: float | None, unit: str, count: int, reason: str = ""
) -> Feature:
    """A trend of the same day as one of its inputs."""
    told = None if reason else value
    return Feature(name, told, unit, feature.start, feature.end, count, 0.0 if reason else 1.0, reason)


# ---- weight -----------------------------------------------------------------------------------------


def _weights(history: _History, first: date) -> Iterator[Feature]:
    accepted: dict[date, float] = {}
    for day, reading in history.series.get(READING, {}).items():
        if reading.value is None:
            continue
        suspected = _is_other_unit(reading.value, day, accepted)
        if not suspected:
            accepted[day] = reading.value
        if day >= first:
            reason = UNIT_CHANGE if suspected else ""
            yield _like(reading, WEIGHT, reading.value, "kg", reading.count, reason)
            yield from _changes(history, accepted, day, reading, reason)


def _is_other_unit(value: float, day: date, accepted: dict[date, float]) -> bool:
    """Whether a weight differs from the usual one by just the factor of pounds; it is held, not converted."""
    oldest = day - timedelta(days=number("weight", "reference_days"))
    usual = _between(accepted, oldest, day)
    return bool(usual) and is_unit_jump(value / middle(usual), number("quality", "pounds_per_kilogram"))


def _changes(
    history: _History, accepted: dict[date, float], day: date, reading: Feature, reason: str
) -> Iterator[Feature]:
    today = _between(accepted, day - timedelta(days=number("weight", "median_days") - 1), day)
    yield _slope(accepted, day, reading, reason)
    for name, span in ((CHANGE_1_MONTH, "1_month"), (CHANGE_6_MONTHS, "6_months")):
        back = day - timedelta(days=number("weight", f"change_days_{span}"))
        wide = timedelta(days=number("weight", f"change_window_days_{span}"))
        earlier = _between(accepted, back - wide, back + wide)
        why = reason or ("" if earlier else "no_earlier_weight")
        change = middle(today) / middle(earlier) - 1.0 if not why else None
        yield _like(reading, name, change, "1", len(today) + len(earlier), why)
    height = history.values(HEIGHT, date.min, day)
    why = reason or ("" if height else "no_height")
    index = middle(today) / height[-1] ** 2 if not why else None
    yield _like(reading, BODY_MASS_INDEX, index, "kg/m2", len(today), why)


def _between(weights: dict[date, float], first: date, last: date) -> list[float]:
    """Weights of these days; looked for from the newest back, as only the last ones are ever asked for."""
    found: list[float] = []
    for day, weight in reversed(weights.items()):
        if day < first:
            break
        if day <= last:
            found.append(weight)
    return found


def _slope(accepted: dict[date, float], day: date, reading: Feature, reason: str) -> Feature:
    """Theil-Sen slope over four weeks, as a share of the median weight per month."""
    oldest = day - timedelta(days=number("weight", "slope_days") - 1)
    points = [((at - oldest).days, weight) for at, weight in accepted.items() if oldest <= at <= day]
    enough = len(points) >= number("weight", "slope_weighings")
    why = reason or ("" if enough and _span(points) >= number("weight", "slope_span_days") else "too_few_weights")
    if why:
        return _like(reading, SLOPE, None, "/mo", len(points), why)
    share = theil_sen(points) / middle([weight for _, weight in points])
    return _like(reading, SLOPE, share * number("weight", "month_days"), "/mo", len(points))


def _span(points: Sequence[tuple[int, float]]) -> int:
    return points[-1][0] - points[0][0]


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """Median of the slopes between all pairs of points of different abscissa (Theil 1950, Sen 1968).

    Args:
        points: abscissa and ordinate, at least two of different abscissa.
    """
    return middle(
        [(y2 - y1) / (x2 - x1) for n, (x1, y1) in enumerate(points) for x2, y2 in points[n + 1 :] if x2 != x1]
    )


# ---- sleep, gait, skin ------------------------------------------------------------------------------


def _regularity(history: _History, day: date, feature: Feature) -> Feature:
    """Standard deviation of the middle of sleep over the last nights; large is irregular."""
    nights = history.values(MID_SLEEP, day - timedelta(days=number("sleep", "regularity_days") - 1), day)
    if len(nights) < number("sleep", "regularity_nights"):
        return _like(feature, REGULARITY, None, "h", len(nights), "too_few_nights")
    mean = math.fsum(nights) / len(nights)
    spread = math.sqrt(math.fsum((night - mean) ** 2 for night in nights) / (len(nights) - 1))
    return _like(feature, REGULARITY, spread, "h", len(nights))


def _gait_proxy(history: _History, day: date, feature: Feature) -> Feature:
    """Cadence of walking times a step length from body height; a proxy, not a measured speed."""
    height = history.values(HEIGHT, date.min, day)
    if not height or feature.value is None:
        return _like(feature, GAIT_PROXY, None, "m/s", feature.count, "no_height")
    step = number("activity", "step_length_share_of_height") * height[-1]
    return _like(feature, GAIT_PROXY, feature.value / 60.0 * step, "m/s", feature.count)


def _night_deviation(history: _History, day: date, feature: Feature) -> Feature:
    """Tonight's skin temperature minus the median of earlier nights."""
    name = feature.name.replace(_NIGHT, _DEVIATION)
    last = day - timedelta(days=number("temperature", "night_baseline_lag_days"))
    first = last - timedelta(days=number("temperature", "night_baseline_days") - 1)
    usual = history.values(feature.name, first, last)
    if feature.value is None or len(usual) < number("temperature", "night_baseline_nights"):
        return _like(feature, name, None, "K", len(usual), "too_few_nights")
    return _like(feature, name, feature.value - middle(usual), "K", len(usual))
