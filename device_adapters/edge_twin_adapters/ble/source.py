"""A Bluetooth LE device as a stream of observations, waveforms and events that survives every loss of the link.

Imports only bleak; a real device and a virtual one differ in the backend that is handed in::

    memory = SqliteMemory(connection)              # cursors, bonds and records that came, over a restart
    source = BleSource("AA:BB:CC:DD:EE:FF", GLUCOSE_SENSOR, clock=utc_now, rng=random.Random(1), memory=memory)
    async with aclosing(source.stream()) as stream:
        async for item in stream:
            ...                                    # asking for the next item says that this one is safe

The profile (:mod:`profiles`) says what is read, subscribed to, fetched from storage and started. Many
devices at once are one source for each, together in a :class:`edge_twin_adapters.ble.fleet.Fleet`, and
share one :class:`edge_twin_adapters.ble.finder.Finder`. Raw frames are kept with
``on_frame=FrameStore(...).keeper(...)`` (:mod:`frames`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDeviceNotFoundError

from edge_twin.errors import EdgeTwinError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Waveform, as_utc
from edge_twin_adapters.ble.backends import BackendFactory, platform_backends
from edge_twin_adapters.ble.connection import Connection
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.frame import DecodeContext, Item, short_uuid
from edge_twin_adapters.ble.intake import Intake
from edge_twin_adapters.ble.interpreter import Interpreter
from edge_twin_adapters.ble.link import (
    LINK_ERRORS,
    Counters,
    LinkLostError,
    LinkSecurity,
    LinkState,
    LinkTimes,
    honour_cancellation,
    link_reason,
)
from edge_twin_adapters.ble.mailbox import Entry, Frame, Mailbox, Mark
from edge_twin_adapters.ble.profiles import CHEST_STRAP, THERMOMETER, Profile
from edge_twin_adapters.ble.resume import Fetcher, Resume
from edge_twin_adapters.ble.safekeeping import Safekeeping
from edge_twin_adapters.ble.security import Guard, is_key_lost
from edge_twin_adapters.ble.state import LinkMemory, TransientMemory
from edge_twin_adapters.errors import AdapterError, DecodeError

# A gap that is held back is told after this even if nothing follows [A].
_IDLE_S = 10.0
_BOND_LOST = "bond_lost"


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
        sleep: waits between attempts, and between requests for stored records.
        on_frame: called with each frame before it is decoded, to keep it; what it raises ends the stream.
        security: when to pair.
        memory: where cursors, bonds and digests of records survive a restart; by default they do not.
        stored: awaited before a cursor moves, when asking for the next item does not yet mean that the
            last one is safe (``Runtime.settled``).
        finder: the scan to share with other sources.
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
        security: LinkSecurity | None = None,
        memory: LinkMemory | None = None,
        stored: Callable[[], Awaitable[None]] | None = None,
        finder: Finder | None = None,
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
        self._memory = memory or TransientMemory()
        self._finder = finder or Finder(backends, self._times)
        self._counters = Counters()
        self._intake = Intake(self._context.source, clock, self._counters)
        self._state = LinkState(device, self._context.source, profile.name)
        self._recall()
        self._guard = Guard(security or LinkSecurity(), self._times, self._memory, self.name)
        self._safekeeping = Safekeeping(self._memory, self.name, stored)
        self._mailbox: Mailbox | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard: datetime | None = None
        self._bond_told = False
        self._fetching = False

    def _recall(self) -> None:
        """Begin with what is safe: what an earlier stream had not handed over will be asked for again."""
        self._interpreter = Interpreter(self._context, self._memory.digests(self.name))
        stored = self.profile.stored
        self._resume = None if stored is None else Resume(stored, self._memory.values(self.name))

    @property
    def name(self) -> str:
        """Name of the device in events, without patient data."""
        return self._context.source

    @property
    def counters(self) -> Counters:
        """A snapshot of the counters."""
        return replace(self._counters, duplicates=self._interpreter.duplicates)

    @property
    def pending(self) -> int:
        """How many frames and events wait for the consumer."""
        return 0 if self._mailbox is None else self._mailbox.pending

    @property
    def state(self) -> LinkState:
        """A snapshot of the link and of what the device said of itself."""
        seen = [moment for moment in (self._heard, self._intake.last_seen) if moment is not None]
        return replace(
            self._state,
            connected=self._intake.announced and self._state.mtu is not None,
            last_seen=max(seen, default=None),
            battery_percent=self._interpreter.battery_percent,
            wear=self._interpreter.wear.state,
            pending=self.pending,
            counters=self.counters,
        )

    async def stream(self) -> AsyncGenerator[Item, None]:
        """Items in the order in which they happened, without end.

        Asking for the next item says that the last one is safe: resume cursors move by that.

        Events: ``CONNECTED`` when the link is up; ``DISCONNECTED`` when it is lost or cannot be made
        for a first time; ``GAP`` before the ``CONNECTED`` of a reconnection, from the last frame
        received to the reconnection, for frames dropped on overflow, and for stored records that could
        not be fetched; ``REFUSED`` for a frame that cannot be decoded; ``BATTERY_LOW``; ``STATUS``
        ``bond_lost``; and those of :meth:`Interpreter.items`. Close the generator (or cancel its consumer)
        to disconnect; measurements that were started are stopped first.

        Raises:
            AdapterError: ``already_streaming`` while another consumer reads.
        """
        if self._task is not None:
            raise AdapterError(f"{self.device} is read already", reason="already_streaming")
        self._recall()
        mailbox = self._mailbox = Mailbox(self._capacity, self._context.source)
        self._intake.open(mailbox)
        task = self._task = asyncio.create_task(self._stay_connected(mailbox), name=f"ble:{self.device}")
        task.add_done_callback(lambda _: mailbox.close())
        try:
            while (entry := await self._next(mailbox)) is not None:
                for item in self._interpret(entry):
                    yield item
                self._settle(entry, idle=not (mailbox.pending or self._fetching))
            for item in self._interpreter.link_lost():
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
        self._safekeeping.stop()
        self._task = None

    # From the mailbox to the consumer.

    async def _next(self, mailbox: Mailbox) -> Entry | None:
        """The next entry; a gap that is held back does not wait for it without end."""
        if not self._interpreter.holds_gap:
            return await mailbox.get()
        try:
            async with asyncio.timeout(_IDLE_S):
                return await mailbox.get()
        except TimeoutError:
            return Mark({})

    def _interpret(self, entry: Entry) -> list[Item]:
        if isinstance(entry, Frame):
            return self._decode(entry)
        if isinstance(entry, Mark):
            return self._interpreter.flush()
        lost = entry.kind is DeviceEventKind.DISCONNECTED
        return [*(self._interpreter.link_lost() if lost else ()), entry]

    def _decode(self, frame: Frame) -> list[Item]:
        if self._on_frame is not None:
            self._on_frame(frame)
        try:
            items = self._interpreter.items(frame)
        except EdgeTwinError as error:
            self._counters.refused += 1
            return [refusal(frame, error, self._context.source)]
        for item in items:
            if isinstance(item, Waveform):
                self._counters.waveforms += 1
                self._counters.samples += len(item.samples)
        return items

    def _settle(self, entry: Entry, *, idle: bool) -> None:
        """The consumer has everything up to ``entry``: what depends on that may be kept."""
        values: Mapping[str, str] = entry.values if isinstance(entry, Mark) else {}
        if values or idle:
            self._safekeeping.keep(values, self._interpreter.take_digests())

    # The life of the link.

    async def _stay_connected(self, mailbox: Mailbox) -> None:
        failures = 0
        while True:
            honour_cancellation()
            reason, useful = await self._one_connection(mailbox)
            failures = 0 if useful else failures + 1
            self._intake.tell_loss(reason)
            await self._sleep(self._times.backoff_s(failures, self._rng))

    async def _one_connection(self, mailbox: Mailbox) -> tuple[str, bool]:
        """Make one connection and stay while it lasts: why it ended, and whether it brought a frame."""
        lost = asyncio.Event()
        self._intake.begin()
        self._guard.begin()
        heard = self._intake.heard
        client: BleakClient | None = None
        connection: Connection | None = None
        try:
            device = await self._find()
            # A new client for each attempt: stale platform state is the commonest cause of links that
            # cannot be made again (Gadgetbridge).
            client = BleakClient(
                device, lambda _: lost.set(), timeout=self._times.attempt_s, backend=self._backends().client
            )
            connection = Connection(client, self.profile, self._guard, self._times, self._intake, self._check_record)
            await self._set_up(client, connection)
            reason = await self._while_it_lasts(connection, mailbox, lost)
        except LINK_ERRORS as error:
            reason = await self._explain(error, client)
        finally:
            if connection is not None:
                await connection.take_down()
            self._intake.leave(self.profile.required)
            self._state = replace(self._state, connected=False, encrypted=None, mtu=None)
        if not self._intake.announced:
            self._counters.failed_attempts += 1
        self._state = replace(self._state, last_reason=reason)
        return reason, self._intake.heard > heard

    async def _find(self) -> BLEDevice:
        device = await self._finder.find(self.device, self._note_advertisement)
        if device is None:
            raise BleakDeviceNotFoundError(self.device, f"{self.device} does not advertise")
        return device

    def _note_advertisement(self, _device: BLEDevice, advertisement: AdvertisementData) -> None:
        self._heard = as_utc(self._clock())
        self._state = replace(self._state, rssi_dbm=advertisement.rssi)

    async def _set_up(self, client: BleakClient, connection: Connection) -> None:
        async with asyncio.timeout(self._times.attempt_s):
            await client.connect()
        self._bond_told = False
        self._state = replace(self._state, mtu=client.mtu_size)
        async with asyncio.timeout(self._times.attempt_s):
            await connection.set_up()
        self._state = replace(self._state, encrypted=self._guard.proved or None)
        honour_cancellation()

    async def _while_it_lasts(self, connection: Connection, mailbox: Mailbox, lost: asyncio.Event) -> str:
        chores = [
            asyncio.create_task(self._fetch_stored(connection, mailbox)),
            asyncio.create_task(connection.keep_streams(self._intake.tell_missing)),
        ]
        for chore in chores:
            chore.add_done_callback(lambda task: lost.set() if not task.cancelled() and task.exception() else None)
        try:
            reason = await self._until_lost(lost)
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.wait(chores)
        for chore in chores:
            if not chore.cancelled():
                chore.result()
        return reason

    async def _fetch_stored(self, connection: Connection, mailbox: Mailbox) -> None:
        """Fetch stored records now and, where the profile says so, again and again."""
        plan, resume, backfill = self.profile.stored, self._resume, connection.backfill
        if plan is None or resume is None or backfill is None or not connection.has_record_access:
            return
        resume.begin(b"" if plan.epoch is None else connection.values.get(short_uuid(plan.epoch), b""))
        fetcher = Fetcher(backfill, resume, mailbox, self._counters, self._intake.tell_missing)
        while True:
            # A piece is kept with its cursor, in one commit.
            self._fetching = True
            try:
                complete = await fetcher.fetch()
            finally:
                self._fetching = False
            wait_s = plan.every_s if complete else self._times.retry_s
            if wait_s is None:
                return
            await self._sleep(wait_s)

    def _check_record(self, payload: bytes) -> None:
        if self.profile.stored is not None:
            context = self._interpreter.context
            decode(self.profile.stored.measurement, payload, as_utc(self._clock()), context=context)

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

    async def _explain(self, error: BaseException, client: BleakClient | None) -> str:
        """Why a connection ended; a lost bond is told, and dropped where the site allows to pair again."""
        lost_here = isinstance(error, LinkLostError) and error.reason == _BOND_LOST
        if client is None or not (lost_here or is_key_lost(error)):
            return link_reason(error)
        try:
            dropped = await self._guard.forget(client)
        except LINK_ERRORS:
            dropped = False
        if not self._bond_told:
            self._bond_told = True
            allowed = "allowed" if dropped else "not_allowed"
            self._intake.tell(DeviceEventKind.STATUS, detail=f"{_BOND_LOST} pairing_again={allowed}")
        return _BOND_LOST


def refusal(frame: Frame, error: EdgeTwinError, source: str) -> DeviceEvent:
    """The event for a frame that could not be decoded."""
    where = f" offset={error.offset}" if isinstance(error, DecodeError) else ""
    detail = f"{error.reason} characteristic={short_uuid(frame.characteristic)}{where}"
    return DeviceEvent(DeviceEventKind.REFUSED, frame.received, source, detail)


def utc_now() -> datetime:
    """The system clock, for use as ``clock`` in production."""
    return datetime.now(UTC)


__all__ = ["CHEST_STRAP", "THERMOMETER", "BleSource", "Counters", "LinkTimes", "Profile", "refusal", "utc_now"]
