"""Every way in which an archive can be wrong, made with other tools than the reader's own wherever possible."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import archive
from edge_twin.archive import MANIFEST, SIGNATURE, pack, unpack
from edge_twin.bundle import load_bundle, open_bundle
from edge_twin.errors import BundleError
from edge_twin.release import signed_archive
from edge_twin.signing import (
    DEVELOPMENT,
    DEVELOPMENT_PUBLIC_KEY,
    DEVELOPMENT_TRUST,
    GRANT_TYPE,
    PRODUCTION,
    SigningKey,
    TrustedKey,
    TrustedKeys,
    pre_authentication_encoding,
)
from edge_twin_models import development_key
from tests.bundle_forgery import MEMBERS, SHIPPED, SITE, STRANGER, TRUSTED, refusal, signed, zipped
from tests.spoilt_bundles import reason_of

# --- what is right --------------------------------------------------------------------------------


def test_the_shipped_archive_opens_and_names_its_signer() -> None:
    bundle = open_bundle(SHIPPED)
    assert bundle.signer is not None
    assert bundle.signer.development
    assert bundle.digest == hashlib.sha256(MEMBERS[MANIFEST]).hexdigest()
    assert set(bundle.files) == {"card.md", "golden.npz", "model.onnx"}
    assert bundle.engine_names == ("onnxruntime", "numpy")


def test_another_zip_tool_reads_the_archive() -> None:
    with zipfile.ZipFile(io.BytesIO(SHIPPED)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == MEMBERS
        assert file.namelist()[:2] == [MANIFEST, SIGNATURE]


def test_a_site_signs_a_bundle_that_production_opens(tmp_path: Path) -> None:
    for name, content in MEMBERS.items():
        if name != SIGNATURE:
            (tmp_path / name).write_bytes(content)
    content = signed_archive(tmp_path, SITE)
    assert content == signed_archive(tmp_path, SITE)
    bundle = open_bundle(content, TRUSTED)
    assert bundle.signer == SITE.trusted
    assert signed_archive(tmp_path, development_key()) == SHIPPED


@given(st.dictionaries(st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z]{1,3})?", fullmatch=True), st.binary(), max_size=6))
def test_packing_and_unpacking_are_inverse(members: dict[str, bytes]) -> None:
    assert unpack(pack(members)) == members


# --- damage and forgery ---------------------------------------------------------------------------


@given(st.integers(0, len(SHIPPED) * 8 - 1))
def test_hz_bundle_01_any_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(SHIPPED)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BundleError):
        open_bundle(bytes(damaged))


@given(st.integers(0, len(SHIPPED) - 1), st.binary(max_size=4))
def test_any_cut_off_archive_is_refused(length: int, tail: bytes) -> None:
    with pytest.raises(BundleError):
        open_bundle(SHIPPED[:length] + tail)


@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_bytes_before_or_behind_the_archive_are_refused(extra: bytes, before: bool) -> None:  # noqa: FBT001 - drawn
    with pytest.raises(BundleError):
        open_bundle(extra + SHIPPED if before else SHIPPED + extra)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    for attempt in (content, b"PK\x03\x04" + content, b"PK\x05\x06" + content):
        with pytest.raises(BundleError):
            open_bundle(attempt)


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_headers_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    small = bytearray(pack({"a": b"x", "b": b"yy"}))
    for place, value in changes:
        small[place % len(small)] = value
    with contextlib.suppress(BundleError):
        assert pack(unpack(bytes(small))) == bytes(small)


@pytest.mark.parametrize("name", ["card.md", "golden.npz", "model.onnx"])
def test_a_changed_file_in_a_whole_archive_is_refused(name: str) -> None:
    content = pack({**MEMBERS, name: MEMBERS[name][:-1] + b"?"})
    assert refusal(content, DEVELOPMENT_TRUST) == "hash_mismatch"


def test_a_changed_manifest_is_refused_before_it_is_parsed() -> None:
    content = pack({**MEMBERS, MANIFEST: b"{ not JSON"})
    assert refusal(content, DEVELOPMENT_TRUST) == "signature_invalid"


def test_a_signature_for_another_purpose_is_refused() -> None:
    content = pack({**MEMBERS, SIGNATURE: SITE.sign(GRANT_TYPE, MEMBERS[MANIFEST])})
    assert refusal(content) == "signature_invalid"


def test_the_signature_of_another_bundle_is_refused() -> None:
    other = unpack(signed(MEMBERS, lambda d: d.update(version=2)))
    assert refusal(pack({**MEMBERS, SIGNATURE: other[SIGNATURE]})) == "signature_invalid"


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 65, MEMBERS[SIGNATURE] * 2])
def test_a_signature_of_another_length_is_refused(signature: bytes) -> None:
    assert refusal(pack({**MEMBERS, SIGNATURE: signature})) == "signature_malformed"


def test_hz_bundle_02_production_refuses_the_development_key() -> None:
    assert refusal(SHIPPED) == "development_key"
    assert development_key().trusted.public == DEVELOPMENT_PUBLIC_KEY
    with pytest.raises(BundleError) as caught:
        TrustedKeys(PRODUCTION, (SITE.trusted, TrustedKey("renamed", DEVELOPMENT_PUBLIC_KEY)))
    assert caught.value.reason == "development_key"


def test_production_refuses_an_unsigned_directory(tmp_path: Path) -> None:
    for name, content in MEMBERS.items():
        if name != SIGNATURE:
            (tmp_path / name).write_bytes(content)
    assert load_bundle(tmp_path).signer is None
    with pytest.raises(BundleError) as caught:
        load_bundle(tmp_path, TRUSTED)
    assert caught.value.reason == "unsigned"


def test_pre_authentication_encoding_has_the_published_vector() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_public_half_is_that_of_rfc_8032() -> None:
    """Section 7.1, test 1."""
    key = SigningKey("rfc", bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.trusted.public.hex() == expected


# --- a signer's bundle that is wrong in itself ----------------------------------------------------


@pytest.mark.parametrize("name", ["card.md", "golden.npz", "model.onnx", MANIFEST])
def test_a_missing_file_is_refused(name: str) -> None:
    content = signed(MEMBERS) if name != MANIFEST else SHIPPED
    members = {key: value for key, value in unpack(content).items() if key != name}
    assert refusal(pack(members)) == "missing_file"


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../b", "..\\b", "C:b", MANIFEST, SIGNATURE, "ü"])
def test_a_listed_path_that_leaves_the_bundle_is_refused(name: str) -> None:
    content = signed(MEMBERS, lambda d: d["files"].update({name: hashlib.sha256(b"").hexdigest()}))
    assert refusal(content) == "path_outside"


def test_expired_is_refused_on_the_second_and_only_when_a_time_is_given() -> None:
    expires = datetime(2028, 11, 25, tzinfo=UTC)
    content = signed(MEMBERS)
    assert refusal(content, now=expires) == "bundle_expired"
    assert open_bundle(content, TRUSTED, expires - timedelta(seconds=1)).expires == expires
    assert open_bundle(content, TRUSTED).expires == expires


@pytest.mark.parametrize(("needed", "refused"), [("0.1.0", False), ("0.0.9", False), ("0.1.1", True), ("1.0.0", True)])
def test_a_bundle_for_a_newer_runtime_is_refused(needed: str, refused: bool) -> None:  # noqa: FBT001 - a table
    content = signed(MEMBERS, lambda d: d.update(min_runtime=needed))
    if refused:
        assert refusal(content) == "runtime_too_old"
    else:
        assert open_bundle(content, TRUSTED).id == "neutropenia"


# --- containers that other tools can make ---------------------------------------------------------


@pytest.mark.parametrize("name", ["../outside", "/etc/cron.d/x", "a/../b", "a//b", ".hidden", "C:x", "a b", "x" * 101])
def test_a_member_that_would_leave_the_folder_is_refused(name: str) -> None:
    assert refusal(zipped({**MEMBERS, name: b""})) == "path_outside"
    with pytest.raises(BundleError) as caught:
        pack({name: b""})
    assert caught.value.reason == "path_outside"


def test_a_compressed_member_is_refused_so_that_nothing_can_swell() -> None:
    bomb = zipped({**MEMBERS, "zeros": bytes(50_000_000)}, compress_type=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 200_000
    assert refusal(bomb) == "member_compressed"


def test_a_member_twice_is_refused() -> None:
    buffer = io.BytesIO(zipped(MEMBERS))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as file:
        file.writestr("card.md", b"another card")
    assert refusal(buffer.getvalue()) == "member_duplicate"


def test_too_many_members_are_refused() -> None:
    many = {f"file{n}": b"" for n in range(archive.MAX_MEMBERS + 1)}
    assert refusal(zipped(many)) == "too_many_members"
    with pytest.raises(BundleError, match="more than 64"):
        pack(many)


def test_a_size_that_lies_is_refused() -> None:
    content = bytearray(SHIPPED)
    struct.pack_into("<II", content, 18, 2**32 - 1, 2**32 - 1)
    assert refusal(bytes(content)) == "member_too_large"
    struct.pack_into("<II", content, 18, 1_000_000, 1_000_000)
    assert refusal(bytes(content)) == "archive_truncated"


def test_two_archives_in_one_are_refused() -> None:
    """A reader that starts at the end would see the second one."""
    assert refusal(SHIPPED + signed(MEMBERS)) == "archive_not_canonical"


@pytest.mark.parametrize(
    "attributes", [{"create_system": 0}, {"external_attr": 0}, {"internal_attr": 1}, {"extract_version": 20}]
)
def test_only_one_form_of_the_same_members_is_accepted(attributes: dict[str, int]) -> None:
    assert zipped(MEMBERS) == SHIPPED
    assert refusal(zipped(MEMBERS, **attributes)) == "archive_not_canonical"


def test_another_order_of_the_members_is_refused() -> None:
    assert refusal(zipped(dict(sorted(MEMBERS.items())))) == "archive_not_canonical"


def test_a_wrong_checksum_is_refused() -> None:
    checksum = struct.pack("<I", zlib.crc32(MEMBERS["card.md"]))
    assert SHIPPED.count(checksum) == 2
    assert refusal(SHIPPED.replace(checksum, b"\0\0\0\0")) == "archive_not_canonical"


# --- keys -----------------------------------------------------------------------------------------


def test_a_signing_key_survives_its_file_and_is_never_shown(tmp_path: Path) -> None:
    key, path = SigningKey.generate('a "clinic"\n'), tmp_path / "key.toml"
    key.save(path)
    loaded = SigningKey.load(path)
    assert (loaded.private, loaded.name) == (key.private, "a clinic")
    assert key.private.hex() not in repr(key)
    assert reason_of(lambda: key.save(path)) == "key_exists"
    assert reason_of(lambda: key.save(tmp_path / "absent" / "key.toml")) == "key_unreadable"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.toml"
    SITE.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    os.chmod(path, 0o640)  # noqa: PTH101 - the mistake under test
    assert reason_of(lambda: SigningKey.load(path)) == "key_permissions"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(SITE.trusted.public.hex(), STRANGER.trusted.public.hex()),
        lambda text: text.replace(SITE.private.hex(), "00"),
        lambda text: text.replace("private", "secret"),
        lambda text: text.replace("signing-key/1", "signing-key/2"),
        lambda _: "\x00",
    ],
)
def test_a_key_file_that_does_not_fit_is_refused(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = tmp_path / "key.toml"
    SITE.save(path)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert reason_of(lambda: SigningKey.load(path)) == "key_malformed"
    assert reason_of(lambda: SigningKey.load(tmp_path / "absent")) == "key_unreadable"


def store(profile: str, public: str) -> str:
    return f'schema = "edge-twin.trusted-keys/1"\nprofile = "{profile}"\n[[key]]\nname = "c"\npublic = "{public}"\n'


def test_a_trust_store_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "trusted.toml"
    path.write_text(store(PRODUCTION, SITE.trusted.public.hex()), encoding="utf-8")
    assert TrustedKeys.load(path) == TrustedKeys(PRODUCTION, (TrustedKey("c", SITE.trusted.public),))
    for text, reason in (
        (store("lenient", SITE.trusted.public.hex()), "key_malformed"),
        (store(DEVELOPMENT, "zz"), "key_malformed"),
        (store(DEVELOPMENT, "00"), "key_malformed"),
        (store(DEVELOPMENT, "00").partition("[[")[0], "key_malformed"),
        (store(PRODUCTION, DEVELOPMENT_PUBLIC_KEY.hex()), "development_key"),
    ):
        path.write_text(text, encoding="utf-8")
        assert reason_of(lambda: TrustedKeys.load(path)) == reason
