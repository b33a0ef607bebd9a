from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_sync import acks, envelope
from edge_twin_sync.acks import Ack, Reject
from edge_twin_sync.envelope import EpochKey, Header
from edge_twin_sync.errors import EnvelopeError
from edge_twin_sync.keys import CentreIdentity, DeviceIdentity, dev_from_bytes
from edge_twin_sync.streams import Stream

NOW = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
DEVICE = DeviceIdentity(dev_from_bytes(bytes(range(16))), Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
PUBLIC = DEVICE.signing_key.public_key()
KEY = EpochKey(0x0123_4567_89AB_CDEF, bytes([2]) * 32)
HEADER = Header(DEVICE.dev, KEY.epoch, Stream.FEATURES, 7, NOW, 0x0101, 2, KEY.key_id)
BODY = b"what the twin found"
CENTRE = CentreIdentity.generate()
ACK = Ack(DEVICE.dev, KEY.epoch, Stream.FEATURES, 5, ((8, 9), (12, 12)), ((7, Reject.UNDECODABLE),), NOW)


def sealed(header: Header = HEADER, body: bytes = BODY) -> bytes:
    return envelope.seal(header, body, KEY.stream_key(header.dev, header.stream), DEVICE.signing_key)


MESSAGE = sealed()
GOLDEN = (
    "890150000102030405060708090a0b0c0d0e0f1b0123456789abcdef01071b0000019ca84dd8c019010102449ce5402d13c3"
    "4547e9908e4e98b1ef7ff63bef3e370d2b0dc27599edcdb5441267ab768b4e120ab1f018f532a65cfdf84e0d7f0e7e6d67ee"
    "a141641f09e8737d9a4eb90fa67695df6d8b3ade5da2e53c1190676b20b5165a6ed4fcdb340d5b75dafd2518c561489b2945"
    "41726d06872d528c1dd548734cf85c2983f0cdbc370f6b5c868c0f1a32b54b0542c5a5f9595eac9d6002"
)


def test_a_message_opens_to_what_was_sealed() -> None:
    assert envelope.open_(MESSAGE, PUBLIC, KEY) == (HEADER, BODY)


def test_bytes_of_version_1_never_change() -> None:
    assert MESSAGE.hex() == GOLDEN


def test_every_changed_byte_is_refused() -> None:
    for position in range(len(MESSAGE)):
        for change in (0x01, 0x80, 0xFF):
            forged = bytearray(MESSAGE)
            forged[position] ^= change
            with pytest.raises(EnvelopeError) as error:
                envelope.open_(bytes(forged), PUBLIC, KEY)
            assert error.value.reason in {"forged", "malformed", "truncated", "unknown_version", "too_large"}


def test_every_changed_byte_is_refused_even_by_the_cipher_alone() -> None:
    """A thief of the signing key still cannot change header or body without the epoch's key."""
    original = envelope.parse(MESSAGE)
    signed = original.header_bytes + original.ciphertext
    for position in range(len(signed)):
        forged = bytearray(signed)
        forged[position] ^= 1
        with pytest.raises(EnvelopeError):
            envelope.decrypt(envelope.parse(bytes(forged) + original.signature), KEY)


def test_every_shorter_message_is_refused() -> None:
    for length in range(len(MESSAGE)):
        with pytest.raises(EnvelopeError):
            envelope.open_(MESSAGE[:length], PUBLIC, KEY)


def test_a_longer_message_is_refused() -> None:
    with pytest.raises(EnvelopeError):
        envelope.open_(MESSAGE + b"\x00", PUBLIC, KEY)


@given(data=st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_reason(data: bytes) -> None:
    for parse in (envelope.parse, envelope.parse_announcement):
        with pytest.raises(EnvelopeError) as error:
            parse(data)
        assert error.value.reason
    with pytest.raises(EnvelopeError):
        acks.decode(data, [PUBLIC])


def test_another_device_s_signature_is_forged() -> None:
    with pytest.raises(EnvelopeError) as error:
        envelope.open_(MESSAGE, Ed25519PrivateKey.generate().public_key(), KEY)
    assert error.value.reason == "forged"


def test_another_epoch_s_key_is_named_as_such() -> None:
    with pytest.raises(EnvelopeError) as error:
        envelope.open_(MESSAGE, PUBLIC, EpochKey.generate())
    assert error.value.reason == "unknown_key"


def test_a_later_version_is_named_as_such() -> None:
    assert MESSAGE[1] == envelope.VERSION
    with pytest.raises(EnvelopeError) as error:
        envelope.parse(MESSAGE[:1] + b"\x02" + MESSAGE[2:])
    assert error.value.reason == "unknown_version"


def test_streams_and_devices_of_one_epoch_never_share_a_key() -> None:
    other = dev_from_bytes(bytes(16))
    keys = {KEY.stream_key(dev, stream) for dev in (DEVICE.dev, other) for stream in Stream}
    keys |= {EpochKey(KEY.epoch + 1, KEY.secret).stream_key(DEVICE.dev, Stream.ALERTS)}
    assert len(keys) == 2 * len(Stream) + 1


@given(epoch=st.integers(0, 2**63 - 1), first=st.integers(1, 2**63 - 1), second=st.integers(1, 2**63 - 1))
def test_nonces_differ_when_numbers_differ(epoch: int, first: int, second: int) -> None:
    assert (envelope._nonce(epoch, first) == envelope._nonce(epoch, second)) == (first == second)
    assert len(envelope._nonce(epoch, first)) == 12


def test_epochs_are_new_and_fit_a_signed_64_bit_integer() -> None:
    epochs = {EpochKey.generate().epoch for _ in range(100)}
    assert len(epochs) == 100
    assert max(epochs) < 2**63


@given(body=st.binary(max_size=300))
def test_the_length_of_a_message_says_only_the_next_multiple_of_64(body: bytes) -> None:
    padded = envelope.pad(body)
    assert envelope.unpad(padded) == body
    assert len(padded) % 64 == 0
    assert 0 < len(padded) - len(body) <= 64


@pytest.mark.parametrize("padded", [b"", bytes(64), b"\x80" * 63, b"\x01" * 64, b"\x80" + bytes(127)])
def test_wrong_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(EnvelopeError):
        envelope.unpad(padded)


def test_what_the_broker_would_refuse_is_not_sealed() -> None:
    with pytest.raises(EnvelopeError) as error:
        sealed(body=bytes(envelope.MAX_MESSAGE))
    assert error.value.reason == "too_large"


@pytest.mark.parametrize(
    "header",
    [
        replace(HEADER, seq=0),
        replace(HEADER, seq=2**63),
        replace(HEADER, epoch=2**63),
        replace(HEADER, key_id=b"abc"),
        replace(HEADER, priority=-1),
    ],
)
def test_impossible_headers_are_malformed(header: Header) -> None:
    with pytest.raises(EnvelopeError) as error:
        envelope.parse(header.encode() + MESSAGE[-200:])
    assert error.value.reason == "malformed"


ANNOUNCEMENT = envelope.announce(DEVICE, KEY, [CENTRE.recipient], NOW)


def test_the_recipient_gets_the_epoch_s_key() -> None:
    announcement = envelope.parse_announcement(ANNOUNCEMENT)
    envelope.verify_announcement(announcement, PUBLIC)
    assert envelope.accept_announcement(announcement, CENTRE.recipient.kid, CENTRE.recipient_key) == KEY


def test_somebody_else_is_no_recipient() -> None:
    other = CentreIdentity.generate()
    announcement = envelope.parse_announcement(ANNOUNCEMENT)
    with pytest.raises(EnvelopeError) as error:
        envelope.accept_announcement(announcement, other.recipient.kid, other.recipient_key)
    assert error.value.reason == "unknown_recipient"
    with pytest.raises(EnvelopeError) as stolen:
        envelope.accept_announcement(announcement, CENTRE.recipient.kid, other.recipient_key)
    assert stolen.value.reason == "forged"


def test_every_changed_or_missing_byte_of_an_announcement_is_refused() -> None:
    for position in range(len(ANNOUNCEMENT)):
        forged = bytearray(ANNOUNCEMENT)
        forged[position] ^= 1
        for attempt in (bytes(forged), ANNOUNCEMENT[:position]):
            with pytest.raises(EnvelopeError):
                envelope.verify_announcement(envelope.parse_announcement(attempt), PUBLIC)


def test_a_wrap_moved_to_another_announcement_does_not_open() -> None:
    elsewhere = envelope.announce(DEVICE, replace(KEY, epoch=KEY.epoch + 1), [CENTRE.recipient], NOW)
    mixed = replace(envelope.parse_announcement(elsewhere), wraps=envelope.parse_announcement(ANNOUNCEMENT).wraps)
    with pytest.raises(EnvelopeError) as error:
        envelope.accept_announcement(mixed, CENTRE.recipient.kid, CENTRE.recipient_key)
    assert error.value.reason == "forged"


SIGNED_ACK = acks.encode(ACK, CENTRE.ack_key)
ACK_PUBLIC = CENTRE.ack_key.public_key()


def test_an_acknowledgement_comes_back_when_a_trusted_key_signed_it() -> None:
    assert acks.decode(SIGNED_ACK, [PUBLIC, ACK_PUBLIC]) == ACK


def test_every_changed_or_missing_byte_of_an_acknowledgement_is_refused() -> None:
    for position in range(len(SIGNED_ACK)):
        forged = bytearray(SIGNED_ACK)
        forged[position] ^= 1
        for attempt in (bytes(forged), SIGNED_ACK[:position]):
            with pytest.raises(EnvelopeError) as error:
                acks.decode(attempt, [ACK_PUBLIC])
            assert error.value.reason in {"forged", "truncated"}


def test_an_acknowledgement_by_a_stranger_is_forged() -> None:
    with pytest.raises(EnvelopeError) as error:
        acks.decode(acks.encode(ACK, CentreIdentity.generate().ack_key), [ACK_PUBLIC])
    assert error.value.reason == "forged"


@given(junk=st.binary(max_size=80))
def test_signed_nonsense_is_malformed(junk: bytes) -> None:
    signature = CENTRE.ack_key.sign(acks._digest(junk))
    with pytest.raises(EnvelopeError) as error:
        acks.decode(junk + signature, [ACK_PUBLIC])
    assert error.value.reason in {"malformed", "truncated", "unknown_version"}


def test_secrets_are_in_no_repr() -> None:
    for thing in (DEVICE, KEY, CENTRE):
        assert KEY.secret.hex() not in repr(thing)
        assert "PrivateKey" not in repr(thing)
        assert repr(KEY.secret) not in repr(thing)
