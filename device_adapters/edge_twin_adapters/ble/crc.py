"""E2E-CRC of the Continuous Glucose Monitoring Service: CRC-16/MCRF4XX, low byte first.

CGMS 1.0.1 section 3.11: polynomial 0x1021 with reflected bits, start 0xFFFF, no final inversion.
"""

from __future__ import annotations

from edge_twin_adapters.errors import DecodeError

CRC_BYTES = 2
_REFLECTED_POLYNOMIAL = 0x8408


def _table() -> tuple[int, ...]:
    rows = []
    for octet in range(256):
        word = octet
        for _ in range(8):
            word = word >> 1 ^ (_REFLECTED_POLYNOMIAL if word & 1 else 0)
        rows.append(word)
    return tuple(rows)


_TABLE = _table()


def crc16(octets: bytes) -> int:
    """The CRC of ``octets``."""
    word = 0xFFFF
    for octet in octets:
        word = word >> 8 ^ _TABLE[(word ^ octet) & 0xFF]
    return word


def with_crc(octets: bytes) -> bytes:
    """``octets`` with their CRC at the end."""
    return octets + crc16(octets).to_bytes(CRC_BYTES, "little")


def without_crc(octets: bytes, *, offset: int = 0) -> bytes:
    """``octets`` without the CRC at their end.

    Args:
        octets: a value that ends with its CRC.
        offset: where the value begins in its payload, for the error.

    Raises:
        DecodeError: ``truncated`` when there is no room for a CRC, ``wrong_crc``.
    """
    body, tail = octets[:-CRC_BYTES], octets[-CRC_BYTES:]
    if len(octets) < CRC_BYTES:
        raise DecodeError("no room for a CRC", reason="truncated", offset=offset + len(octets))
    told, computed = int.from_bytes(tail, "little"), crc16(body)
    if told != computed:
        message = f"CRC {told:#06x} where {computed:#06x} belongs"
        raise DecodeError(message, reason="wrong_crc", offset=offset + len(body))
    return body
