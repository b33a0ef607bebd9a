"""The seam to the network: what the sync client and the gateway need of MQTT, and no more.

A transport never calls back into its user: everything that happens is put on ``events``, and one owner
thread takes it from there. (paho runs ``on_publish`` under its own lock; a lock of ours around
``publish`` and in the callback would hang for ever.)
"""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Final, Protocol

REFUSED: Final = 128  # MQTT 5 reason codes from here on are failures; 135 is "not authorized"


@dataclass(frozen=True, slots=True)
class Connected:
    """The session is up and every subscription was granted."""

    session_present: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the transport tries again by itself."""

    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """The broker answered a publish: PUBACK with ``reason_code``. It is no receipt of the centre."""

    mid: int
    reason_code: int

    @property
    def is_refused(self) -> bool:
        """Whether the broker will never deliver it."""
        return self.reason_code >= REFUSED


@dataclass(frozen=True, slots=True)
class Received:
    """A message came in; it is the broker's until :meth:`Transport.acknowledge`.

    Attributes:
        topic: where it was published.
        payload: its bytes.
        mid: the broker's packet id.
        connection: the connection on which it came; packet ids mean nothing on another one.
    """

    topic: str
    payload: bytes
    mid: int
    connection: int


Event = Connected | Disconnected | Published | Received


class Transport(Protocol):
    """A connection that heals itself."""

    @property
    def events(self) -> queue.Queue[Event]:
        """What happened, in order."""

    def start(self) -> None:
        """Connect and stay connected until :meth:`stop`; returns at once."""

    def publish(self, topic: str, payload: bytes) -> int:
        """Hand a message over with QoS 1 and return its packet id.

        Raises:
            TransportError: ``not_connected``.
        """

    def acknowledge(self, message: Received) -> None:
        """Tell the broker that ``message`` need not be delivered again."""

    def stop(self) -> None:
        """Disconnect in order and stop trying; safe to call twice."""
