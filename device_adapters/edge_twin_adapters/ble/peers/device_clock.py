"""The clock of a virtual sensor: local, without zone, and wrong when something went wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from edge_twin_adapters.ble.current_time import CurrentTime, clock_setting
from edge_twin_adapters.ble.date_time import DateTimeField, as_field
from edge_twin_adapters.ble.polar_time import EPOCH

# What an H10 shows that was never set (Polar SDK).
NEVER_SET = datetime(2019, 1, 1)  # noqa: DTZ001 - a device's clock has no zone
_NS_PER_US = 1000


class DeviceClock:
    """Shows the time of the zone in which it was set.

    Args:
        now: the true time, aware.
        zone: in which it is set at the start.
    """

    def __init__(self, now: Callable[[], datetime], zone: tzinfo = UTC) -> None:
        self._now = now
        self._zone = zone
        self._wrong_by = timedelta(0)

    @property
    def local(self) -> datetime:
        """What it shows now; naive."""
        return self._now().astimezone(self._zone).replace(tzinfo=None) + self._wrong_by

    @property
    def field(self) -> DateTimeField:
        """What it shows now, as a GATT Date Time."""
        return as_field(self.local)

    @property
    def nanoseconds(self) -> int:
        """What it shows now, in ns since 2000-01-01."""
        return self.nanoseconds_at(self._now())

    @property
    def is_set(self) -> bool:
        """Whether it shows the right time."""
        return self._wrong_by == timedelta(0)

    def nanoseconds_at(self, moment: datetime) -> int:
        """What it shows at ``moment`` if nothing else happens to it, in ns since 2000-01-01."""
        shown = moment.astimezone(self._zone).replace(tzinfo=UTC) + self._wrong_by
        return (shown - EPOCH) // timedelta(microseconds=1) * _NS_PER_US

    def current_time(self) -> CurrentTime:
        """What it shows now, as a Current Time."""
        shown = clock_setting(self._now(), self._zone)
        return shown if self.is_set else CurrentTime(self.field, 0, 0, 0)

    def set(self, shown: DateTimeField) -> None:
        """Set it, as a central does through Current Time; a date that is not known sets nothing."""
        if shown.has_date:
            told = datetime(shown.year, shown.month, shown.day, shown.hour, shown.minute, shown.second)  # noqa: DTZ001 - as above
            error = told - self._now().astimezone(self._zone).replace(tzinfo=None)
            # A Date Time counts seconds: less than one is no error.
            self._wrong_by = timedelta(0) if abs(error) < timedelta(seconds=1) else error

    def reset(self) -> None:
        """Go back to the time of a clock that was never set."""
        self._wrong_by += NEVER_SET - self.local
