"""The central gateway: a process between the broker and the centre's database.

``python -m edge_twin_sync.gateway --database FILE --centre DIR --broker HOST:PORT``

It prints one line of JSON when it is subscribed and runs until SIGTERM. A message is acknowledged to the
broker, and to its device, only after its transaction is durable; when the database refuses, nothing is
acknowledged and the broker's receive maximum holds the rest back.
"""

from __future__ import annotations

import argparse
import json
import logging
import queue
import random
import signal
import sqlite3
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge_twin_sync.errors import KeyStoreError, TransportError
from edge_twin_sync.ingest import Ingest
from edge_twin_sync.keys import CentreIdentity, DeviceRegistry
from edge_twin_sync.paho_transport import MqttSettings, PahoTransport
from edge_twin_sync.sink import GatewayStats, open_sink, read_stats
from edge_twin_sync.streams import ALL_UPLINKS
from edge_twin_sync.transport import Connected, Received, Transport

__all__ = ["Gateway", "GatewayStats", "main", "read_stats"]

_LOG = logging.getLogger(__name__)
GROUP: Final = 500  # most messages in one transaction
COALESCE_S: Final = 0.05
_IDLE_S: Final = 0.1
_RETRY_S: Final = 0.5


class Gateway:
    """The loop that moves messages from a transport into :class:`Ingest` and answers back.

    Args:
        transport: subscribed to :data:`streams.ALL_UPLINKS`.
        ingest: the centre's judgement.
        monotonic: seconds that never go back.
        coalesce_s: how long an acknowledgement waits for company.
    """

    def __init__(
        self,
        transport: Transport,
        ingest: Ingest,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        coalesce_s: float = COALESCE_S,
    ) -> None:
        self._transport = transport
        self._ingest = ingest
        self._monotonic = monotonic
        self._coalesce_s = coalesce_s
        self._due: float | None = None

    def run(self, stopping: threading.Event, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until ``stopping`` is set; ``on_ready`` is called once, at the first subscription."""
        is_ready = False
        self._transport.start()
        try:
            while not stopping.is_set():
                if self.step(stopping) and not is_ready:
                    is_ready = True
                    on_ready()
            self._answer()
        finally:
            self._transport.stop()

    def step(self, stopping: threading.Event) -> bool:
        """Take what came in, commit it, answer what is due; whether a session came up meanwhile."""
        came_up = False
        group: list[Received] = []
        while len(group) < GROUP:
            try:
                event = self._transport.events.get(timeout=0 if group or came_up else self._patience())
            except queue.Empty:
                break
            came_up |= isinstance(event, Connected)
            if isinstance(event, Received):
                group.append(event)
        if group:
            self._commit(group, stopping)
        if self._due is not None and (self._monotonic() >= self._due or self._ingest.is_answer_due):
            self._answer()
        return came_up

    def _patience(self) -> float:
        if self._due is None:
            return _IDLE_S
        return min(_IDLE_S, max(0.001, self._due - self._monotonic()))

    def _commit(self, group: Sequence[Received], stopping: threading.Event) -> None:
        """Store ``group``, however long the database refuses; only then is the broker told."""
        while True:
            try:
                self._ingest.process([(message.topic, message.payload) for message in group])
                break
            except (sqlite3.Error, KeyStoreError):
                _LOG.exception("cannot store; %d messages wait", len(group))
                if stopping.wait(_RETRY_S):
                    return
        for message in group:
            self._transport.acknowledge(message)
        if self._due is None:
            self._due = self._monotonic() + self._coalesce_s

    def _answer(self) -> None:
        self._due = None
        try:
            for topic, payload in self._ingest.take_acks():
                self._transport.publish(topic, payload)
        except TransportError:
            _LOG.info("not connected: devices will send again and be answered then")
        except sqlite3.Error:
            _LOG.exception("cannot answer yet")
            self._due = self._monotonic() + _RETRY_S


@dataclass(frozen=True, slots=True)
class _Options:
    database: Path
    centre: Path
    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None
    ends_with_stdin: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway until SIGTERM or SIGINT; returns the exit code."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if options.ends_with_stdin:
        threading.Thread(target=_end_with_stdin, args=(stopping,), name="stdin", daemon=True).start()
    settings = MqttSettings(
        options.host,
        options.port,
        options.client_id,
        (ALL_UPLINKS,),
        tls=options.tls,
        receive_maximum=GROUP,
        backoff_scale=0.1,  # one gateway is no storm; devices wait for it
    )
    with open_sink(options.database) as sink:
        ingest = Ingest(
            sink, CentreIdentity.load(options.centre), DeviceRegistry(options.centre), lambda: datetime.now(UTC)
        )
        Gateway(PahoTransport(settings, random.Random()), ingest).run(stopping, _say_ready)  # noqa: S311 - jitter
    return 0


def _end_with_stdin(stopping: threading.Event) -> None:
    """A gateway that another process started ends with it, even when that one is killed without a word."""
    while sys.stdin.buffer.read(4096):
        pass
    stopping.set()


def _say_ready() -> None:
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201 - the caller waits for this line


def _parse(arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog="edge_twin_sync.gateway", description="Central gateway.")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file of the centre")
    parser.add_argument("--centre", type=Path, required=True, help="directory with the centre's keys and registry")
    parser.add_argument("--broker", required=True, help="HOST:PORT of an MQTT 5 broker")
    parser.add_argument("--client-id", default="central", help="MQTT client id; its session survives restarts")
    parser.add_argument("--cafile", help="certificate authority of the broker; switches TLS on")
    parser.add_argument("--certfile", help="own certificate for mutual TLS")
    parser.add_argument("--keyfile", help="key of the own certificate")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input is closed")
    found = parser.parse_args(arguments)
    host, _, port = str(found.broker).rpartition(":")
    if not host or not port.isdigit():
        parser.error("--broker is HOST:PORT")
    tls = None
    if found.cafile:
        tls = ssl.create_default_context(cafile=found.cafile)
        if found.certfile:
            tls.load_cert_chain(found.certfile, found.keyfile)
    return _Options(found.database, found.centre, host, int(port), found.client_id, tls, found.end_with_stdin)


if __name__ == "__main__":
    sys.exit(main())
