"""From the callbacks of bleak to the mailbox: values with their time of reception, and the events of the link."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from edge_twin.observation import DeviceEvent, DeviceEventKind, as_utc
from edge_twin_adapters.ble.frame import short_uuid
from edge_twin_adapters.ble.link import Counters
from edge_twin_adapters.ble.mailbox import Frame, Mailbox


class Intake:
    """Takes what comes from one device; nothing here waits, and only a clock without zone makes it raise.

    Args:
        source: name of the device in events.
        clock: the time of reception, aware.
        counters: of the source.

    Attributes:
        announced: whether this connection was told as ``CONNECTED``.
        heard: values that came unasked, over all connections.
        last_seen: when the last value came.
    """

    def __init__(self, source: str, clock: Callable[[], datetime], counters: Counters) -> None:
        self._source = source
        self._clock = clock
        self._counters = counters
        self._mailbox: Mailbox | None = None
        self._last_reading: datetime | None = None
        self._ties = 0
        self._early: list[Frame] = []
        self._connected_before = False
        self._expected_from: datetime | None = None
        self.announced = False
        self.heard = 0
        self.last_seen: datetime | None = None

    def open(self, mailbox: Mailbox) -> None:
        """Put everything into ``mailbox`` from now on."""
        self._mailbox = mailbox

    def begin(self) -> None:
        """A new connection is tried."""
        self.announced = False
        self._early = []

    def take(self, characteristic: str, payload: bytes) -> None:
        """Take a value that came unasked."""
        self.heard += 1
        self.take_read(characteristic, payload)

    def take_read(self, characteristic: str, payload: bytes) -> None:
        """Take a value that was read: no sign that the device measures."""
        self._counters.notifications += 1
        self._put(Frame(characteristic, payload, self._now(), monotonic_ns=time.monotonic_ns()))

    def note_written(self, characteristic: str, payload: bytes) -> None:
        """Take a request, which the answer needs to be understood."""
        self._put(Frame(characteristic, payload, self._now(), outgoing=True, monotonic_ns=time.monotonic_ns()))

    def announce(self) -> None:
        """Tell that the link is up and listened to, once for each connection and before its first frame."""
        if self.announced:
            return
        self.announced = True
        now = as_utc(self._clock())
        if self._expected_from is not None:
            self._counters.gaps += 1
            self.tell(DeviceEventKind.GAP, now, "link_lost", since=self._expected_from)
        self._expected_from = now
        self._counters.reconnects += self._connected_before
        self._connected_before = True
        self.tell(DeviceEventKind.CONNECTED, now)
        early, self._early = self._early, []
        for frame in early:
            self._queue(frame)

    def leave(self, measured: tuple[str, ...]) -> None:
        """The connection is over; what came of ``measured`` before it was announced is handed on.

        The device measured before the connection failed, and may think that this is delivered.
        """
        if any(short_uuid(frame.characteristic) in measured for frame in self._early):
            self.announce()

    def tell(
        self, kind: DeviceEventKind, now: datetime | None = None, detail: str = "", *, since: datetime | None = None
    ) -> None:
        """Put an event behind what came so far.

        Args:
            kind: what happened.
            now: when; the clock's time by default.
            detail: the reason.
            since: for a gap, when it began; ``now`` is then its end.
        """
        moment = as_utc(self._clock()) if now is None else now
        event = DeviceEvent(kind, since or moment, self._source, detail, None if since is None else moment)
        if self._mailbox is not None:
            self._mailbox.put_event(event)

    def tell_missing(self, detail: str) -> None:
        """Tell that something does not come, from now on or of a time that is not known."""
        now = as_utc(self._clock())
        self.tell(DeviceEventKind.GAP, now, detail, since=now)

    def tell_loss(self, reason: str) -> None:
        """Tell that the link is gone, or cannot be made a first time; silence would look like health."""
        first_failure = not self.announced and self._expected_from is None
        if self.announced or first_failure:
            now = as_utc(self._clock())
            self._expected_from = self._expected_from or now
            self.tell(DeviceEventKind.DISCONNECTED, now, reason)

    def _put(self, frame: Frame) -> None:
        self.last_seen = frame.received
        if self.announced:
            self._queue(frame)
        else:
            # What comes before everything is subscribed to lies in the gap that is still to be told.
            self._early.append(frame)

    def _queue(self, frame: Frame) -> None:
        if not frame.outgoing:
            self._expected_from = max(frame.received, self._expected_from or frame.received)
        if self._mailbox is not None:
            self._counters.overflow += not self._mailbox.put_frame(frame)

    def _now(self) -> datetime:
        """The clock; readings that are equal are set a microsecond apart.

        A coarse clock shows two notifications the same time, and equal beats in them would then be
        taken for one observation that arrived twice.
        """
        reading = as_utc(self._clock())
        self._ties = self._ties + 1 if reading == self._last_reading else 0
        self._last_reading = reading
        return reading + timedelta(microseconds=self._ties)
