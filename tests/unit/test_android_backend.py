"""Our subclasses of bleak's real Kivy backend, on stand-ins for pyjnius and Android's Bluetooth classes.

The stand-ins answer from another thread, as Android does. No phone was used.
"""

# ruff: noqa: ANN401 - Java objects have no types here

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from edge_twin_adapters.ble import android_permissions
from edge_twin_adapters.ble.android_backend import android_backends
from edge_twin_adapters.ble.android_permissions import ScanBudget
from edge_twin_adapters.ble.backends import Backends
from edge_twin_adapters.errors import AdapterError

ADDRESS = "C0:00:00:00:00:02"
NOTIFY, INDICATE, READ, WRITE = 0x10, 0x20, 0x02, 0x08
TEMPERATURE = "00002a1c-0000-1000-8000-00805f9b34fb"
HEART_RATE = "00002a37-0000-1000-8000-00805f9b34fb"
CONFIGURATION = "00002902-0000-1000-8000-00805f9b34fb"
CONNECTED, DISCONNECTED = 2, 0
BOND_NONE, BOND_BONDING, BOND_BONDED = 10, 11, 12


def from_android(call: Callable[..., None], *arguments: Any) -> None:
    """Call back from a thread of Android's."""
    threading.Thread(target=call, args=arguments).start()


def ignore(_value: Any) -> None:
    """Take a value that no test looks at."""


class Uuid:
    def __init__(self, text: str) -> None:
        self.text = text

    def toString(self) -> str:  # noqa: N802 - Java's name
        return self.text


class Descriptor:
    def __init__(self, uuid: str) -> None:
        self.uuid, self.written = Uuid(uuid), [b""]

    def getUuid(self) -> Uuid:  # noqa: N802 - as above
        return self.uuid

    def setValue(self, data: Any) -> None:  # noqa: N802 - as above
        self.written.append(bytes(data))


class Characteristic:
    def __init__(self, uuid: str, handle: int, properties: int) -> None:
        self.configuration = Descriptor(CONFIGURATION)
        self.getUuid = lambda: Uuid(uuid)
        self.handle = handle
        self.getProperties = lambda: properties
        self.getDescriptors = lambda: [self.configuration]
        self.setWriteType: Callable[[Any], None] = ignore
        self.setValue: Callable[[Any], None] = ignore

    def getInstanceId(self) -> int:  # noqa: N802 - as above
        return self.handle


class Gatt:
    """A device with a thermometer that indicates and a heart rate that notifies."""

    def __init__(self, callback: Any) -> None:
        self.callback = callback
        self.temperature = Characteristic(TEMPERATURE, 10, INDICATE)
        self.heart_rate = Characteristic(HEART_RATE, 20, NOTIFY | READ | WRITE)
        self.outstanding = 0
        self.dropped = 0

    def getServices(self) -> list[Any]:  # noqa: N802 - Java's name
        service = SimpleNamespace(
            getInstanceId=lambda: 1,
            getUuid=lambda: Uuid("00001809-0000-1000-8000-00805f9b34fb"),
            getCharacteristics=lambda: [self.temperature, self.heart_rate],
        )
        return [service]

    def requestMtu(self, _size: int) -> bool:  # noqa: N802 - as above
        from_android(self.callback.onMtuChanged, 247, 0)
        return True

    def discoverServices(self) -> bool:  # noqa: N802 - as above
        from_android(self.callback.onServicesDiscovered, 0)
        return True

    def setCharacteristicNotification(self, _characteristic: Characteristic, _on: bool) -> bool:  # noqa: FBT001, N802 - as above
        return True

    def writeDescriptor(self, descriptor: Descriptor) -> bool:  # noqa: N802 - as above
        return self._one(self.callback.onDescriptorWrite, descriptor.uuid.text, 0)

    def readCharacteristic(self, characteristic: Characteristic) -> bool:  # noqa: N802 - as above
        value = SimpleNamespace(tolist=lambda: [0, 72])
        return self._one(self.callback.onCharacteristicRead, characteristic.getInstanceId(), 0, value)

    def writeCharacteristic(self, characteristic: Characteristic) -> bool:  # noqa: N802 - as above
        return self._one(self.callback.onCharacteristicWrite, characteristic.getInstanceId(), 0)

    def disconnect(self) -> None:
        from_android(self.callback.onConnectionStateChange, 0, DISCONNECTED)

    def close(self) -> None:
        """Nothing to free here."""

    def _one(self, answer: Callable[..., None], *arguments: Any) -> bool:
        """Refuse a request before the last one was answered, as Android does."""
        if self.outstanding:
            self.dropped += 1
            return False
        self.outstanding += 1

        def later() -> None:
            threading.Event().wait(0.01)
            self.outstanding -= 1
            answer(*arguments)

        from_android(later)
        return True


