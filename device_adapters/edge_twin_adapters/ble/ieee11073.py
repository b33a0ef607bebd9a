"""FLOAT-Type and SFLOAT-Type numbers of ISO/IEEE 11073-20601, as GATT medical profiles carry them.

A word holds ``mantissa * 10**exponent``, both two's complement, without a bias. Five whole words are
not numbers at all. Decoding is exact: 18.9 is the decimal 18.9, not a binary neighbour of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache

from edge_twin_adapters.errors import AdapterError, DecodeError


class Special(StrEnum):
    """The words that stand for something else than a number."""

    NAN = "not_a_number"
    NRES = "not_at_this_resolution"
    POSITIVE_INFINITY = "positive_infinity"
    NEGATIVE_INFINITY = "negative_infinity"
    RESERVED = "reserved"


Number = Decimal | Special


@dataclass(frozen=True, slots=True)
class _Layout:
    """Bits of one of the two types; the exponent stands above the mantissa."""

    name: str
    exponent_bits: int
    mantissa_bits: int

    @property
    def size(self) -> int:
        return (self.exponent_bits + self.mantissa_bits) // 8

    @property
    def specials(self) -> Mapping[int, Special]:
        return _specials(self.mantissa_bits)

    @property
    def largest_mantissa(self) -> int:
        """The largest magnitude whose word is never a special, whatever its sign."""
        return (1 << (self.mantissa_bits - 1)) - 3


@cache
def _specials(mantissa_bits: int) -> Mapping[int, Special]:
    """Whole words that are no numbers: they stand around the middle of the mantissa, with exponent 0."""
    middle = 1 << (mantissa_bits - 1)
    return {
        middle - 1: Special.NAN,
        middle: Special.NRES,
        middle - 2: Special.POSITIVE_INFINITY,
        middle + 2: Special.NEGATIVE_INFINITY,
        middle + 1: Special.RESERVED,
    }


_FLOAT = _Layout("FLOAT", exponent_bits=8, mantissa_bits=24)
_SFLOAT = _Layout("SFLOAT", exponent_bits=4, mantissa_bits=12)


def decode_float(raw: bytes) -> Number:
    """Decode the four bytes (little-endian) of a FLOAT.

    Raises:
        DecodeError: ``bad_length`` unless there are exactly four bytes.
    """
    return _decode(raw, _FLOAT)


def decode_sfloat(raw: bytes) -> Number:
    """Decode the two bytes (little-endian) of an SFLOAT.

    Raises:
        DecodeError: ``bad_length`` unless there are exactly two bytes.
    """
    return _decode(raw, _SFLOAT)


def encode_float(value: Number) -> bytes:
    """Encode a FLOAT; the digits of ``value``, trailing zeros too, are kept where they fit.

    Raises:
        AdapterError: ``not_representable`` when the word cannot hold ``value`` exactly.
    """
    return _encode(value, _FLOAT)


def encode_sfloat(value: Number) -> bytes:
    """Encode an SFLOAT; the digits of ``value``, trailing zeros too, are kept where they fit.

    Raises:
        AdapterError: ``not_representable`` when the word cannot hold ``value`` exactly.
    """
    return _encode(value, _SFLOAT)


def _signed(word: int, bits: int) -> int:
    return word - (1 << bits) if word >> (bits - 1) else word


def _decode(raw: bytes, layout: _Layout) -> Number:
    if len(raw) != layout.size:
        message = f"{layout.name} takes {layout.size} bytes, not {len(raw)}"
        raise DecodeError(message, reason="bad_length", offset=min(len(raw), layout.size))
    word = int.from_bytes(raw, "little")
    if (special := layout.specials.get(word)) is not None:
        return special
    mantissa = _signed(word & ((1 << layout.mantissa_bits) - 1), layout.mantissa_bits)
    exponent = _signed(word >> layout.mantissa_bits, layout.exponent_bits)
    # From text: exact, with the digits that the device sent, whatever the application's decimal context.
    return Decimal(f"{mantissa}E{exponent}")


def _encode(value: Number, layout: _Layout) -> bytes:
    if isinstance(value, Special):
        word = next(word for word, special in layout.specials.items() if special is value)
    else:
        mantissa, exponent = _fit(value, layout)
        word = (exponent % (1 << layout.exponent_bits)) << layout.mantissa_bits
        word |= mantissa % (1 << layout.mantissa_bits)
    return word.to_bytes(layout.size, "little")


def _fit(value: Decimal, layout: _Layout) -> tuple[int, int]:
    """Mantissa and exponent that hold ``value`` exactly, as near to its own exponent as they can be."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise _not_representable(value, layout)
    mantissa = int("".join(map(str, digits)))
    highest = (1 << (layout.exponent_bits - 1)) - 1
    lowest = -highest - 1
    if mantissa == 0:
        return 0, min(max(exponent, lowest), highest)
    while (mantissa > layout.largest_mantissa or exponent < lowest) and mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    while exponent > highest and mantissa <= layout.largest_mantissa:
        mantissa, exponent = mantissa * 10, exponent - 1
    if mantissa > layout.largest_mantissa or not lowest <= exponent <= highest:
        raise _not_representable(value, layout)
    return (-mantissa if sign else mantissa), exponent


def _not_representable(value: Decimal, layout: _Layout) -> AdapterError:
    return AdapterError(f"{layout.name} cannot hold {value} exactly", reason="not_representable")
