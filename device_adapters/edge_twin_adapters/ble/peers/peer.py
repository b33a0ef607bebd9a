"""What all virtual sensors have in common: a ledger, a clock, a battery, bonds and faults."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bumble import core, gatt, hci
from bumble.gatt import Characteristic, Service

from edge_twin_adapters.ble import battery, current_time, device_information
from edge_twin_adapters.ble.current_time import encode_current_time, read_current_time
from edge_twin_adapters.ble.peers.device_clock import DeviceClock
from edge_twin_adapters.ble.peers.faults import Fault, FaultKind
from edge_twin_adapters.ble.peers.gatt import INDICATE, Permissions, readable, service, text_of
from edge_twin_adapters.ble.peers.ledger import Fate, Ledger, Measured
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime, Step
from edge_twin_adapters.ble.virtual import VirtualPeripheral, VirtualRadio

# A lost link looks so to both sides when nobody said goodbye (Bluetooth Core, Vol 1 Part F 2.8).
_LINK_TIMEOUT = hci.HCI_CONNECTION_TIMEOUT_ERROR
_NEED_A_LINK = frozenset((FaultKind.DISCONNECT, FaultKind.LOST_BOND))
_AGAIN_S = 5.0
_DAMAGES: dict[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.CORRUPT: lambda payload: payload[:-1],
    FaultKind.WRONG_CRC: lambda payload: payload[:-1] + bytes([payload[-1] ^ 0xFF]),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a sensor is.

    Attributes:
        name: advertised local name.
        address: static random address.
        model: its model number.
        battery_percent: charge at the start.
        protected: measurements and control points need an encrypted link, and so a bond.
    """

    name: str
    address: str
    model: str = "Virtual"
    battery_percent: int = 90
    protected: bool = False


