"""Virtual sensors for ``--virtual``: they measure in real time from the recordings that come with the package."""

from __future__ import annotations

import asyncio
from itertools import cycle
from types import TracebackType
from typing import Self

from edge_twin_adapters.ble.backends import Backends
from edge_twin_adapters.ble.virtual import VirtualRadio, VirtualStrap, VirtualThermometer
from edge_twin_adapters.recordings import load_recordings
from edge_twin_app.settings import Sensor

_CELSIUS = (36.6, 36.7, 36.7, 36.8)
_THERMOMETER_PERIOD_S = 5.0


class VirtualWard:
    """A virtual radio with a strap and a thermometer on it; an async context manager."""

    def __init__(self) -> None:
        self._radio = VirtualRadio()
        self._strap = VirtualStrap(self._radio)
        self._thermometer = VirtualThermometer(self._radio)
        self.sensors = (
            Sensor("chest_strap", self._strap.address),
            Sensor("thermometer", self._thermometer.address),
        )

    async def __aenter__(self) -> Self:
        await self._radio.__aenter__()
        await self._strap.put_on()
        await self._thermometer.put_on()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._radio.__aexit__(kind, error, trace)

    def backends(self) -> Backends:
        """The bleak backends of the radio."""
        return self._radio.backends()

    async def play(self) -> None:
        """Measure until cancelled."""
        await asyncio.gather(self._beat(), self._take_temperatures())

    async def _beat(self) -> None:
        rr_ms = load_recordings()[0].rr_ms
        while True:
            await self._strap.beats(rr_ms, pace=asyncio.sleep)

    async def _take_temperatures(self) -> None:
        for celsius in cycle(_CELSIUS):
            await asyncio.sleep(_THERMOMETER_PERIOD_S)
            await self._thermometer.measure(celsius)
