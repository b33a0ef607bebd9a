"""HPKE base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305 (RFC 9180).

The library's implementation serves where its version has one; phones carry an older ``cryptography``
without it, so the same mode stands here over X25519, HMAC and ChaCha20-Poly1305. Both give and take the
same bytes: 32 bytes of encapsulated key, then the ciphertext.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from edge_twin_sync.errors import EnvelopeError

try:
    from cryptography.hazmat.primitives import hpke as _library
except ImportError:  # cryptography < 47
    _library = None  # type: ignore[assignment]

OVERHEAD: Final = 48  # encapsulated key 32, authentication tag 16
_ENC: Final = 32
_KEM_SUITE: Final = b"KEM\x00\x20"
_SUITE: Final = b"HPKE\x00\x20\x00\x01\x00\x03"
_MODE_BASE: Final = b"\x00"
_HASH: Final = "sha256"


def wrap(plaintext: bytes, recipient: X25519PublicKey, info: bytes) -> bytes:
    """``plaintext`` encrypted to ``recipient`` and bound to ``info``; 48 bytes longer."""
    if _library is None:
        return seal_base(plaintext, recipient, info)
    return _suite().encrypt(plaintext, recipient, info)


def unwrap(wrapped: bytes, recipient: X25519PrivateKey, info: bytes) -> bytes:
    """What :func:`wrap` encrypted.

    Raises:
        EnvelopeError: ``truncated``, or ``forged`` when key, info or bytes do not fit.
    """
    if len(wrapped) < OVERHEAD:
        raise EnvelopeError("a wrapped key is too short", reason="truncated")
    if _library is None:
        return open_base(wrapped, recipient, info)
    try:
        return _suite().decrypt(wrapped, recipient, info)
    except (InvalidTag, ValueError) as error:
        raise EnvelopeError("a wrapped key does not open", reason="forged") from error


def _suite() -> _library.Suite:
    return _library.Suite(_library.KEM.X25519, _library.KDF.HKDF_SHA256, _library.AEAD.CHACHA20_POLY1305)


def seal_base(
    plaintext: bytes,
    recipient: X25519PublicKey,
    info: bytes,
    aad: bytes = b"",
    ephemeral: X25519PrivateKey | None = None,
) -> bytes:
    """SealBase of RFC 9180 section 6.1; ``ephemeral`` is given only by tests with published vectors."""
    sender = X25519PrivateKey.generate() if ephemeral is None else ephemeral
    enc = sender.public_key().public_bytes_raw()
    secret = shared_secret(sender.exchange(recipient), enc, recipient.public_bytes_raw())
    key, nonce = _key_schedule(secret, info)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def open_base(message: bytes, recipient: X25519PrivateKey, info: bytes, aad: bytes = b"") -> bytes:
    """OpenBase of RFC 9180 section 6.1.

    Raises:
        EnvelopeError: ``truncated``, or ``forged`` when key, info, aad or bytes do not fit.
    """
    if len(message) < OVERHEAD:
        raise EnvelopeError("a wrapped key is too short", reason="truncated")
    enc = message[:_ENC]
    try:
        exchanged = recipient.exchange(X25519PublicKey.from_public_bytes(enc))
        key, nonce = _key_schedule(shared_secret(exchanged, enc, recipient.public_key().public_bytes_raw()), info)
        return ChaCha20Poly1305(key).decrypt(nonce, message[_ENC:], aad)
    except (InvalidTag, ValueError) as error:  # ValueError: a point of low order
        raise EnvelopeError("a wrapped key does not open", reason="forged") from error


def shared_secret(exchanged: bytes, enc: bytes, recipient: bytes) -> bytes:
    """ExtractAndExpand of DHKEM (RFC 9180 section 4.1): 32 bytes."""
    prk = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", exchanged)
    return _labeled_expand(_KEM_SUITE, prk, b"shared_secret", enc + recipient, 32)


def _key_schedule(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key (32 B) and nonce of sequence number 0 (12 B), RFC 9180 section 5.1."""
    psk_id_hash = _labeled_extract(_SUITE, b"", b"psk_id_hash", b"")
    context = _MODE_BASE + psk_id_hash + _labeled_extract(_SUITE, b"", b"info_hash", info)
    prk = _labeled_extract(_SUITE, secret, b"secret", b"")
    return _labeled_expand(_SUITE, prk, b"key", context, 32), _labeled_expand(_SUITE, prk, b"base_nonce", context, 12)


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, _HASH)


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """LabeledExpand for at most 32 bytes, which is one block of HKDF-Expand (RFC 5869)."""
    labeled = length.to_bytes(2) + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labeled + b"\x01", _HASH)[:length]
