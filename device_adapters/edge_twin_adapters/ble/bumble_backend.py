"""A bleak backend on a Bumble device, so that real bleak code talks to virtual peripherals in one process.

bleak makes backend objects from classes and passes them nothing of ours; :func:`bumble_backends`
therefore binds the two classes to one :class:`Central`, the virtual radio's own Bluetooth device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, TypeVar, cast
from uuid import UUID

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import att, core, gatt, hci
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.keys import KeyStore

from edge_twin_adapters.ble.backends import Backends

Result = TypeVar("Result")

# The ATT MTU that fills one 251-byte LL packet: 251 - 4 bytes of L2CAP header.
_MTU = 247
# Bytes before the value in an ATT Write Command (Bluetooth Core, Vol 3 Part F 3.4.5.3).
_WRITE_HEADER_BYTES = 3

_PROPERTY_NAMES: tuple[tuple[gatt.Characteristic.Properties, CharacteristicPropertyName], ...] = (
    (gatt.Characteristic.Properties.BROADCAST, "broadcast"),
    (gatt.Characteristic.Properties.READ, "read"),
    (gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE, "write-without-response"),
    (gatt.Characteristic.Properties.WRITE, "write"),
    (gatt.Characteristic.Properties.NOTIFY, "notify"),
    (gatt.Characteristic.Properties.INDICATE, "indicate"),
    (gatt.Characteristic.Properties.AUTHENTICATED_SIGNED_WRITES, "authenticated-signed-writes"),
    (gatt.Characteristic.Properties.EXTENDED_PROPERTIES, "extended-properties"),
)


@contextmanager
def _bleak_errors() -> Iterator[None]:
    """Turn what Bumble raises into what bleak promises.

    Bumble cancels the pending request when the link goes; that cancellation is not ours to obey.
    """
    try:
        yield
    except att.ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code or 0) from error
    except core.BaseBumbleError as error:
        raise BleakError(f"Bumble: {error}") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BleakError("the link went during a request") from error


async def _uncut(request: Coroutine[Any, Any, Result]) -> Result:
    """Let a request run to its answer, or to the end of the link, also when nobody waits for it any more.

    Bumble fails when the answer comes to a request that was given up, and the next one must wait for it anyway.
    """
    return await asyncio.shield(asyncio.ensure_future(request))


class Central:
    """The Bluetooth device on which all clients and scanners of one virtual radio run.

    Args:
        device: a powered Bumble device on the link of the peripherals.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._listeners: list[Callable[[Advertisement], None]] = []
        self._connecting = asyncio.Lock()
        self._scanning = asyncio.Lock()
        device.on(device.EVENT_ADVERTISEMENT, self._on_advertisement)

    @property
    def keystore(self) -> KeyStore | None:
        """The bonds of this device."""
        return self._device.keystore

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        for listener in tuple(self._listeners):
            listener(advertisement)

    async def add_listener(self, listener: Callable[[Advertisement], None]) -> None:
        """Call ``listener`` for each advertisement; the first listener starts the scan."""
        async with self._scanning:
            if not self._listeners:
                await self._device.start_scanning(legacy=True, active=True, filter_duplicates=False)
            self._listeners.append(listener)

    async def remove_listener(self, listener: Callable[[Advertisement], None]) -> None:
        """Forget ``listener``; without listeners the scan stops."""
        async with self._scanning:
            if listener in self._listeners:
                self._listeners.remove(listener)
                if not self._listeners:
                    await self._device.stop_scanning(legacy=True)

    async def connect(self, address: str, timeout_s: float) -> Connection:
        """Connect to an advertising peripheral; one attempt at a time, as a controller has one initiator.

        Raises:
            bumble.core.BaseBumbleError: it did not answer in time, or the link failed.
        """
        async with self._connecting:
            try:
                return await self._device.connect(hci.Address(address), timeout=timeout_s)
            except asyncio.CancelledError:
                # The controller would go on trying and hand the link to nobody.
                await self._device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
                raise


