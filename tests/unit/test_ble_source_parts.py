"""The queue and the waiting times of a BLE source, without a radio."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.observation import DeviceEvent, DeviceEventKind
from edge_twin_adapters.ble.mailbox import Entry, Frame, Mailbox
from edge_twin_adapters.ble.source import LinkTimes

START = datetime(2020, 5, 11, tzinfo=UTC)


def frame(second: int) -> Frame:
    return Frame("2a37", bytes([second % 256]), START + timedelta(seconds=second))


async def drain(mailbox: Mailbox) -> list[Entry]:
    items = []
    while (item := await mailbox.get()) is not None:
        items.append(item)
    return items


async def test_a_full_queue_drops_counts_and_tells_in_place() -> None:
    mailbox = Mailbox(2, "strap")
    taken = [mailbox.put_frame(frame(second)) for second in range(5)]
    assert taken == [True, True, False, False, False]
    first = await mailbox.get()
    mailbox.put_frame(frame(5))
    mailbox.close()
    gap = DeviceEvent(
        DeviceEventKind.GAP,
        START + timedelta(seconds=2),
        "strap",
        "overflow frames=3",
        START + timedelta(seconds=4),
    )
    assert [first, *await drain(mailbox)] == [frame(0), frame(1), gap, frame(5)]


async def test_an_overflow_is_told_even_if_nothing_follows() -> None:
    mailbox = Mailbox(1, "strap")
    mailbox.put_frame(frame(0))
    mailbox.put_frame(frame(1))
    mailbox.close()
    items = await drain(mailbox)
    assert [type(item) for item in items] == [Frame, DeviceEvent]


async def test_events_are_never_dropped() -> None:
    mailbox = Mailbox(1, "strap")
    events = [DeviceEvent(DeviceEventKind.CONNECTED, START + timedelta(seconds=n), "strap") for n in range(3)]
    for event in events:
        mailbox.put_event(event)
    mailbox.close()
    assert await drain(mailbox) == events


@given(st.lists(st.sampled_from(["put", "get"]), max_size=60), st.integers(1, 4))
async def test_every_frame_is_delivered_or_told_as_missing(steps: list[str], capacity: int) -> None:
    mailbox = Mailbox(capacity, "strap")
    put = 0
    out: list[Entry | None] = []
    for step in steps:
        if step == "put":
            mailbox.put_frame(frame(put))
            put += 1
        elif mailbox._waiting or mailbox._dropped:
            out.append(await mailbox.get())
    mailbox.close()
    out += await drain(mailbox)
    told = sum(int(item.detail.partition("=")[2]) for item in out if isinstance(item, DeviceEvent))
    frames = [item for item in out if isinstance(item, Frame)]
    assert len(frames) + told == put
    assert [item.received for item in frames] == sorted(item.received for item in frames)


def test_back_off_doubles_up_to_its_cap_with_full_jitter() -> None:
    times = LinkTimes()
    rng = random.Random(7)  # noqa: S311 - jitter, not cryptography
    for failures, bound in [(0, 1.0), (1, 2.0), (3, 8.0), (6, 64.0), (7, 64.0), (100_000, 64.0)]:
        waits = [times.backoff_s(failures, rng) for _ in range(400)]
        assert min(waits) >= 0.0
        assert max(waits) <= bound
        assert max(waits) > 0.95 * bound
        assert min(waits) < 0.05 * bound
        assert sum(waits) / len(waits) == pytest.approx(bound / 2, rel=0.1)
