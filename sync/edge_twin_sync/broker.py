"""A real MQTT 5 broker for one machine: iotcore on 127.0.0.1, in a child process.

For the embedded demonstration and tests. It keeps sessions in memory and does not check client
certificates, so it never listens on another address.
"""

from __future__ import annotations

import logging
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from iotcore import Broker

from edge_twin_sync.envelope import MAX_MESSAGE

_LOG = logging.getLogger(__name__)
HOST: Final = "127.0.0.1"
_ATTEMPTS: Final = 5

# iotcore's keyword arguments would listen on 0.0.0.0 and speak MQTT 3.1.1, hence a file. [v5.N] is MQTT 5.
_CONFIGURATION: Final = """
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "loopback"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {payload}
max_inflight_count = 100
"""


class EmbeddedBroker:
    """A broker as a context manager.

    Args:
        port: to listen on; a free one is chosen by default.
    """

    def __init__(self, port: int | None = None) -> None:
        self._wanted = port
        self._directory = tempfile.TemporaryDirectory(prefix="edge-twin-broker-")
        self._broker: Broker | None = None
        self.host = HOST
        self.port = 0 if port is None else port

    def start(self) -> Self:
        """Start it and return once it listens.

        Raises:
            OSError: the port is taken.
        """
        for attempt in range(_ATTEMPTS):
            self.port = self._wanted or free_port()
            try:
                self._broker = self._start_on(self.port)
            except OSError:
                if self._wanted or attempt == _ATTEMPTS - 1:
                    raise
                _LOG.info("port %d was taken meanwhile", self.port)
            else:
                return self
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """Stop it; everything that it held is gone. Safe to call twice."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None

    def close(self) -> None:
        """Stop it and remove its directory."""
        self.stop()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_on(self, port: int) -> Broker:
        path = Path(self._directory.name) / "broker.toml"
        path.write_text(_CONFIGURATION.format(host=HOST, port=port, payload=2 * MAX_MESSAGE), "utf-8")
        return Broker(config_path=str(path)).start()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
