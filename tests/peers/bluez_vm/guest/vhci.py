"""The virtual radio with the kernel's own Bluetooth stack as its central."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from bumble import hci
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport import open_transport
from bumble.transport.common import Transport
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from edge_twin_adapters.ble.virtual import VirtualRadio

# The emulated controller has the commands of these features only in part (Bumble's issue 841).
_NOT_EMULATED = hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
_ADAPTER = "/org/bluez/hci0"
_TRIES, _TRY_S = 300, 0.2


class ConnectionLink(LocalLink):
    """A link on which data comes from the address that the connection was made with.

    Bumble 0.0.236 always names the sender's random address. Linux connects with its public one, and changes the
    random one with each scan.
    """

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Deliver data of a Low Energy connection."""
        receiver = self.find_le_controller(destination_address)
        connection = sender_controller.le_connections.get(destination_address)
        if receiver is not None and connection is not None:
            source = connection.self_address
            asyncio.get_running_loop().call_soon(receiver.on_link_acl_data, source, transport, data)


class VhciRadio(VirtualRadio):
    """A virtual radio whose central is BlueZ: a controller on the kernel's virtual HCI device."""

    _transport: Transport | None = None

    def __init__(self) -> None:
        super().__init__()
        self._link = ConnectionLink()  # type: ignore[no-untyped-call] # Bumble leaves this one unannotated

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
            if (address := await _powered(bus)) is not None:
                return address
            await asyncio.sleep(_TRY_S)
        raise TimeoutError("BlueZ shows no adapter that can be switched on")
    finally:
        bus.disconnect()


async def _powered(bus: MessageBus) -> str | None:
    """The adapter's address when it could be switched on, else None."""
    switched = await _property(bus, "Set", "ssv", ["Powered", Variant("b", value=True)])
    if switched.message_type is MessageType.ERROR:
        return None
    address = await _property(bus, "Get", "ss", ["Address"])
    return str(address.body[0].value)


async def _property(bus: MessageBus, member: str, signature: str, rest: list[object]) -> Message:
    body = ["org.bluez.Adapter1", *rest]
    message = Message("org.bluez", _ADAPTER, "org.freedesktop.DBus.Properties", member, signature=signature, body=body)
    answer = await bus.call(message)
    if answer is None:
        raise TimeoutError(f"BlueZ did not answer {member}")
    return answer
