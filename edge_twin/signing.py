"""Who may sign a bundle: Ed25519 signatures over DSSE pre-authentication encoding, and the keys a device trusts.

Bytes are verified before anything in them is parsed, and no key id in a file decides which key is tried: every
trusted key is. A DEVELOPMENT key is public knowledge (its private half is in the repository), so the production
profile refuses what it signed.

Sources: RFC 8032 (Ed25519); secure-systems-lab/dsse ``protocol.md`` (pre-authentication encoding).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from edge_twin.ed25519 import KEY_BYTES, SIGNATURE_BYTES, verifies
from edge_twin.errors import BundleError

BUNDLE_TYPE = "application/vnd.edge-twin.bundle-manifest+json"
GRANT_TYPE = "application/vnd.edge-twin.rollback-grant+json"

KEY_SCHEMA = "edge-twin.signing-key/1"
TRUST_SCHEMA = "edge-twin.trusted-keys/1"
DEVELOPMENT, PRODUCTION = "development", "production"
PROFILES = (DEVELOPMENT, PRODUCTION)
DEVELOPMENT_PUBLIC_KEY = bytes.fromhex("6040bfc7042b1e264b40fd774a36e45559ad0035bfc5d2b32a27b503b244fef4")

_OTHERS_MAY_READ = 0o077


def pre_authentication_encoding(payload_type: str, body: bytes) -> bytes:
    """What is signed: type and body with their lengths, so that neither can be taken for the other (DSSE v1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key whose signature counts.

    Attributes:
        name: whose it is, for reports.
        public: 32 bytes.
    """

    name: str
    public: bytes

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal figures of the key's SHA-256."""
        return hashlib.sha256(self.public).hexdigest()[:16]

    @property
    def development(self) -> bool:
        """Whether anybody may sign with it."""
        return self.public == DEVELOPMENT_PUBLIC_KEY


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys of a device.

    Attributes:
        profile: ``development`` or ``production``.
        keys: all are tried.

    Raises:
        BundleError: ``key_malformed``, ``development_key`` when production lists the DEVELOPMENT key.
    """

    profile: str
    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        if self.profile not in PROFILES or not self.keys or any(len(key.public) != KEY_BYTES for key in self.keys):
            raise BundleError("a trust store needs a profile and keys of 32 bytes", reason="key_malformed")
        if self.production and any(key.development for key in self.keys):
            raise _development_key_refused()

    @property
    def production(self) -> bool:
        """Whether unsigned and DEVELOPMENT bundles are refused."""
        return self.profile == PRODUCTION

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file with ``schema``, ``profile`` and ``[[key]]`` tables of ``name`` and ``public`` (hex).

        Raises:
            BundleError: ``key_unreadable``, ``key_malformed``, ``development_key``.
        """
        document = _toml(path, TRUST_SCHEMA)
        try:
            keys = tuple(TrustedKey(str(row["name"]), bytes.fromhex(row["public"])) for row in document["key"])
            return cls(document["profile"], keys)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path.name} is not a trust store", reason="key_malformed") from error

    def signer(self, payload_type: str, body: bytes, signature: bytes) -> TrustedKey:
        """The trusted key that signed ``body``.

        Args:
            payload_type: what the signer must have meant; a signature for another purpose does not count.
            body: the bytes as they came.
            signature: 64 bytes.

        Raises:
            BundleError: ``signature_malformed``, ``signature_invalid``, ``development_key``, ``library_missing``.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise BundleError("a signature has 64 bytes", reason="signature_malformed")
        signed = pre_authentication_encoding(payload_type, body)
        for key in self.keys:
            if verifies(key.public, signed, signature):
                return key
        if self.production and verifies(DEVELOPMENT_PUBLIC_KEY, signed, signature):
            raise _development_key_refused()
        raise BundleError("no trusted key made this signature", reason="signature_invalid")


DEVELOPMENT_TRUST = TrustedKeys(DEVELOPMENT, (TrustedKey("DEVELOPMENT", DEVELOPMENT_PUBLIC_KEY),))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of a site.

    Attributes:
        name: whose it is.
        private: 32 bytes, never shown.
    """

    name: str
    private: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key from the system's random source."""
        return cls(name, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key file: TOML with ``schema``, ``name``, ``private`` and ``public`` (hex).

        Raises:
            BundleError: ``key_unreadable``, ``key_malformed`` (also when the halves do not belong together),
                ``key_permissions`` when others may read it, except for the DEVELOPMENT key, which is no secret.
        """
        document = _toml(path, KEY_SCHEMA)
        try:
            key = cls(str(document["name"]), bytes.fromhex(document["private"]))
            fits = len(key.private) == KEY_BYTES and key.trusted.public.hex() == document["public"]
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path.name} is not a signing key", reason="key_malformed") from error
        if not fits:
            raise BundleError(f"the halves of {path.name} do not belong together", reason="key_malformed")
        if not key.trusted.development and sys.platform != "win32" and path.stat().st_mode & _OTHERS_MAY_READ:
            raise BundleError(f"others may read {path.name}", reason="key_permissions")
        return key

    def save(self, path: Path) -> None:
        """Write the key file, readable by its owner only; an existing file is never replaced.

        Raises:
            BundleError: ``key_exists``, ``key_unreadable`` when the file cannot be made.
        """
        text = (
            f'schema = "{KEY_SCHEMA}"\nname = "{_toml_text(self.name)}"\n'
            f'private = "{self.private.hex()}"\npublic = "{self.trusted.public.hex()}"\n'
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise BundleError(f"{path.name} is already there", reason="key_exists") from error
        except OSError as error:
            raise BundleError(f"{path.name} cannot be written", reason="key_unreadable") from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    @property
    def trusted(self) -> TrustedKey:
        """The public half, as a device lists it."""
        return TrustedKey(self.name, _private_key(self.private).public_key().public_bytes_raw())

    def sign(self, payload_type: str, body: bytes) -> bytes:
        """64 bytes; the same key and body always give the same ones (RFC 8032)."""
        return bytes(_private_key(self.private).sign(pre_authentication_encoding(payload_type, body)))


def _development_key_refused() -> BundleError:
    return BundleError("signed with the DEVELOPMENT key, which is not for patients", reason="development_key")


def _private_key(private: bytes) -> Any:  # noqa: ANN401 - the library is imported late
    return _ed25519().Ed25519PrivateKey.from_private_bytes(private)


def _ed25519() -> Any:  # noqa: ANN401 - the library is imported late: it costs 13 ms and 7 MB
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ImportError as error:
        raise BundleError("signing needs the package cryptography", reason="library_missing") from error
    return ed25519


def _toml(path: Path, schema: str) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read", reason="key_unreadable") from error
    except ValueError as error:
        raise BundleError(f"{path.name} is not TOML", reason="key_malformed") from error
    if document.get("schema") != schema:
        raise BundleError(f"{path.name} has not the schema {schema}", reason="key_malformed")
    return document


def _toml_text(text: str) -> str:
    """For a TOML basic string; a name needs neither quotes nor controls."""
    return "".join(character for character in text if character.isprintable() and character not in '"\\')
