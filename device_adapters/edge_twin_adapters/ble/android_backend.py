"""bleak's Android backend for Kivy apps with the faults mended that show without a phone.

bleak 3.1's ``p4android`` backend asks for the location only, enables notifications where a device has indications,
calls back from Android's threads, and fails at the end of a successful pairing. The subclasses here ask as
:mod:`android_permissions` plans, and mend the others. They were tested against stand-ins for Android's classes
and never run on a phone.

The module imports no Android by itself; :func:`android_backends` does, and works only inside a Kivy app.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakError

from edge_twin_adapters.ble.android_permissions import PermissionDialogue, Question, ScanBudget, obtain
from edge_twin_adapters.ble.backends import Backends

if TYPE_CHECKING:
    # The bases exist on Android alone; for the type checker they are what bleak promises of any backend.
    from bleak.backends.client import BaseBleakClient as _Client
    from bleak.backends.scanner import BaseBleakScanner as _Scanner
else:
    _Client = _Scanner = object

_CLIENT_CONFIGURATION = "00002902-0000-1000-8000-00805f9b34fb"
# Client Characteristic Configuration (Bluetooth Core, Vol 3 Part G 3.3.3.3).
_NOTIFICATIONS, _INDICATIONS = bytes([1, 0]), bytes([2, 0])
_BOND_POLL_S = 0.25
# A person has to answer Android's dialogue.
_BOND_LIMIT_S = 60.0


def android_backends(dialogue: PermissionDialogue, plan: Sequence[Question], budget: ScanBudget) -> Backends:
    """The bleak backends of a Kivy app on Android.

    Args:
        dialogue: asks the person for permissions.
        plan: what to ask before the first scan, from :func:`android_permissions.questions`.
        budget: the app's one budget of scans.

    Raises:
        ImportError: this is no Kivy app on Android.
    """
    scanning = import_module("bleak.backends.p4android.scanner")
    connecting = import_module("bleak.backends.p4android.client")
    # The permissions were obtained before; bleak's own question would be for the location, and needs one answer.
    scanning.request_permissions = _grant  # type: ignore[attr-defined]
    scanner = type(
        "AndroidScanner",
        (_PermittedScanner, scanning.BleakScannerP4Android),
        {"dialogue": dialogue, "plan": tuple(plan), "budget": budget},
    )
    client = type("AndroidClient", (_MendedClient, connecting.BleakClientP4Android), {"android": connecting.defs})
    return Backends(cast("type[BaseBleakClient]", client), cast("type[BaseBleakScanner]", scanner))


def _grant(permissions: Sequence[str], callback: Callable[[Sequence[str], Sequence[bool]], None]) -> None:
    callback(permissions, [True] * len(permissions))


class _PermittedScanner(_Scanner):
    """Scans only with the permissions for it, and no more often than Android lets it."""

    dialogue: PermissionDialogue
    plan: tuple[Question, ...]
    budget: ScanBudget

    async def start(self) -> None:
        await obtain(self.dialogue, self.plan)
        await self.budget.take()
        await super().start()  # type: ignore[safe-super] # the real base has it


class _MendedClient(_Client):
    """A client with indications, one request at a time, and callbacks on the event loop."""

    android: Any

    def __init__(self, *args: Any, disconnected_callback: Callable[[], None] | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - handed through to bleak
        loop = asyncio.get_running_loop()
        callback = disconnected_callback

        def on_loop() -> None:
            # Android calls from a thread of its own; asyncio's objects may not be touched from there.
            if callback is not None and not loop.is_closed():
                loop.call_soon_threadsafe(callback)

        self._turn = asyncio.Lock()
        super().__init__(*args, disconnected_callback=on_loop, **kwargs)

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **kwargs: Any) -> bytearray:  # noqa: ANN401 - as above
        async with self._alone():
            return await super().read_gatt_char(characteristic, **kwargs)  # type: ignore[safe-super] # as above

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: Any,  # noqa: ANN401 - bleak's buffer
        response: bool,  # noqa: FBT001 - bleak's signature
    ) -> None:
        async with self._alone():
            await super().write_gatt_char(characteristic, data, response)  # type: ignore[safe-super] # as above

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:  # noqa: ANN401 - bleak's buffer
        async with self._alone():
            await super().write_gatt_descriptor(descriptor, self._configuration(descriptor, data))  # type: ignore[safe-super] # as above

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Android drops a request that is made before the last one was answered."""
        async with self._turn:
            yield

    def _configuration(self, descriptor: BleakGATTDescriptor, data: Any) -> Any:  # noqa: ANN401 - as above
        """What to write: indications where the device has only those and bleak would enable notifications."""
        if descriptor.uuid != _CLIENT_CONFIGURATION or bytes(data) != _NOTIFICATIONS or self.services is None:
            return data
        characteristic = self.services.get_characteristic(descriptor.characteristic_handle)
        properties = () if characteristic is None else characteristic.properties
        return _INDICATIONS if "indicate" in properties and "notify" not in properties else data

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - bleak's signature
        """Bond, and wait for the person's answer.

        Raises:
            BleakError: it could not begin, was refused, or took too long.
        """
        device = self.android.BluetoothAdapter.getDefaultAdapter().getRemoteDevice(self.address)
        if device.getBondState() == self.android.BluetoothDevice.BOND_BONDED:
            return
        if not device.createBond():
            raise BleakError(f"pairing with {self.address} could not begin")
        try:
            async with asyncio.timeout(_BOND_LIMIT_S):
                await self._bonded(device)
        except TimeoutError as error:
            raise BleakError(f"pairing with {self.address} was not answered") from error

    async def _bonded(self, device: Any) -> None:  # noqa: ANN401 - a Java object
        """Wait for the end of a pairing, which Android tells in the bond state."""
        began = False
        while (state := device.getBondState()) != self.android.BluetoothDevice.BOND_BONDED:
            if state == self.android.BluetoothDevice.BOND_NONE and began:
                raise BleakError(f"pairing with {self.address} was refused")
            began = began or state == self.android.BluetoothDevice.BOND_BONDING
            await asyncio.sleep(_BOND_POLL_S)
