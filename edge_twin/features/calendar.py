"""The patient's nights and days, cut from the IANA time zone that came with the input."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NIGHT_ENDS = time(7, 0)  # a night is 00:00 to 06:59 local, as in NightSignal (Nature Medicine 2022)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The patient's calendar date at ``moment``."""
    return moment.astimezone(zone).date()


def is_night(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether ``moment`` lies between local midnight and 06:59."""
    return moment.astimezone(zone).time() < NIGHT_ENDS


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end (UTC) of a local calendar day; 23 or 25 hours long when the clocks change."""
    return _local(day, time(0), zone), _local(day + timedelta(days=1), time(0), zone)


def night_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end (UTC) of the night that belongs to a local date."""
    return _local(day, time(0), zone), _local(day, NIGHT_ENDS, zone)


def _local(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
