"""A series of one marker: split by assay, searched for a rise over its lowest value and for that rise's confirmation.

Values of two laboratories or methods are never compared: they measure the same thing on different scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from edge_twin import codes
from edge_twin.flags.situation import Situation
from edge_twin.observation import Observation, days_between

Readings = tuple[Observation, ...]
_DECIMALS = 9  # a limit that is a sum or product is compared as the decimal number that it stands for


class Rise(NamedTuple):
    """A rise at or above a limit that still holds at the newest value.

    Attributes:
        nadir: the lowest value before it (the newest of equal ones).
        limit: at or above which a value counts.
        first: first value at or above the limit since the last one below it.
        confirmed_by: first value at or above the limit that came long enough after ``first``; None until then.
        newest: the newest value.
    """

    nadir: Observation
    limit: float
    first: Observation
    confirmed_by: Observation | None
    newest: Observation

    @property
    def readings(self) -> Readings:
        """What it rests on, without repetition, oldest first."""
        found = [self.nadir, self.first, *([self.confirmed_by] if self.confirmed_by else []), self.newest]
        return tuple(dict.fromkeys(found))


def by_assay(situation: Situation, code: codes.Code) -> tuple[Readings, ...]:
    """The usable readings of a code, oldest first, a series for each assay; that of the newest reading is first.

    Readings from before the start that the clinic states (``care.markers_since``) are left out.
    """
    series: dict[tuple[str, str], list[Observation]] = {}
    since = situation.given.care.markers_since
    compared = (o for o in situation.readings(code) if since is None or o.time >= since)
    for reading in sorted(compared, key=lambda o: (o.time, o.id)):
        series.setdefault(assay(reading), []).append(reading)
    newest_first = sorted(series.values(), key=lambda readings: readings[-1].time, reverse=True)
    return tuple(tuple(readings) for readings in newest_first)


def assay(reading: Observation) -> tuple[str, str]:
    """Who measured and how: attribute ``laboratory``, or else the source; and attribute ``method``."""
    return reading.attributes.get("laboratory", reading.source), reading.attributes.get("method", "")


def find_rise(readings: Sequence[Observation], limit_over: Callable[[float], float], apart: timedelta) -> Rise | None:
    """The rise that holds at the newest value, or None.

    Args:
        readings: of one assay, oldest first.
        limit_over: the limit for a lowest value.
        apart: how long after the first value a second one confirms it.
    """
    nadir, rise = None, None
    for reading in readings:
        if nadir is not None:
            rise = _continued(rise, nadir, reading, round(limit_over(nadir.value), _DECIMALS), apart)
        if nadir is None or reading.value <= nadir.value:
            nadir = reading
    return rise


def _continued(
    rise: Rise | None, nadir: Observation, reading: Observation, limit: float, apart: timedelta
) -> Rise | None:
    """The rise after one more value; one that is only known to lie below some number does not count as high."""
    if reading.value < limit or reading.limit_sign:
        return None
    if rise is None:
        return Rise(nadir, limit, reading, None, reading)
    confirms = rise.confirmed_by is None and reading.time - rise.first.time >= apart
    return rise._replace(newest=reading, confirmed_by=reading if confirms else rise.confirmed_by)


def spaced(readings: Sequence[Observation], apart: timedelta) -> Readings:
    """Readings at least ``apart``, chosen from the newest back; oldest first."""
    chosen: list[Observation] = []
    for reading in reversed(readings):
        if not chosen or chosen[-1].time - reading.time >= apart:
            chosen.append(reading)
    return tuple(reversed(chosen))


def days_from_first(readings: Sequence[Observation]) -> list[float]:
    """Times in days after the first reading."""
    return [days_between(readings[0].time, reading.time) for reading in readings]
