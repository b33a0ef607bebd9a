"""From observations to features: a pure function that depends on the set of readings, not their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from edge_twin import codes
from edge_twin.features.beats import window_statistics
from edge_twin.features.calendar import is_night, local_date, night_bounds
from edge_twin.features.circadian import HourTable
from edge_twin.features.daily import daily_features
from edge_twin.features.feature import Feature
from edge_twin.observation import Observation, Site

LONGEST_PAUSE = timedelta(seconds=60)  # a longer pause between beats ends the window (assumed)
LONGEST_WINDOW = timedelta(minutes=5)  # RMSSD is defined over 1 to 5 minutes
SHORTEST_WINDOW = timedelta(seconds=60)

WINDOW_HEART_RATE = "heart_rate_window"
WINDOW_RMSSD = "rmssd_window"
NIGHT_HEART_RATE = "resting_heart_rate_night"
DAY_TEMPERATURE = "oral_temperature_max_day"
DAY_STEPS = "steps_day"
DAY_SYSTOLIC = "systolic_pressure_median_day"
DAY_DIASTOLIC = "diastolic_pressure_median_day"
DAY_SATURATION = "oxygen_saturation_median_day"


def in_order(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Each reading once, oldest first; the order of arrival leaves no trace."""
    unique = {observation.id: observation for observation in observations}
    return tuple(sorted(unique.values(), key=lambda o: (o.time, o.source, o.code.code, o.sequence, o.value)))


def distil(
    observations: Iterable[Observation],
    zone: ZoneInfo,
    *,
    days: frozenset[date] | None = None,
    tables: Mapping[Site, HourTable] | None = None,
) -> tuple[Feature, ...]:
    """All features that these observations give.

    Args:
        observations: in any order, with or without repeats; implausible ones are counted, not used.
        zone: the patient's time zone, from which nights and days are cut.
        days: the local dates to make features of, when the observations hold parts of other days as well;
            of a date in it without any reading this is said. None for every date that has a reading.
        tables: the patient's own daily rhythm of temperature by site, where it is known.

    Returns:
        Features sorted by start and name.
    """
    ordered = in_order(observations)
    beats = [o for o in _of(ordered, codes.RR_INTERVAL) if days is None or local_date(o.time, zone) in days]
    windows = tuple(_window_features(beats, zone))
    features = [
        *windows,
        *_night_features(windows, zone),
        *daily_features(ordered, zone, days=days, tables=tables),
    ]
    return tuple(sorted(features, key=lambda feature: (feature.start, feature.name)))


def _of(observations: Sequence[Observation], code: codes.Code) -> list[Observation]:
    return [observation for observation in observations if observation.code == code]


def _window_features(beats: Sequence[Observation], zone: ZoneInfo) -> Iterator[Feature]:
    for window in _windows(beats, zone):
        start, end = window[0].time, window[-1].time
        places = [place for place, beat in enumerate(window) if beat.is_usable]
        rr_ms = np.array([window[place].value for place in places], dtype=np.float64)
        statistics = window_statistics(rr_ms, np.diff(places) == 1)
        share = statistics.kept / len(window)
        reason = "" if end - start >= SHORTEST_WINDOW else "window_too_short"
        for name, value, unit in (
            (WINDOW_HEART_RATE, statistics.heart_rate_per_min, "/min"),
            (WINDOW_RMSSD, statistics.rmssd_ms, "ms"),
        ):
            why = reason or ("" if value is not None else "too_many_artefacts")
            yield Feature(name, None if why else value, unit, start, end, statistics.kept, share, why)


def _windows(beats: Sequence[Observation], zone: ZoneInfo) -> Iterator[list[Observation]]:
    """Runs of beats without a pause, at most five minutes long, never across local midnight."""
    window: list[Observation] = []
    for beat in beats:
        if window and _ends_window(window, beat, zone):
            yield window
            window = []
        window.append(beat)
    if window:
        yield window


def _ends_window(window: Sequence[Observation], beat: Observation, zone: ZoneInfo) -> bool:
    first, last = window[0], window[-1]
    return (
        beat.time - last.time > LONGEST_PAUSE
        or beat.time - first.time > LONGEST_WINDOW
        or beat.source != last.source
        or local_date(beat.time, zone) != local_date(first.time, zone)
    )


def _night_features(windows: Sequence[Feature], zone: ZoneInfo) -> Iterator[Feature]:
    """The lowest window heart rate of each night that has a window."""
    nights: dict[date, list[Feature]] = defaultdict(list)
    for window in windows:
        if window.name == WINDOW_HEART_RATE and is_night(window.start, zone):
            nights[local_date(window.start, zone)].append(window)
    for night, members in nights.items():
        rates = [window.value for window in members if window.value is not None]
        start, end = night_bounds(night, zone)
        share = len(rates) / len(members)
        value, reason = (min(rates), "") if rates else (None, "no_valid_window")
        yield Feature(NIGHT_HEART_RATE, value, "/min", start, end, len(rates), share, reason)
