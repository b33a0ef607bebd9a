"""Verifying Ed25519 signatures with the OpenSSL that Python itself carries, else with the package ``cryptography``.

Both are the same OpenSSL code; the package brings a second copy of it and costs a device 6 MB of memory and 13 ms
that only a signature check needs. Nothing is computed here: the three documented calls of ``EVP_DigestVerify(3)`` are
made through ``ctypes`` on the library that ``hashlib`` has loaded. That way is used only after it has answered known
vectors right, a true one and falsified ones; a Python without such a library (linked statically, or another one) falls
back to the package.

Sources: RFC 8032, section 7.1, test 2; OpenSSL 3 manual, ``EVP_DigestVerify``, ``EVP_PKEY_new``, ``ERR_set_mark``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from types import MappingProxyType
from typing import Any

from edge_twin.errors import BundleError

KEY_BYTES, SIGNATURE_BYTES = 32, 64

Verifier = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether the signature is the key's."""

_ED25519 = 1087  # NID_ED25519 of obj_mac.h, which EVP_PKEY_ED25519 stands for
_POINTER, _BYTES, _SIZE, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
_PROTOTYPES = MappingProxyType(
    {
        "EVP_PKEY_new_raw_public_key": (_POINTER, (_INT, _POINTER, _BYTES, _SIZE)),
        "EVP_PKEY_free": (None, (_POINTER,)),
        "EVP_MD_CTX_new": (_POINTER, ()),
        "EVP_MD_CTX_free": (None, (_POINTER,)),
        "EVP_DigestVerifyInit": (_INT, (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER)),
        "EVP_DigestVerify": (_INT, (_POINTER, _BYTES, _SIZE, _BYTES, _SIZE)),
        "ERR_set_mark": (_INT, ()),
        "ERR_pop_to_mark": (_INT, ()),
    }
)
_KNOWN_KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
_KNOWN_MESSAGE = b"\x72"
_KNOWN_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of ``public`` over ``message``; False for anything of another length.

    Args:
        public: 32 bytes.
        message: as it was signed.
        signature: 64 bytes.

    Raises:
        BundleError: ``library_missing`` when neither library can be used.
    """
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    return verifier()(public, message, signature)


@cache
def verifier() -> Verifier:
    """The first way that answers the known vectors right.

    Raises:
        BundleError: ``library_missing``.
    """
    for make in (openssl_verifier, package_verifier):
        try:
            found = make()
        except (ImportError, OSError, AttributeError):
            continue
        if answers_right(found):
            return found
    raise BundleError("signatures need OpenSSL or the package cryptography", reason="library_missing")


def answers_right(candidate: Verifier) -> bool:
    """Whether it accepts the vector of RFC 8032 and refuses it with one bit changed, wherever that bit lies."""
    vector = (_KNOWN_KEY, _KNOWN_MESSAGE, _KNOWN_SIGNATURE)
    falsified = [
        tuple(_flipped(part) if index == changed else part for index, part in enumerate(vector)) for changed in range(3)
    ]
    return candidate(*vector) and not any(candidate(*parts) for parts in falsified)


def _flipped(content: bytes) -> bytes:
    return bytes((content[0] ^ 1,)) + content[1:]


def openssl_verifier() -> Verifier:
    """Through the library behind ``hashlib``, not checked yet.

    Raises:
        ImportError, OSError, AttributeError: when Python has none that can be called.
    """
    import _hashlib  # noqa: PLC0415 - absent from a Python without OpenSSL

    library = ctypes.CDLL(_hashlib.__file__)
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return lambda public, message, signature: _openssl_verifies(library, public, message, signature)


def _openssl_verifies(library: Any, public: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ANN401 - ctypes
    """One verification; whatever OpenSSL has to complain about leaves no trace in the thread's error queue."""
    library.ERR_set_mark()
    key = library.EVP_PKEY_new_raw_public_key(_ED25519, None, public, len(public))
    context = library.EVP_MD_CTX_new()
    try:
        if not key or not context or library.EVP_DigestVerifyInit(context, None, None, None, key) != 1:
            return False
        return bool(library.EVP_DigestVerify(context, signature, len(signature), message, len(message)) == 1)
    finally:
        library.EVP_MD_CTX_free(context)
        library.EVP_PKEY_free(key)
        library.ERR_pop_to_mark()


def package_verifier() -> Verifier:
    """Through the package ``cryptography``, not checked yet.

    Raises:
        ImportError: when it is not installed.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - costs 13 ms and 6 MB
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    def check(public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return check
