"""The sealed message and the announcement of its key.

A message is ``header ‖ ciphertext ‖ signature``. The header is a deterministic CBOR array and the
additional data of ChaCha20-Poly1305 (RFC 8439); the signature is Ed25519 (RFC 8032) over SHA-256 of both.
An epoch has one random key; each (device, epoch, stream) has its own key derived with HKDF (RFC 5869), so
that two streams that count from 1 never share a nonce, which is made of the epoch and the sequence number.

The key of an epoch is announced once, wrapped to each recipient with HPKE and signed. An epoch id is a
random 63-bit number (SQLite's integers are signed), new at every process start: a restored database then
cannot repeat a nonce or pass new rows for old ones.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge_twin_sync import hpke, strict_cbor, timestamps
from edge_twin_sync.errors import CodecError, EnvelopeError
from edge_twin_sync.keys import DEV_BYTES, DeviceIdentity, RecipientKey, dev_from_bytes, dev_to_bytes
from edge_twin_sync.streams import Stream

VERSION: Final = 1
SIGNATURE_BYTES: Final = 64
TAG_BYTES: Final = 16
PADDING: Final = 64  # bodies are padded to multiples of this, so that their length says little
MAX_MESSAGE: Final = 131_072  # the brokers' packet limit
MAX_SEQ: Final = 2**63 - 1
_KID_BYTES: Final = 4
_HEADER_LIMITS: Final = strict_cbor.Limits(size=MAX_MESSAGE, depth=1, items=16)
_ANNOUNCEMENT_LIMITS: Final = strict_cbor.Limits(size=8192, depth=3, items=128)
_ANNOUNCEMENT_DOMAIN: Final = b"et/v1/k|"


@dataclass(frozen=True, slots=True)
class Header:
    """What is readable without a key; nothing clinical.

    Attributes:
        dev: pseudonym of the device.
        epoch: the epoch whose key sealed the body.
        stream: see :class:`Stream`.
        seq: 1, 2, 3 … within (dev, epoch, stream).
        device_time: when the device sealed it, by the device's clock.
        schema: schema id of the records in the body.
        priority: lane of the outbox, 0 is most urgent.
        key_id: 4 bytes that tell whether a key is the right one.
    """

    dev: str
    epoch: int
    stream: Stream
    seq: int
    device_time: datetime
    schema: int
    priority: int
    key_id: bytes

    @property
    def id(self) -> tuple[str, int, int, int]:
        """What makes a message the same message: (dev, epoch, stream, seq)."""
        return self.dev, self.epoch, int(self.stream), self.seq

    def encode(self) -> bytes:
        """The header's deterministic bytes."""
        return strict_cbor.dumps(
            [
                VERSION,
                dev_to_bytes(self.dev),
                self.epoch,
                int(self.stream),
                self.seq,
                timestamps.to_ms(self.device_time),
                self.schema,
                self.priority,
                self.key_id,
            ]
        )


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message taken apart, not yet verified."""

    header: Header
    header_bytes: bytes
    ciphertext: bytes
    signature: bytes


@dataclass(frozen=True)
class EpochKey:
    """The random key of one epoch."""

    epoch: int
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new epoch with a random id and key from the system's generator; both must be unpredictable."""
        return cls(secrets.randbits(63), secrets.token_bytes(32))

    @property
    def key_id(self) -> bytes:
        """A short check value of the key."""
        return _derive(self.secret, b"et/v1|kid", _KID_BYTES)

    def stream_key(self, dev: str, stream: Stream) -> bytes:
        """The 32-byte key of one stream of ``dev``."""
        info = b"et/v1|up|" + dev_to_bytes(dev) + self.epoch.to_bytes(8) + bytes([stream])
        return _derive(self.secret, info, 32)


def _derive(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info).derive(secret)


def _nonce(epoch: int, seq: int) -> bytes:
    """Low 4 bytes of the epoch, then the sequence number: unique under one stream key."""
    return (epoch & 0xFFFF_FFFF).to_bytes(4) + seq.to_bytes(8)


def seal(header: Header, body: bytes, stream_key: bytes, signing_key: Ed25519PrivateKey) -> bytes:
    """The finished message.

    Args:
        header: of the message; never seal two bodies under one header id.
        body: bytes of a batch.
        stream_key: from :meth:`EpochKey.stream_key`.
        signing_key: of the device.

    Raises:
        EnvelopeError: ``too_large`` when the broker would refuse it.
    """
    aad = header.encode()
    ciphertext = ChaCha20Poly1305(stream_key).encrypt(_nonce(header.epoch, header.seq), pad(body), aad)
    message = aad + ciphertext + signing_key.sign(hashlib.sha256(aad + ciphertext).digest())
    if len(message) > MAX_MESSAGE:
        raise EnvelopeError(f"a message has at most {MAX_MESSAGE} bytes", reason="too_large")
    return message


