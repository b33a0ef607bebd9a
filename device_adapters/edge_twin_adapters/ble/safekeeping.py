"""Writing cursors and digests only when the records that they speak of are safe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from edge_twin_adapters.ble.state import LinkMemory


class Safekeeping:
    """Keeps values of one device, in order.

    Args:
        memory: where to.
        device: name of the device.
        stored: awaited before anything is written; None when what is given here is safe already.
    """

    def __init__(self, memory: LinkMemory, device: str, stored: Callable[[], Awaitable[None]] | None) -> None:
        self._memory = memory
        self._device = device
        self._stored = stored
        self._values: dict[str, str] = {}
        self._digests: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def keep(self, values: Mapping[str, str], digests: list[bytes]) -> None:
        """Write as soon as everything that was given to the consumer so far is safe.

        Raises:
            sqlite3.Error: the memory cannot be written (without ``stored``).
        """
        if not values and not digests:
            return
        self._values.update(values)
        self._digests += digests
        if self._stored is None:
            self._write()
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_when_stored(self._stored), name="ble:safekeeping")

    def stop(self) -> None:
        """Give up what is not known to be safe: the device will be asked for it again."""
        if self._task is not None:
            self._task.cancel()
        self._values, self._digests = {}, []

    async def _write_when_stored(self, stored: Callable[[], Awaitable[None]]) -> None:
        while self._values or self._digests:
            values, digests = self._values, self._digests
            self._values, self._digests = {}, []
            await stored()
            self._memory.keep(self._device, values, digests)

    def _write(self) -> None:
        values, digests = self._values, self._digests
        self._values, self._digests = {}, []
        self._memory.keep(self._device, values, digests)
