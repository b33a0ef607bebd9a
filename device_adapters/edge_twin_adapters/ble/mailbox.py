"""The bounded queue between the bleak callback, which must not wait, and the consumer, which may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from edge_twin.observation import DeviceEvent, DeviceEventKind


@dataclass(frozen=True, slots=True)
class Frame:
    """One value of a characteristic as it came over the air.

    Attributes:
        characteristic: its UUID.
        payload: the value.
        received: when it came (or was written), aware UTC.
        outgoing: whether it was written to the device; what it answers can be read only with that.
        monotonic_ns: a clock that is never set, at the same moment; 0 where it was not kept.
    """

    characteristic: str
    payload: bytes
    received: datetime
    outgoing: bool = False
    monotonic_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Stands behind frames: when the consumer has what came before, these values may be kept.

    Attributes:
        values: by name, for :class:`edge_twin_adapters.ble.state.LinkMemory`.
    """

    values: Mapping[str, str]


Entry = Frame | DeviceEvent | Mark


class Mailbox:
    """First in, first out; when full, new frames are dropped and told as a gap in their place.

    Events are few and are never dropped.

    Args:
        capacity: most frames that wait.
        source: name for the gap events.

    Attributes:
        capacity: as given.
    """

    def __init__(self, capacity: int, source: str) -> None:
        self.capacity = capacity
        self._source = source
        self._waiting: deque[Entry] = deque()
        self._dropped: tuple[datetime, datetime, int] | None = None
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def pending(self) -> int:
        """How many frames and events wait, a gap that is still to be told included."""
        return len(self._waiting) + (self._dropped is not None)

    def put_frame(self, frame: Frame) -> bool:
        """Queue a frame; False when the queue is full and it was dropped."""
        if len(self._waiting) >= self.capacity:
            start, _, count = self._dropped or (frame.received, frame.received, 0)
            self._dropped = (start, frame.received, count + 1)
            return False
        self._tell_dropped()
        self._put(frame)
        return True

    def put_event(self, event: DeviceEvent) -> None:
        """Queue an event."""
        self._tell_dropped()
        self._put(event)

    def put_mark(self, mark: Mark) -> None:
        """Queue a mark."""
        self._tell_dropped()
        self._put(mark)

    def close(self) -> None:
        """Let the consumer take what is queued and then end."""
        self._closed = True
        self._ready.set()

    async def get(self) -> Entry | None:
        """The next frame, event or mark; None when the mailbox is closed and empty."""
        while not self._waiting:
            self._tell_dropped()
            if self._waiting:
                break
            if self._closed:
                return None
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()

    def _put(self, item: Entry) -> None:
        self._waiting.append(item)
        self._ready.set()

    def _tell_dropped(self) -> None:
        if self._dropped is None:
            return
        start, end, count = self._dropped
        self._dropped = None
        self._put(DeviceEvent(DeviceEventKind.GAP, start, self._source, f"overflow frames={count}", end))
