"""Pairing, and the proof that the link is encrypted: a value is read that the device gives to nobody else.

``pair()`` alone proves nothing: without its kernel's crypto modules BlueZ returns from it without having
paired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from bleak import BleakClient
from bleak.exc import BleakError, BleakGATTProtocolError

from edge_twin_adapters.ble.link import LinkLostError, LinkSecurity, LinkTimes, Pairing
from edge_twin_adapters.ble.state import LinkMemory

# ATT errors of Bluetooth Core, Vol 3 Part F 3.4.1.1: authentication, authorization, key size, encryption.
_REFUSALS = frozenset((0x05, 0x08, 0x0C, 0x0F))
_REFUSAL_WORDS = ("NotPermitted", "NotAuthorized", "Insufficient")
# How the stacks say that one side has no key for the other: Bumble, BlueZ, CoreBluetooth.
_LOST_KEY_WORDS = ("PIN_OR_KEY_MISSING", "Key Missing", "Peer removed pairing information")

_BONDED, _REFUSED = "bonded", "refused "
_YES, _NO = "yes", "no"


def is_refused(error: BleakError) -> bool:
    """Whether a device refused because the link is not encrypted."""
    if isinstance(error, BleakGATTProtocolError):
        return error.code in _REFUSALS
    return any(word in str(error) for word in _REFUSAL_WORDS)


def is_key_lost(error: BaseException) -> bool:
    """Whether a connection failed because the other side lost its key."""
    return any(word in str(error) for word in _LOST_KEY_WORDS)


def note_bond(memory: LinkMemory, device: str) -> None:
    """Remember that a device was paired with by other hands than a :class:`Guard`.

    Args:
        memory: of the source that will read the device.
        device: name of that source.
    """
    memory.keep(device, {_BONDED: _YES}, ())


def is_bonded(values: Mapping[str, str]) -> bool:
    """Whether what is remembered of a device says that it was paired with."""
    return values.get(_BONDED) == _YES


class Guard:
    """Secures the links to one device.

    A link counts as proved to be encrypted when the device grants over it what it refused once without
    encryption.

    Args:
        security: what the site allows.
        times: time limits.
        memory: remembers bonds, and what was refused once.
        device: name of the device in it.

    Attributes:
        proved: whether the present link is proved to be encrypted.
    """

    def __init__(self, security: LinkSecurity, times: LinkTimes, memory: LinkMemory, device: str) -> None:
        self._security = security
        self._times = times
        self._memory = memory
        self._device = device
        known = memory.values(device)
        self._bonded = is_bonded(known)
        self._refused = {name for name in known if name.startswith(_REFUSED)}
        self.proved = False

    @property
    def may_pair(self) -> bool:
        """Whether the site allows to pair at all."""
        return self._security.pairing is not Pairing.NEVER

    def begin(self) -> None:
        """A new link, of which nothing is known."""
        self.proved = False

    async def secured(self, client: BleakClient, what: str, request: Callable[[], Awaitable[None]]) -> None:
        """Make a request; pair and make it again where the device wants an encrypted link.

        Args:
            client: connected.
            what: the same word for the same request, over all connections.
            request: reads or subscribes.

        Raises:
            LinkLostError: ``not_encrypted``, ``pairing_not_allowed``, ``pairing_failed`` or ``bond_lost``.
            BleakError: the link failed, or the device refused for another reason.
        """
        name = _REFUSED + what
        if not await self._granted(request):
            if name not in self._refused:
                self._refused.add(name)
                self._note(name, _YES)
            await self._pair(client)
            if not await self._granted(request):
                raise LinkLostError("not_encrypted")
        self.proved = self.proved or name in self._refused

    def require_proof(self) -> None:
        """Refuse a link that is not proved to be encrypted, where the site wants that.

        Raises:
            LinkLostError: ``not_encrypted``.
        """
        if self._security.pairing is Pairing.REQUIRED and not self.proved:
            raise LinkLostError("not_encrypted")

    async def forget(self, client: BleakClient) -> bool:
        """Drop our key of a bond that the device lost, if the site allows to pair again; whether it was dropped."""
        if not self._security.repair:
            return False
        async with asyncio.timeout(self._times.job_s):
            await client.unpair()
        self._bonded = False
        self._note(_BONDED, _NO)
        return True

    async def _pair(self, client: BleakClient) -> None:
        if not self.may_pair:
            raise LinkLostError("pairing_not_allowed")
        if self._bonded:
            # A device that we share a key with does not ask for one.
            raise LinkLostError("bond_lost")
        try:
            async with asyncio.timeout(self._times.attempt_s):
                await client.pair()
        except (BleakError, TimeoutError) as error:
            raise LinkLostError("pairing_failed") from error
        self._bonded = True
        self._note(_BONDED, _YES)

    @staticmethod
    async def _granted(request: Callable[[], Awaitable[None]]) -> bool:
        try:
            await request()
        except BleakError as error:
            if is_refused(error):
                return False
            raise
        return True

    def _note(self, name: str, value: str) -> None:
        self._memory.keep(self._device, {name: value}, ())
