"""The files of a bundle, each compared with the SHA-256 that the manifest gives for it.

A directory is a bundle on its way through a build: unsigned. An archive is what leaves the build.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from edge_twin.archive import MANIFEST, SIGNATURE, check_member_name
from edge_twin.errors import BundleError

_OWN_NAMES = {MANIFEST, SIGNATURE, "."}


def read_file(root: Path, name: str) -> bytes:
    """One file of a directory.

    Raises:
        BundleError: ``missing_file``, ``unreadable_file``.
    """
    try:
        return (root / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise BundleError(f"{name} is missing from the bundle", reason="missing_file") from error
    except OSError as error:
        raise BundleError(f"{name} cannot be read", reason="unreadable_file") from error


def directory_files(root: Path, listed: Mapping[str, str]) -> Mapping[str, bytes]:
    """Verified content by name.

    Args:
        root: the directory.
        listed: SHA-256 by name, as the manifest has it.

    Raises:
        BundleError: ``path_outside``, ``unlisted_file``, ``missing_file``, ``unreadable_file``, ``hash_mismatch``.
    """
    for name in listed:
        _check_name(name)
        if not (root / name).resolve().is_relative_to(root.resolve()):
            raise BundleError(f"{name!r} leaves the bundle", reason="path_outside")
    _refuse_unlisted({path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}, listed)
    return _verified({name: read_file(root, name) for name in listed}, listed)


def archive_files(members: Mapping[str, bytes], listed: Mapping[str, str]) -> Mapping[str, bytes]:
    """The same for the members of an archive.

    Raises:
        BundleError: ``path_outside``, ``unlisted_file``, ``missing_file``, ``hash_mismatch``.
    """
    for name in listed:
        _check_name(name)
        check_member_name(name)
    _refuse_unlisted(set(members) - {SIGNATURE}, listed)
    if missing := set(listed) - set(members):
        raise BundleError(f"{min(missing)} is missing from the bundle", reason="missing_file")
    return _verified({name: members[name] for name in listed}, listed)


def _check_name(name: str) -> None:
    """Refuse names that leave the bundle, on any operating system."""
    pure = PurePosixPath(name)
    plain = bool(name) and "\\" not in name and ":" not in name and "\0" not in name
    if not plain or pure.is_absolute() or ".." in pure.parts or str(pure) in _OWN_NAMES:
        raise BundleError(f"{name!r} is not a file of the bundle", reason="path_outside")


def _refuse_unlisted(present: set[str], listed: Mapping[str, str]) -> None:
    if unlisted := present - set(listed) - {MANIFEST}:
        raise BundleError(f"{min(unlisted)} is not listed in {MANIFEST}", reason="unlisted_file")


def _verified(files: dict[str, bytes], listed: Mapping[str, str]) -> Mapping[str, bytes]:
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != listed[name]:
            raise BundleError(f"{name} is not what {MANIFEST} describes", reason="hash_mismatch")
    return MappingProxyType(files)
