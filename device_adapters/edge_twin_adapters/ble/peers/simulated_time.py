"""Time that runs as fast as it is told: what virtual sensors do is ordered by it, and clients can sleep in it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count

from edge_twin.observation import as_utc

Step = Callable[[], Awaitable[float | None]]
"""Does what is due now; returns the seconds until it is due again, or None when it never is."""

# Turns of the event loop after each step. A notification takes two from the sensor to the callback of the client
# (counted, Bumble 0.0.236), so that it arrives before the time moves on; an indication waits for its confirmation.
_TURNS = 12

# Shorter real waits are put off, since an event loop cannot keep them.
_STEP_S = 0.005


class SimulatedTime:
    """A clock that moves from one thing that is due to the next.

    Args:
        start: the first moment, aware.
        speed: most simulated seconds for a second of the event loop's clock; None for as fast as it goes.
            What takes real time (scanning, connecting) takes so much longer in simulated time.

    Raises:
        ObservationError: ``naive_time`` for a start without time zone.
    """

    def __init__(self, start: datetime, *, speed: float | None = None) -> None:
        self.start = as_utc(start)
        self._now = self.start
        self._speed = speed
        self._anchor: tuple[float, datetime] | None = None
        self._order = count()
        self._due: list[tuple[datetime, int, Step]] = []

    def now(self) -> datetime:
        """The simulated moment, UTC."""
        return self._now

    def schedule(self, step: Step, after_s: float = 0.0) -> None:
        """Do ``step`` in ``after_s`` simulated seconds, and again as often as it asks for."""
        heapq.heappush(self._due, (self._now + timedelta(seconds=after_s), next(self._order), step))

    async def sleep(self, seconds: float) -> None:
        """Wait in simulated time; for what would otherwise be ``asyncio.sleep``."""
        woken = asyncio.Event()

        async def wake() -> None:
            woken.set()

        self.schedule(wake, max(0.0, seconds))
        await woken.wait()

    async def run(self, seconds: float) -> None:
        """Let so much time pass; returns when everything that was due in it is done."""
        end = self._now + timedelta(seconds=seconds)
        while self._due and self._due[0][0] <= end:
            due, _, step = heapq.heappop(self._due)
            await self._move(due)
            again_s = await step()
            if again_s is not None:
                self.schedule(step, again_s)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        await self._move(end)

    async def _move(self, moment: datetime) -> None:
        if moment <= self._now:
            return
        if self._speed is not None:
            await self._wait_for(moment, self._speed)
        self._now = moment

    async def _wait_for(self, moment: datetime, speed: float) -> None:
        """Let real time catch up, in steps that an event loop can keep; time that was lost is not caught up."""
        real = asyncio.get_running_loop().time()
        since, then = self._anchor or (real, self._now)
        ahead_s = (moment - then).total_seconds() / speed - (real - since)
        if ahead_s >= _STEP_S:
            await asyncio.sleep(ahead_s)
        if self._anchor is None or ahead_s < 0:
            self._anchor = real, self._now
