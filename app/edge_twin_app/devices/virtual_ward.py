"""Virtual sensors of every profile for ``--virtual``: they measure by themselves, in the pace that is asked for."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from edge_twin_adapters.ble.backends import Backends
from edge_twin_adapters.ble.peers.catalogue import MAKERS, SITE_PROFILES, make_sensor
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.virtual import VirtualRadio
from edge_twin_app.settings import Sensor

_SEED = 1
_LONGER_THAN_ANY_COMMAND_S = 365.0 * 86_400.0


class VirtualWard:
    """A virtual radio with one sensor of each kind on it; an async context manager.

    Args:
        start: the time on the sensors' clocks at the beginning, aware.
        speed: simulated seconds in a second.
        protected: the sensors ask for an encrypted link.

    Attributes:
        peers: the virtual sensors themselves.
        sensors: those that can be connected to, as settings name them.
    """

    def __init__(self, start: datetime, *, speed: float = 1.0, protected: bool = False) -> None:
        self._time = SimulatedTime(start, speed=speed)
        self._radio = VirtualRadio()
        self._closing = AsyncExitStack()
        made = {name: make_sensor(name, self._radio, self._time, seed=_SEED, protected=protected) for name in MAKERS}
        self.peers = tuple(made.values())
        self.sensors = tuple(
            Sensor(SITE_PROFILES[name], one.address) for name, one in made.items() if name in SITE_PROFILES
        )

    async def __aenter__(self) -> Self:
        await self._closing.enter_async_context(self._radio)
        for sensor in self.peers:
            await sensor.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    def backends(self) -> Backends:
        """The bleak backends of the radio."""
        return self._radio.backends()

    def now(self) -> datetime:
        """The simulated moment, UTC."""
        return self._time.now()

    async def play(self) -> None:
        """Let the sensors measure until cancelled."""
        await self._time.run(_LONGER_THAN_ANY_COMMAND_S)
