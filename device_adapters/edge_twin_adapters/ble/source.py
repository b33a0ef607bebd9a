"""A Bluetooth LE device as a stream of observations and events that survives every loss of the link.

Imports only bleak; a real strap and a virtual one differ in the backend that is handed in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDeviceNotFoundError, BleakError

from edge_twin.errors import EdgeTwinError
from edge_twin.observation import DeviceEvent, DeviceEventKind, as_utc
from edge_twin_adapters.ble.backends import BackendFactory, platform_backends
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext, Item, long_uuid, short_uuid
from edge_twin_adapters.ble.mailbox import Frame, Mailbox
from edge_twin_adapters.errors import AdapterError, DecodeError


@dataclass(frozen=True, slots=True)
class Profile:
    """Which characteristics of a device to subscribe to.

    Attributes:
        name: for people.
        required: without one of these the device is of no use and the connection counts as failed.
        optional: subscribed to, and read once after connecting, where the device has them.
        silence_s: a link on which nothing came for so long is closed and made anew; None for a device
            that is silent by nature.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    silence_s: float | None = None


# A strap sends once a second. Links that are up but deliver nothing for hours are a common field
# complaint (Gadgetbridge #1162, #1295); 90 s is habluetooth's limit for a silent scanner.
CHEST_STRAP = Profile("chest strap", ("2a37",), ("2a19",), silence_s=90.0)
THERMOMETER = Profile("thermometer", ("2a1c",), ("2a19",))


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
    """

    scan_s: float = 15.0
    attempt_s: float = 20.0
    close_s: float = 5.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 64.0

    def backoff_s(self, failures: int, rng: random.Random) -> float:
        """How long to wait after ``failures`` fruitless attempts in a row."""
        # The exponent is bounded so that a device that is away for weeks does not overflow a float.
        return rng.uniform(0.0, min(self.backoff_cap_s, self.backoff_base_s * 2.0 ** min(failures, 32)))


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
    """

    notifications: int = 0
    refused: int = 0
    reconnects: int = 0
    failed_attempts: int = 0
    gaps: int = 0
    overflow: int = 0


