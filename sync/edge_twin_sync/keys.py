"""Identities and their files: who signs, who may read, whom the centre knows.

Secrets are raw 32-byte files with mode 0600 and never appear in a repr. A device is known by a random
pseudonym, never by anything of the patient. :func:`pair` enrols a device where one person holds both
directories; enrolment over the network is another way to the same files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from edge_twin_sync.errors import EnvelopeError, KeyStoreError

DEV_BYTES: Final = 16
_PRIVATE_MODE: Final = 0o600
_DEVICE_FILE, _DEVICE_KEY = "device.json", "device.ed25519"
_CENTRE_FILE, _CENTRE_KEY, _ACK_KEY = "centre.json", "centre.x25519", "centre.ed25519"
_REGISTRY_FILE: Final = "registry.json"

RandomBytes = Callable[[int], bytes]


def dev_to_bytes(dev: str) -> bytes:
    """The 16 bytes of a pseudonym.

    Raises:
        KeyStoreError: ``bad_pseudonym`` when it is not base32 of 16 bytes in lower case.
    """
    try:
        raw = base64.b32decode(dev.upper() + "======")
    except ValueError as error:
        raise KeyStoreError("not a device pseudonym", reason="bad_pseudonym") from error
    if dev_from_bytes(raw) != dev:
        raise KeyStoreError("not a device pseudonym", reason="bad_pseudonym")
    return raw


def dev_from_bytes(raw: bytes) -> str:
    """The pseudonym of 16 bytes: 26 characters of lower-case base32."""
    return base64.b32encode(raw).decode().rstrip("=").lower()


def key_id(public: bytes) -> str:
    """Id of a public key: the first 8 bytes of its SHA-256 in hex."""
    return hashlib.sha256(public).hexdigest()[:16]


@dataclass(frozen=True)
class RecipientKey:
    """Someone who may read: an X25519 public key, known by its id."""

    public: X25519PublicKey = field(repr=False)

    @property
    def kid(self) -> str:
        """Id of the key."""
        return key_id(self.public.public_bytes_raw())


@dataclass(frozen=True)
class DeviceIdentity:
    """A device: its pseudonym and the Ed25519 key that signs everything it sends."""

    dev: str
    signing_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, random: RandomBytes = secrets.token_bytes) -> Self:
        """A new identity from ``random``."""
        return cls(dev_from_bytes(random(DEV_BYTES)), Ed25519PrivateKey.from_private_bytes(random(32)))


@dataclass(frozen=True)
class CentreIdentity:
    """The centre: the X25519 key that opens epoch keys and the Ed25519 key that signs acknowledgements."""

    recipient_key: X25519PrivateKey = field(repr=False)
    ack_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, random: RandomBytes = secrets.token_bytes) -> Self:
        """A new identity from ``random``."""
        return cls(
            X25519PrivateKey.from_private_bytes(random(32)),
            Ed25519PrivateKey.from_private_bytes(random(32)),
        )

    @property
    def recipient(self) -> RecipientKey:
        """What devices wrap their epoch keys to."""
        return RecipientKey(self.recipient_key.public_key())

    def save(self, directory: Path) -> None:
        """Write the identity into ``directory``, which is created with mode 0700."""
        _make_directory(directory)
        _write_private(directory / _CENTRE_KEY, self.recipient_key.private_bytes_raw())
        _write_private(directory / _ACK_KEY, self.ack_key.private_bytes_raw())
        _write_json(directory / _CENTRE_FILE, {"version": 1, "kid": self.recipient.kid})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The identity in ``directory``.

        Raises:
            KeyStoreError: ``missing``, ``malformed`` or ``permissions``.
        """
        identity = cls(
            X25519PrivateKey.from_private_bytes(_read_private(directory / _CENTRE_KEY)),
            Ed25519PrivateKey.from_private_bytes(_read_private(directory / _ACK_KEY)),
        )
        if _read_json(directory / _CENTRE_FILE).get("kid") != identity.recipient.kid:
            raise KeyStoreError("the centre's key does not fit its description", reason="malformed")
        return identity