class Phone:
    """Android's Bluetooth: one adapter, one device; ``bonds`` are the states that a pairing goes through."""

    def __init__(self) -> None:
        self.bonds = [BOND_NONE]
        self.pairing: list[int] = []
        self.gatt: Gatt | None = None
        self.asked: list[tuple[str, ...]] = []
        self.refuses: set[str] = set()
        self.scans = 0

    # The dialogue.

    def granted(self, _permission: str) -> bool:
        return False

    async def ask(self, permissions: Sequence[str]) -> Mapping[str, bool]:
        self.asked.append(tuple(permissions))
        return {permission: permission not in self.refuses for permission in permissions}

    # BluetoothAdapter, BluetoothDevice and BluetoothLeScanner.

    def adapter(self) -> Any:
        device = SimpleNamespace(
            connectGatt=self.connect, getBondState=self.bond_state, createBond=lambda: bool(self.pairing)
        )
        scanner = SimpleNamespace(
            startScan=self.scan, flushPendingScanResults=lambda _callback: None, stopScan=lambda _callback: None
        )
        return SimpleNamespace(
            getState=lambda: 12, getRemoteDevice=lambda _address: device, getBluetoothLeScanner=lambda: scanner
        )

    def connect(self, _context: Any, _automatic: bool, callback: Any, _transport: int) -> Gatt:  # noqa: FBT001 - Android's signature
        self.gatt = Gatt(callback)
        from_android(callback.onConnectionStateChange, 0, CONNECTED)
        return self.gatt

    def bond_state(self) -> int:
        if self.pairing:
            self.bonds.append(self.pairing.pop(0))
        return self.bonds[-1]

    def scan(self, _filters: Any, _settings: Any, _callback: Any) -> None:
        self.scans += 1


class JavaObject:
    """Base of pyjnius' callback classes."""


def java_classes(phone: Phone) -> Callable[[str], Any]:
    classes: dict[str, Any] = {
        "android.bluetooth.BluetoothAdapter": SimpleNamespace(getDefaultAdapter=phone.adapter, STATE_ON=12),
        "android.bluetooth.BluetoothProfile": SimpleNamespace(
            STATE_CONNECTED=CONNECTED, STATE_DISCONNECTED=DISCONNECTED
        ),
        "android.bluetooth.BluetoothDevice": SimpleNamespace(
            TRANSPORT_LE=2, BOND_NONE=BOND_NONE, BOND_BONDING=BOND_BONDING, BOND_BONDED=BOND_BONDED
        ),
        "android.bluetooth.BluetoothGatt": SimpleNamespace(GATT_SUCCESS=0),
        "android.bluetooth.BluetoothGattCharacteristic": SimpleNamespace(
            WRITE_TYPE_DEFAULT=2, WRITE_TYPE_NO_RESPONSE=1
        ),
        "android.bluetooth.BluetoothGattDescriptor": SimpleNamespace(
            ENABLE_NOTIFICATION_VALUE=[1, 0], DISABLE_NOTIFICATION_VALUE=[0, 0]
        ),
        "android.bluetooth.le.ScanCallback": SimpleNamespace(
            SCAN_FAILED_ALREADY_STARTED=1,
            SCAN_FAILED_APPLICATION_REGISTRATION_FAILED=2,
            SCAN_FAILED_FEATURE_UNSUPPORTED=4,
            SCAN_FAILED_INTERNAL_ERROR=3,
        ),
        # Java's side of a callback: here Python's own object.
        "com.github.hbldh.bleak.PythonBluetoothGattCallback": lambda callback: callback,
        "com.github.hbldh.bleak.PythonScanCallback": lambda callback: callback,
    }
    return lambda name: classes.get(name) or MagicMock(name=name)


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(contents)
    return made


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    phone = Phone()
    refuse = MagicMock(side_effect=AssertionError("bleak asked for permissions itself"))
    stand_ins = [
        module(
            "jnius",
            autoclass=java_classes(phone),
            cast=lambda _name, thing: thing,
            java_method=lambda _signature: lambda function: function,
            PythonJavaClass=JavaObject,
        ),
        module("android"),
        module("android.broadcast", BroadcastReceiver=MagicMock()),
        module("android.permissions", Permission=MagicMock(), request_permissions=refuse),
    ]
    for stand_in in stand_ins:
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    yield phone
    for name in [name for name in sys.modules if name.startswith("bleak.backends.p4android")]:
        del sys.modules[name]


