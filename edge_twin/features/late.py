"""Late, repeated and amended data: which numbers they replace, and how a reader sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from edge_twin.features.calendar import local_date
from edge_twin.features.distil import distil
from edge_twin.features.feature import Feature
from edge_twin.features.names import TREND_INPUTS
from edge_twin.features.settings import number
from edge_twin.observation import Observation

WITHDRAWN = "superseded"


def is_correction(earlier: Feature, later: Feature, at: datetime) -> bool:
    """Whether ``later`` replaces a number that had settled, so that a reader must be told.

    A period that is still running, or ended within the last hours, is filling up and not corrected.

    Args:
        earlier: what was known.
        later: of the same name and start.
        at: when the later one was made, aware UTC.
    """
    settled = earlier.end + timedelta(hours=number("late", "settling_hours")) < at
    return settled and earlier.end == later.end and earlier != later


def succeed(earlier: Feature, later: Feature, at: datetime | None) -> Feature:
    """The later number about the same period, with the version and the correction that follow from the earlier one.

    Args:
        earlier: what was known.
        later: of the same name and start.
        at: when the later one was made, aware UTC; None when it is not known, and no correction is told.
    """
    if earlier == later:
        return earlier
    corrected = at if at is not None and is_correction(earlier, later, at) else earlier.corrected
    return replace(later, version=earlier.version + 1, corrected=corrected)


def merge(earlier: Iterable[Feature], later: Iterable[Feature], at: datetime | None = None) -> tuple[Feature, ...]:
    """Features by key; a later one replaces the earlier one of the same name and start, as its next version.

    Args:
        earlier: what was known.
        later: what new data give.
        at: when the later ones were made, aware UTC.
    """
    by_key = {feature.key: feature for feature in earlier}
    for feature in later:
        before = by_key.get(feature.key)
        by_key[feature.key] = feature if before is None else succeed(before, feature, at)
    return tuple(sorted(by_key.values(), key=lambda feature: (feature.start, feature.name)))


def withdrawn(
    earlier: Iterable[Feature],
    later: Iterable[Feature],
    names: frozenset[str],
    made_anew: Callable[[date], bool],
    zone: ZoneInfo,
) -> Iterator[Feature]:
    """Numbers of freshly made days that the new data no longer give, told as withdrawn.

    A window of beats that starts earlier now, or the day of a result that the laboratory moved, would
    otherwise stay beside its successor for ever.

    Args:
        earlier: what was known.
        later: everything of these names that the data of those days give now.
        names: of the features that were made anew.
        made_anew: whether a local date was made anew as a whole.
        zone: the patient's time zone.
    """
    made = {feature.key for feature in later}
    for feature in earlier:
        gone = feature.name in names and feature.key not in made and feature.reason != WITHDRAWN
        if gone and made_anew(local_date(feature.start, zone)):
            yield replace(feature, value=None, count=0, valid_share=0.0, reason=WITHDRAWN)


def renewed(
    known: Iterable[Feature],
    observations: Iterable[Observation],
    zone: ZoneInfo,
    now: datetime,
    days: frozenset[date] | None = None,
) -> tuple[Feature, ...]:
    """Everything that is known after new readings: their days made anew, and the trends that follow from them.

    Args:
        known: features made earlier.
        observations: readings, in any order.
        zone: the patient's time zone.
        now: the moment, aware UTC.
        days: local dates of which ``observations`` hold every reading; None when it is not said, and then no
            number is withdrawn.
    """
    before = tuple(known)
    fresh = distil(observations, zone, days=days)
    gone = () if days is None else _gone_of(before, fresh, days, zone)
    merged = merge(before, (*fresh, *gone), now)
    since = _first_change(before, merged, zone)
    return merged if since is None else _with_trends(merged, before, since, zone, now)


def _gone_of(
    before: Iterable[Feature], fresh: Iterable[Feature], days: frozenset[date], zone: ZoneInfo
) -> Iterator[Feature]:
    from edge_twin.features.registry import DISTILLED  # noqa: PLC0415 - a single forecast needs no list of all names

    return withdrawn(before, fresh, DISTILLED, days.__contains__, zone)


def _with_trends(
    merged: Iterable[Feature], before: Iterable[Feature], since: date, zone: ZoneInfo, now: datetime
) -> tuple[Feature, ...]:
    from edge_twin.features.registry import TRENDS  # noqa: PLC0415 - loaded when a day changed that trends rest on
    from edge_twin.features.trends import trends  # noqa: PLC0415 - as above

    made = trends(merged, zone, since)
    gone = withdrawn(before, made, TRENDS, lambda day: day >= since, zone)
    return merge(merged, (*made, *gone), now)


def _first_change(before: Iterable[Feature], after: Iterable[Feature], zone: ZoneInfo) -> date | None:
    """The first local date on which an input of the trends is another than before."""
    known = {feature.key: feature for feature in before}
    changed = [f.start for f in after if f.name in TREND_INPUTS and known.get(f.key) != f]
    return local_date(min(changed), zone) if changed else None
