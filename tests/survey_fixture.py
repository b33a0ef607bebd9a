"""A content pack of invented items for tests. It holds no text of PRO-CTCAE or of any other instrument."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TERMS: dict[str, list[str]] = {
    "glimmer": ["frequency", "severity", "interference"],
    "hum": ["frequency", "severity"],
    "sway": ["severity", "interference"],
    "speckle": ["presence"],
    "fuzz": ["amount"],
}
RECALLS = {"en": "the last 7 days", "xx": "zibi 7 dola"}
LEVELS = {"presence": ["no", "yes"]}
FIVE = ["a", "b", "c", "d", "e"]


def locale_document(language: str) -> dict[str, Any]:
    """The file of one language."""
    recall = RECALLS[language]
    items = [
        {
            "term": term,
            "attribute": attribute,
            "text": f"Invented {term} ({attribute}), {recall}?",
            "answers": LEVELS.get(attribute, FIVE),
        }
        for term, attributes in TERMS.items()
        for attribute in attributes
    ]
    return {"recall": recall, "items": items}


def contents(
    *,
    locales: Mapping[str, dict[str, Any]] | None = None,
    terms: Mapping[str, list[str]] | None = None,
    instrument: str = "fixture",
    translation: str = "publisher",
    recalls: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """All files of a pack whose hashes are right, whatever else about it is wrong."""
    used = locales or {language: locale_document(language) for language in RECALLS}
    files = {f"{language}.json": json.dumps(document).encode() for language, document in used.items()}
    lines = [
        'schema = "edge-twin.proctcae-pack/1"',
        f'instrument = "{instrument}"',
        'version = "0.1"',
        'publisher = "invented for tests"',
        "[files]",
        *(f'"{name}" = "{hashlib.sha256(content).hexdigest()}"' for name, content in files.items()),
    ]
    for language in used:
        stated = (recalls or RECALLS)[language]
        made_by = "original" if language == "en" else translation
        lines += [f"[locale.{language}]", f'file = "{language}.json"', f'recall = "{stated}"',
                  f'translation = "{made_by}"']  # fmt: skip
    for term, attributes in (terms or TERMS).items():
        lines += ["[[term]]", f'id = "{term}"', f"attributes = {json.dumps(attributes)}"]
    return {"pack.toml": "\n".join(lines).encode(), **files}


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files as a directory."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def zipped(file: Path, files: Mapping[str, bytes]) -> Path:
    """The files as an archive."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


def digest_of(files: Mapping[str, bytes]) -> str:
    """What a site notes when it installs the pack."""
    return hashlib.sha256(files["pack.toml"]).hexdigest()