def backends(phone: Phone, api_level: int = 34) -> Backends:
    budget = ScanBudget(lambda: 0.0)
    return android_backends(phone, android_permissions.questions(api_level, background=False), budget)


def client(phone: Phone, lost: Callable[[BleakClient], None] | None = None) -> BleakClient:
    return BleakClient(ADDRESS, lost, backend=backends(phone).client)


def gatt(phone: Phone) -> Gatt:
    assert phone.gatt is not None
    return phone.gatt


async def test_an_indicating_device_gets_indications_and_a_notifying_one_notifications(phone: Phone) -> None:
    async with client(phone) as device:
        await device.start_notify(TEMPERATURE, lambda _sender, _data: None)
        await device.start_notify(HEART_RATE, lambda _sender, _data: None)
        assert gatt(phone).temperature.configuration.written[-1] == bytes([2, 0])
        assert gatt(phone).heart_rate.configuration.written[-1] == bytes([1, 0])
        await device.stop_notify(TEMPERATURE)
        assert gatt(phone).temperature.configuration.written[-1] == bytes([0, 0])


async def test_requests_that_come_together_are_made_one_after_the_other(phone: Phone) -> None:
    async with client(phone) as device:
        await asyncio.gather(
            device.start_notify(TEMPERATURE, lambda _sender, _data: None),
            device.start_notify(HEART_RATE, lambda _sender, _data: None),
            device.write_gatt_char(HEART_RATE, b"\x01", response=True),
            *(device.read_gatt_char(HEART_RATE) for _ in range(3)),
        )
        assert gatt(phone).dropped == 0


async def test_a_value_arrives_on_the_event_loop(phone: Phone) -> None:
    arrived: asyncio.Future[tuple[bytes, int]] = asyncio.get_running_loop().create_future()
    async with client(phone) as device:
        await device.start_notify(
            TEMPERATURE, lambda _sender, data: arrived.set_result((bytes(data), threading.get_ident()))
        )
        value = SimpleNamespace(tolist=lambda: [0, 1, 2])
        from_android(gatt(phone).callback.onCharacteristicChanged, 10, value)
        assert await arrived == (bytes([0, 1, 2]), threading.get_ident())


async def test_a_lost_link_is_told_on_the_event_loop(phone: Phone) -> None:
    threads: list[int] = []
    lost = asyncio.Event()

    def note(_client: BleakClient) -> None:
        threads.append(threading.get_ident())
        lost.set()

    await client(phone, note).connect()
    from_android(gatt(phone).callback.onConnectionStateChange, 8, DISCONNECTED)
    await lost.wait()
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize(
    ("states", "error"),
    [
        ([BOND_NONE, BOND_BONDING, BOND_BONDING, BOND_BONDED], None),
        ([BOND_NONE, BOND_NONE, BOND_BONDING, BOND_NONE], "was refused"),
        ([], "could not begin"),
    ],
)
async def test_a_pairing_ends_as_the_bond_does(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, states: list[int], error: str | None
) -> None:
    monkeypatch.setattr("edge_twin_adapters.ble.android_backend._BOND_POLL_S", 0.001)
    async with client(phone) as device:
        phone.pairing = states
        if error is None:
            await device.pair()
            assert phone.bonds[-1] == BOND_BONDED
        else:
            with pytest.raises(BleakError, match=error):
                await device.pair()


async def test_a_dialogue_that_nobody_answers_ends_the_pairing(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_twin_adapters.ble.android_backend._BOND_LIMIT_S", 0.01)
    async with client(phone) as device:
        phone.pairing = [BOND_NONE, BOND_BONDING]
        with pytest.raises(BleakError, match="not answered"):
            await device.pair()


async def test_a_scan_asks_for_bluetooth_and_never_for_the_location(phone: Phone) -> None:
    async with BleakScanner(backend=backends(phone).scanner):
        assert phone.scans == 1
    assert phone.asked == [(android_permissions.SCAN, android_permissions.CONNECT)]


async def test_without_the_permission_no_scan_starts(phone: Phone) -> None:
    phone.refuses = {android_permissions.SCAN}
    with pytest.raises(AdapterError) as refused:
        await BleakScanner(backend=backends(phone).scanner).start()
    assert refused.value.reason == "permission_denied"
    assert phone.scans == 0


def test_elsewhere_there_is_no_such_backend() -> None:
    with pytest.raises(ImportError):
        android_backends(Phone(), (), ScanBudget(lambda: 0.0))
