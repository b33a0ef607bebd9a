"""The CBOR subset of this wire: definite lengths, integer map keys, no tags, bounded, deterministic.

A general CBOR decoder builds dates, regular expressions, big numbers and cyclic structures from tags.
None of that is needed here, so the bytes are scanned first (RFC 8949 section 3) and the library decodes
only what passed. Decoded bytes must equal their own deterministic encoding (section 4.2), so one value
has one spelling and a duplicate key cannot hide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cbor2

from edge_twin_sync.errors import CodecError

CborValue: TypeAlias = "int | float | str | bytes | bool | list[CborValue] | dict[int, CborValue] | None"

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_DIRECT = 23  # an additional information up to this is the argument itself
_FALSE, _NULL = 20, 22
_FLOATS = (25, 26, 27)
_EXTENDED = {24: 1, 25: 2, 26: 4, 27: 8}  # additional information -> bytes of argument that follow


@dataclass(frozen=True, slots=True)
class Limits:
    """What a decoder accepts at most: bytes, nesting depth, data items."""

    size: int
    depth: int
    items: int


def dumps(value: object) -> bytes:
    """Deterministic CBOR of ``value``."""
    return cbor2.dumps(value, canonical=True)


def loads(data: bytes, limits: Limits) -> CborValue:
    """The one value that ``data`` holds.

    Raises:
        CodecError: ``too_large``, ``too_deep``, ``too_many``, ``truncated``, ``unsupported`` (a tag, an
            indefinite length, a key that is no integer), ``trailing``, ``malformed`` or
            ``not_deterministic``.
    """
    if item_end(data, 0, limits) != len(data):
        raise CodecError("bytes after the value", reason="trailing")
    return _decode(data)


def loads_prefix(data: bytes, limits: Limits) -> tuple[CborValue, int]:
    """The value at the start of ``data`` and the number of bytes that it takes; errors as :func:`loads`."""
    end = item_end(data, 0, limits)
    return _decode(data[:end]), end


def _decode(data: bytes) -> CborValue:
    try:
        value: CborValue = cbor2.loads(data)
        spelling = dumps(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise CodecError(f"not CBOR: {error}", reason="malformed") from error
    if spelling != data:
        raise CodecError("not the deterministic encoding", reason="not_deterministic")
    return value


def item_end(data: bytes, start: int, limits: Limits) -> int:
    """Offset just after the data item at ``start``, without building anything; errors as :func:`loads`."""
    if len(data) - start > limits.size:
        raise CodecError(f"more than {limits.size} bytes", reason="too_large")
    position, items = start, 0
    open_items: list[tuple[int, bool]] = [(1, False)]  # items still to come at each level; is it a map
    while open_items:
        remaining, is_map = open_items.pop()
        if remaining == 0:
            continue
        open_items.append((remaining - 1, is_map))
        items += 1
        if items > limits.items:
            raise CodecError(f"more than {limits.items} items", reason="too_many")
        major, argument, position = _head(data, position)
        if is_map and remaining % 2 == 0 and major not in (_UNSIGNED, _NEGATIVE):
            raise CodecError("a map key must be an integer", reason="unsupported")
        if major in (_BYTES, _TEXT):
            position += argument
        elif major in (_ARRAY, _MAP):
            open_items.append((argument if major == _ARRAY else 2 * argument, major == _MAP))
            if len(open_items) > limits.depth + 1:
                raise CodecError(f"nested deeper than {limits.depth}", reason="too_deep")
        if position > len(data):
            raise CodecError("ends inside an item", reason="truncated")
    return position


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    """Major type, argument and the offset after the head at ``position``."""
    if position >= len(data):
        raise CodecError("ends before an item", reason="truncated")
    major, info = data[position] >> 5, data[position] & 0x1F
    position += 1
    if major == _TAG or (major == _SIMPLE and not (_FALSE <= info <= _NULL or info in _FLOATS)):
        raise CodecError("tags and other simple values are not used here", reason="unsupported")
    if info <= _DIRECT:
        return major, info, position
    length = _EXTENDED.get(info)
    if length is None:
        raise CodecError("indefinite lengths are not used here", reason="unsupported")
    if position + length > len(data):
        raise CodecError("ends inside a head", reason="truncated")
    return major, int.from_bytes(data[position : position + length]), position + length
