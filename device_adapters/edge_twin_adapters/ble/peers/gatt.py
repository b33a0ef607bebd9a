"""Building blocks of a virtual sensor's GATT tree."""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Awaitable, Callable, Sequence

from bumble import att
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

NOTIFY = Characteristic.Properties.NOTIFY
INDICATE = Characteristic.Properties.INDICATE
_READ = Characteristic.Properties.READ
_WRITE = Characteristic.Properties.WRITE
_SHORT_UUID_DIGITS = 4

# Application errors of the CGM service (CGMS 1.0.2 table 1.3) and common ones (Core Supplement, Part B 1.2).
INVALID_CRC = 0x81
CCCD_NOT_CONFIGURED = 0xFD
PROCEDURE_IN_PROGRESS = 0xFE

Permissions = att.Attribute.Permissions
Write = Callable[[bytes], Awaitable[None]]


def uuid_of(text: str) -> UUID:
    """The UUID of ``2a37`` or of a full UUID."""
    return UUID.from_16_bits(int(text, 16)) if len(text) == _SHORT_UUID_DIGITS else UUID(text)


def text_of(uuid: UUID) -> str:
    """The lower-case 128-bit text of a UUID; Bumble keeps UUIDs in on-air byte order."""
    return str(uuid_module.UUID(bytes=uuid.uuid_128_bytes[::-1]))


def service(uuid: str, characteristics: Sequence[Characteristic[bytes]]) -> Service:
    """A primary service."""
    return Service(uuid_of(uuid), list(characteristics))


def measurement(uuid: str, properties: Characteristic.Properties) -> Characteristic[bytes]:
    """A characteristic that can only be notified or indicated."""
    return Characteristic(uuid_of(uuid), properties, Permissions(0), _value(_not_readable, _not_writable))


def readable(
    uuid: str, read: Callable[[], bytes], *, notify: bool = False, write: Write | None = None
) -> Characteristic[bytes]:
    """A characteristic whose value is asked for at each read, and that can be written where ``write`` is given."""
    properties, permissions = _READ, Permissions.READABLE
    if notify:
        properties |= NOTIFY
    if write is not None:
        properties |= _WRITE
        permissions |= Permissions.WRITEABLE
    writer = _not_writable if write is None else _writer(write)
    return Characteristic(uuid_of(uuid), properties, permissions, _value(lambda _: read(), writer))


def control_point(uuid: str, write: Write, *, read: Callable[[], bytes] | None = None) -> Characteristic[bytes]:
    """A characteristic that takes requests and indicates answers."""
    properties, permissions = _WRITE | INDICATE, Permissions.WRITEABLE
    if read is not None:
        properties |= _READ
        permissions |= Permissions.READABLE
    reader = _not_readable if read is None else lambda _: read()
    return Characteristic(uuid_of(uuid), properties, permissions, _value(reader, _writer(write)))


def _value(
    read: Callable[[Connection], bytes], write: Callable[[Connection, bytes], Awaitable[None]]
) -> CharacteristicValue[bytes]:
    return CharacteristicValue(read=read, write=write)


def _writer(write: Write) -> Callable[[Connection, bytes], Awaitable[None]]:
    async def written(_connection: Connection, value: bytes) -> None:
        await write(bytes(value))

    return written


def _not_readable(_connection: Connection) -> bytes:
    # Bumble's server does not look at these two permissions itself.
    raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)


async def _not_writable(_connection: Connection, _value: bytes) -> None:
    raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)
