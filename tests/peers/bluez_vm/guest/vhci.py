"""The virtual radio with the kernel's own Bluetooth stack as its central."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from bumble import hci
from bumble.controller import Controller
from bumble.transport import open_transport
from bumble.transport.common import Transport
from dbus_fast import BusType, DBusError, Variant
from dbus_fast.aio import MessageBus

from edge_twin_adapters.ble.virtual import VirtualRadio

# The emulated controller has the commands of these features only in part (Bumble's issue 841).
_NOT_EMULATED = hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
_ADAPTER = "/org/bluez/hci0"
_TRIES, _TRY_S = 300, 0.2


class VhciRadio(VirtualRadio):
    """A virtual radio whose central is BlueZ: a controller on the kernel's virtual HCI device."""

    _transport: Transport | None = None

    async def __aenter__(self) -> Self:
        self._transport = await open_transport("vhci")
        controller = Controller(
            "bluez",
            host_source=self._transport.source,
            host_sink=self._transport.sink,
            link=self._link,
            public_address="02:00:00:00:00:FE",
        )
        controller.le_features &= ~_NOT_EMULATED
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if self._transport is not None:
            await self._transport.close()


async def power_adapter() -> str:
    """Switch BlueZ's adapter on, which takes a while after the device appeared: its address."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        for _ in range(_TRIES):
            try:
                return await _powered(bus)
            except DBusError:
                await asyncio.sleep(_TRY_S)
        raise TimeoutError("BlueZ shows no adapter that can be switched on")
    finally:
        bus.disconnect()


async def _powered(bus: MessageBus) -> str:
    description = await bus.introspect("org.bluez", _ADAPTER)
    adapter = bus.get_proxy_object("org.bluez", _ADAPTER, description)
    properties = adapter.get_interface("org.freedesktop.DBus.Properties")
    await properties.call_set("org.bluez.Adapter1", "Powered", Variant("b", value=True))  # type: ignore[attr-defined]
    address = await properties.call_get("org.bluez.Adapter1", "Address")  # type: ignore[attr-defined]
    return str(address.value)
