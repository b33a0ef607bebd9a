"""Who may pair now: the rule that a box without keyboard and display follows, apart from any radio or bus.

A request to pair that nobody here asked for is refused, so that a stranger's device cannot bond with a box
that stands in a ward. :class:`PairingDesk` knows the devices that are being paired at the moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from edge_twin_adapters.errors import AdapterError

# The largest number of six decimal digits (Bluetooth Core, Vol 3 Part H 2.3.5.3).
LARGEST_PASSKEY = 999_999

# The security manager gives up after 30 s without a message (Bluetooth Core, Vol 3 Part H 3.4).
PAIRING_TIMEOUT_S = 30.0

PasskeySource = Callable[[str], Awaitable[int]]


class Capability(StrEnum):
    """What the box can do for pairing; the values are BlueZ's words.

    Attributes:
        NO_INPUT_NO_OUTPUT: nothing: the link is encrypted, but nobody proved who is at the other end.
        KEYBOARD_ONLY: a person types the number that the device shows, which also proves the device.
    """

    NO_INPUT_NO_OUTPUT = "NoInputNoOutput"
    KEYBOARD_ONLY = "KeyboardOnly"


class PairingDesk:
    """The devices that are being paired now, and who knows their passkeys.

    Args:
        limit_s: longest wait for a passkey.
    """

    def __init__(self, limit_s: float = PAIRING_TIMEOUT_S) -> None:
        self._limit_s = limit_s
        self._expected: dict[str, PasskeySource | None] = {}

    @contextmanager
    def expect(self, address: str, passkey: PasskeySource | None = None) -> Iterator[None]:
        """Accept this device inside the context.

        Args:
            address: of the device, colons between the octets, in any case.
            passkey: asked with the address for the number that the device shows; None for a device that
                shows none, whose request for a number is then refused.

        Raises:
            AdapterError: ``pairing_in_progress`` when the device is being paired already.
        """
        key = address.upper()
        if key in self._expected:
            raise AdapterError(f"{key} is being paired already", reason="pairing_in_progress")
        self._expected[key] = passkey
        try:
            yield
        finally:
            del self._expected[key]

    def check(self, address: str) -> None:
        """Make sure that this device is being paired.

        Raises:
            AdapterError: ``pairing_not_expected``.
        """
        if address.upper() not in self._expected:
            raise AdapterError(f"nobody asked to pair with {address}", reason="pairing_not_expected")

    async def passkey(self, address: str) -> int:
        """The number that the device shows, 0 to 999999.

        Raises:
            AdapterError: ``pairing_not_expected``; ``no_passkey`` when nobody can tell it; ``passkey_late``
                when it did not come in time; ``out_of_range``.
        """
        self.check(address)
        source = self._expected[address.upper()]
        if source is None:
            raise AdapterError(f"nobody here can read the number that {address} shows", reason="no_passkey")
        return _six_digits(await self._in_time(source, address))

    async def _in_time(self, source: PasskeySource, address: str) -> int:
        try:
            async with asyncio.timeout(self._limit_s):
                return await source(address)
        except TimeoutError as error:
            message = f"no passkey for {address} within {self._limit_s:g} s"
            raise AdapterError(message, reason="passkey_late") from error


def _six_digits(number: int) -> int:
    if not 0 <= number <= LARGEST_PASSKEY:
        raise AdapterError("a passkey has at most six digits", reason="out_of_range")
    return number
