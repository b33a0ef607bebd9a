"""``edge-twin devices pair``: pair with a sensor, prove that the link is encrypted, and say what happened.

``pair()`` alone proves nothing: a stack may return from it without a key. The proof is a value that the sensor
refuses to everybody before pairing and gives afterwards, and again after a new connection.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from edge_twin_adapters.ble.decode import DECODERS
from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.frame import long_uuid, short_uuid
from edge_twin_adapters.ble.link import LinkTimes
from edge_twin_adapters.ble.pairing_desk import Capability, PairingDesk, PasskeySource
from edge_twin_adapters.ble.security import is_refused
from edge_twin_adapters.errors import AdapterError
from edge_twin_app.devices.radio import Air

_ERRORS = (BleakError, TimeoutError, OSError)


class Step(NamedTuple):
    """One thing that was tried.

    Attributes:
        step: what; works: whether it did, None when that could not be told; detail: with what outcome.
    """

    step: str
    works: bool | None
    detail: str


class StepFailedError(Exception):
    """A step failed and the following ones make no sense."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A value that opens only over an encrypted link.

    Attributes:
        uuid: of the characteristic.
        subscribe: try to subscribe instead of to read.
    """

    uuid: str
    subscribe: bool

    def __str__(self) -> str:
        return f"{'subscription to' if self.subscribe else 'read of'} {short_uuid(self.uuid)}"

    async def opens(self, client: BleakClient, limit_s: float) -> bool:
        """Whether the device gives it.

        Raises:
            BleakError, TimeoutError: for another reason than security.
        """
        try:
            async with asyncio.timeout(limit_s):
                await self._try(client)
        except BleakError as error:
            if is_refused(error):
                return False
            raise
        return True

    async def _try(self, client: BleakClient) -> None:
        if not self.subscribe:
            await client.read_gatt_char(long_uuid(self.uuid))
            return
        await client.start_notify(long_uuid(self.uuid), lambda _characteristic, _value: None)
        await client.stop_notify(long_uuid(self.uuid))


class Pairing:
    """Pairs with one device and keeps account.

    Args:
        radio: to use.
        address: of the device, or its advertised name.
        protected: a characteristic that the manual calls protected, read as the proof; None to look for one.
        times: time limits.
    """

    def __init__(self, radio: Air, address: str, protected: str | None = None, times: LinkTimes | None = None) -> None:
        self._radio = radio
        self._address = address
        self._lock = None if protected is None else Lock(protected, subscribe=False)
        self._times = times or LinkTimes()
        self.steps: list[Step] = []

    @property
    def proved(self) -> bool:
        """Whether the link was proved to be encrypted, also after a new connection."""
        done = {step.step: step.works for step in self.steps}
        return bool(done.get("encrypted") and done.get("bonded_reconnect"))

    async def run(self, desk: PairingDesk, passkey: PasskeySource | None = None) -> list[Step]:
        """Try everything in its order; the account, which ends at the first step that failed.

        Args:
            desk: says yes to the questions of the stack while this device is being paired.
            passkey: asks somebody for the number that the device shows.
        """
        try:
            device = await self._find()
            with desk.expect(device.address, passkey):
                await self._pair(device)
                await self._again(device)
        except StepFailedError:
            pass
        return self.steps

    async def _find(self) -> BLEDevice:
        with self._step("found"):
            device = await Finder(self._radio.backends, self._times).find(self._address)
            if device is None:
                raise BleakError("it does not advertise")
        self._note("found", works=True, detail=f"{device.address} {device.name or ''}".strip())
        return device

    async def _pair(self, device: BLEDevice) -> None:
        async with self._connected(device, "connected") as client:
            self._note("connected", works=True, detail=f"mtu {client.mtu_size}")
            await self._look_for_lock(client)
            with self._step("paired"):
                async with asyncio.timeout(self._times.attempt_s):
                    await client.pair()
            self._note("paired", works=True, detail="the stack reports success")
            await self._prove(client, "encrypted")

    async def _look_for_lock(self, client: BleakClient) -> None:
        """Note whether something is refused before pairing."""
        with self._step("refused_before"):
            if self._lock is not None:
                closed: Lock | None = None if await self._lock.opens(client, self._times.job_s) else self._lock
            else:
                closed = self._lock = await first_closed(client, self._times.job_s)
        nothing = "nothing is refused: no pairing is needed, or this device was paired before"
        self._note("refused_before", works=closed is not None or None, detail=str(closed) if closed else nothing)

    async def _prove(self, client: BleakClient, step: str) -> None:
        if self._lock is None:
            self._note(step, works=None, detail="nothing to prove it by; name a protected value with --protected")
            return
        with self._step(step):
            opened = await self._lock.opens(client, self._times.job_s)
        self._note(step, works=opened, detail=str(self._lock))
        if not opened:
            raise StepFailedError

    async def _again(self, device: BLEDevice) -> None:
        async with self._connected(device, "bonded_reconnect") as client:
            await self._prove(client, "bonded_reconnect")

    @asynccontextmanager
    async def _connected(self, device: BLEDevice, step: str) -> AsyncIterator[BleakClient]:
        client = BleakClient(device, timeout=self._times.attempt_s, backend=self._radio.backends().client)
        with self._step(step):
            async with asyncio.timeout(self._times.attempt_s):
                await client.connect()
        try:
            yield client
        finally:
            with self._step("disconnected"):
                async with asyncio.timeout(self._times.close_s):
                    await client.disconnect()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """What goes wrong inside is the outcome of this step."""
        try:
            yield
        except _ERRORS as error:
            self._note(name, works=False, detail=str(error) or type(error).__name__)
            raise StepFailedError from error

    def _note(self, name: str, *, works: bool | None, detail: str) -> None:
        self.steps.append(Step(name, works, detail))


async def first_closed(client: BleakClient, limit_s: float) -> Lock | None:
    """The first known value that the device refuses because the link is not encrypted."""
    for characteristic in client.services.characteristics.values():
        for lock in _locks(characteristic):
            if not await lock.opens(client, limit_s):
                return lock
    return None


def _locks(characteristic: BleakGATTCharacteristic) -> Iterator[Lock]:
    """How a known characteristic can be tried: reading and subscribing change nothing in the device."""
    if short_uuid(characteristic.uuid) not in DECODERS:
        return
    if "read" in characteristic.properties:
        yield Lock(characteristic.uuid, subscribe=False)
    elif {"notify", "indicate"} & set(characteristic.properties):
        yield Lock(characteristic.uuid, subscribe=True)


@asynccontextmanager
async def pairing_desk(radio: Air, *, passkey: bool) -> AsyncIterator[PairingDesk]:
    """The desk, known to BlueZ as an agent where BlueZ is the stack; elsewhere the system asks by itself.

    Raises:
        AdapterError: ``no_system_bus``, ``no_bluez`` or ``agent_refused``.
    """
    desk = PairingDesk()
    if radio.virtual or sys.platform != "linux":
        yield desk
        return
    from edge_twin_adapters.ble.bluez_agent import BluezAgent  # noqa: PLC0415 - exists on Linux only

    async with BluezAgent(desk, Capability.KEYBOARD_ONLY if passkey else Capability.NO_INPUT_NO_OUTPUT):
        yield desk


def typed_passkey(read: Callable[[str], str] = input) -> PasskeySource:
    """Asks on the terminal for the number that a device shows; ``AdapterError`` ``no_passkey`` for anything else."""

    async def ask(address: str) -> int:
        typed = await asyncio.to_thread(read, f"number that {address} shows: ")
        if not typed.strip().isdecimal():
            raise AdapterError("a passkey is a number", reason="no_passkey")
        return int(typed)

    return ask


def step_rows(steps: list[Step]) -> list[dict[str, Any]]:
    """The account as rows."""
    return [step._asdict() for step in steps]
