"""GATT Date Time (2A08): a device's local clock, and when a reading of it is believed.

The field carries no zone and nothing says whether the clock was ever set, so a time of a device is used
only where it can be right (Bluetooth GATT Specification Supplement, Date Time).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from edge_twin_adapters.ble.frame import DecodeContext, Reader
from edge_twin_adapters.errors import AdapterError, DecodeError

# Years from 1582; 0 where year, month or day is unknown.
_FIRST_YEAR = 1582
_LAST_YEAR = 9999


@dataclass(frozen=True, slots=True)
class DateTimeField:
    """A GATT Date Time as the device wrote it: local, without zone, perhaps without date."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    @property
    def text(self) -> str:
        """ISO 8601 form without zone; unknown parts of the date are zeros."""
        date = f"{self.year:04}-{self.month:02}-{self.day:02}"
        return f"{date}T{self.hour:02}:{self.minute:02}:{self.second:02}"

    @property
    def has_date(self) -> bool:
        """Whether year, month and day are all known."""
        return bool(self.year and self.month and self.day)

    def within(self, zone: tzinfo) -> list[datetime]:
        """The moments, in UTC, at which clocks in ``zone`` showed this: none, one, or two in autumn."""
        moments = []
        for fold in (0, 1):
            local = datetime(
                self.year, self.month, self.day, self.hour, self.minute, self.second, fold=fold, tzinfo=zone
            )
            moment = local.astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                moments.append(moment)
        return moments

    def plus_minutes(self, minutes: int) -> DateTimeField:
        """What the clock shows ``minutes`` later (earlier when negative).

        Without a date only the hour and minute move.

        Raises:
            OverflowError: the year leaves 1 to 9999.
        """
        base = (self.year, self.month, self.day) if self.has_date else (2000, 1, 2)
        moved = datetime(*base, self.hour, self.minute, self.second, tzinfo=UTC) + timedelta(minutes=minutes)
        date = (moved.year, moved.month, moved.day) if self.has_date else (self.year, self.month, self.day)
        return DateTimeField(*date, moved.hour, moved.minute, moved.second)


def as_field(local: datetime) -> DateTimeField:
    """What a clock shows at ``local``, to the second; its zone is not part of the field."""
    return DateTimeField(local.year, local.month, local.day, local.hour, local.minute, local.second)


def read_date_time(reader: Reader) -> DateTimeField:
    """Read a GATT Date Time (7 bytes).

    Raises:
        DecodeError: ``truncated``, or ``invalid_time`` when a part is out of its range.
    """
    offset = reader.offset
    year = reader.u16("year")
    month, day, hour, minute, second = reader.take(5, "month to second")
    stamp = DateTimeField(year, month, day, hour, minute, second)
    if not _is_valid(stamp):
        raise DecodeError(f"no clock shows {stamp.text}", reason="invalid_time", offset=offset)
    return stamp


def encode_date_time(stamp: DateTimeField | None) -> bytes:
    """The 7 bytes of a Date Time, or nothing for None.

    Raises:
        AdapterError: ``invalid_time`` for a time that no clock can show.
    """
    if stamp is None:
        return b""
    if not _is_valid(stamp):
        raise AdapterError(f"no clock shows {stamp.text}", reason="invalid_time")
    rest = (stamp.month, stamp.day, stamp.hour, stamp.minute, stamp.second)
    return stamp.year.to_bytes(2, "little") + bytes(rest)


def _is_valid(stamp: DateTimeField) -> bool:
    if stamp.year and not _FIRST_YEAR <= stamp.year <= _LAST_YEAR:
        return False
    try:
        # A leap year stands in for an unknown year, so that 29 February is accepted.
        datetime(
            stamp.year or 2000, stamp.month or 1, stamp.day or 1, stamp.hour, stamp.minute, stamp.second, tzinfo=UTC
        )
    except ValueError:
        return False
    return True


def place(
    stamp: DateTimeField | None, received: datetime, context: DecodeContext, *, clock_set: bool = True
) -> tuple[datetime, dict[str, str]]:
    """When a reading was taken, and the attributes that say how this is known.

    Args:
        stamp: what the device's clock showed, or None when the device did not say.
        received: when the reading came, in UTC.
        context: zone of the patient and limits of belief.
        clock_set: False when the device itself says that its clock was not set.

    Returns:
        The moment in UTC, and ``time_source`` (``device`` or ``received``); with a stamp its text as
        ``device_time``; where it is not believed ``time_reason``; ``recorded = stored`` for a reading
        that is older than the tolerance.
    """
    if stamp is None:
        unset = {} if clock_set else {"time_reason": "device_clock_not_set"}
        return received, {"time_source": "received", **unset}
    attributes = {"device_time": stamp.text}
    moment = _device_moment(stamp, received, context) if clock_set else "device_clock_not_set"
    if isinstance(moment, str):
        return received, attributes | {"time_source": "received", "time_reason": moment}
    if received - moment > context.clock_tolerance:
        attributes["recorded"] = "stored"
    return moment, attributes | {"time_source": "device"}


def _device_moment(stamp: DateTimeField, received: datetime, context: DecodeContext) -> datetime | str:
    """The moment that the device's clock means, or the reason why it is not believed."""
    if context.patient_zone is None:
        return "zone_unknown"
    if not stamp.has_date:
        return "date_unknown"
    # Years far away are settled first: they can leave the range of datetime when converted.
    if abs(stamp.year - received.year) > 1 + context.max_age // timedelta(days=365):
        return "device_clock_ahead" if stamp.year > received.year else "device_clock_unset"
    moments = stamp.within(context.patient_zone)
    if not moments:
        return "no_such_local_time"
    believable = [moment for moment in moments if moment - received <= context.clock_tolerance]
    if not believable:
        return "device_clock_ahead"
    latest = max(believable)
    return latest if received - latest <= context.max_age else "device_clock_unset"
