from __future__ import annotations

import contextlib
import json
import os
import random
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_sync.errors import EnvelopeError, KeyStoreError
from edge_twin_sync.keys import CentreIdentity, DeviceKeys, DeviceRegistry, dev_from_bytes, dev_to_bytes, pair


def test_pairing_makes_a_device_that_the_centre_knows(tmp_path: Path) -> None:
    keys = pair(tmp_path / "device", tmp_path / "centre")
    loaded = DeviceKeys.load(tmp_path / "device")
    centre = CentreIdentity.load(tmp_path / "centre")
    public = DeviceRegistry(tmp_path / "centre").lookup(loaded.identity.dev)
    public.verify(loaded.identity.signing_key.sign(b"x"), b"x")
    assert loaded.identity.dev == keys.identity.dev
    assert [key.kid for key in loaded.recipients] == [centre.recipient.kid]
    loaded.ack_keys[0].verify(centre.ack_key.sign(b"y"), b"y")


def test_a_second_device_is_another_one_at_the_same_centre(tmp_path: Path) -> None:
    first, second = (pair(tmp_path / name, tmp_path / "centre") for name in "ab")
    assert first.identity.dev != second.identity.dev
    assert first.recipients[0].kid == second.recipients[0].kid


def test_identities_repeat_with_the_same_random_bytes(tmp_path: Path) -> None:
    devs = [pair(tmp_path / str(n), tmp_path / f"c{n}", random.Random(5).randbytes).identity.dev for n in range(2)]  # noqa: S311 - repeatable, no secret
    assert devs[0] == devs[1]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_secret_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    pair(tmp_path / "device", tmp_path / "centre")
    secrets = [path for path in tmp_path.rglob("*") if path.suffix in {".ed25519", ".x25519"}]
    assert len(secrets) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    secrets[0].chmod(0o640)
    with pytest.raises(KeyStoreError) as error:
        _load_all(tmp_path)
    assert error.value.reason == "permissions"


def _load_all(directory: Path) -> None:
    DeviceKeys.load(directory / "device")
    CentreIdentity.load(directory / "centre")


@pytest.mark.parametrize("name", ["device/device.json", "device/device.ed25519", "centre/centre.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b"\xff\xfe", b'{"dev": "x"}'])
def test_missing_or_broken_files_are_typed_errors(tmp_path: Path, name: str, content: bytes | None) -> None:
    pair(tmp_path / "device", tmp_path / "centre")
    path = tmp_path / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(KeyStoreError) as error:
        _load_all(tmp_path)
    assert error.value.reason in {"missing", "malformed", "bad_pseudonym"}


def test_a_swapped_centre_key_is_noticed(tmp_path: Path) -> None:
    pair(tmp_path / "device", tmp_path / "centre")
    (tmp_path / "centre" / "centre.x25519").write_bytes(bytes([9]) * 32)
    with pytest.raises(KeyStoreError) as error:
        CentreIdentity.load(tmp_path / "centre")
    assert error.value.reason == "malformed"


def test_strangers_and_revoked_devices_are_refused_at_once(tmp_path: Path) -> None:
    keys = pair(tmp_path / "device", tmp_path / "centre")
    registry, other_process = (DeviceRegistry(tmp_path / "centre") for _ in range(2))
    registry.lookup(keys.identity.dev)
    with pytest.raises(EnvelopeError) as stranger:
        registry.lookup(dev_from_bytes(bytes(16)))
    assert stranger.value.reason == "unknown_device"
    other_process.revoke(keys.identity.dev)
    with pytest.raises(EnvelopeError) as revoked:
        registry.lookup(keys.identity.dev)
    assert revoked.value.reason == "revoked_device"
    with pytest.raises(EnvelopeError):
        registry.revoke("nobody")


def test_an_empty_centre_knows_nobody(tmp_path: Path) -> None:
    with pytest.raises(EnvelopeError):
        DeviceRegistry(tmp_path).lookup("x")


@pytest.mark.parametrize("content", [{}, {"devices": []}, {"devices": {"d": {}}}, {"devices": {"d": {"public": "zz"}}}])
def test_a_broken_registry_is_a_typed_error(tmp_path: Path, content: object) -> None:
    (tmp_path / "registry.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(KeyStoreError) as error:
        DeviceRegistry(tmp_path).lookup("d")
    assert error.value.reason == "malformed"


@given(raw=st.binary(min_size=16, max_size=16))
def test_a_pseudonym_is_26_characters_and_comes_back(raw: bytes) -> None:
    dev = dev_from_bytes(raw)
    assert len(dev) == 26
    assert dev_to_bytes(dev) == raw


@given(text=st.text(max_size=30))
def test_other_texts_are_no_pseudonym(text: str) -> None:
    with contextlib.suppress(KeyStoreError):
        assert dev_from_bytes(dev_to_bytes(text)) == text


def test_only_a_pseudonym_can_be_registered(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError) as error:
        DeviceRegistry(tmp_path).register("patient-4711", Ed25519PrivateKey.generate().public_key())
    assert error.value.reason == "bad_pseudonym"
