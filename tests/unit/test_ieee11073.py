"""FLOAT and SFLOAT against the published vectors and against each other."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_adapters.ble.ieee11073 import Special, decode_float, decode_sfloat, encode_float, encode_sfloat
from edge_twin_adapters.errors import AdapterError, DecodeError

FLOAT_SPECIALS = {
    "ffff7f00": Special.NAN,
    "00008000": Special.NRES,
    "feff7f00": Special.POSITIVE_INFINITY,
    "02008000": Special.NEGATIVE_INFINITY,
    "01008000": Special.RESERVED,
}
SFLOAT_SPECIALS = {
    "ff07": Special.NAN,
    "0008": Special.NRES,
    "fe07": Special.POSITIVE_INFINITY,
    "0208": Special.NEGATIVE_INFINITY,
    "0108": Special.RESERVED,
}


@pytest.mark.parametrize(("raw", "value"), [("8a00", "138"), ("bdf0", "18.9"), ("0cf0", "1.2"), ("fe0f", "-2")])
def test_sfloat_vectors_are_exact_decimals(raw: str, value: str) -> None:
    assert decode_sfloat(bytes.fromhex(raw)) == Decimal(value)
    assert encode_sfloat(Decimal(value)) == bytes.fromhex(raw)


@pytest.mark.parametrize(("raw", "value"), [("b00e00fe", "37.60"), ("6f0100ff", "36.7"), ("ffffff00", "-1")])
def test_float_vectors_are_exact_decimals(raw: str, value: str) -> None:
    assert decode_float(bytes.fromhex(raw)) == Decimal(value)
    assert encode_float(Decimal(value)) == bytes.fromhex(raw)


def test_trailing_zeros_tell_the_resolution_and_are_kept() -> None:
    assert str(decode_float(bytes.fromhex("b00e00fe"))) == "37.60"


@pytest.mark.parametrize(("raw", "special"), FLOAT_SPECIALS.items())
def test_float_specials_both_ways(raw: str, special: Special) -> None:
    assert decode_float(bytes.fromhex(raw)) is special
    assert encode_float(special) == bytes.fromhex(raw)


@pytest.mark.parametrize(("raw", "special"), SFLOAT_SPECIALS.items())
def test_sfloat_specials_both_ways(raw: str, special: Special) -> None:
    assert decode_sfloat(bytes.fromhex(raw)) is special
    assert encode_sfloat(special) == bytes.fromhex(raw)


def test_every_sfloat_word_survives_decode_and_encode() -> None:
    # Mantissas next to the specials are numbers only under another exponent; the encoder avoids them.
    avoided = 0
    for word in range(1 << 16):
        raw = word.to_bytes(2, "little")
        number = decode_sfloat(raw)
        try:
            again = encode_sfloat(number)
        except AdapterError:
            avoided += 1
        else:
            assert decode_sfloat(again) == number
    assert avoided <= 5 * 15


@given(st.integers(-(2**23) + 3, 2**23 - 3), st.integers(-128, 127))
def test_float_round_trip_is_byte_exact(mantissa: int, exponent: int) -> None:
    raw = (mantissa % 2**24 | (exponent % 2**8) << 24).to_bytes(4, "little")
    number = decode_float(raw)
    assert isinstance(number, Decimal)
    assert number == Decimal(mantissa).scaleb(exponent)
    assert encode_float(number) == raw


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-500, max_value=500))
def test_two_decimal_temperatures_are_encoded_exactly(value: Decimal) -> None:
    assert decode_float(encode_float(value)) == value


@pytest.mark.parametrize("text", ["1.23456789", "1E+200", "1E-200", "NaN", "Infinity"])
def test_what_a_word_cannot_hold_is_refused_not_rounded(text: str) -> None:
    with pytest.raises(AdapterError) as caught:
        encode_float(Decimal(text))
    assert caught.value.reason == "not_representable"


def test_digits_are_moved_to_make_a_number_fit() -> None:
    assert decode_float(encode_float(Decimal("37.600000000"))) == Decimal("37.6")
    assert decode_float(encode_float(Decimal("1E+130"))) == Decimal("1E+130")
    assert decode_float(encode_float(Decimal("0E-500"))) == 0


@given(st.binary(max_size=8))
def test_any_bytes_give_a_number_or_a_typed_error(raw: bytes) -> None:
    if len(raw) == 4:
        assert isinstance(decode_float(raw), Decimal | Special)
        return
    with pytest.raises(DecodeError) as caught:
        decode_float(raw)
    assert caught.value.reason == "bad_length"
