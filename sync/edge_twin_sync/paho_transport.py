"""MQTT 5 through paho, behind :class:`Transport`.

One paho client lives for one connection: paho keeps its own list of unacknowledged messages and would
send them again beside the outbox. Every callback is set before connecting, because with a persistent
session the broker delivers at once and paho gives a message without callback to nobody.
"""

from __future__ import annotations

import logging
import queue
import random
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_twin_sync.envelope import MAX_MESSAGE
from edge_twin_sync.errors import TransportError
from edge_twin_sync.transport import REFUSED, Connected, Disconnected, Event, Published, Received

_LOG = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 300.0
_WILL_DELAY_S: Final = 30
_JOIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach the broker.

    Attributes:
        host, port: of the broker.
        client_id: unique at the broker; the session belongs to it.
        subscriptions: topic filters, QoS 1.
        status_topic: where ``online``/``offline`` is retained, if at all.
        tls: a client context; None only on loopback.
        keep_alive_s: longest silence.
        session_expiry_s: how long the broker keeps messages for us while we are away.
        receive_maximum: most unacknowledged messages in either direction.
        backoff_scale: multiplies the waits between connection attempts; 1 in production.
    """

    host: str
    port: int
    client_id: str
    subscriptions: tuple[str, ...]
    status_topic: str | None = None
    tls: ssl.SSLContext | None = None
    keep_alive_s: int = 60
    session_expiry_s: int = 86_400
    receive_maximum: int = 20
    backoff_scale: float = 1.0


def backoff_s(attempt: int, scale: float, uniform: Callable[[float, float], float]) -> float:
    """Full-jitter wait before connection attempt ``attempt`` = 0, 1, 2 …: uniform in 0 to 1, 2, 4 … 300 s.

    Jitter keeps a thousand devices from returning together after an outage.
    """
    ceiling = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt, 16))
    return scale * uniform(0.0, ceiling)


class PahoTransport:
    """A self-healing MQTT 5 connection; see :class:`Transport`.

    Args:
        settings: where and how.
        rng: of the back-off jitter.
    """

    def __init__(self, settings: MqttSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._events: queue.Queue[Event] = queue.Queue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # guards the two below; never held while paho is called
        self._client: Client | None = None
        self._connection = 0
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def events(self) -> queue.Queue[Event]:
        """What happened, in order."""
        return self._events

    def start(self) -> None:
        """Connect and stay connected until :meth:`stop`; returns at once."""
        self._thread.start()

    def publish(self, topic: str, payload: bytes) -> int:
        """Hand a message over with QoS 1; TransportError ``not_connected`` while there is no session."""
        client = self._ready_client()
        if client is None or not client.is_connected():
            raise TransportError("not connected", reason="not_connected")
        return client.publish(topic, payload, qos=1).mid

    def acknowledge(self, message: Received) -> None:
        """PUBACK ``message``; nothing when its connection is gone, then the broker delivers it again."""
        with self._lock:
            client = self._client if message.connection == self._connection else None
        if client is not None:
            client.ack(message.mid, 1)

    def stop(self) -> None:
        """Say ``offline``, disconnect in order and stop trying; safe to call twice."""
        if self._stopping.is_set() or not self._thread.is_alive():
            self._stopping.set()
            return
        client = self._ready_client()
        if client is not None and client.is_connected() and self._settings.status_topic is not None:
            client.publish(self._settings.status_topic, b"offline", qos=0, retain=True)
        self._stopping.set()
        if client is not None:
            client.disconnect()
        self._thread.join(_JOIN_S)

    def _ready_client(self) -> Client | None:
        with self._lock:
            return self._client

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            was_connected = self._connect_once()
            attempt = 0 if was_connected else attempt + 1
            self._stopping.wait(backoff_s(attempt, self._settings.backoff_scale, self._rng.uniform))

    def _connect_once(self) -> bool:
        """Live through one connection; whether it ever was one."""
        session = _Session(self._settings, self._events, self._connection + 1)
        with self._lock:
            self._connection += 1
            self._client = session.client
        try:
            session.run(self._stopping)
        except (OSError, ValueError) as error:
            _LOG.info("no connection to the broker: %s", error)
            self._events.put(Disconnected(str(error)))
        finally:
            with self._lock:
                self._client = None
        return session.was_connected


def _send_at_once(_client: Client, _data: object, link: object) -> None:
    """Switch Nagle's algorithm off: with delayed TCP acknowledgements it holds small packets for 40 ms."""
    if isinstance(link, socket.socket):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Session:
    """One paho client for one connection; its callbacks only put events on the queue."""

    def __init__(self, settings: MqttSettings, events: queue.Queue[Event], number: int) -> None:
        self._settings = settings
        self._events = events
        self._number = number
        self._is_present = False
        self.was_connected = False
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._configure()

    def run(self, stopping: threading.Event) -> None:
        """Connect and serve the connection until it ends."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        properties.MaximumPacketSize = MAX_MESSAGE
        self.client.connect(
            self._settings.host,
            self._settings.port,
            keepalive=self._settings.keep_alive_s,
            clean_start=False,
            properties=properties,
        )
        if stopping.is_set():
            self.client.disconnect()
        self.client.loop_forever(timeout=0.2)

    def _configure(self) -> None:
        client, settings = self.client, self._settings
        client.max_inflight_messages_set(settings.receive_maximum)
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        if settings.status_topic is not None:
            properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            properties.WillDelayInterval = _WILL_DELAY_S
            client.will_set(settings.status_topic, b"offline", qos=1, retain=True, properties=properties)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            return  # on_disconnect follows
        self._is_present = flags.session_present
        if self._settings.status_topic is not None:
            client.publish(self._settings.status_topic, b"online", qos=0, retain=True)
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._settings.subscriptions])

    def _on_subscribe(
        self, client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [reason for reason in reasons if reason.value >= REFUSED]
        if refused:
            _LOG.error("the broker refused a subscription: %s", refused)
            client.disconnect()
            return
        self.was_connected = True
        self._events.put(Connected(self._is_present))

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._events.put(Disconnected(str(reason)))

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._events.put(Published(mid, reason.value))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._events.put(Received(message.topic, bytes(message.payload), message.mid, self._number))