def parse(message: bytes) -> SealedMessage:
    """Take a message apart without trusting it.

    Raises:
        EnvelopeError: ``too_large``, ``truncated``, ``unknown_version`` or ``malformed``.
    """
    if len(message) > MAX_MESSAGE:
        raise EnvelopeError(f"more than {MAX_MESSAGE} bytes", reason="too_large")
    value, end = _prefix(message, _HEADER_LIMITS)
    if len(message) - end < PADDING + TAG_BYTES + SIGNATURE_BYTES:
        raise EnvelopeError("a message ends early", reason="truncated")
    return SealedMessage(
        _header(value), message[:end], message[end:-SIGNATURE_BYTES], message[len(message) - SIGNATURE_BYTES :]
    )


def _header(value: strict_cbor.CborValue) -> Header:
    match value:
        case [int() as version, *_] if version != VERSION or isinstance(version, bool):
            raise EnvelopeError(f"version {version} is not known here", reason="unknown_version")
        case [_, bytes() as dev, int() as epoch, int() as stream, int() as seq, int() as time, int() as schema, *rest]:
            numbers = (epoch, stream, seq, schema)
        case _:
            raise EnvelopeError("not a message header", reason="malformed")
    match rest:
        case [int() as priority, bytes() as key_id] if len(key_id) == _KID_BYTES and len(dev) == DEV_BYTES:
            pass
        case _:
            raise EnvelopeError("not a message header", reason="malformed")
    if any(not 0 <= number <= MAX_SEQ for number in (*numbers, priority)) or seq < 1:
        raise EnvelopeError("a number of the header is out of range", reason="malformed")
    try:
        known = Stream(stream)
        device_time = timestamps.from_ms(time)
    except (ValueError, OverflowError) as error:
        raise EnvelopeError("not a message header", reason="malformed") from error
    return Header(dev_from_bytes(dev), epoch, known, seq, device_time, schema, priority, key_id)


def verify(sealed: SealedMessage, public: Ed25519PublicKey) -> None:
    """Check that the owner of ``public`` sealed the message; EnvelopeError ``forged`` otherwise."""
    digest = hashlib.sha256(sealed.header_bytes + sealed.ciphertext).digest()
    check_signature(public, sealed.signature, digest)


def decrypt(sealed: SealedMessage, key: EpochKey) -> bytes:
    """The body of a verified message.

    Raises:
        EnvelopeError: ``unknown_key`` when ``key`` is another one, ``forged`` when it does not open.
    """
    header = sealed.header
    if header.epoch != key.epoch or header.key_id != key.key_id:
        raise EnvelopeError("sealed with another key", reason="unknown_key")
    cipher = ChaCha20Poly1305(key.stream_key(header.dev, header.stream))
    try:
        return unpad(cipher.decrypt(_nonce(header.epoch, header.seq), sealed.ciphertext, sealed.header_bytes))
    except InvalidTag as error:
        raise EnvelopeError("the body does not open", reason="forged") from error


def open_(message: bytes, public: Ed25519PublicKey, key: EpochKey) -> tuple[Header, bytes]:
    """Header and body of ``message``: :func:`parse`, :func:`verify`, :func:`decrypt`, with their errors."""
    sealed = parse(message)
    verify(sealed, public)
    return sealed.header, decrypt(sealed, key)


def pad(body: bytes) -> bytes:
    """``body``, one byte 0x80 and zeros up to a multiple of ``PADDING`` (ISO/IEC 7816-4)."""
    return body + b"\x80" + bytes(-(len(body) + 1) % PADDING)


def unpad(padded: bytes) -> bytes:
    """What :func:`pad` padded; EnvelopeError ``malformed`` when there is no padding."""
    body, mark, _ = padded.rstrip(b"\x00").rpartition(b"\x80")
    if not mark or len(padded) % PADDING or pad(body) != padded:
        raise EnvelopeError("the body is not padded", reason="malformed")
    return body


