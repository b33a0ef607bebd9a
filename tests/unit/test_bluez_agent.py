"""The pairing agent without BlueZ: its decisions, its D-Bus form, and how it registers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from edge_twin_adapters.ble.pairing_desk import Capability, PairingDesk
from edge_twin_adapters.errors import AdapterError

pytest.importorskip("dbus_fast", reason="dbus-fast comes with bleak on Linux only")

from dbus_fast import DBusError, ErrorType, Message
from dbus_fast.service import ServiceInterface

from edge_twin_adapters.ble import bluez_agent
from edge_twin_adapters.ble.bluez_agent import AGENT_PATH, AgentRequests, BluezAgent, address_of

ADDRESS = "C0:00:00:00:00:11"
PATH = "/org/bluez/hci0/dev_C0_00_00_00_00_11"


def typed(number: int) -> Callable[[str], Awaitable[int]]:
    async def source(_address: str) -> int:
        return number

    return source


def handler(requests: AgentRequests, member: str) -> Callable[..., Any]:
    """The function that dbus-fast calls for a member; calling the decorated method itself returns nothing."""
    (method,) = (found for found in ServiceInterface._get_methods(requests) if found.name == member)
    return lambda *arguments: method.fn(requests, *arguments)


# --- the desk --------------------------------------------------------------------------------------


def test_a_device_is_accepted_only_while_it_is_paired() -> None:
    desk = PairingDesk()
    with desk.expect(ADDRESS.lower()):
        desk.check(ADDRESS)
        with pytest.raises(AdapterError) as other:
            desk.check("C0:00:00:00:00:12")
    assert other.value.reason == "pairing_not_expected"
    with pytest.raises(AdapterError) as after:
        desk.check(ADDRESS)
    assert after.value.reason == "pairing_not_expected"


def test_a_failed_pairing_leaves_no_open_door() -> None:
    desk = PairingDesk()
    with pytest.raises(RuntimeError), desk.expect(ADDRESS):
        raise RuntimeError
    with pytest.raises(AdapterError):
        desk.check(ADDRESS)


def test_one_device_is_not_paired_twice_at_once() -> None:
    desk = PairingDesk()
    with desk.expect(ADDRESS), pytest.raises(AdapterError) as twice, desk.expect(ADDRESS):
        pass
    assert twice.value.reason == "pairing_in_progress"


async def test_the_passkey_comes_from_the_person_who_pairs_this_device() -> None:
    desk = PairingDesk()
    with desk.expect(ADDRESS, typed(42)), desk.expect("C0:00:00:00:00:12", typed(43)):
        assert await desk.passkey(ADDRESS) == 42


@pytest.mark.parametrize(
    ("source", "reason"),
    [(None, "no_passkey"), (typed(1_000_000), "out_of_range"), (typed(-1), "out_of_range")],
)
async def test_no_passkey_is_made_up(source: Callable[[str], Awaitable[int]] | None, reason: str) -> None:
    desk = PairingDesk()
    with desk.expect(ADDRESS, source), pytest.raises(AdapterError) as refused:
        await desk.passkey(ADDRESS)
    assert refused.value.reason == reason


async def test_a_person_who_does_not_answer_ends_the_pairing() -> None:
    async def never(_address: str) -> int:
        await asyncio.Event().wait()
        raise AssertionError

    desk = PairingDesk(limit_s=0.01)
    with desk.expect(ADDRESS, never), pytest.raises(AdapterError) as late:
        await desk.passkey(ADDRESS)
    assert late.value.reason == "passkey_late"


# --- the agent's answers ---------------------------------------------------------------------------


def test_the_interface_is_bluez_agent_1() -> None:
    """Names and signatures as in doc/agent-api.txt of BlueZ 5.66."""
    requests = AgentRequests(PairingDesk())
    assert requests.name == "org.bluez.Agent1"
    signatures = {
        method.name: (method.in_signature, method.out_signature) for method in ServiceInterface._get_methods(requests)
    }
    assert signatures == {
        "Release": ("", ""),
        "RequestPinCode": ("o", "s"),
        "DisplayPinCode": ("os", ""),
        "RequestPasskey": ("o", "u"),
        "DisplayPasskey": ("ouq", ""),
        "RequestConfirmation": ("ou", ""),
        "RequestAuthorization": ("o", ""),
        "AuthorizeService": ("os", ""),
        "Cancel": ("", ""),
    }


def test_the_address_is_in_the_object_path() -> None:
    assert address_of(PATH) == ADDRESS


@pytest.mark.parametrize(("member", "rest"), [("RequestAuthorization", ()), ("AuthorizeService", ("180d",))])
def test_authorization_is_given_to_the_expected_device_alone(member: str, rest: tuple[str, ...]) -> None:
    desk = PairingDesk()
    ask = handler(AgentRequests(desk), member)
    with desk.expect(ADDRESS):
        assert ask(PATH, *rest) is None
    with pytest.raises(DBusError) as refused:
        ask(PATH, *rest)
    assert (refused.value.type, refused.value.text) == ("org.bluez.Error.Rejected", "pairing_not_expected")


@pytest.mark.parametrize(
    ("member", "arguments"),
    [
        ("RequestConfirmation", (PATH, 123456)),
        ("DisplayPasskey", (PATH, 123456, 0)),
        ("RequestPinCode", (PATH,)),
        ("DisplayPinCode", (PATH, "0000")),
    ],
)
def test_what_nobody_can_see_or_compare_is_refused_even_while_pairing(member: str, arguments: tuple[Any, ...]) -> None:
    desk = PairingDesk()
    with desk.expect(ADDRESS, typed(1)), pytest.raises(DBusError) as refused:
        handler(AgentRequests(desk), member)(*arguments)
    assert refused.value.type == "org.bluez.Error.Rejected"


async def test_the_passkey_is_answered_or_refused() -> None:
    desk = PairingDesk()
    ask = handler(AgentRequests(desk), "RequestPasskey")
    with desk.expect(ADDRESS, typed(7)):
        assert await ask(PATH) == 7
    with pytest.raises(DBusError) as refused:
        await ask(PATH)
    assert (refused.value.type, refused.value.text) == ("org.bluez.Error.Rejected", "pairing_not_expected")


async def test_a_withdrawn_question_ends_the_wait_for_the_person() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def slow(_address: str) -> int:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    desk = PairingDesk()
    requests = AgentRequests(desk)
    with desk.expect(ADDRESS, slow):
        question = asyncio.ensure_future(handler(requests, "RequestPasskey")(PATH))
        await asked.wait()
        handler(requests, "Cancel")()
        with pytest.raises(DBusError) as withdrawn:
            await question
    assert withdrawn.value.type == "org.bluez.Error.Canceled"
    assert left.is_set()


# --- registration ----------------------------------------------------------------------------------


class FakeBus:
    """Records what is sent and answers it; ``errors`` maps a member to the name of an error."""

    def __init__(self, errors: dict[str, str] | None = None) -> None:
        self.errors = errors or {}
        self.calls: list[tuple[str, list[Any]]] = []
        self.exported: list[str] = []
        self.connected = True

    def export(self, path: str, _interface: ServiceInterface) -> None:
        self.exported.append(path)

    def unexport(self, path: str, _interface: ServiceInterface | str | None = None) -> None:
        self.exported.remove(path)

    async def call(self, msg: Message) -> Message:
        msg.serial = 1
        assert (msg.destination, msg.path, msg.interface) == ("org.bluez", "/org/bluez", "org.bluez.AgentManager1")
        self.calls.append((str(msg.member), msg.body))
        if (error := self.errors.get(str(msg.member))) is not None:
            return Message.new_error(msg, error, "")
        return Message.new_method_return(msg)

    def disconnect(self) -> None:
        self.connected = False


def agent(bus: FakeBus, capability: Capability = Capability.NO_INPUT_NO_OUTPUT) -> BluezAgent:
    async def connect() -> FakeBus:
        return bus

    return BluezAgent(PairingDesk(), capability, connect=connect)


@pytest.mark.parametrize("capability", list(Capability))
async def test_it_becomes_the_default_agent_and_leaves_nothing_behind(capability: Capability) -> None:
    bus = FakeBus()
    async with agent(bus, capability):
        assert bus.calls == [("RegisterAgent", [AGENT_PATH, capability.value]), ("RequestDefaultAgent", [AGENT_PATH])]
        assert bus.exported == [AGENT_PATH]
    assert (bus.exported, bus.connected) == ([], False)


@pytest.mark.parametrize(
    ("member", "error", "reason"),
    [
        ("RegisterAgent", ErrorType.SERVICE_UNKNOWN.value, "no_bluez"),
        ("RegisterAgent", "org.bluez.Error.AlreadyExists", "agent_refused"),
        ("RequestDefaultAgent", "org.bluez.Error.DoesNotExist", "agent_refused"),
    ],
)
async def test_a_refused_registration_is_told_and_closed(member: str, error: str, reason: str) -> None:
    bus = FakeBus({member: error})
    with pytest.raises(AdapterError) as refused:
        await agent(bus).__aenter__()
    assert refused.value.reason == reason
    assert (bus.exported, bus.connected) == ([], False)


async def test_without_a_system_bus_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
    with pytest.raises(AdapterError) as refused:
        await bluez_agent.system_bus()
    assert refused.value.reason == "no_system_bus"


def test_the_client_does_not_load_it() -> None:
    code = (
        "import sys, edge_twin_adapters.ble.source, edge_twin_adapters.ble.pairing_desk;"
        "sys.exit('edge_twin_adapters.ble.bluez_agent' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
