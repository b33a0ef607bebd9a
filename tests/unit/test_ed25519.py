"""Both ways to verify a signature agree, on true ones and on every way to falsify one."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin import ed25519
from edge_twin.errors import BundleError
from edge_twin.signing import SigningKey, pre_authentication_encoding

KEY = SigningKey("test", bytes(range(32)))
BODY = b"what was signed"
SIGNED = pre_authentication_encoding("type", BODY)
SIGNATURE = KEY.sign("type", BODY)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 8032, section 5.1

WAYS: dict[str, Callable[[], ed25519.Verifier]] = {
    "openssl": ed25519.openssl_verifier,
    "package": ed25519.package_verifier,
}


@pytest.fixture(name="way", params=WAYS)
def _way(request: pytest.FixtureRequest) -> ed25519.Verifier:
    try:
        return WAYS[request.param]()
    except (ImportError, OSError, AttributeError):
        pytest.skip(f"this Python cannot verify by {request.param}")


def test_each_way_answers_the_known_vectors(way: ed25519.Verifier) -> None:
    assert ed25519.answers_right(way)
    assert way(KEY.trusted.public, SIGNED, SIGNATURE)


def test_a_signature_of_another_key_or_type_does_not_count(way: ed25519.Verifier) -> None:
    assert not way(SigningKey("other", bytes(32)).trusted.public, SIGNED, SIGNATURE)
    assert not way(KEY.trusted.public, pre_authentication_encoding("other", BODY), SIGNATURE)


def test_the_second_form_of_a_signature_is_refused(way: ed25519.Verifier) -> None:
    # S + L verifies too where S is not compared with the order of the group (RFC 8032, section 8.4).
    scalar = int.from_bytes(SIGNATURE[32:], "little") + GROUP_ORDER
    assert not way(KEY.trusted.public, SIGNED, SIGNATURE[:32] + scalar.to_bytes(32, "little"))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10**4), flip=st.integers(1, 255), part=st.integers(0, 2))
def test_both_ways_refuse_any_changed_byte(place: int, flip: int, part: int) -> None:
    parts = [KEY.trusted.public, SIGNED, SIGNATURE]
    changed = bytearray(parts[part])
    changed[place % len(changed)] ^= flip
    parts[part] = bytes(changed)
    assert [verify()(*parts) for verify in WAYS.values()] == [False, False]


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_both_ways_accept_what_was_signed(body: bytes) -> None:
    signature, signed = KEY.sign("type", body), pre_authentication_encoding("type", body)
    assert [verify()(KEY.trusted.public, signed, signature) for verify in WAYS.values()] == [True, True]


@pytest.mark.parametrize(("key", "signature"), [(31, 64), (33, 64), (32, 63), (32, 65), (0, 0)])
def test_another_length_is_refused(key: int, signature: int) -> None:
    assert not ed25519.verifies(secrets.token_bytes(key), b"", secrets.token_bytes(signature))


def test_hz_bundle_08_a_library_that_answers_wrong_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ed25519, "openssl_verifier", lambda: lambda *_parts: True)
    ed25519.verifier.cache_clear()
    try:
        assert not ed25519.verifies(KEY.trusted.public, SIGNED, bytes(64))
        assert ed25519.verifies(KEY.trusted.public, SIGNED, SIGNATURE)
    finally:
        ed25519.verifier.cache_clear()


def test_without_any_library_nothing_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> ed25519.Verifier:
        raise ImportError

    monkeypatch.setattr(ed25519, "openssl_verifier", absent)
    monkeypatch.setattr(ed25519, "package_verifier", absent)
    ed25519.verifier.cache_clear()
    try:
        with pytest.raises(BundleError) as caught:
            ed25519.verifies(KEY.trusted.public, SIGNED, SIGNATURE)
        assert caught.value.reason == "library_missing"
    finally:
        ed25519.verifier.cache_clear()
