"""Where to go on with stored records, and fetching them while the link lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from edge_twin_adapters.ble.backfill import Backfill, BackfillError
from edge_twin_adapters.ble.link import Counters
from edge_twin_adapters.ble.mailbox import Mailbox, Mark
from edge_twin_adapters.ble.profiles import Stored

# Immediate repetitions; the last one takes what can be had and tells what is missing [A].
ATTEMPTS = 3
_POLL_S = 0.02


class Resume:
    """The cursor of one device's stored records.

    A live value never moves it: only the end of a request that was answered in full does.

    Args:
        stored: what the device keeps.
        values: what was kept over a restart.
    """

    def __init__(self, stored: Stored, values: Mapping[str, str]) -> None:
        self._cursor_name = f"cursor stored {stored.measurement}"
        self._epoch_name = f"epoch stored {stored.measurement}"
        self._epoch = bytes.fromhex(values.get(self._epoch_name, ""))
        self.position = int(values.get(self._cursor_name, "0"))

    def begin(self, epoch: bytes) -> None:
        """Note what the numbers of this connection count from; in a new count there is no cursor yet."""
        if epoch != self._epoch:
            self._epoch, self.position = epoch, 0

    def move(self, position: int) -> Mark:
        """Go on from ``position`` next time; the mark to put behind the records."""
        self.position = position
        return Mark({self._cursor_name: str(position), self._epoch_name: self._epoch.hex()})


class Fetcher:
    """Fetches the stored records of one connection.

    Args:
        backfill: the procedure.
        resume: the cursor.
        mailbox: where records and marks go.
        counters: of the source.
        tell_gap: told of records that did not come, as the detail of a gap.
    """

    def __init__(
        self,
        backfill: Backfill,
        resume: Resume,
        mailbox: Mailbox,
        counters: Counters,
        tell_gap: Callable[[str], None],
    ) -> None:
        self._backfill = backfill
        self._resume = resume
        self._mailbox = mailbox
        self._counters = counters
        self._tell_gap = tell_gap
        self._overflow = 0

    async def fetch(self) -> bool:
        """Fetch what is new; False when it has to be tried again later.

        Raises:
            BleakError, TimeoutError: the link failed.
        """
        for attempt in range(1, ATTEMPTS + 1):
            await self._room()
            self._overflow = self._counters.overflow
            self._backfill.lenient = attempt == ATTEMPTS
            try:
                await self._backfill.run(self._resume.position, self._done)
            except BackfillError as error:
                self._counters.backfill_failures += 1
                if attempt == ATTEMPTS:
                    self._tell_gap(f"{error.reason} origin=stored")
            else:
                self._counters.backfills += 1
                return True
        return False

    async def _room(self) -> None:
        """Wait until the consumer has caught up: records can be asked for again, a live value cannot."""
        while self._mailbox.pending > self._mailbox.capacity // 2:  # noqa: ASYNC110 - the queue counts, it does not tell
            await asyncio.sleep(_POLL_S)

    def _done(self, position: int, lost: int) -> None:
        if self._counters.overflow != self._overflow:
            raise BackfillError("the queue ran over", reason="backfill_overflow")
        if lost:
            self._tell_gap(f"records_lost count={lost} origin=stored")
        self._mailbox.put_mark(self._resume.move(position))
