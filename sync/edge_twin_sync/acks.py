"""The signed acknowledgement: what the centre has committed, and what it cannot use.

``deterministic CBOR map ‖ Ed25519 signature``. It names its device, so an acknowledgement for one device
means nothing to another. A replayed one is harmless: it can only repeat what was true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_twin_sync import record_codec as codec
from edge_twin_sync import strict_cbor, timestamps
from edge_twin_sync.envelope import MAX_SEQ, SIGNATURE_BYTES, VERSION, check_signature
from edge_twin_sync.errors import CodecError, EnvelopeError, RecordError
from edge_twin_sync.keys import DEV_BYTES, dev_from_bytes, dev_to_bytes
from edge_twin_sync.streams import Stream

MAX_RANGES: Final = 32
MAX_REJECTS: Final = 32
_LIMITS: Final = strict_cbor.Limits(size=4096, depth=3, items=512)
_DOMAIN: Final = b"et/v1/ack|"

Ranges = tuple[tuple[int, int], ...]


class Reject(IntEnum):
    """Why the centre will never use a message that is authentic; the device quarantines its row."""

    UNDECODABLE = 1
    UNKNOWN_SCHEMA = 2
    CONFLICT = 3  # the same id was stored with other bytes: a restored database


class _Key(IntEnum):
    VERSION, DEV, EPOCH, STREAM, UPTO, RANGES, REJECTS, SERVER_TIME = range(8)


@dataclass(frozen=True, slots=True)
class Ack:
    """Committed messages of one (epoch, stream) of one device.

    Attributes:
        dev: the device.
        epoch: the epoch.
        stream: the stream.
        upto: every message from 1 to this one is committed or accounted for.
        ranges: inclusive ranges beyond ``upto`` that are committed.
        rejects: (seq, why) of messages that will never be used.
        server_time: the centre's clock, aware UTC.
    """

    dev: str
    epoch: int
    stream: Stream
    upto: int
    ranges: Ranges
    rejects: tuple[tuple[int, Reject], ...]
    server_time: datetime


def encode(ack: Ack, signing_key: Ed25519PrivateKey) -> bytes:
    """The signed bytes of ``ack``."""
    signed = strict_cbor.dumps(
        {
            _Key.VERSION: VERSION,
            _Key.DEV: dev_to_bytes(ack.dev),
            _Key.EPOCH: ack.epoch,
            _Key.STREAM: int(ack.stream),
            _Key.UPTO: ack.upto,
            _Key.RANGES: [number for pair in ack.ranges for number in pair],
            _Key.REJECTS: [number for seq, why in ack.rejects for number in (seq, int(why))],
            _Key.SERVER_TIME: timestamps.to_ms(ack.server_time),
        }
    )
    return signed + signing_key.sign(_digest(signed))


def decode(payload: bytes, trusted: Sequence[Ed25519PublicKey]) -> Ack:
    """The acknowledgement in ``payload`` if one of ``trusted`` signed it.

    Raises:
        EnvelopeError: ``truncated``, ``forged``, ``unknown_version`` or ``malformed``.
    """
    if len(payload) <= SIGNATURE_BYTES:
        raise EnvelopeError("an acknowledgement is too short", reason="truncated")
    signed, signature = payload[:-SIGNATURE_BYTES], payload[-SIGNATURE_BYTES:]
    if not any(_is_signed(key, signature, signed) for key in trusted):
        raise EnvelopeError("no trusted key signed the acknowledgement", reason="forged")
    try:
        return _parse(strict_cbor.loads(signed, _LIMITS))
    except (CodecError, RecordError, ValueError) as error:
        raise EnvelopeError(f"not an acknowledgement: {error}", reason="malformed") from error


def _parse(value: strict_cbor.CborValue) -> Ack:
    if not isinstance(value, dict):
        raise EnvelopeError("not an acknowledgement", reason="malformed")
    if value.get(_Key.VERSION) != VERSION:
        raise EnvelopeError("an unknown version of acknowledgement", reason="unknown_version")
    return Ack(
        dev=dev_from_bytes(codec.raw(value, _Key.DEV, DEV_BYTES)),
        epoch=codec.integer(value, _Key.EPOCH),
        stream=Stream(codec.integer(value, _Key.STREAM, high=255)),
        upto=codec.integer(value, _Key.UPTO),
        ranges=_pairs(value, _Key.RANGES, MAX_RANGES),
        rejects=tuple((seq, Reject(why)) for seq, why in _pairs(value, _Key.REJECTS, MAX_REJECTS)),
        server_time=codec.time(value, _Key.SERVER_TIME),
    )


def _pairs(value: codec.RecordMap, key: int, most: int) -> Ranges:
    flat = codec.array(value, key)
    if len(flat) % 2 or len(flat) > 2 * most:
        raise codec.bad_field(key)
    numbers = [codec.integer({key: item}, key, low=1, high=MAX_SEQ) for item in flat]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _is_signed(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        check_signature(key, signature, _digest(signed))
    except EnvelopeError:
        return False
    return True


def _digest(signed: bytes) -> bytes:
    """A domain of its own, so that nothing else the centre signs can pass for an acknowledgement."""
    return hashlib.sha256(_DOMAIN + signed).digest()