class BumbleClient(BaseBleakClient):
    """``BleakClient`` backend; use the subclass from :func:`bumble_backends`, which has a ``central``."""

    central: ClassVar[Central]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **kwargs: Any,  # noqa: ANN401 - bleak passes the options of every platform
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout, **kwargs)
        known = isinstance(address_or_ble_device, BLEDevice) and address_or_ble_device.name
        self._name = known or self.address.replace(":", "-")
        self._connection: Connection | None = None
        self._leaving = False
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """Advertised name, or the address with dashes."""
        return self._name

    @property
    def mtu_size(self) -> int:
        """Negotiated ATT MTU in bytes.

        Raises:
            BleakError: not connected.
        """
        return self._link.att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None

    @property
    def _link(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def connect(self, pair: bool, **kwargs: Any) -> None:  # noqa: ANN401, ARG002, FBT001 - bleak's signature
        """Connect, discover the GATT tree and, if asked, pair.

        Raises:
            BleakDeviceNotFoundError: nobody with this address answers within the timeout.
            BleakError: already connected, or the link went meanwhile.
        """
        if self.is_connected:
            raise BleakError("already connected")
        try:
            with _bleak_errors():
                self._connection = await self.central.connect(self.address, self._timeout)
        except BleakError as error:
            if isinstance(error.__cause__, core.TimeoutError):
                message = f"no answer from {self.address}"
                raise BleakDeviceNotFoundError(self.address, message) from error
            raise
        self._leaving = False
        self._connection.on(self._connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            with _bleak_errors():
                await _uncut(self._prepare(Peer(self._connection), pair=pair))
        except BaseException:
            await self.disconnect()
            raise

    async def _prepare(self, peer: Peer, *, pair: bool) -> None:
        await peer.request_mtu(_MTU)
        await self._resume_encryption(peer.connection)
        if pair:
            await peer.connection.pair()
        for service in await peer.discover_services():
            for characteristic in await service.discover_characteristics():
                await characteristic.discover_descriptors()
        self.services = _gatt_tree(peer, lambda: self.mtu_size - _WRITE_HEADER_BYTES)

    async def _resume_encryption(self, connection: Connection) -> None:
        """Encrypt with the key of an earlier pairing, as a system's stack does by itself.

        Raises:
            bumble.hci.HCI_Error: ``PIN_OR_KEY_MISSING`` when the peripheral lost its key.
        """
        keystore = connection.device.keystore
        if keystore is not None and await keystore.get(str(connection.peer_address)) is not None:
            await connection.encrypt()

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        self.services = None
        self._subscribers.clear()
        if self._disconnected_callback is not None and not self._leaving:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """Close the link; nothing happens when it is already closed."""
        if self._connection is None:
            return
        self._leaving = True
        with _bleak_errors():
            await self._connection.disconnect()

    async def pair(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 - bleak's signature
        """Pair and bond with the connected peripheral.

        Raises:
            BleakError: not connected, or the peripheral refuses.
        """
        with _bleak_errors():
            await self._link.pair()

    async def unpair(self) -> None:
        """Forget the bond with the peripheral, connected or not.

        Raises:
            BleakError: there is no bond.
        """
        keystore = self.central.keystore
        if keystore is None:
            raise BleakError("the virtual radio keeps no bonds")
        known = await keystore.get_all()
        # Addresses in the store carry their type behind a slash.
        name = next((name for name, _ in known if name.partition("/")[0] == self.address), None)
        if name is None:
            raise BleakError(f"no bond with {self.address}")
        await keystore.delete(name)

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,  # noqa: ARG002 - a fresh value is always at hand
        **kwargs: Any,  # noqa: ANN401, ARG002 - bleak's signature
    ) -> bytearray:
        """Read a characteristic; an ATT error becomes ``BleakGATTProtocolError``."""
        return await self._read(characteristic.obj)

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,  # noqa: ARG002 - as above
        **kwargs: Any,  # noqa: ANN401, ARG002 - bleak's signature
    ) -> bytearray:
        """Read a descriptor; errors as :meth:`read_gatt_char`."""
        return await self._read(descriptor.obj)

    async def _read(self, attribute: Any) -> bytearray:  # noqa: ANN401 - bleak's obj is untyped
        self._require_link()
        with _bleak_errors():
            return bytearray(await _uncut(attribute.read_value()))

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001 - bleak's signature
    ) -> None:
        """Write a characteristic; errors as :meth:`read_gatt_char`."""
        self._require_link()
        with _bleak_errors():
            await _uncut(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor; errors as :meth:`read_gatt_char`."""
        self._require_link()
        with _bleak_errors():
            await _uncut(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **kwargs: Any,  # noqa: ANN401, ARG002 - bleak's signature
    ) -> None:
        """Subscribe; notifications are preferred where indications are offered too.

        Raises:
            BleakError: not connected, or a subscription exists.
        """
        self._require_link()
        if characteristic.handle in self._subscribers:
            raise BleakError(f"{characteristic.uuid} is already subscribed")

        def subscriber(value: bytes) -> None:
            # Bumble keeps a subscriber whose subscription was refused.
            if self._subscribers.get(characteristic.handle) is subscriber:
                callback(bytearray(value))

        self._subscribers[characteristic.handle] = subscriber
        try:
            with _bleak_errors():
                await _uncut(characteristic.obj.subscribe(subscriber))
        except BaseException:
            self._subscribers.pop(characteristic.handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe; errors as :meth:`read_gatt_char`.

        Raises:
            BleakError: not connected, or there is no subscription.
        """
        self._require_link()
        subscriber = self._subscribers.pop(characteristic.handle, None)
        if subscriber is None:
            raise BleakError(f"{characteristic.uuid} is not subscribed")
        with _bleak_errors():
            await _uncut(characteristic.obj.unsubscribe(subscriber))

    def _require_link(self) -> None:
        """Refuse at once what would otherwise wait for an answer that cannot come."""
        _ = self._link


def _gatt_tree(peer: Peer, max_write: Callable[[], int]) -> BleakGATTServiceCollection:
    """The discovered services as bleak represents them."""
    tree = BleakGATTServiceCollection()
    for service in peer.services:
        bleak_service = BleakGATTService(service, service.handle, _uuid_text(service.uuid))
        tree.add_service(bleak_service)
        for characteristic in service.characteristics:
            _add_characteristic(tree, characteristic, bleak_service, max_write)
    return tree


def _add_characteristic(
    tree: BleakGATTServiceCollection,
    characteristic: CharacteristicProxy[bytes],
    service: BleakGATTService,
    max_write: Callable[[], int],
) -> None:
    names = [name for flag, name in _PROPERTY_NAMES if flag in characteristic.properties]
    uuid = _uuid_text(characteristic.uuid)
    bleak_characteristic = BleakGATTCharacteristic(
        characteristic, characteristic.handle, uuid, names, max_write, service
    )
    tree.add_characteristic(bleak_characteristic)
    for descriptor in characteristic.descriptors:
        uuid = _uuid_text(descriptor.type)
        tree.add_descriptor(BleakGATTDescriptor(descriptor, descriptor.handle, uuid, bleak_characteristic))


def _uuid_text(uuid: core.UUID) -> str:
    """The 128-bit text form that bleak compares; Bumble keeps UUIDs in on-air byte order."""
    return str(UUID(bytes=uuid.uuid_128_bytes[::-1]))


class BumbleScanner(BaseBleakScanner):
    """``BleakScanner`` backend; use the subclass from :func:`bumble_backends`, which has a ``central``."""

    central: ClassVar[Central]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],  # noqa: ARG002 - the link answers scan requests either way
        **kwargs: Any,  # noqa: ANN401, ARG002 - bleak passes the options of every platform
    ) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        """Start scanning with a clean list of devices."""
        self.seen_devices = {}
        with _bleak_errors():
            await self.central.add_listener(self._on_advertisement)

    async def stop(self) -> None:
        """Stop scanning."""
        with _bleak_errors():
            await self.central.remove_listener(self._on_advertisement)

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        data = _advertisement_data(advertisement)
        address = advertisement.address.to_string(with_type_qualifier=False)
        device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
        if self.is_allowed_uuid(data.service_uuids):
            self.call_detection_callbacks(device, data)