class BleSource:
    """One device; iterate over :meth:`stream`.

    Args:
        device: its address (contains a colon, or a UUID on Apple platforms) or its advertised name.
        profile: what to subscribe to.
        clock: the time of reception, aware.
        rng: jitter of the back-off; seed it for a reproducible run.
        context: provenance and time zone for the decoders; its ``source`` names the events too.
        backends: factory of the bleak backends; the platform's own by default.
        times: time limits.
        capacity: frames that may wait for the consumer; the default is over an hour of a strap.
        sleep: waits between attempts.
        on_frame: called with each frame before it is decoded, to keep it; what it raises ends the stream.
    """

    def __init__(  # noqa: PLR0913 - every environment dependency is injected, by name
        self,
        device: str,
        profile: Profile,
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
        context: DecodeContext | None = None,
        backends: BackendFactory = platform_backends,
        times: LinkTimes | None = None,
        capacity: int = 4096,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> None:
        self.device = device
        self.profile = profile
        self._context = context or DecodeContext(source=f"ble:{device}")
        self._clock = clock
        self._rng = rng
        self._backends = backends
        self._times = times or LinkTimes()
        self._capacity = capacity
        self._sleep = sleep
        self._on_frame = on_frame
        self._counters = Counters()
        self._mailbox: Mailbox | None = None
        self._task: asyncio.Task[None] | None = None
        self._last_reading: datetime | None = None
        self._ties = 0
        self._frames_at_connect = 0
        self._announced = False
        self._connected_before = False
        self._expected_from: datetime | None = None

    @property
    def name(self) -> str:
        """Name of the device in events, without patient data."""
        return self._context.source

    @property
    def counters(self) -> Counters:
        """A snapshot of the counters."""
        return replace(self._counters)

    @property
    def pending(self) -> int:
        """How many frames and events wait for the consumer."""
        return 0 if self._mailbox is None else self._mailbox.pending

    async def stream(self) -> AsyncGenerator[Item, None]:
        """Observations and device events in the order in which they happened, without end.

        Events: ``CONNECTED`` when the link is up; ``DISCONNECTED`` when it is lost or cannot be made
        for a first time; ``GAP`` before the ``CONNECTED`` of a reconnection, from the last frame
        received to the reconnection, and for frames dropped on overflow; ``REFUSED`` for a frame that
        cannot be decoded; ``BATTERY_LOW``. Close the generator (or cancel its consumer) to disconnect.

        Raises:
            AdapterError: ``already_streaming`` while another consumer reads.
        """
        if self._task is not None:
            raise AdapterError(f"{self.device} is read already", reason="already_streaming")
        mailbox = self._mailbox = Mailbox(self._capacity, self._context.source)
        task = self._task = asyncio.create_task(self._stay_connected(), name=f"ble:{self.device}")
        task.add_done_callback(lambda _: mailbox.close())
        try:
            while (entry := await mailbox.get()) is not None:
                for item in self._decode(entry) if isinstance(entry, Frame) else (entry,):
                    yield item
            if not task.cancelled():
                task.result()
        finally:
            await self._stop(task)

    async def aclose(self) -> None:
        """Disconnect; :meth:`stream` hands out what is waiting and ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _stop(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait({task})
        self._task = None

    # From the callback to the consumer.

    def _receive(self, characteristic: str, payload: bytes) -> None:
        """Take a value from bleak; must not wait and must not raise."""
        self._announce()
        self._counters.notifications += 1
        frame = Frame(characteristic, payload, self._now())
        self._expected_from = frame.received
        if self._mailbox is not None:
            taken = self._mailbox.put_frame(frame)
            self._counters.overflow += not taken

    def _now(self) -> datetime:
        """The clock; readings that are equal are set a microsecond apart.

        A coarse clock shows two notifications the same time, and equal beats in them would then be
        taken for one observation that arrived twice.
        """
        reading = as_utc(self._clock())
        self._ties = self._ties + 1 if reading == self._last_reading else 0
        self._last_reading = reading
        return reading + timedelta(microseconds=self._ties)

    def _decode(self, frame: Frame) -> list[Item]:
        if self._on_frame is not None:
            self._on_frame(frame)
        try:
            return decode(frame.characteristic, frame.payload, frame.received, context=self._context)
        except EdgeTwinError as error:
            self._counters.refused += 1
            where = f" offset={error.offset}" if isinstance(error, DecodeError) else ""
            detail = f"{error.reason} characteristic={short_uuid(frame.characteristic)}{where}"
            return [DeviceEvent(DeviceEventKind.REFUSED, frame.received, self._context.source, detail)]

    def _tell(self, kind: DeviceEventKind, time: datetime, detail: str = "", until: datetime | None = None) -> None:
        if self._mailbox is not None:
            self._mailbox.put_event(DeviceEvent(kind, time, self._context.source, detail, until))

    # The life of the link.

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            _honour_cancellation()
            reason, useful = await self._one_connection()
            failures = 0 if useful else failures + 1
            self._tell_loss(reason)
            await self._sleep(self._times.backoff_s(failures, self._rng))

    async def _one_connection(self) -> tuple[str, bool]:
        """Make one connection and stay while it lasts: why it ended, and whether it brought a frame."""
        lost = asyncio.Event()
        client: BleakClient | None = None
        self._announced = False
        self._frames_at_connect = self._counters.notifications
        try:
            device = await self._find()
            # A new client for each attempt: stale platform state is the commonest cause of links that
            # cannot be made again (Gadgetbridge).
            client = BleakClient(
                device, lambda _: lost.set(), timeout=self._times.attempt_s, backend=self._backends().client
            )
            async with asyncio.timeout(self._times.attempt_s):
                await client.connect()
                await self._subscribe(client)
            _honour_cancellation()
            self._announce()
            reason = await self._until_lost(lost)
        except (BleakError, TimeoutError, OSError) as error:
            reason = _reason(error)
        finally:
            if client is not None:
                await self._close(client)
        if not self._announced:
            self._counters.failed_attempts += 1
        return reason, self._counters.notifications > self._frames_at_connect

    async def _find(self) -> BLEDevice:
        wanted = self.device.lower()
        scanner = self._backends().scanner
        options: BleakScanner.ExtraArgs = {} if scanner is None else {"backend": scanner}
        device = await BleakScanner.find_device_by_filter(
            lambda device, advertisement: wanted == device.address.lower() or self.device == advertisement.local_name,
            timeout=self._times.scan_s,
            **options,
        )
        if device is None:
            raise BleakDeviceNotFoundError(self.device, f"{self.device} does not advertise")
        return device

    async def _subscribe(self, client: BleakClient) -> None:
        for characteristic in self.profile.required:
            await client.start_notify(long_uuid(characteristic), self._on_notification)
        for characteristic in self.profile.optional:
            found = client.services.get_characteristic(long_uuid(characteristic))
            if found is not None:
                await self._subscribe_optional(client, found)

    async def _subscribe_optional(self, client: BleakClient, characteristic: BleakGATTCharacteristic) -> None:
        # Some straps list a battery but refuse to read it: that must not cost the heart rate.
        with suppress(BleakError):
            if "read" in characteristic.properties:
                self._receive(characteristic.uuid, bytes(await client.read_gatt_char(characteristic)))
            if {"notify", "indicate"} & set(characteristic.properties):
                await client.start_notify(characteristic, self._on_notification)

    def _on_notification(self, characteristic: BleakGATTCharacteristic, payload: bytearray) -> None:
        self._receive(characteristic.uuid, bytes(payload))

    async def _until_lost(self, lost: asyncio.Event) -> str:
        while True:
            seen = self._counters.notifications
            try:
                async with asyncio.timeout(self.profile.silence_s):
                    await lost.wait()
            except TimeoutError:
                if self._counters.notifications == seen:
                    return "silent"
            else:
                return "link_lost"

    async def _close(self, client: BleakClient) -> None:
        with suppress(BleakError, TimeoutError, OSError):
            async with asyncio.timeout(self._times.close_s):
                await client.disconnect()

    def _announce(self) -> None:
        """Tell that the link is up, once for each connection and before its first frame."""
        if self._announced:
            return
        self._announced = True
        now = as_utc(self._clock())
        if self._expected_from is not None:
            self._counters.gaps += 1
            self._tell(DeviceEventKind.GAP, self._expected_from, "link_lost", now)
        self._expected_from = now
        self._counters.reconnects += self._connected_before
        self._connected_before = True
        self._tell(DeviceEventKind.CONNECTED, now)

    def _tell_loss(self, reason: str) -> None:
        """Tell that the link is gone, or cannot be made a first time; silence would look like health."""
        first_failure = not self._announced and self._expected_from is None
        if self._announced or first_failure:
            now = as_utc(self._clock())
            self._expected_from = self._expected_from or now
            self._tell(DeviceEventKind.DISCONNECTED, now, reason)


def _honour_cancellation() -> None:
    """Raise a cancellation that was swallowed on the way.

    Before Python 3.12 ``asyncio.wait_for`` returns normally when its future is done at the moment of
    the cancellation (gh-86296), and libraries below bleak use it for each request.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _reason(error: BaseException) -> str:
    if isinstance(error, BleakDeviceNotFoundError):
        return "device_not_found"
    return "timed_out" if isinstance(error, TimeoutError) else "link_failed"


def utc_now() -> datetime:
    """The system clock, for use as ``clock`` in production."""
    return datetime.now(UTC)
