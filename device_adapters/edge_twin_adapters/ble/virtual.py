"""Virtual Bluetooth LE devices: a chest strap and a thermometer on a radio inside this process.

They speak the real protocol down to HCI (Bumble controllers on a ``LocalLink``); an application that
imports only bleak cannot tell the difference::

    async with VirtualRadio() as radio:
        strap = VirtualStrap(radio)
        await strap.put_on()
        source = BleSource(strap.name, CHEST_STRAP, backends=radio.backends, ...)

The link has no loss and no airtime. Faults are made with :meth:`VirtualPeripheral.take_off` and
:meth:`VirtualPeripheral.send_raw`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import Self

from bumble import att, core, data_types, hci
from bumble.att import Attribute
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.link import LocalLink

from edge_twin.observation import Site
from edge_twin_adapters.ble import heart_rate, thermometer
from edge_twin_adapters.ble.backends import Backends
from edge_twin_adapters.ble.bumble_backend import bumble_backends
from edge_twin_adapters.ble.date_time import DateTimeField
from edge_twin_adapters.errors import AdapterError

# The largest LL payload (Bluetooth Core, Vol 6 Part B 4.5.10): a notification is then never fragmented.
ACL_DATA_BYTES = 251

# The shortest interval that a device may advertise at, in ms (Bluetooth Core, Vol 6 Part B 4.4.2.2).
_ADVERTISING_INTERVAL_MS = 20.0

# A strap that loses the skin switches itself off: the reason a central sees (Bluetooth Core, Vol 1 Part F).
POWER_OFF = hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR

_HEART_RATE_SERVICE = 0x180D
_BATTERY_SERVICE = 0x180F
_THERMOMETER_SERVICE = 0x1809
_HEART_RATE_MEASUREMENT = 0x2A37
_BODY_SENSOR_LOCATION = 0x2A38
_BATTERY_LEVEL = 0x2A19
_TEMPERATURE_MEASUREMENT = 0x2A1C
_CHEST = 1
_SHORT_UUID_BYTES = 2
_LARGEST_HANDLE = 0xEFF

Pace = Callable[[float], Awaitable[None]]


class _Controller(Controller):
    """A Bumble controller that also obeys the cancellation of a connection attempt.

    Bumble 0.0.236 acknowledges the command and goes on trying, which blocks every later attempt. It also
    gives the handle of a lost link to the next one at once, and a host that has not heard of the loss yet
    would then read, write and close the link of another device.
    """

    _last_handle = 0

    def allocate_connection_handle(self) -> int:
        """The next handle that was not used for longest (handles end at 0xEFF)."""
        used = {link.handle for link in (*self.le_connections.values(), *self.classic_connections.values())}
        while True:
            self._last_handle = self._last_handle % _LARGEST_HANDLE + 1
            if self._last_handle not in used:
                return self._last_handle

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Drop the attempt and complete it as failed (Bluetooth Core, Vol 4 Part E 7.8.13)."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return super().on_hci_le_create_connection_cancel_command(command)


class VirtualRadio:
    """The air between virtual devices and the one central that bleak code uses; an async context manager."""

    def __init__(self) -> None:
        self._link = LocalLink()  # type: ignore[no-untyped-call] # Bumble leaves this one unannotated
        self._devices: list[Device] = []
        self._peripherals: list[VirtualPeripheral] = []
        self._backends: Backends | None = None

    async def __aenter__(self) -> Self:
        central = self.make_device("edge-twin central", "C0:00:00:00:00:FF")
        await central.power_on()
        self._backends = bumble_backends(central)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peripheral in self._peripherals:
            await peripheral.take_off()
        for device in self._devices:
            if device.powered_on:
                await _switch_off(device)
        self._peripherals.clear()
        self._devices.clear()
        self._backends = None

    def backends(self) -> Backends:
        """The bleak backends of this radio; pass the method itself as a factory.

        Raises:
            AdapterError: ``radio_off`` outside the context.
        """
        if self._backends is None:
            raise AdapterError("the virtual radio is not switched on", reason="radio_off")
        return self._backends

    def make_device(self, name: str, address: str) -> Device:
        """A Bumble device on this radio, not yet powered.

        Args:
            name: local name.
            address: static random address; its two highest bits are set (``C0:...`` to ``FF:...``).
        """
        controller = _Controller(name, link=self._link)
        controller.le_acl_data_packet_length = ACL_DATA_BYTES
        configuration = DeviceConfiguration(
            name=name,
            address=hci.Address(address),
            advertising_interval_min=_ADVERTISING_INTERVAL_MS,
            advertising_interval_max=_ADVERTISING_INTERVAL_MS,
        )
        device = Device.from_config_with_hci(configuration, controller, controller)
        self._devices.append(device)
        return device

    def register(self, peripheral: VirtualPeripheral) -> None:
        """Take ``peripheral`` off when the radio closes."""
        self._peripherals.append(peripheral)


async def _switch_off(device: Device) -> None:
    """Leave no timer and no link behind."""
    if device.is_scanning:
        await device.stop_scanning(legacy=True)
    for connection in tuple(device.connections.values()):
        with suppress(core.BaseBumbleError):
            await connection.disconnect()
    await device.power_off()


class VirtualPeripheral:
    """What the virtual devices have in common: being worn, advertising, being connected.

    Args:
        radio: where the device is.
        name: advertised local name.
        address: static random address.
        services: its GATT services.
        measurement: the characteristic that carries its measurements.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        name: str,
        address: str,
        services: Sequence[Service],
        measurement: Characteristic[bytes],
    ) -> None:
        self.name = name
        self.address = address
        self.measurement = measurement
        self._subscribed = asyncio.Event()
        self._worn = False
        self._switching = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()
        self._device = radio.make_device(name, address)
        radio.register(self)
        self._device.add_services(list(services))
        self._device.advertising_data = _advertising_data(name, _short_uuids(services))
        self._device.on(self._device.EVENT_CONNECTION, self._on_connection)
        measurement.on(measurement.EVENT_SUBSCRIPTION, self._on_subscription)

    @property
    def connection(self) -> Connection | None:
        """The link to the central, or None."""
        return next(iter(self._device.connections.values()), None)

    @property
    def is_subscribed(self) -> bool:
        """Whether the central asked for measurements."""
        return self._subscribed.is_set()

    async def subscribed(self) -> None:
        """Wait until the central has asked for measurements."""
        await self._subscribed.wait()

    async def put_on(self) -> None:
        """Switch the device on: it advertises until a central connects, and again after the link is gone."""
        if not self._device.powered_on:
            await self._device.power_on()
        self._worn = True
        await self._advertise()

    async def take_off(self, reason: int = POWER_OFF) -> None:
        """Switch the device off: the link drops with ``reason`` (an HCI error code), advertising stops."""
        self._worn = False
        async with self._switching:
            await self._device.stop_advertising()
        if (connection := self.connection) is not None:
            await connection.disconnect(reason)

    async def send_raw(self, payload: bytes) -> bool:
        """Send any payload as a measurement, for fault tests; whether a subscribed central got it."""
        connection = self.connection
        if connection is None or not self.is_subscribed:
            return False
        if self.measurement.properties & Characteristic.Properties.INDICATE:
            return await self._indicate(connection, self.measurement, payload)
        await self._device.notify_subscriber(connection, self.measurement, payload)
        # Lets the receiving side run, as airtime would.
        await asyncio.sleep(0)
        return True

    async def _indicate(self, connection: Connection, value: Characteristic[bytes], payload: bytes) -> bool:
        """Send and wait for the confirmation, which never comes when the link drops first."""
        gone = asyncio.Event()
        connection.once(connection.EVENT_DISCONNECTION, lambda _: gone.set())
        indication = asyncio.ensure_future(self._device.indicate_subscriber(connection, value, payload))
        waiter = asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait({indication, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            indication.cancel()
        return indication.done() and not indication.cancelled() and indication.exception() is None

    async def _advertise(self) -> None:
        async with self._switching:
            if self._worn and self.connection is None:
                await self._device.start_advertising()

    def _on_connection(self, connection: Connection) -> None:
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)

    def _on_disconnection(self, _reason: int) -> None:
        self._subscribed.clear()
        if self._worn:
            task = asyncio.ensure_future(self._advertise())
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    def _on_subscription(self, _bearer: object, notify: bool, indicate: bool) -> None:  # noqa: FBT001 - Bumble's event
        if notify or indicate:
            self._subscribed.set()
        else:
            self._subscribed.clear()


def _advertising_data(name: str, services: Sequence[UUID]) -> bytes:
    return bytes(
        AdvertisingData(
            [
                data_types.Flags(AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE),
                data_types.CompleteLocalName(name),
                data_types.CompleteListOf16BitServiceUUIDs(list(services)),
            ]
        )
    )


def _short_uuids(services: Sequence[Service]) -> list[UUID]:
    """Only these are advertised: a vendor's UUID leaves no room for the name."""
    return [service.uuid for service in services if len(service.uuid.uuid_bytes) == _SHORT_UUID_BYTES]


def _measurement(uuid: int, properties: Characteristic.Properties) -> Characteristic[bytes]:
    value: CharacteristicValue[bytes] = CharacteristicValue(read=_not_readable, write=_not_writable)
    return Characteristic(UUID.from_16_bits(uuid), properties, Attribute.Permissions(0), value)


def _not_readable(_connection: Connection) -> bytes:
    # Bumble's server does not look at the permission itself.
    raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)