_UUID_LISTS = (
    core.AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    core.AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)


def _advertisement_data(advertisement: Advertisement) -> AdvertisementData:
    data = advertisement.data
    name = data.get(core.AdvertisingData.Type.COMPLETE_LOCAL_NAME)
    name = name or data.get(core.AdvertisingData.Type.SHORTENED_LOCAL_NAME)
    uuids = [uuid for kind in _UUID_LISTS for uuid in cast("list[core.UUID]", data.get(kind) or [])]
    return AdvertisementData(
        local_name=name,
        manufacturer_data=dict(data.get_all(core.AdvertisingData.Type.MANUFACTURER_SPECIFIC_DATA)),
        service_data={
            _uuid_text(uuid): octets
            for uuid, octets in data.get_all(core.AdvertisingData.Type.SERVICE_DATA_16_BIT_UUID)
        },
        service_uuids=[_uuid_text(uuid) for uuid in uuids],
        tx_power=None,
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )


def bumble_backends(device: Device) -> Backends:
    """Backend classes bound to ``device``, for ``BleakClient`` and ``BleakScanner``.

    Args:
        device: a powered Bumble device on the link of the virtual peripherals.
    """
    central = Central(device)
    return Backends(
        client=type("BoundBumbleClient", (BumbleClient,), {"central": central}),
        scanner=type("BoundBumbleScanner", (BumbleScanner,), {"central": central}),
    )
