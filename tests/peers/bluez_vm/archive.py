"""Archives that a Linux kernel unpacks as its first file system ("newc" cpio), written without root rights."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link: path from the root without a leading slash, mode with type, content or target."""

    path: str
    mode: int
    content: bytes = b""


class CpioWriter:
    """Writes entries; the order matters, as a folder has to come before what is in it."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._count = 0
        self._folders: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Write an entry after the folders above it that were not written yet."""
        self._add_folders_above(entry.path)
        if stat.S_ISDIR(entry.mode):
            self._folders.add(entry.path)
        self._write(entry)

    def close(self) -> None:
        """End the archive. Kernels accept several archives one after the other, each ended and padded."""
        self._write(Entry(_TRAILER, 0))
        self._target.write(bytes(-self._target.tell() % 512))

    def _add_folders_above(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self._folders:
            self.add(Entry(parent, stat.S_IFDIR | 0o755))

    def _write(self, entry: Entry) -> None:
        name = entry.path.encode() + b"\0"
        self._count += 1
        fields = (self._count, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
        header = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
        self._target.write(_padded(header))
        self._target.write(_padded(entry.content))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def entries_of_tar(source: tarfile.TarFile) -> Iterator[Entry]:
    """What a root file system in a tar archive holds; devices are left to the kernel, hard links are copied."""
    for member in source:
        path = member.name.removeprefix("./").strip("/")
        if path not in {"", "."} and (entry := _entry(source, member, path)) is not None:
            yield entry


def _entry(source: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> Entry | None:
    if member.isdir():
        return Entry(path, stat.S_IFDIR | member.mode)
    if member.issym():
        return Entry(path, stat.S_IFLNK | 0o777, member.linkname.encode())
    if member.isfile() or member.islnk():
        content = source.extractfile(member)
        return Entry(path, stat.S_IFREG | member.mode, b"" if content is None else content.read())
    return None
