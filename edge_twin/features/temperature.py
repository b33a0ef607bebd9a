"""Temperature of a day, by the site where it was taken; sites are never mixed (docs/features.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_twin import codes
from edge_twin.features.calendar import is_night
from edge_twin.features.circadian import NO_RHYTHM, HourTable, expected_deviation
from edge_twin.features.day import Day, Readings
from edge_twin.features.feature import Feature, middle
from edge_twin.features.quality import Screened, screen, stuck_after
from edge_twin.features.settings import number
from edge_twin.observation import Site

UNIT = "Cel"
NIGHT_SITES = (Site.SKIN, Site.FINGER, Site.TOE)
"""Sites whose night is told: their temperature says little while the hands are in use."""


def prefix(site: Site) -> str:
    """How the features of a site begin: ``oral`` ..., and ``unknown_site`` where the source did not say."""
    return "unknown_site" if site is Site.UNKNOWN else site.value


def temperature_features(day: Day, tables: Mapping[Site, HourTable] | None = None) -> Iterator[Feature]:
    """Highest, median and rhythm-adjusted temperature of each site, and the night of those on the skin.

    Args:
        day: the day.
        tables: the patient's own rhythm by site, where it is known.
    """
    sites: dict[Site, list[int]] = {}
    readings = day.of(codes.BODY_TEMPERATURE)
    for place, reading in enumerate(readings):
        sites.setdefault(reading.site, []).append(place)
    for site, places in sites.items():
        screened = screen([readings[place] for place in places], stuck_after=stuck_after("body_temperature"))
        yield from _of_site(day, site, screened, (tables or {}).get(site))


def _of_site(day: Day, site: Site, screened: Screened, table: HourTable | None) -> Iterator[Feature]:
    names = [f"{prefix(site)}_temperature_{what}_day" for what in ("max", "median", "adjusted")]
    used, total = len(screened.readings), screened.total
    if screened.reason:
        yield from (day.refused(name, UNIT, screened.reason, 0, total) for name in names)
        return
    yield day.number(names[0], max(screened.values), UNIT, used, total)
    yield day.number(names[1], middle(screened.values), UNIT, used, total)
    yield _adjusted(day, names[2], site, screened, table)
    if site in NIGHT_SITES:
        yield _night(day, f"{prefix(site)}_temperature_night", screened.readings)


def _adjusted(day: Day, name: str, site: Site, screened: Screened, table: HourTable | None) -> Feature:
    """Median of what is left when the hour's expected deviation is taken off each reading."""
    left: list[float] = []
    for reading in screened.readings:
        expected = expected_deviation(site, reading.time.astimezone(day.zone), table)
        if expected is not None:
            left.append(reading.value - expected)
    if not left:
        return day.refused(name, UNIT, NO_RHYTHM, 0, screened.total)
    return day.number(name, middle(left), UNIT, len(left), screened.total)


def _night(day: Day, name: str, readings: Readings) -> Feature:
    night = [reading.value for reading in readings if is_night(reading.time, day.zone)]
    if len(night) < number("temperature", "night_readings"):
        return day.refused(name, UNIT, "too_few_readings", len(night), len(readings))
    return day.number(name, middle(night), UNIT, len(night))
