"""A report that stalls is noticed, however many live values come on the same way meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from edge_twin_adapters.ble import record_access
from edge_twin_adapters.ble.backfill import Backfill, BackfillError
from edge_twin_adapters.ble.profiles import PROFILES
from edge_twin_adapters.ble.record_access import Op

STORED = PROFILES["glucose_sensor"].stored
LONGEST_S = 5.0  # only so that a fault ends the test


def record(minute: int) -> bytes:
    """A glucose value without options, number ``minute``."""
    return bytes((6, 0, 0x0B, 0x10)) + minute.to_bytes(2, "little")


class StallingSensor:
    """Counts two stored records, reports one, and then goes on sending live values."""

    def __init__(self) -> None:
        assert STORED is not None
        self.backfill = Backfill(STORED, self.write, lambda _: None, stall_s=0.1)
        self.live: asyncio.Task[None] | None = None

    async def write(self, request: bytes) -> None:
        if request[0] == Op.COUNT:
            self.backfill.feed(record_access.CHARACTERISTIC, bytes((5, 0, 2, 0)))
        elif request[0] == Op.REPORT:
            self.backfill.feed("2aa7", record(5))
            self.live = asyncio.create_task(self.send_live())

    async def send_live(self) -> None:
        for minute in range(100, 1000):
            self.backfill.feed("2aa7", record(minute))
            await asyncio.sleep(0.02)


async def test_live_values_do_not_hide_a_stalled_report() -> None:
    sensor = StallingSensor()
    told: list[tuple[int, int]] = []
    with pytest.raises(BackfillError) as caught:
        async with asyncio.timeout(LONGEST_S):
            await sensor.backfill.run(0, lambda position, lost: told.append((position, lost)))
    assert caught.value.reason == "backfill_stalled"
    assert told == []
    assert sensor.live is not None
    sensor.live.cancel()