class VirtualPeer(VirtualPeripheral):
    """A virtual sensor: a peripheral that measures by itself, in simulated time, and keeps account.

    Every sensor has Battery, Device Information and Current Time beside its own services. Reading or
    writing a protected value without encryption is refused, as is the subscription to it.

    Args:
        radio: where it is.
        time: when it measures.
        identity: who it is.
        services: its own services.
        measurement: the characteristic of its measurements.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        services: Sequence[Service],
        measurement: Characteristic[bytes],
    ) -> None:
        self.time = time
        self.identity = identity
        self.clock = DeviceClock(time.now)
        self.ledger = Ledger()
        self.battery_percent = identity.battery_percent
        self.struck: list[Fault] = []
        self._to_come = 0
        self._away_until = time.now()
        self._spoilt: deque[FaultKind] = deque()
        self._held: deque[Callable[[], Awaitable[bool]]] | None = None
        self._battery = readable(battery.CHARACTERISTIC, lambda: bytes([self.battery_percent]), notify=True)
        everything = [*services, *self._common_services()]
        super().__init__(radio, identity.name, identity.address, everything, measurement)
        if identity.protected:
            self._protect(services)

    def _common_services(self) -> list[Service]:
        texts = dict.fromkeys(device_information.STRINGS, "1.0") | {
            "2a29": "edge-twin",
            "2a24": self.identity.model,
            "2a25": self.identity.address,
        }
        information = [readable(uuid, partial(device_information.encode_string, text)) for uuid, text in texts.items()]
        octets = bytes.fromhex(self.identity.address.replace(":", ""))[::-1]
        information.append(readable(device_information.SYSTEM_ID, lambda: octets + bytes(2)))
        clock = readable(
            current_time.CHARACTERISTIC,
            lambda: encode_current_time(self.clock.current_time()),
            notify=True,
            write=self._set_clock,
        )
        return [service("180f", [self._battery]), service("180a", information), service("1805", [clock])]

    async def _set_clock(self, value: bytes) -> None:
        self.clock.set(read_current_time(value).stamp)

    def _protect(self, services: Sequence[Service]) -> None:
        """Ask for encryption where the services are read, written and subscribed to."""
        for one in (one for service_ in services for one in service_.characteristics):
            one.permissions |= Permissions.READ_REQUIRES_ENCRYPTION | Permissions.WRITE_REQUIRES_ENCRYPTION
        handles = {range(service_.handle, service_.end_group_handle + 1) for service_ in services}
        for attribute in self._device.gatt_server.attributes:
            inside = any(attribute.handle in span for span in handles)
            if inside and attribute.type == gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR:
                attribute.permissions |= Permissions.WRITE_REQUIRES_ENCRYPTION

    def characteristics(self) -> tuple[str, ...]:
        """The full UUIDs of everything that a central can find."""
        return tuple(
            text_of(attribute.uuid)
            for attribute in self._device.gatt_server.attributes
            if isinstance(attribute, Characteristic)
        )

    # Sending.

    def listens(self, characteristic: Characteristic[bytes]) -> bool:
        """Whether a connected central has subscribed to ``characteristic``."""
        connection = self.connection
        subscriptions = self._device.gatt_server.subscribers.get(connection, {}) if connection else {}
        return any(subscriptions.get(characteristic.handle, b""))

    async def send(self, characteristic: Characteristic[bytes], payload: bytes) -> bool:
        """Notify or indicate; whether a listening central got it (an indication: confirmed it)."""
        connection = self.connection
        if connection is None or not self.listens(characteristic):
            return False
        if characteristic.properties & INDICATE:
            return await self._indicate(connection, characteristic, payload)
        await self._device.notify_subscriber(connection, characteristic, payload)
        return True

    async def send_measurement(
        self, payload: bytes, entries: Sequence[Measured], characteristic: Characteristic[bytes] | None = None
    ) -> bool:
        """Send a measurement, unless a fault spoils it, and enter the fate of its records.

        Args:
            payload: the value.
            entries: its records in the ledger; what fails to arrive keeps the fate that it has.
            characteristic: another than :attr:`measurement`.
        """
        target = characteristic or self.measurement
        if self._held is not None:
            self._held.append(lambda: self._send_now(target, payload, entries))
            return False
        return await self._send_now(target, payload, entries)

    async def _send_now(self, target: Characteristic[bytes], payload: bytes, entries: Sequence[Measured]) -> bool:
        if not self.listens(target):
            return False
        fault = self._spoilt.popleft() if self._spoilt else None
        if fault is FaultKind.DROP:
            _enter(entries, Fate.DROPPED)
            return False
        damaged = _DAMAGES[fault](payload) if fault is not None else payload
        if not await self.send(target, damaged):
            return False
        _enter(entries, Fate.SENT if fault is None else Fate.CORRUPTED)
        return True

    async def set_battery(self, percent: int) -> None:
        """Change the charge and notify it where subscribed."""
        self.battery_percent = percent
        await self.send(self._battery, battery.encode_battery(percent))

    # Measuring.

    async def begin(self) -> None:
        """Switch the sensor on: it advertises, and measures from now on."""
        await self.put_on()
        for step in self.steps():
            self.time.schedule(step)

    def steps(self) -> Sequence[Step]:
        """What the sensor does by itself; none here."""
        return ()

    # Faults.

    async def inject(self, fault: Fault) -> None:
        """Let ``fault`` happen now and note it in :attr:`struck`; one that it cannot have changes nothing."""
        self.struck.append(fault)
        match fault.kind:
            case FaultKind.DROP | FaultKind.CORRUPT | FaultKind.WRONG_CRC:
                self._spoilt.extend([fault.kind] * int(fault.amount))
            case FaultKind.DELAY:
                self._hold(fault.amount)
            case FaultKind.DISCONNECT:
                await self._drop_link(fault.amount)
            case FaultKind.LOST_BOND:
                await self.forget_bonds()
                await self._drop_link(0.0)
            case FaultKind.CLOCK_RESET:
                self.clock.reset()
            case FaultKind.LOW_BATTERY:
                await self.set_battery(int(fault.amount))
            case FaultKind.STALLED_BACKFILL:
                self.stall_after(int(fault.amount))

    def stall_after(self, records: int) -> None:
        """Let the next report of stored records fall silent; a sensor without storage has none."""

    def plan(self, faults: Sequence[Fault]) -> None:
        """Let those of ``faults`` that name this sensor happen at their times from now on.

        A link that is down cannot be lost: such a fault waits for the next one.
        """
        for fault in faults:
            if fault.sensor == self.name:
                self._to_come += 1
                self.time.schedule(self._later(fault), fault.at_s)

    @property
    def faults_to_come(self) -> int:
        """How many planned faults have not happened yet."""
        return self._to_come

    def _later(self, fault: Fault) -> Step:
        async def strike() -> float | None:
            if fault.kind in _NEED_A_LINK and self.connection is None:
                return _AGAIN_S
            self._to_come -= 1
            await self.inject(fault)
            return None

        return strike

    async def forget_bonds(self) -> None:
        """Delete every bond, as a sensor does that was reset."""
        if self._device.keystore is not None:
            await self._device.keystore.delete_all()

    async def _drop_link(self, away_s: float) -> None:
        """Lose the link and stay off the air for so long."""
        self._away_until = max(self._away_until, self.time.now() + timedelta(seconds=away_s))
        await self.take_off(_LINK_TIMEOUT)

        async def come_back() -> None:
            if self.time.now() >= self._away_until:
                await self.put_on()

        self.time.schedule(come_back, away_s)

    def _hold(self, seconds: float) -> None:
        self._held = self._held or deque()

        async def release() -> None:
            held, self._held = self._held, None
            for send in held or ():
                await send()

        self.time.schedule(release, seconds)

    def spawn(self, work: Awaitable[None]) -> None:
        """Do ``work`` beside the simulation, which must not wait for a central."""

        async def quietly() -> None:
            # The link may go at any moment; what was not sent stays in the ledger as it was.
            with suppress(core.BaseBumbleError):
                await work

        task = asyncio.ensure_future(quietly())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _enter(entries: Sequence[Measured], fate: Fate) -> None:
    for entry in entries:
        entry.fate = fate
