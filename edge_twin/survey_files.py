"""The files of a content pack, from a directory or a ZIP file, within bounds; nothing is extracted."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from edge_twin.errors import SurveyError

LARGEST_PACK = 32 * 1024 * 1024  # bytes; all languages of 124 items are about a hundredth of it
MOST_FILES = 200


def read_files(path: Path) -> dict[str, bytes]:
    """Content by plain file name.

    Raises:
        SurveyError: ``not_found``, ``too_large``, or ``malformed`` for folders within, links, or a broken archive.
    """
    try:
        return _of_folder(path) if path.is_dir() else _of_archive(path)
    except FileNotFoundError as error:
        raise SurveyError(f"no pack at {path.name}", reason="not_found") from error
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise SurveyError(f"the pack cannot be read: {error!r}", reason="malformed") from error


def _of_folder(path: Path) -> dict[str, bytes]:
    found = sorted(path.iterdir())
    if any(file.is_symlink() or not file.is_file() for file in found):
        raise SurveyError("a pack holds plain files alone", reason="malformed")
    _check_bounds([file.stat().st_size for file in found])
    return {file.name: file.read_bytes() for file in found}


def _of_archive(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(set(names)) != len(names) or any("/" in name or "\\" in name for name in names):
            raise SurveyError("a pack holds plain files alone", reason="malformed")
        _check_bounds([member.file_size for member in members])
        return {member.filename: archive.read(member) for member in members}


def _check_bounds(sizes: list[int]) -> None:
    if len(sizes) > MOST_FILES or sum(sizes) > LARGEST_PACK:
        raise SurveyError("the pack is too large", reason="too_large")