def _not_writable(_connection: Connection, _value: bytes) -> None:
    raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)


def _readable(uuid: int, read: Callable[[], int], *, notify: bool = False) -> Characteristic[bytes]:
    """A characteristic of one octet that can be read and not written."""
    value: CharacteristicValue[bytes] = CharacteristicValue(
        read=lambda _connection: bytes([read()]), write=_not_writable
    )
    properties = Characteristic.Properties.READ
    if notify:
        properties |= Characteristic.Properties.NOTIFY
    return Characteristic(UUID.from_16_bits(uuid), properties, Attribute.Permissions.READABLE, value)


class VirtualStrap(VirtualPeripheral):
    """A chest strap: Heart Rate Service with RR intervals and contact, and Battery Service.

    Args:
        radio: where the strap is.
        name: advertised local name.
        address: static random address.
        battery_percent: charge, 0 to 100.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        name: str = "Virtual strap",
        address: str = "C0:00:00:00:00:01",
        *,
        battery_percent: int = 90,
    ) -> None:
        self._battery_percent = battery_percent
        location = _readable(_BODY_SENSOR_LOCATION, lambda: _CHEST)
        self._battery = _readable(_BATTERY_LEVEL, lambda: self._battery_percent, notify=True)
        measurement = _measurement(_HEART_RATE_MEASUREMENT, Characteristic.Properties.NOTIFY)
        services = [
            Service(UUID.from_16_bits(_HEART_RATE_SERVICE), [measurement, location]),
            Service(UUID.from_16_bits(_BATTERY_SERVICE), [self._battery]),
        ]
        super().__init__(radio, name, address, services, measurement)

    async def beats(self, rr_ms: Sequence[float], *, pace: Pace | None = None) -> int:
        """Send beats, up to nine in a notification, quantised to 1/1024 s.

        Args:
            rr_ms: RR intervals in ms, oldest first.
            pace: awaited before each notification with the seconds that its beats last;
                ``asyncio.sleep`` replays in real time, None sends as fast as the link takes them.

        Returns:
            The number of notifications that a subscribed central was sent; the beats after a lost link
            are lost, as with a real strap.

        Raises:
            AdapterError: ``out_of_range`` for an interval that is not above zero or is 64 s and longer.
        """
        sent = 0
        for packet in heart_rate.pack_beats(rr_ms):
            if pace is not None:
                await pace(heart_rate.seconds_of_beats(packet))
            sent += await self.send_raw(packet)
        return sent

    async def set_battery(self, percent: int) -> None:
        """Change the charge and notify it where subscribed."""
        self._battery_percent = percent
        if (connection := self.connection) is not None:
            await self._device.notify_subscriber(connection, self._battery, bytes([percent]))


class VirtualThermometer(VirtualPeripheral):
    """A thermometer: Health Thermometer Service with indications and FLOAT values.

    Args:
        radio: where the thermometer is.
        name: advertised local name.
        address: static random address.
    """

    def __init__(
        self, radio: VirtualRadio, name: str = "Virtual thermometer", address: str = "C0:00:00:00:00:02"
    ) -> None:
        measurement = _measurement(_TEMPERATURE_MEASUREMENT, Characteristic.Properties.INDICATE)
        services = [Service(UUID.from_16_bits(_THERMOMETER_SERVICE), [measurement])]
        super().__init__(radio, name, address, services, measurement)

    async def measure(
        self,
        celsius: float | Decimal,
        site: Site | None = Site.ORAL,
        *,
        device_time: DateTimeField | None = None,
    ) -> bool:
        """Send a reading and wait for the confirmation; whether a subscribed central confirmed it.

        Args:
            celsius: temperature in °C, sent with the digits of its shortest decimal text.
            site: where it was taken, or None to leave it open.
            device_time: what the thermometer's clock shows, or None for one without a clock.

        Raises:
            AdapterError: ``not_representable`` or ``unknown_site``.
        """
        payload = thermometer.encode_temperature(Decimal(str(celsius)), site=site, device_time=device_time)
        return await self.send_raw(payload)
