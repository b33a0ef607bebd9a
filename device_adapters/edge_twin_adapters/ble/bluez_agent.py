"""A pairing agent for BlueZ, for boxes without a desktop that would bring one.

bleak registers no agent. Without one BlueZ answers a pairing with ``org.bluez.Error.AuthenticationFailed``.
The agent says yes only to devices that this program is pairing at the moment (:class:`PairingDesk`)::

    desk = PairingDesk()
    async with BluezAgent(desk):
        with desk.expect(device.address):
            await client.pair()
        await client.read_gatt_char(protected)  # the proof: pair() alone may return without a link key

Linux only, and imported only where it is used: dbus-fast comes with bleak on Linux and on no other system.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Annotated, Any, Protocol, Self

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath, DBusSignature, DBusStr, DBusUInt16, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

from edge_twin_adapters.ble.pairing_desk import Capability, PairingDesk
from edge_twin_adapters.errors import AdapterError

BLUEZ = "org.bluez"
AGENT_PATH = "/edge_twin/agent"
_MANAGER_PATH = "/org/bluez"
_MANAGER = "org.bluez.AgentManager1"
_REJECTED = "org.bluez.Error.Rejected"
_CANCELED = "org.bluez.Error.Canceled"
_CALL_LIMIT_S = 10.0

# dbus-fast 5.2 takes a deferred "None" for a missing signature and fails.
_Nothing = Annotated[None, DBusSignature("")]


class Bus(Protocol):
    """What the agent needs of a connected :class:`dbus_fast.aio.MessageBus`."""

    def export(self, path: str, interface: ServiceInterface) -> None:
        """Serve ``interface`` at ``path``."""

    def unexport(self, path: str, interface: ServiceInterface | str | None = None) -> None:
        """Serve it no longer."""

    async def call(self, msg: Message) -> Message | None:
        """Send a method call and wait for the answer."""

    def disconnect(self) -> None:
        """Close the connection."""


async def system_bus() -> Bus:
    """A connection of its own to the system bus.

    Raises:
        AdapterError: ``no_system_bus``.
    """
    try:
        return await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, DBusError) as error:
        raise AdapterError(f"the system bus cannot be reached: {error}", reason="no_system_bus") from error


def address_of(path: str) -> str:
    """The device address in one of BlueZ's object paths (``/org/bluez/hci0/dev_C0_00_00_00_00_01``)."""
    return path.rpartition("/dev_")[2].replace("_", ":")


