"""Reading arrays from an npz file that came from outside: numbers only, and no more of them than it may hold.

``numpy.load`` would expand a compressed member without end, or believe a header that claims a terabyte, before anybody
could object. Here the expanded sizes are bounded before anything is expanded, the CRC must fit, an array must fill its
member exactly, and its type must be a plain number or a boolean. Stored arrays are read-only views of the given bytes.

Sources: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.16 (end) and 4.5.3 (64-bit sizes); NEP 1 (npy).
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_EXPANDED_BYTES = 16 * 1024 * 1024  # of all arrays together: as much as a whole bundle may have

_LOCAL, _END = b"PK\x03\x04", b"PK\x05\x06"
_END_FORM = struct.Struct("<4s4H2IH")
_LOCAL_FORM = struct.Struct("<4s5H3I2H")
_EXTRA_FORM, _SIZES_FORM = struct.Struct("<2H"), struct.Struct("<2Q")
_SIZES_ID, _SEE_EXTRA = 1, 0xFFFFFFFF
_HARMLESS_FLAGS = 0x0806  # names in UTF-8, and two bits that tell how hard a compressor tried
_STORED, _DEFLATED = 0, 8
_PLAIN_KINDS = "biuf"
_LONGEST_HEADER = 12_000  # numpy itself refuses one of more than 10,000
_SUFFIX = ".npy"


class _Member(NamedTuple):
    """What a local header says, and where the data lie."""

    name: str
    method: int
    crc: int
    begin: int
    stored: int
    size: int


def read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name.

    Args:
        content: of the file; it stays in memory as long as one of the arrays.

    Raises:
        ValueError: for everything that ``numpy.savez`` and ``savez_compressed`` would not have written for plain
            numbers, and for more than ``MAX_EXPANDED_BYTES`` of them.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, data in _members(content):
        if name in arrays:
            raise ValueError(f"{name!r} is there twice")
        arrays[name] = _array(data)
    return arrays


def _members(content: bytes) -> Iterator[tuple[str, memoryview]]:
    """Name and expanded data of each member, in the order of the file."""
    offset = room = members = 0
    while content[offset : offset + 4] == _LOCAL:
        try:
            member = _header(content, offset)
        except struct.error as error:
            raise ValueError("a member is cut off") from error
        room += member.size
        if room > MAX_EXPANDED_BYTES:
            raise ValueError("the arrays are too large")
        yield member.name, _expanded(content, member)
        offset, members = member.begin + member.stored, members + 1
    end = content[-_END_FORM.size :]
    if members == 0 or len(end) < _END_FORM.size or _END_FORM.unpack(end) != _end(content, members, offset):
        raise ValueError("not a whole npz file")


def _end(content: bytes, members: int, offset: int) -> tuple[bytes | int, ...]:
    """The fields of the last record when the list of the members begins at ``offset``."""
    return _END, 0, 0, members, members, len(content) - _END_FORM.size - offset, offset, 0


def _header(content: bytes, offset: int) -> _Member:
    _, _, flags, method, _, _, crc, stored, size, name_bytes, extra_bytes = _LOCAL_FORM.unpack_from(content, offset)
    if method not in {_STORED, _DEFLATED} or flags & ~_HARMLESS_FLAGS:
        raise ValueError("a member is encrypted, streamed or of an unknown kind")
    start = offset + _LOCAL_FORM.size
    name = content[start : start + name_bytes].decode("utf-8")
    if not name.endswith(_SUFFIX):
        raise ValueError("a member is no array")
    if _SEE_EXTRA in {stored, size}:
        size, stored = _long_sizes(content, start + name_bytes)
    return _Member(name.removesuffix(_SUFFIX), method, crc, start + name_bytes + extra_bytes, stored, size)


def _long_sizes(content: bytes, offset: int) -> tuple[int, int]:
    """Both sizes of the field that ``numpy.savez`` always writes first."""
    kind, length = _EXTRA_FORM.unpack_from(content, offset)
    if (kind, length) != (_SIZES_ID, _SIZES_FORM.size):
        raise ValueError("a member does not say how long it is")
    size, stored = _SIZES_FORM.unpack_from(content, offset + _EXTRA_FORM.size)
    return size, stored


def _expanded(content: bytes, member: _Member) -> memoryview:
    """The data, of exactly the size that the header gives."""
    data = memoryview(content)[member.begin : member.begin + member.stored]
    if member.method == _DEFLATED:
        data = memoryview(_inflated(data, member.size))
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise ValueError("a member is damaged")
    return data


def _inflated(data: memoryview, size: int) -> bytes:
    """At most one byte more than ``size``, which tells that there would be more."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError("a member is damaged") from error


def _array(data: memoryview) -> NDArray[Any]:
    shape, fortran_order, kind, begin = _description(data)
    if kind.hasobject or kind.kind not in _PLAIN_KINDS:
        raise ValueError("an array of something else than numbers")
    if math.prod(shape) * kind.itemsize != len(data) - begin:
        raise ValueError("an array does not fill its member")
    return np.ndarray(shape, kind, buffer=data, offset=begin, order="F" if fortran_order else "C")


def _description(data: memoryview) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order and type from the npy header, and where the numbers begin."""
    head = io.BytesIO(data[:_LONGEST_HEADER])
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        shape, fortran_order, kind = readers[np.lib.format.read_magic(head)](head)
    except (KeyError, ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise ValueError("a member is no array") from error
    if any(length < 0 for length in shape):
        raise ValueError("an array of negative length")
    return shape, fortran_order, kind, head.tell()
