"""A broker and transports in memory: for tests of anything that talks through :class:`Transport`.

Delivers synchronously to whoever is connected, keeps nothing for who is not, and can refuse topics or
lose messages on request.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable

from paho.mqtt.client import topic_matches_sub

from edge_twin_sync.errors import TransportError
from edge_twin_sync.transport import Connected, Disconnected, Event, Published, Received


class MemoryBroker:
    """Routes messages between the transports that :meth:`connect` it.

    Attributes:
        reason_code: the PUBACK reason for a topic; 0 by default.
        is_lost: whether a message, though acknowledged to its sender, reaches nobody.
    """

    def __init__(self) -> None:
        self.reason_code: Callable[[str], int] = lambda _topic: 0
        self.is_lost: Callable[[str, bytes], bool] = lambda _topic, _payload: False
        self._members: list[MemoryTransport] = []
        self._lock = threading.RLock()

    def connect(self, member: MemoryTransport) -> None:
        """Let ``member`` send and receive."""
        with self._lock:
            self._members.append(member)
        member.events.put(Connected(session_present=False))

    def disconnect(self, member: MemoryTransport, reason: str) -> None:
        """Cut ``member`` off."""
        with self._lock:
            if member not in self._members:
                return
            self._members.remove(member)
        member.events.put(Disconnected(reason))

    def is_member(self, member: MemoryTransport) -> bool:
        """Whether ``member`` is connected."""
        with self._lock:
            return member in self._members

    def route(self, topic: str, payload: bytes) -> int:
        """Deliver to every subscriber; returns the reason code for the sender."""
        code = self.reason_code(topic)
        if code == 0 and not self.is_lost(topic, payload):
            with self._lock:
                members = list(self._members)
            for member in members:
                member.deliver(topic, payload)
        return code


class MemoryTransport:
    """A transport on a :class:`MemoryBroker`.

    Args:
        broker: where it connects at :meth:`start`.
        subscriptions: topic filters.
    """

    def __init__(self, broker: MemoryBroker, subscriptions: tuple[str, ...]) -> None:
        self.acknowledged: list[Received] = []
        self._broker = broker
        self._subscriptions = subscriptions
        self._events: queue.Queue[Event] = queue.Queue()
        self._mids = itertools.count(1)

    @property
    def events(self) -> queue.Queue[Event]:
        """What happened, in order."""
        return self._events

    def start(self) -> None:
        """Connect."""
        self._broker.connect(self)

    def publish(self, topic: str, payload: bytes) -> int:
        """Hand a message over; TransportError ``not_connected`` when cut off."""
        if not self._broker.is_member(self):
            raise TransportError("not connected", reason="not_connected")
        mid = next(self._mids)
        self._events.put(Published(mid, self._broker.route(topic, payload)))
        return mid

    def deliver(self, topic: str, payload: bytes) -> None:
        """Take a message from the broker."""
        if any(topic_matches_sub(filter_, topic) for filter_ in self._subscriptions):
            self._events.put(Received(topic, payload, next(self._mids), 0))

    def acknowledge(self, message: Received) -> None:
        """Remember that ``message`` was acknowledged."""
        self.acknowledged.append(message)

    def stop(self) -> None:
        """Disconnect."""
        self._broker.disconnect(self, "stopped")
