"""Time limits, rules of security and diagnostics of the link to one device."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bleak.exc import BleakDeviceNotFoundError, BleakError

from edge_twin_adapters.ble.wear import Wear


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """Time limits of a connection, in seconds.

    Attributes:
        scan_s: longest search for the device in one attempt; habluetooth's scanner start allows 15 s.
        attempt_s: longest connect and subscribe; bleak-retry-connector gives an attempt 20 s.
        close_s: longest orderly disconnect (assumed).
        backoff_base_s, backoff_cap_s: bounds of the full-jitter wait between attempts:
            uniform in [0, min(cap, base * 2**n)] (M. Brooker, "Exponential backoff and jitter", AWS
            Architecture Blog, 2015). The cap of 64 s is Gadgetbridge's session back-off.
        job_s: longest single request; a D-Bus wait can hang for minutes (assumed).
        stall_s: a back-fill that brings nothing for so long has stalled (assumed).
        retry_s: wait before a back-fill that failed is asked for again (assumed).
        watchdog_s: a scan in which nothing at all was heard for so long is started anew; habluetooth's
            figure.
    """

    scan_s: float = 15.0
    attempt_s: float = 20.0
    close_s: float = 5.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 64.0
    job_s: float = 10.0
    stall_s: float = 20.0
    retry_s: float = 300.0
    watchdog_s: float = 90.0

    def backoff_s(self, failures: int, rng: random.Random) -> float:
        """How long to wait after ``failures`` fruitless attempts in a row."""
        # The exponent is bounded so that a device that is away for weeks does not overflow a float.
        return rng.uniform(0.0, min(self.backoff_cap_s, self.backoff_base_s * 2.0 ** min(failures, 32)))


class Pairing(StrEnum):
    """When to pair with a device."""

    NEVER = "never"
    WHEN_NEEDED = "when_needed"  # when it refuses a value over a link that is not encrypted
    REQUIRED = "required"  # and no data are taken unless the link is proved to be encrypted


@dataclass(frozen=True, slots=True)
class LinkSecurity:
    """What a site allows.

    Attributes:
        pairing: when to pair.
        repair: pair again with a device that lost its bond. Another device that shows the same address
            looks just like that, so it has to be allowed.
    """

    pairing: Pairing = Pairing.WHEN_NEEDED
    repair: bool = False


@dataclass(slots=True)
class Counters:
    """What a source has seen since it was made.

    Attributes:
        notifications: frames received, also those refused or dropped.
        refused: frames that could not be decoded.
        reconnects: connections after the first.
        failed_attempts: attempts to connect that failed.
        gaps: gaps told because the link was gone.
        overflow: frames dropped because the consumer was too slow (also told as a gap).
        duplicates: records that had come before and were not given again.
        waveforms: waveforms given.
        samples: samples in them.
        backfills: requests for stored records that were answered in full.
        backfill_failures: requests for stored records that stalled or were refused.
    """

    notifications: int = 0
    refused: int = 0
    reconnects: int = 0
    failed_attempts: int = 0
    gaps: int = 0
    overflow: int = 0
    duplicates: int = 0
    waveforms: int = 0
    samples: int = 0
    backfills: int = 0
    backfill_failures: int = 0


@dataclass(frozen=True, slots=True)
class LinkState:
    """A snapshot of one device, for people and diagnostics.

    Attributes:
        device: address or name that was asked for.
        name: of the device in events.
        profile: name of the profile.
        connected: whether the link is up.
        encrypted: True when a protected characteristic was read over this link; None when nothing proves it.
        rssi_dbm: strength of the last advertisement; None before one was heard.
        mtu: of the link; None while there is none. BlueZ tells 23 until it is asked otherwise.
        last_seen: when the last advertisement or value came.
        last_reason: why the last connection ended or failed; empty before that.
        battery_percent: as the device last said.
        wear: whether it is worn.
        pending: frames and events that wait for the consumer.
        counters: what was seen so far.
    """

    device: str
    name: str
    profile: str
    connected: bool = False
    encrypted: bool | None = None
    rssi_dbm: int | None = None
    mtu: int | None = None
    last_seen: datetime | None = None
    last_reason: str = ""
    battery_percent: float | None = None
    wear: Wear = Wear.UNKNOWN
    pending: int = 0
    counters: Counters = field(default_factory=Counters)


class LinkLostError(Exception):
    """The link cannot be used; ``reason`` is a snake_case word for events."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


LINK_ERRORS = (BleakError, TimeoutError, OSError, LinkLostError)
"""What a radio may raise in ordinary life."""


def link_reason(error: BaseException) -> str:
    """One of these errors as a snake_case word."""
    if isinstance(error, LinkLostError):
        return error.reason
    if isinstance(error, BleakDeviceNotFoundError):
        return "device_not_found"
    return "timed_out" if isinstance(error, TimeoutError) else "link_failed"


def honour_cancellation() -> None:
    """Raise a cancellation that was swallowed on the way.

    Before Python 3.12 ``asyncio.wait_for`` returns normally when its future is done at the moment of
    the cancellation (gh-86296), and libraries below bleak use it for each request.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