@dataclass(frozen=True)
class DeviceKeys:
    """All that a device holds: who it is, who may read, whose acknowledgement counts."""

    identity: DeviceIdentity
    recipients: tuple[RecipientKey, ...]
    ack_keys: tuple[Ed25519PublicKey, ...] = field(repr=False)

    def save(self, directory: Path) -> None:
        """Write the keys into ``directory``, which is created with mode 0700."""
        _make_directory(directory)
        _write_private(directory / _DEVICE_KEY, self.identity.signing_key.private_bytes_raw())
        description = {
            "version": 1,
            "dev": self.identity.dev,
            "recipients": [recipient.public.public_bytes_raw().hex() for recipient in self.recipients],
            "ack_keys": [key.public_bytes_raw().hex() for key in self.ack_keys],
        }
        _write_json(directory / _DEVICE_FILE, description)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The keys in ``directory``.

        Raises:
            KeyStoreError: ``missing``, ``malformed``, ``permissions`` or ``bad_pseudonym``.
        """
        description = _read_json(directory / _DEVICE_FILE)
        dev = description.get("dev")
        if not isinstance(dev, str):
            raise KeyStoreError("a device has a pseudonym", reason="malformed")
        dev_to_bytes(dev)
        return cls(
            DeviceIdentity(dev, Ed25519PrivateKey.from_private_bytes(_read_private(directory / _DEVICE_KEY))),
            tuple(RecipientKey(X25519PublicKey.from_public_bytes(raw)) for raw in _keys(description, "recipients")),
            tuple(Ed25519PublicKey.from_public_bytes(raw) for raw in _keys(description, "ack_keys")),
        )


@dataclass(frozen=True)
class RegisteredDevice:
    """A device as the centre knows it."""

    public: Ed25519PublicKey = field(repr=False)
    revoked: bool = False


class DeviceRegistry:
    """The devices that the centre accepts, kept in one JSON file.

    A change of the file by another process (pairing, revocation) is seen at the next look-up.

    Args:
        directory: the centre's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _REGISTRY_FILE
        self._seen: tuple[int, int, int] | None = None
        self._devices: dict[str, RegisteredDevice] = {}

    def lookup(self, dev: str) -> Ed25519PublicKey:
        """The key that ``dev`` signs with.

        Raises:
            EnvelopeError: ``unknown_device`` or ``revoked_device``.
            KeyStoreError: ``malformed`` registry.
        """
        self._refresh()
        device = self._devices.get(dev)
        if device is None:
            raise EnvelopeError("the device is not registered here", reason="unknown_device")
        if device.revoked:
            raise EnvelopeError("the device was revoked", reason="revoked_device")
        return device.public

    def register(self, dev: str, public: Ed25519PublicKey) -> None:
        """Accept ``dev``; registering it again replaces its key.

        Raises:
            KeyStoreError: ``bad_pseudonym``.
        """
        dev_to_bytes(dev)
        self._refresh()
        self._store({**self._devices, dev: RegisteredDevice(public)})

    def revoke(self, dev: str) -> None:
        """Refuse ``dev`` from now on.

        Raises:
            EnvelopeError: ``unknown_device``.
        """
        self._refresh()
        if dev not in self._devices:
            raise EnvelopeError("the device is not registered here", reason="unknown_device")
        self._store({**self._devices, dev: RegisteredDevice(self._devices[dev].public, revoked=True)})

    def _store(self, devices: dict[str, RegisteredDevice]) -> None:
        _write_json(
            self._path,
            {
                "version": 1,
                "devices": {
                    dev: {"public": device.public.public_bytes_raw().hex(), "revoked": device.revoked}
                    for dev, device in devices.items()
                },
            },
        )
        self._refresh()

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._devices = None, {}
            return
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            self._devices = _parse_registry(_read_json(self._path))
            self._seen = seen


def _parse_registry(content: Mapping[str, object]) -> dict[str, RegisteredDevice]:
    devices = content.get("devices")
    if not isinstance(devices, dict):
        raise KeyStoreError("not a device registry", reason="malformed")
    try:
        return {
            str(dev): RegisteredDevice(
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry["public"])), bool(entry["revoked"])
            )
            for dev, entry in devices.items()
        }
    except (TypeError, KeyError, ValueError) as error:
        raise KeyStoreError("not a device registry", reason="malformed") from error


def pair(device_directory: Path, centre_directory: Path, random: RandomBytes = secrets.token_bytes) -> DeviceKeys:
    """Make a new device in one directory and register it at the centre in the other.

    The centre's identity is made at the first pairing.

    Raises:
        KeyStoreError: as :meth:`CentreIdentity.load`.
    """
    if not (centre_directory / _CENTRE_FILE).exists():
        CentreIdentity.generate(random).save(centre_directory)
    centre = CentreIdentity.load(centre_directory)
    identity = DeviceIdentity.generate(random)
    keys = DeviceKeys(identity, (centre.recipient,), (centre.ack_key.public_key(),))
    keys.save(device_directory)
    DeviceRegistry(centre_directory).register(identity.dev, identity.signing_key.public_key())
    return keys


def _keys(description: Mapping[str, object], name: str) -> list[bytes]:
    values = description.get(name)
    try:
        raw = [bytes.fromhex(value) for value in values] if isinstance(values, list) else []
    except (TypeError, ValueError) as error:
        raise KeyStoreError(f"{name}: not keys", reason="malformed") from error
    if not raw or any(len(key) != 32 for key in raw):  # noqa: PLR2004 - an X25519 or Ed25519 key
        raise KeyStoreError(f"{name}: not keys", reason="malformed")
    return raw


def _make_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    """Write and replace in one step, readable by the owner alone from the first byte on."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    _write_private(path, json.dumps(content, indent=1, sort_keys=True).encode())


def _read_private(path: Path) -> bytes:
    """32 secret bytes; refused when others could have read them."""
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError as error:
        raise KeyStoreError(f"{path.name} is missing", reason="missing") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise KeyStoreError(f"{path.name} can be read by others", reason="permissions")
    if len(content) != 32:  # noqa: PLR2004 - an X25519 or Ed25519 key
        raise KeyStoreError(f"{path.name} is not a key", reason="malformed")
    return content


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise KeyStoreError(f"{path.name} is missing", reason="missing") from error
    except ValueError as error:
        raise KeyStoreError(f"{path.name} is not JSON", reason="malformed") from error
    if not isinstance(content, dict):
        raise KeyStoreError(f"{path.name} is not an object", reason="malformed")
    return content