def check_signature(public: Ed25519PublicKey, signature: bytes, digest: bytes) -> None:
    """EnvelopeError ``forged`` unless ``public`` signed ``digest``."""
    try:
        public.verify(signature, digest)
    except InvalidSignature as error:
        raise EnvelopeError("the signature does not fit", reason="forged") from error


@dataclass(frozen=True, slots=True)
class Announcement:
    """The announced key of an epoch, taken apart, not yet verified."""

    dev: str
    epoch: int
    wraps: dict[str, bytes]
    info: bytes
    signed: bytes
    signature: bytes


def announce(identity: DeviceIdentity, key: EpochKey, recipients: Sequence[RecipientKey], time: datetime) -> bytes:
    """The signed announcement of ``key`` to ``recipients``, made at ``time``."""
    kids = [recipient.kid for recipient in recipients]
    head = [VERSION, dev_to_bytes(identity.dev), key.epoch, timestamps.to_ms(time), kids]
    info = _wrap_info(head)
    wraps = [hpke.wrap(key.secret, recipient.public, info) for recipient in recipients]
    signed = strict_cbor.dumps([*head, wraps])
    return signed + identity.signing_key.sign(_announcement_digest(signed))


def parse_announcement(message: bytes) -> Announcement:
    """Take an announcement apart without trusting it.

    Raises:
        EnvelopeError: ``too_large``, ``truncated``, ``unknown_version`` or ``malformed``.
    """
    value, end = _prefix(message, _ANNOUNCEMENT_LIMITS)
    if len(message) - end != SIGNATURE_BYTES:
        raise EnvelopeError("an announcement ends early or late", reason="truncated")
    match value:
        case [int() as version, *_] if version != VERSION or isinstance(version, bool):
            raise EnvelopeError(f"version {version} is not known here", reason="unknown_version")
        case [_, bytes() as dev, int() as epoch, int(), list() as kids, list() as wraps] if len(dev) == DEV_BYTES:
            pass
        case _:
            raise EnvelopeError("not a key announcement", reason="malformed")
    by_kid = {kid: wrap for kid, wrap in zip(kids, wraps, strict=False) if _is_wrap(kid, wrap)}
    if not 0 <= epoch <= MAX_SEQ or not len(by_kid) == len(kids) == len(wraps):
        raise EnvelopeError("not a key announcement", reason="malformed")
    head = value[:-1]
    return Announcement(
        dev_from_bytes(dev),
        epoch,
        {str(kid): bytes(wrap) for kid, wrap in by_kid.items()},
        _wrap_info(head),
        message[:end],
        message[end:],
    )


def _is_wrap(kid: object, wrap: object) -> bool:
    return isinstance(kid, str) and isinstance(wrap, bytes)


def verify_announcement(announcement: Announcement, public: Ed25519PublicKey) -> None:
    """Check that the owner of ``public`` made it; EnvelopeError ``forged`` otherwise."""
    check_signature(public, announcement.signature, _announcement_digest(announcement.signed))


def accept_announcement(announcement: Announcement, kid: str, private: X25519PrivateKey) -> EpochKey:
    """The epoch key in a verified announcement.

    Raises:
        EnvelopeError: ``unknown_recipient`` when it was not wrapped to ``kid``, ``forged`` or ``truncated``
            when the wrap does not open, ``malformed`` when it holds no key.
    """
    wrapped = announcement.wraps.get(kid)
    if wrapped is None:
        raise EnvelopeError("the epoch's key was not sent to this recipient", reason="unknown_recipient")
    secret = hpke.unwrap(wrapped, private, announcement.info)
    if len(secret) != 32:  # noqa: PLR2004 - the size of an epoch key
        raise EnvelopeError("not an epoch key", reason="malformed")
    return EpochKey(announcement.epoch, secret)


def _wrap_info(head: object) -> bytes:
    """Binds a wrapped key to the announcement that carries it."""
    return b"et/v1|" + hashlib.sha256(strict_cbor.dumps(head)).digest()


def _announcement_digest(signed: bytes) -> bytes:
    """A domain of its own, so that no message can pass for an announcement."""
    return hashlib.sha256(_ANNOUNCEMENT_DOMAIN + signed).digest()


def _prefix(message: bytes, limits: strict_cbor.Limits) -> tuple[strict_cbor.CborValue, int]:
    try:
        return strict_cbor.loads_prefix(message, limits)
    except CodecError as error:
        reason = error.reason if error.reason in {"truncated", "too_large"} else "malformed"
        raise EnvelopeError(f"not a message: {error}", reason=reason) from error
