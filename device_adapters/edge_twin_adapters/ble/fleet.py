"""Many devices at once: one stream of all items, in which a device that fails disturbs no other.

:class:`edge_twin.runtime.Runtime` takes sources one by one and supervises them itself; a fleet is for
tools and tests that want one stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime

from edge_twin.observation import DeviceEvent, DeviceEventKind
from edge_twin_adapters.ble.frame import Item
from edge_twin_adapters.ble.link import LinkState
from edge_twin_adapters.ble.source import BleSource

RESTART_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # the last one repeats; Gadgetbridge's cap


class Fleet:
    """Several sources as one.

    Args:
        sources: one for each device, with names of their own.
        clock: time of the events of the fleet itself.
        sleep: waits before a source that failed is started again.
    """

    def __init__(
        self,
        sources: Sequence[BleSource],
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.sources = tuple(sources)
        self._clock = clock
        self._sleep = sleep
        self._failures = dict.fromkeys(self.sources, 0)

    @property
    def name(self) -> str:
        """Name for the log."""
        return "ble"

    @property
    def states(self) -> tuple[LinkState, ...]:
        """A snapshot of each device."""
        return tuple(source.state for source in self.sources)

    async def stream(self) -> AsyncGenerator[Item, None]:
        """The items of all devices, each device's in their order; without end until :meth:`aclose`.

        Asking for the next item says that the last one is safe, as with one source. A source that raises
        is told as ``REFUSED`` ``source_failed`` and started again after a while.
        """
        streams = {source: source.stream() for source in self.sources}
        waiting = {asyncio.ensure_future(anext(streams[source])): source for source in self.sources}
        try:
            while waiting:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    source = waiting.pop(future)
                    item = self._outcome(future, source)
                    if item is None:
                        continue
                    yield item
                    if future.exception() is None:
                        following = anext(streams[source])
                    else:
                        streams[source] = source.stream()
                        following = self._again(source, streams[source])
                    waiting[asyncio.ensure_future(following)] = source
        finally:
            await _end(waiting, list(streams.values()))

    async def aclose(self) -> None:
        """Disconnect all; :meth:`stream` hands out what is waiting and ends."""
        await asyncio.gather(*(source.aclose() for source in self.sources))

    def _outcome(self, future: asyncio.Task[Item], source: BleSource) -> Item | None:
        """What a source gave: an item, the event of its failure, or None at its end."""
        error = future.exception()
        if error is None:
            self._failures[source] = 0
            return future.result()
        if isinstance(error, StopAsyncIteration):
            return None
        if not isinstance(error, Exception):
            raise error
        self._failures[source] += 1
        reason = getattr(error, "reason", type(error).__name__)
        return DeviceEvent(DeviceEventKind.REFUSED, self._clock(), source.name, f"source_failed {reason}")

    async def _again(self, source: BleSource, stream: AsyncGenerator[Item, None]) -> Item:
        await self._sleep(RESTART_S[min(self._failures[source], len(RESTART_S)) - 1])
        return await anext(stream)


async def _end(waiting: dict[asyncio.Task[Item], BleSource], streams: list[AsyncGenerator[Item, None]]) -> None:
    for future in waiting:
        future.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.gather(*(stream.aclose() for stream in streams), return_exceptions=True)
