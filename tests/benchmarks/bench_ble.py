"""Bluetooth LE: ``python tests/benchmarks/bench_ble.py``. Notifications through the whole stack, and decoding alone.

Both ends run in one process on one core, so a device alone has more. Figures inform; nothing is asserted.
"""

from __future__ import annotations

import asyncio
import random
import time

from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.heart_rate import pack_beats
from edge_twin_adapters.ble.source import CHEST_STRAP, BleSource, utc_now
from edge_twin_adapters.ble.virtual import VirtualRadio, VirtualStrap

NOTIFICATIONS = 3000
DECODES = 5000
BEATS = 9


async def stream(beats_each: int) -> tuple[float, float]:
    """Notifications a second, and a CPU second, with so many RR intervals in each."""
    packet = pack_beats([1000.0] * beats_each)[0]
    async with VirtualRadio() as radio:
        strap = VirtualStrap(radio)
        await strap.put_on()
        source = BleSource(strap.name, CHEST_STRAP, clock=utc_now, rng=random.Random(1), backends=radio.backends)  # noqa: S311
        consumer = asyncio.create_task(consume(source))
        await strap.subscribed()
        before = source.counters.notifications
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(NOTIFICATIONS):
            await strap.send_raw(packet)
        while source.counters.notifications < before + NOTIFICATIONS or source.pending:  # noqa: ASYNC110
            await asyncio.sleep(0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        await source.aclose()
        await consumer
    return NOTIFICATIONS / wall, NOTIFICATIONS / cpu


async def consume(source: BleSource) -> None:
    async for _ in source.stream():
        pass


def decoding() -> float:
    """Nine-beat packets decoded in a CPU second."""
    packet, now = pack_beats([1000.0] * BEATS)[0], utc_now()
    started = time.process_time()
    for _ in range(DECODES):
        decode("2a37", packet, now)
    return DECODES / (time.process_time() - started)


def main() -> None:
    for beats in (BEATS, 1):
        wall, cpu = asyncio.run(stream(beats))
        print(f"virtual radio to source, {beats} RR each: {wall:7.0f} notifications/s, {cpu:7.0f} a CPU second")
    print(f"decode alone, {BEATS} RR: {decoding():7.0f} packets a CPU second")


if __name__ == "__main__":
    main()
