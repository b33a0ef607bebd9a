"""One connection to a device: what its profile asks for is read, subscribed to, started, and stopped again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakCharacteristicNotFoundError, BleakError

from edge_twin_adapters.ble import polar_control, record_access
from edge_twin_adapters.ble.backfill import Backfill
from edge_twin_adapters.ble.decode import DECODERS
from edge_twin_adapters.ble.frame import long_uuid, short_uuid
from edge_twin_adapters.ble.intake import Intake
from edge_twin_adapters.ble.link import LINK_ERRORS, LinkLostError, LinkTimes, honour_cancellation
from edge_twin_adapters.ble.polar_session import PolarSession
from edge_twin_adapters.ble.profiles import Profile
from edge_twin_adapters.ble.security import Guard

_TELLS = frozenset(("notify", "indicate"))


class Connection:
    """The set-up of one connected client.

    Args:
        client: connected.
        profile: what to do.
        guard: pairs where a value is refused.
        times: time limits.
        intake: takes every value that comes and every request before it is written; told when everything
            that is required is subscribed to.
        check: raises ``DecodeError`` for a stored record that cannot be read.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a connection meet here, once
        self,
        client: BleakClient,
        profile: Profile,
        guard: Guard,
        times: LinkTimes,
        intake: Intake,
        check: Callable[[bytes], None],
    ) -> None:
        self._client = client
        self._profile = profile
        self._guard = guard
        self._times = times
        self._intake = intake
        self.values: dict[str, bytes] = {}
        self._polar = PolarSession(profile.polar, self._write_polar, times.job_s)
        self.backfill: Backfill | None = None
        if profile.stored is not None:
            self.backfill = Backfill(profile.stored, self._write_record_access, check, stall_s=times.stall_s)

    async def set_up(self) -> None:
        """Read and subscribe, in this order.

        Raises:
            BleakError: a required characteristic is not there, or the link failed.
            TimeoutError: the device does not answer.
            LinkLostError: it wants to be paired with and may or can not be.
        """
        for characteristic in (*self._protected, *self._profile.reads):
            await self._read(characteristic)
        for characteristic in self._profile.required:
            found = self._required(characteristic)
            subscribe = partial(self._subscribe, found)
            await self._guard.secured(self._client, f"subscribe {characteristic}", subscribe)
        if self.backfill is not None:
            # Before the first request, or the device refuses it; after the required ones, which may pair.
            await self._subscribe_optional(record_access.CHARACTERISTIC)
        if self._profile.required:
            self._begin_to_listen()
        for characteristic in self._profile.optional:
            await self._read(characteristic)
            await self._subscribe_optional(characteristic)
        if not self._profile.required:
            self._begin_to_listen()
        honour_cancellation()

    @property
    def _protected(self) -> tuple[str, ...]:
        """The value that proves encryption, before any other."""
        return () if self._profile.protected is None else (self._profile.protected,)

    def _begin_to_listen(self) -> None:
        try:
            self._guard.require_proof()
        except LinkLostError:
            self._intake.begin()  # nothing that came over this link is taken
            raise
        self._intake.announce()

    async def keep_streams(self, tell_gap: Callable[[str], None]) -> None:
        """Start the Polar measurements of the profile and keep them running; ends at once without any.

        Raises:
            BleakError: the link failed.
        """
        if self._profile.polar:
            await self._polar.keep_running(self._times.retry_s, tell_gap)

    async def take_down(self) -> None:
        """Stop what was started and disconnect; never raises, and a cancellation waits until it is done.

        It runs in a task of its own: in one that was cancelled each request would end after its first wait, and
        a sensor would be left measuring.
        """
        leaving = asyncio.create_task(self._leave())
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:
            await asyncio.wait({leaving})
            raise

    async def _leave(self) -> None:
        if self._client.is_connected and self._polar.begun:
            with suppress(*LINK_ERRORS):
                async with asyncio.timeout(self._times.close_s):
                    await self._polar.stop()
        with suppress(*LINK_ERRORS):
            async with asyncio.timeout(self._times.close_s):
                await self._client.disconnect()

    @property
    def has_record_access(self) -> bool:
        """Whether stored records can be asked for."""
        return self._client.services.get_characteristic(long_uuid(record_access.CHARACTERISTIC)) is not None

    def _required(self, characteristic: str) -> BleakGATTCharacteristic:
        found = self._found(characteristic)
        if found is None:
            raise BleakCharacteristicNotFoundError(long_uuid(characteristic))
        return found

    def _found(self, characteristic: str) -> BleakGATTCharacteristic | None:
        return self._client.services.get_characteristic(long_uuid(characteristic))

    async def _subscribe(self, characteristic: BleakGATTCharacteristic) -> None:
        async with asyncio.timeout(self._times.job_s):
            await self._client.start_notify(characteristic, self._on_notification)
        honour_cancellation()

    async def _subscribe_optional(self, characteristic: str) -> None:
        found = self._found(characteristic)
        if found is None or not _TELLS & set(found.properties) or characteristic in self._profile.required:
            return
        # Some straps list a battery but refuse it: that must not cost the heart rate.
        with suppress(BleakError):
            await self._subscribe(found)

    async def _read(self, characteristic: str) -> None:
        """Read a value that is nice to have."""
        found = self._found(characteristic)
        if found is None or "read" not in found.properties:
            return
        read = partial(self._read_now, found)
        with suppress(BleakError):
            await (
                self._guard.secured(self._client, f"read {characteristic}", read) if self._guard.may_pair else read()
            )
        honour_cancellation()

    async def _read_now(self, characteristic: BleakGATTCharacteristic) -> None:
        async with asyncio.timeout(self._times.job_s):
            value = bytes(await self._client.read_gatt_char(characteristic))
        uuid = short_uuid(characteristic.uuid)
        self.values[uuid] = value
        # What is read as a proof of encryption alone need not be anything that a decoder knows.
        if uuid not in self._protected or uuid in DECODERS:
            self._intake.take_read(characteristic.uuid, value)

    def _on_notification(self, characteristic: BleakGATTCharacteristic, payload: bytearray) -> None:
        value = bytes(payload)
        # First to the queue, so that a piece is never done before its records are in it.
        self._intake.take(characteristic.uuid, value)
        if self.backfill is not None:
            self.backfill.feed(characteristic.uuid, value)
        if short_uuid(characteristic.uuid) == polar_control.CHARACTERISTIC:
            self._polar.feed(value)

    async def _write_polar(self, request: bytes) -> None:
        await self._write(polar_control.CHARACTERISTIC, request)

    async def _write_record_access(self, request: bytes) -> None:
        await self._write(record_access.CHARACTERISTIC, request)

    async def _write(self, characteristic: str, request: bytes) -> None:
        self._intake.note_written(long_uuid(characteristic), request)
        async with asyncio.timeout(self._times.job_s):
            await self._client.write_gatt_char(self._required(characteristic), request, response=True)
