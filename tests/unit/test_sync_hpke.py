from __future__ import annotations

import importlib.util

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_sync import hpke
from edge_twin_sync.errors import EnvelopeError

# RFC 9180 appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence 0.
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
SK_E = "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"
SK_R = "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"
PK_R = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"
ENC = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
SHARED = "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7"
AAD = bytes.fromhex("436f756e742d30")
PLAINTEXT = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
CIPHERTEXT = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"

RECIPIENT = X25519PrivateKey.from_private_bytes(bytes.fromhex(SK_R))


def test_seals_the_published_vector() -> None:
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(SK_E))
    recipient = X25519PublicKey.from_public_bytes(bytes.fromhex(PK_R))
    assert hpke.seal_base(PLAINTEXT, recipient, INFO, AAD, ephemeral).hex() == ENC + CIPHERTEXT


def test_derives_the_published_shared_secret() -> None:
    exchanged = RECIPIENT.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(ENC)))
    assert hpke.shared_secret(exchanged, bytes.fromhex(ENC), bytes.fromhex(PK_R)).hex() == SHARED


def test_opens_the_published_vector() -> None:
    assert hpke.open_base(bytes.fromhex(ENC + CIPHERTEXT), RECIPIENT, INFO, AAD) == PLAINTEXT


@pytest.mark.skipif(
    importlib.util.find_spec("cryptography.hazmat.primitives.hpke") is None,
    reason="this cryptography has no HPKE of its own",
)
@given(plaintext=st.binary(max_size=200), info=st.binary(max_size=100))
def test_is_the_same_scheme_as_the_library_both_ways(plaintext: bytes, info: bytes) -> None:
    public = RECIPIENT.public_key()
    assert hpke.unwrap(hpke.seal_base(plaintext, public, info), RECIPIENT, info) == plaintext
    assert hpke.open_base(hpke.wrap(plaintext, public, info), RECIPIENT, info) == plaintext


def test_works_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hpke, "_library", None)
    wrapped = hpke.wrap(b"key", RECIPIENT.public_key(), b"info")
    assert len(wrapped) == len(b"key") + hpke.OVERHEAD
    assert hpke.unwrap(wrapped, RECIPIENT, b"info") == b"key"


@pytest.mark.parametrize("own", [True, False])
def test_refuses_every_flipped_byte_and_other_info(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    if own:
        monkeypatch.setattr(hpke, "_library", None)
    wrapped = hpke.wrap(bytes(32), RECIPIENT.public_key(), b"info")
    for position in range(len(wrapped)):
        forged = bytearray(wrapped)
        forged[position] ^= 1
        with pytest.raises(EnvelopeError):
            hpke.unwrap(bytes(forged), RECIPIENT, b"info")
    with pytest.raises(EnvelopeError) as error:
        hpke.unwrap(wrapped, RECIPIENT, b"other")
    assert error.value.reason == "forged"


@pytest.mark.parametrize("own", [True, False])
def test_refuses_short_input_and_points_of_low_order(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    if own:
        monkeypatch.setattr(hpke, "_library", None)
    with pytest.raises(EnvelopeError) as short:
        hpke.unwrap(bytes(47), RECIPIENT, b"")
    assert short.value.reason == "truncated"
    with pytest.raises(EnvelopeError) as low_order:
        hpke.unwrap(bytes(80), RECIPIENT, b"")
    assert low_order.value.reason == "forged"
