"""Pairing, and the proof that the link is encrypted: a value is read that the device gives to nobody else.

``pair()`` alone proves nothing: without its kernel's crypto modules BlueZ returns from it without having
paired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError, BleakGATTProtocolError

from edge_twin_adapters.ble.frame import long_uuid
from edge_twin_adapters.ble.link import LinkLostError, LinkSecurity, LinkTimes, Pairing
from edge_twin_adapters.ble.state import LinkMemory

# ATT errors of Bluetooth Core, Vol 3 Part F 3.4.1.1: authentication, authorization, key size, encryption.
_REFUSALS = frozenset((0x05, 0x08, 0x0C, 0x0F))
_REFUSAL_WORDS = ("NotPermitted", "NotAuthorized", "Insufficient")
# How the stacks say that one side has no key for the other: Bumble, BlueZ, CoreBluetooth.
_LOST_KEY_WORDS = ("PIN_OR_KEY_MISSING", "Key Missing", "Peer removed pairing information")

_BONDED, _REFUSED = "bonded", "refused without encryption"
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

    Args:
        security: what the site allows.
        protected: a characteristic that needs encryption, or None when none is known.
        times: time limits.
        memory: remembers bonds, and that the protected value was refused once.
        device: name of the device in it.
    """

    def __init__(
        self, security: LinkSecurity, protected: str | None, times: LinkTimes, memory: LinkMemory, device: str
    ) -> None:
        self._security = security
        self._protected = protected
        self._times = times
        self._memory = memory
        self._device = device
        known = memory.values(device)
        self._bonded = is_bonded(known)
        self._refused_once = known.get(_REFUSED) == _YES

    @property
    def may_pair(self) -> bool:
        """Whether the site allows to pair at all."""
        return self._security.pairing is not Pairing.NEVER

    async def secure(self, client: BleakClient) -> bool | None:
        """Pair where it is allowed and needed.

        Returns:
            True when the link is proved to be encrypted, None when nothing proves or denies it.

        Raises:
            LinkLostError: ``not_encrypted``, ``pairing_not_allowed``, ``pairing_failed`` or ``bond_lost``.
            BleakError: the link failed.
        """
        found = None if self._protected is None else client.services.get_characteristic(long_uuid(self._protected))
        if found is None:
            return self._without_proof()
        if await self._reads(client, found):
            return True if self._refused_once else self._without_proof()
        self._refused_once = True
        self._note(_REFUSED, _YES)
        await self.pair(client)
        if not await self._reads(client, found):
            raise LinkLostError("not_encrypted")
        return True

    async def pair(self, client: BleakClient) -> None:
        """Pair because the device refused a value; errors as :meth:`secure`."""
        if not self.may_pair:
            raise LinkLostError("pairing_not_allowed")
        if self._bonded:
            # A device that we share a key with does not ask for one.
            raise LinkLostError("bond_lost")
        await self._pair(client)

    async def _pair(self, client: BleakClient) -> None:
        try:
            async with asyncio.timeout(self._times.attempt_s):
                await client.pair()
        except (BleakError, TimeoutError) as error:
            raise LinkLostError("pairing_failed") from error
        self._bonded = True
        self._note(_BONDED, _YES)

    def _without_proof(self) -> bool | None:
        """Without a value that was ever refused nothing can be proved."""
        if self._security.pairing is Pairing.REQUIRED:
            raise LinkLostError("not_encrypted")
        return None

    async def forget(self, client: BleakClient) -> bool:
        """Drop our key of a bond that the device lost, if the site allows to pair again; whether it was dropped."""
        if not self._security.repair:
            return False
        async with asyncio.timeout(self._times.job_s):
            await client.unpair()
        self._bonded = False
        self._note(_BONDED, _NO)
        return True

    def _note(self, name: str, value: str) -> None:
        self._memory.keep(self._device, {name: value}, ())

    async def _reads(self, client: BleakClient, characteristic: BleakGATTCharacteristic) -> bool:
        try:
            async with asyncio.timeout(self._times.job_s):
                await client.read_gatt_char(characteristic)
        except BleakError as error:
            if is_refused(error):
                return False
            raise
        return True
