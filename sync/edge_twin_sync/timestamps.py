"""Aware UTC datetimes to integer milliseconds of the wire, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from edge_twin.observation import as_utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(time: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC, rounded down.

    Raises:
        ObservationError: ``naive_time`` when ``time`` has no zone.
    """
    return (as_utc(time) - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC datetime of ``milliseconds`` since 1970.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return _EPOCH + milliseconds * _MILLISECOND
