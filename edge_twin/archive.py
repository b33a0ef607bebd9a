"""The container of a signed bundle: an uncompressed ZIP file with exactly one possible byte form.

``pack`` writes it and ``unpack`` accepts nothing else: no compression (so nothing can swell), no links, comments,
extra fields, encryption, time stamps or bytes before, between or after the members, and one order of the members.
Any ZIP tool can look into it; this reader needs none, since what is not yet verified is read by as little code as
possible. Nothing is ever extracted to a disk.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping

from edge_twin.errors import BundleError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"

MAX_ARCHIVE_BYTES = 16 * 1024 * 1024  # assumed: the largest imaging model thinkable on a phone, with room
MAX_MEMBER_BYTES = 8 * 1024 * 1024
MAX_MEMBERS = 64
MAX_NAME_BYTES = 100

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL_FORM = struct.Struct("<4s5H3I2H")
_CENTRAL_FORM = struct.Struct("<4s6H3I5H2I")
_END_FORM = struct.Struct("<4s4H2IH")
_VERSION, _UNIX, _STORED, _NO_FLAGS = 10, 3, 0, 0
_DATE_1980 = 0x21  # the earliest one: a build's clock must not show
_REGULAR_FILE = 0o100644 << 16
_LENGTHS, _ATTRIBUTES = slice(10, 13), 15  # of a central entry: name, extra field, comment; Unix mode in the high half
_TYPE_MASK, _LINK = 0o170000, 0o120000
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def pack(members: Mapping[str, bytes]) -> bytes:
    """The archive that holds ``members``: manifest, signature, then the rest by name.

    Args:
        members: content by name.

    Raises:
        BundleError: ``path_outside`` for a name that is not plain, ``member_too_large``, ``too_many_members``,
            ``member_duplicate`` (names that differ only in case), ``archive_too_large``.
    """
    return _checked_size(b"".join(_pieces(members)))


def _pieces(members: Mapping[str, bytes]) -> Iterator[bytes]:
    """The bytes of the archive, piece by piece."""
    _check_names(members)
    directory, offset = [], 0
    for name in _ordered(members):
        local, central = _headers(name, _checked_content(name, members[name]), offset)
        yield local
        yield members[name]
        directory.append(central)
        offset += len(local) + len(members[name])
    listing = b"".join(directory)
    yield listing
    yield _END_FORM.pack(_END, 0, 0, len(members), len(members), len(listing), offset, 0)


def _is_packed(members: Mapping[str, bytes], content: bytes) -> bool:
    """Whether ``content`` is what ``pack`` makes of the members, without making it."""
    offset = 0
    for piece in _pieces(members):
        if not content.startswith(piece, offset):
            return False
        offset += len(piece)
    return offset == len(content)


def unpack(content: bytes) -> dict[str, bytes]:
    """The members of an archive, by name, not yet verified.

    Raises:
        BundleError: ``archive_too_large``, ``archive_malformed``, ``archive_truncated``, ``too_many_members``,
            ``member_too_large``, ``member_compressed``, ``member_duplicate``, ``member_is_link``, ``path_outside``,
            or ``archive_not_canonical`` for an archive that ``pack`` would not have written.
    """
    _checked_size(content)
    members, offset = {}, 0
    while content[offset : offset + 4] == _LOCAL:
        name, data, offset = _next_member(content, offset)
        if name in members:
            raise BundleError(f"{name!r} is there twice", reason="member_duplicate")
        members[name] = data
        if len(members) > MAX_MEMBERS:
            raise BundleError(f"more than {MAX_MEMBERS} members", reason="too_many_members")
    if content[offset : offset + 4] != (_CENTRAL if members else _END):
        raise BundleError("not an archive", reason="archive_malformed")
    if not _is_packed(members, content):
        raise _not_canonical(members, content, offset)
    return members


def _not_canonical(members: Mapping[str, bytes], content: bytes, offset: int) -> BundleError:
    """Why ``content`` is not what ``pack`` makes, the list of its members beginning at ``offset``."""
    if len(content) < offset + sum(map(len, [*_pieces(members)][2 * len(members) :])):
        return BundleError("the archive is cut off", reason="archive_truncated")
    while content[offset : offset + 4] == _CENTRAL and len(content) >= offset + _CENTRAL_FORM.size:
        fields = _CENTRAL_FORM.unpack_from(content, offset)
        if fields[_ATTRIBUTES] >> 16 & _TYPE_MASK == _LINK:
            return BundleError("a member is a symbolic link", reason="member_is_link")
        offset += _CENTRAL_FORM.size + sum(fields[_LENGTHS])
    return BundleError("the archive is not in its canonical form", reason="archive_not_canonical")


def _next_member(content: bytes, offset: int) -> tuple[str, bytes, int]:
    """Name and data of the member at ``offset``, and the offset behind it."""
    start = offset + _LOCAL_FORM.size
    if start > len(content):
        raise BundleError("the archive is cut off", reason="archive_truncated")
    _, _, _, method, _, _, _, stored, size, name_bytes, extra = _LOCAL_FORM.unpack_from(content, offset)
    if method != _STORED:
        raise BundleError("a member is compressed", reason="member_compressed")
    begin = start + name_bytes + extra
    if max(size, stored) > MAX_MEMBER_BYTES:
        raise BundleError("a member is too large", reason="member_too_large")
    if size != stored:
        raise BundleError("a member is shorter than it says", reason="archive_malformed")
    if begin + size > len(content):
        raise BundleError("a member is cut off", reason="archive_truncated")
    return _decoded(content[start : start + name_bytes]), content[begin : begin + size], begin + size


def _decoded(name: bytes) -> str:
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as error:
        raise BundleError("a member's name is not plain", reason="path_outside") from error


def _headers(name: str, content: bytes, offset: int) -> tuple[bytes, bytes]:
    """Local header and central directory entry, each with the name."""
    raw, size = name.encode("ascii"), len(content)
    common = (_VERSION, _NO_FLAGS, _STORED, 0, _DATE_1980, zlib.crc32(content), size, size, len(raw), 0)
    local = _LOCAL_FORM.pack(_LOCAL, *common)
    made_by = _UNIX << 8 | _VERSION
    return local + raw, _CENTRAL_FORM.pack(_CENTRAL, made_by, *common, 0, 0, 0, _REGULAR_FILE, offset) + raw


def _ordered(members: Mapping[str, bytes]) -> list[str]:
    first = [name for name in (MANIFEST, SIGNATURE) if name in members]
    return [*first, *sorted(set(members) - set(first))]


def _check_names(members: Mapping[str, bytes]) -> None:
    if len(members) > MAX_MEMBERS:
        raise BundleError(f"more than {MAX_MEMBERS} members", reason="too_many_members")
    for name in members:
        check_member_name(name)
    if len({name.casefold() for name in members}) != len(members):
        raise BundleError("two names differ only in case", reason="member_duplicate")


def check_member_name(name: str) -> None:
    """Refuse every name that is not letters, digits, ``_``, ``.``, ``-`` and single ``/`` between them.

    Raises:
        BundleError: ``path_outside``.
    """
    if len(name) > MAX_NAME_BYTES or not _PLAIN_NAME.fullmatch(name):
        raise BundleError(f"{name[:MAX_NAME_BYTES]!r} is not a file of the bundle", reason="path_outside")


def _checked_content(name: str, content: bytes) -> bytes:
    if len(content) > MAX_MEMBER_BYTES:
        raise BundleError(f"{name} is too large", reason="member_too_large")
    return content


def _checked_size(content: bytes) -> bytes:
    if len(content) > MAX_ARCHIVE_BYTES:
        raise BundleError(f"more than {MAX_ARCHIVE_BYTES} bytes", reason="archive_too_large")
    return content
