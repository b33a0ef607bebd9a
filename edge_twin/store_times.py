"""Times in the store: integer microseconds since 1970, UTC, exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Integer microseconds since 1970, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The inverse of :func:`to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def maybe_us(moment: datetime | None) -> int | None:
    """As :func:`to_us`; None for none."""
    return None if moment is None else to_us(moment)


def maybe_time(microseconds: int | None) -> datetime | None:
    """As :func:`from_us`; None for none."""
    return None if microseconds is None else from_us(microseconds)