class AgentRequests(ServiceInterface):
    """``org.bluez.Agent1``: BlueZ's questions, each answered by the desk.

    Args:
        desk: who may pair now.
    """

    def __init__(self, desk: PairingDesk) -> None:
        super().__init__("org.bluez.Agent1")
        self._desk = desk
        self._asking: asyncio.Task[int] | None = None

    @dbus_method("Release")
    def release(self) -> _Nothing:
        """BlueZ has no more use for this agent."""

    @dbus_method("RequestAuthorization")
    def request_authorization(self, device: DBusObjectPath) -> _Nothing:
        """The device wants to pair without a number.

        Raises:
            DBusError: nobody here is pairing it.
        """
        self._check(device)

    @dbus_method("AuthorizeService")
    def authorize_service(self, device: DBusObjectPath, uuid: DBusStr) -> _Nothing:  # noqa: ARG002 - BlueZ's signature
        """The device wants to use a service.

        Raises:
            DBusError: nobody here is pairing it.
        """
        self._check(device)

    @dbus_method("RequestPasskey")
    async def request_passkey(self, device: DBusObjectPath) -> DBusUInt32:
        """The number that the device shows.

        Raises:
            DBusError: it is refused, or BlueZ withdrew the question.
        """
        self._asking = asyncio.ensure_future(self._desk.passkey(address_of(device)))
        try:
            return await self._asking
        except AdapterError as error:
            raise DBusError(_REJECTED, error.reason) from error
        except asyncio.CancelledError as error:
            raise DBusError(_CANCELED, "withdrawn") from error
        finally:
            self._asking = None

    @dbus_method("RequestConfirmation")
    def request_confirmation(self, device: DBusObjectPath, passkey: DBusUInt32) -> _Nothing:  # noqa: ARG002 - as above
        """Whether two displays show the same number.

        Raises:
            DBusError: always: nobody compares them, and a yes would claim that somebody had.
        """
        raise DBusError(_REJECTED, "no_display")

    @dbus_method("DisplayPasskey")
    def display_passkey(self, device: DBusObjectPath, passkey: DBusUInt32, entered: DBusUInt16) -> _Nothing:  # noqa: ARG002 - as above
        """Show a number; the box has no display.

        Raises:
            DBusError: always.
        """
        raise DBusError(_REJECTED, "no_display")

    @dbus_method("RequestPinCode")
    def request_pin_code(self, device: DBusObjectPath) -> DBusStr:  # noqa: ARG002 - as above
        """The PIN of classic Bluetooth before 2.1, which no Low Energy device asks for.

        Raises:
            DBusError: always.
        """
        raise DBusError(_REJECTED, "no_legacy_pairing")

    @dbus_method("DisplayPinCode")
    def display_pin_code(self, device: DBusObjectPath, pincode: DBusStr) -> _Nothing:  # noqa: ARG002 - as above
        """As :meth:`request_pin_code`.

        Raises:
            DBusError: always.
        """
        raise DBusError(_REJECTED, "no_legacy_pairing")

    @dbus_method("Cancel")
    def cancel(self) -> _Nothing:
        """BlueZ withdraws its question."""
        if self._asking is not None:
            self._asking.cancel()

    def _check(self, device: str) -> None:
        try:
            self._desk.check(address_of(device))
        except AdapterError as error:
            raise DBusError(_REJECTED, error.reason) from error


class BluezAgent:
    """Registers the agent with BlueZ; an async context manager.

    Args:
        desk: who may pair now.
        capability: what the box can do.
        connect: makes the connection to the bus.
        path: object path of the agent, one for each agent of a connection.
    """

    def __init__(
        self,
        desk: PairingDesk,
        capability: Capability = Capability.NO_INPUT_NO_OUTPUT,
        *,
        connect: Callable[[], Awaitable[Bus]] = system_bus,
        path: str = AGENT_PATH,
    ) -> None:
        self._requests = AgentRequests(desk)
        self._capability = capability
        self._connect = connect
        self._path = path
        self._bus: Bus | None = None

    async def __aenter__(self) -> Self:
        """Register as BlueZ's default agent.

        BlueZ asks the agent of the connection that called ``Pair``, else the default one. bleak pairs on a
        connection of its own, so the agent has to be the default.

        Raises:
            AdapterError: ``no_system_bus``, ``no_bluez`` or ``agent_refused``.
        """
        self._bus = bus = await self._connect()
        try:
            bus.export(self._path, self._requests)
            await self._ask(bus, "RegisterAgent", "os", [self._path, self._capability.value])
            await self._ask(bus, "RequestDefaultAgent", "o", [self._path])
        except BaseException:
            self._close(bus)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # BlueZ forgets an agent whose connection is gone, as it does when this program is killed.
        if self._bus is not None:
            self._close(self._bus)

    def _close(self, bus: Bus) -> None:
        self._bus = None
        bus.unexport(self._path, self._requests)
        bus.disconnect()

    async def _ask(self, bus: Bus, member: str, signature: str, body: list[Any]) -> None:
        message = Message(BLUEZ, _MANAGER_PATH, _MANAGER, member, signature=signature, body=body)
        try:
            async with asyncio.timeout(_CALL_LIMIT_S):
                answer = await bus.call(message)
        except TimeoutError as error:
            raise AdapterError(f"BlueZ did not answer {member}", reason="no_bluez") from error
        if answer is not None and answer.message_type is MessageType.ERROR:
            raise _refusal(member, answer)


def _refusal(member: str, answer: Message) -> AdapterError:
    missing = answer.error_name in {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
    }
    reason = "no_bluez" if missing else "agent_refused"
    return AdapterError(f"{member}: {answer.error_name}", reason=reason)
