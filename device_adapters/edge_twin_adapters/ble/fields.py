"""Fields that several characteristics have in common, read from and written to a payload."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from edge_twin_adapters.ble.frame import Reader
from edge_twin_adapters.ble.ieee11073 import Number, decode_sfloat, encode_sfloat
from edge_twin_adapters.ble.units import steps_of
from edge_twin_adapters.errors import AdapterError

BitNames = Mapping[int, str]

UNKNOWN_USER = 0xFF


def read_unsigned(reader: Reader, size: int, field: str) -> int:
    """The next ``size`` bytes as an unsigned number; DecodeError ``truncated``."""
    return int.from_bytes(reader.take(size, field), "little")


def read_signed(reader: Reader, size: int, field: str) -> int:
    """The next ``size`` bytes in two's complement; DecodeError ``truncated``."""
    return int.from_bytes(reader.take(size, field), "little", signed=True)


def read_sfloat(reader: Reader, field: str) -> Number:
    """The next SFLOAT: a decimal or a special value; DecodeError ``truncated``."""
    return decode_sfloat(reader.take(2, field))


def read_user(reader: Reader) -> str:
    """The next user index as text; ``unknown`` for 255."""
    user = reader.u8("user index")
    return "unknown" if user == UNKNOWN_USER else str(user)


def named_bits(word: int, names: BitNames) -> tuple[str, ...]:
    """Names of the bits that are set, lowest first; a bit without a name is ``bit_<number>``."""
    numbers = (number for number in range(word.bit_length()) if word >> number & 1)
    return tuple(names.get(number, f"bit_{number}") for number in numbers)


def joined(names: tuple[str, ...]) -> str:
    """Names as the text of one attribute: ``movement,cuff_loose``, or ``none``."""
    return ",".join(names) or "none"


def write_unsigned(value: int, size: int, field: str) -> bytes:
    """``value`` in ``size`` bytes.

    Raises:
        AdapterError: ``out_of_range`` when it does not fit.
    """
    return _write(value, size, field, signed=False)


def write_signed(value: int, size: int, field: str) -> bytes:
    """``value`` in two's complement in ``size`` bytes; errors as :func:`write_unsigned`."""
    return _write(value, size, field, signed=True)


def _write(value: int, size: int, field: str, *, signed: bool) -> bytes:
    try:
        return value.to_bytes(size, "little", signed=signed)
    except OverflowError as error:
        raise AdapterError(f"{field} {value} does not fit {size} bytes", reason="out_of_range") from error


def write_optional(value: int | None, size: int, field: str) -> bytes:
    """As :func:`write_unsigned`; nothing for None."""
    return b"" if value is None else write_unsigned(value, size, field)


def write_sfloats(*values: Number | None) -> bytes:
    """SFLOATs one after the other; None is left out.

    Raises:
        AdapterError: ``not_representable``.
    """
    return b"".join(encode_sfloat(value) for value in values if value is not None)


def write_steps(value: Decimal, resolution: str, size: int, field: str) -> bytes:
    """``value`` counted in steps of ``resolution``.

    Raises:
        AdapterError: ``not_representable`` when it is no whole number of steps, ``out_of_range``.
    """
    steps = steps_of(value, resolution)
    if steps != steps.to_integral_value():
        raise AdapterError(f"{field} {value} is no multiple of {resolution}", reason="not_representable")
    return write_unsigned(int(steps), size, field)
