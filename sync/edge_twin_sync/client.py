"""The sync client: carries the outbox to the centre and deletes what the centre has signed for.

One owner thread has its own database connection and does everything: send, watch the time, take
acknowledgements. PUBACK frees nothing; it only tells when the broker refuses. What is in flight is
known in memory alone, so after a crash everything that was not acknowledged is simply sent again.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_twin_sync import acks
from edge_twin_sync.acks import Ack
from edge_twin_sync.errors import EnvelopeError, TransportError
from edge_twin_sync.outbox import Outbox, OutboxRow, RowId, connect
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import ack_topic, uplink_topic
from edge_twin_sync.transport import Connected, Disconnected, Event, Published, Received, Transport

_LOG = logging.getLogger(__name__)
_RTT_WEIGHT: Final = 0.125  # RFC 6298
_RTT_FACTOR: Final = 4.0
_JOIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """How the client sends.

    Attributes:
        window: most messages without acknowledgement.
        alert_slots: of those, kept free for keys and alerts.
        ack_timeout_s: shortest wait before a message is sent again; grows with the round trip and doubles.
        longest_timeout_s: longest wait.
        poll_s: how often the outbox is looked at when nobody calls :meth:`SyncClient.notify`.
    """

    window: int = 20
    alert_slots: int = 4
    ack_timeout_s: float = 3.0
    longest_timeout_s: float = 600.0
    poll_s: float = 0.25


@dataclass(frozen=True, slots=True)
class SyncStats:
    """What the client did since it was made.

    Attributes:
        sent: messages handed to the broker, re-sent ones included.
        resent: of those, after a timeout or a new connection.
        acked: rows that the centre acknowledged.
        bytes: handed to the broker.
        quarantined: rows that broker or centre refused for good.
        conflicts: of those, refused because the centre has other bytes under the same id.
        forged_acks: acknowledgements that nobody trusted signed.
        connections: sessions so far.
        failures: database errors that were survived.
    """

    sent: int = 0
    resent: int = 0
    acked: int = 0
    bytes: int = 0
    quarantined: int = 0
    conflicts: int = 0
    forged_acks: int = 0
    connections: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Flight:
    """A row that was sent and not acknowledged; ``due`` is when it is sent again (monotonic seconds)."""

    row: OutboxRow
    first_sent: float
    due: float
    timeout: float
    tries: int = 1


@dataclass(slots=True)
class _Session:
    """What the owner thread remembers."""

    flights: dict[RowId, _Flight] = field(default_factory=dict)
    mids: dict[int, RowId] = field(default_factory=dict)
    is_connected: bool = False
    round_trip_s: float | None = None


class SyncClient:
    """Runs the outbox of one database file.

    Args:
        database: the device's database file.
        sealer: the epoch of this process (the same as the producer's).
        ack_keys: whose acknowledgements count.
        transport: subscribed to :func:`streams.ack_topic` of the device.
        settings: see :class:`SyncSettings`.
        clock: now, aware UTC.
        monotonic: seconds that never go back.
    """

    def __init__(  # noqa: PLR0913 - the two clocks are injected beside what is really configured
        self,
        database: Path,
        sealer: Sealer,
        ack_keys: Sequence[Ed25519PublicKey],
        transport: Transport,
        settings: SyncSettings | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._ack_keys = tuple(ack_keys)
        self._transport = transport
        self._settings = settings or SyncSettings()
        self._clock = clock
        self._monotonic = monotonic
        self._session = _Session()
        self._stats = SyncStats()
        self._stopping = threading.Event()
        self._idle = threading.Condition()
        self._is_empty = False
        self._notices = 0
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    @property
    def stats(self) -> SyncStats:
        """What happened so far."""
        return self._stats

    def start(self) -> None:
        """Connect and send; returns at once."""
        self._transport.start()
        self._thread.start()

    def notify(self) -> None:
        """Say that a transaction with a new row was committed, so that it goes out without waiting."""
        with self._idle:
            self._is_empty = False
            self._notices += 1
        self._transport.events.put(_WAKE)

    def wait_empty(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until everything pending was acknowledged; whether it was."""
        self.notify()
        with self._idle:
            return self._idle.wait_for(lambda: self._is_empty, timeout)

    def stop(self, flush_timeout_s: float = 0.0) -> bool:
        """Wait up to ``flush_timeout_s`` for an empty outbox, then disconnect; whether it was empty."""
        was_empty = self.wait_empty(flush_timeout_s) if self._thread.is_alive() else False
        self._stopping.set()
        self._transport.events.put(_WAKE)
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        self._transport.stop()
        return was_empty

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(connect(self._database)) as db:
                    self._serve(Outbox(db, self._sealer))
            except sqlite3.Error:  # disk full, locked for long: nothing is lost, open it again
                _LOG.exception("the database refused; trying again")
                self._count(failures=1)
                self._stopping.wait(self._settings.poll_s)

    def _serve(self, outbox: Outbox) -> None:
        while not self._stopping.is_set():
            self._cycle(outbox)

    def _cycle(self, outbox: Outbox) -> None:
        for event in self._events():
            self._handle(outbox, event)
        if self._session.is_connected:
            try:
                self._resend_due()
                self._fill_window(outbox)
            except TransportError:
                self._session.is_connected = False
        self._report_idle(outbox)

    def _events(self) -> list[Event]:
        """Everything that happened; waits for something, but no longer than there is nothing to do."""
        events: list[Event] = []
        try:
            events.append(self._transport.events.get(timeout=self._patience()))
            while True:
                events.append(self._transport.events.get_nowait())
        except queue.Empty:
            return events

    def _patience(self) -> float:
        due = min((flight.due for flight in self._session.flights.values()), default=float("inf"))
        return max(0.001, min(self._settings.poll_s, due - self._monotonic()))

    def _handle(self, outbox: Outbox, event: Event) -> None:
        match event:
            case Connected():
                self._on_connected()
            case Disconnected(reason):
                _LOG.info("disconnected: %s", reason)
                self._session.is_connected = False
            case Published():
                self._on_published(outbox, event)
            case Received():
                self._on_received(outbox, event)

    def _on_connected(self) -> None:
        """Everything in flight is sent again: what the broker held may be gone."""
        self._session.is_connected = True
        self._session.mids.clear()
        self._count(connections=1)
        for flight in self._session.flights.values():
            flight.due = flight.first_sent

    def _on_published(self, outbox: Outbox, event: Published) -> None:
        row = self._session.mids.pop(event.mid, None)
        if row is None or not event.is_refused:
            return
        _LOG.error("the broker refused message %s with reason %d", row, event.reason_code)
        self._quarantine(outbox, row, event.reason_code, known_to_centre=False)

    def _on_received(self, outbox: Outbox, event: Received) -> None:
        try:
            self._on_ack(outbox, self._trusted_ack(event))
        except EnvelopeError as error:
            _LOG.warning("refused an acknowledgement: %s", error)
            self._count(forged_acks=1)
        finally:  # also when the database refuses: the centre answers a re-sent message again
            self._transport.acknowledge(event)

    def _trusted_ack(self, event: Received) -> Ack:
        ack = acks.decode(event.payload, self._ack_keys)
        if ack.dev != self._sealer.dev or event.topic != ack_topic(ack.dev):
            raise EnvelopeError("an acknowledgement for another device", reason="topic_mismatch")
        return ack

    def _on_ack(self, outbox: Outbox, ack: Ack) -> None:
        # Rejects first: their numbers are accounted for, so ``upto`` may cover rows that must stay visible.
        for seq, why in ack.rejects:
            self._count(conflicts=why is acks.Reject.CONFLICT)
            self._quarantine(outbox, (ack.epoch, int(ack.stream), seq), int(why), known_to_centre=True)
        removed = outbox.ack(ack.epoch, ack.stream, ack.upto, ack.ranges)
        self._count(acked=len(removed))
        for row in removed:
            self._land(row)
        # The centre answers again: what waits on a timeout that grew while it was away need not wait that long.
        soon = self._monotonic() + self._timeout()
        for flight in self._session.flights.values():
            flight.due = min(flight.due, soon)

    def _land(self, row: RowId) -> None:
        flight = self._session.flights.pop(row, None)
        if flight is None or flight.tries > 1:  # which of several sends was answered is unknown (Karn)
            return
        sample = self._monotonic() - flight.first_sent
        smoothed = self._session.round_trip_s
        self._session.round_trip_s = sample if smoothed is None else smoothed + _RTT_WEIGHT * (sample - smoothed)

    def _quarantine(self, outbox: Outbox, row: RowId, code: int, *, known_to_centre: bool) -> None:
        if outbox.quarantine(row, code, self._clock(), known_to_centre=known_to_centre):
            self._count(quarantined=1)
        self._session.flights.pop(row, None)

    def _timeout(self) -> float:
        return max(self._settings.ack_timeout_s, _RTT_FACTOR * (self._session.round_trip_s or 0.0))

    def _resend_due(self) -> None:
        now = self._monotonic()
        for flight in sorted(self._session.flights.values(), key=lambda flight: flight.row.priority):
            if flight.due <= now:
                self._publish(flight.row)
                flight.tries += 1
                flight.timeout = min(2 * flight.timeout, self._settings.longest_timeout_s)
                flight.due = now + flight.timeout
                self._count(resent=1)

    def _fill_window(self, outbox: Outbox) -> None:
        flights = self._session.flights
        bulk = sum(not flight.row.is_urgent for flight in flights.values())
        free = self._settings.window - len(flights)
        if free <= 0:
            return
        free_for_bulk = min(free, self._settings.window - self._settings.alert_slots - bulk)
        rows = outbox.next_batch(free, flights.keys(), urgent_only=True)
        if free_for_bulk > len(rows):
            chosen = {row.id for row in rows}
            rows += outbox.next_batch(free_for_bulk - len(rows), flights.keys() | chosen)
        for row in rows:
            self._send_first(row)

    def _send_first(self, row: OutboxRow) -> None:
        self._publish(row)
        now, timeout = self._monotonic(), self._timeout()
        self._session.flights[row.id] = _Flight(row, now, now + timeout, timeout)

    def _publish(self, row: OutboxRow) -> None:
        mid = self._transport.publish(uplink_topic(self._sealer.dev, row.stream), row.body)
        self._session.mids[mid] = row.id
        self._count(sent=1, bytes=len(row.body))

    def _report_idle(self, outbox: Outbox) -> None:
        with self._idle:
            notices = self._notices
        is_empty = outbox.is_empty()
        with self._idle:
            self._is_empty = is_empty and notices == self._notices  # a row may have come after the look
            if self._is_empty:
                self._idle.notify_all()

    def _count(self, **by: int) -> None:
        """Add to the statistics; they are replaced as a whole, so a reader never sees half an update."""
        self._stats = replace(self._stats, **{name: getattr(self._stats, name) + n for name, n in by.items()})


# Wakes the owner thread; a publish with this id never happens.
_WAKE: Final = Published(mid=-1, reason_code=0)
