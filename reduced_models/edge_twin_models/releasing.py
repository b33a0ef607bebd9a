"""The last steps of every build: the manifest, the directory, and the checked and signed archive NAME.etb."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_twin.archive import MANIFEST
from edge_twin.bundle import Bundle, load_bundle
from edge_twin.release import SUFFIX, signed_archive
from edge_twin.signing import SigningKey
from edge_twin_models import development_key, shipped_archive


def with_manifest(manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """All files of a bundle.

    Args:
        manifest: JSON data; its ``files`` is set to the SHA-256 of every other file.
        contents: the other files by name.
    """
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    document = json.dumps({**manifest, "files": files}, indent=2, ensure_ascii=False)
    return {**contents, MANIFEST: (document + "\n").encode()}


def write_files(directory: Path, contents: Mapping[str, bytes]) -> None:
    """The files of a bundle directory, which is made when absent; files of the same names are replaced."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)


def opened(contents: Mapping[str, bytes]) -> Bundle:
    """The bundle of these files, unsigned, read as a device would.

    Raises:
        BundleError: whatever ``load_bundle`` refuses.
    """
    with tempfile.TemporaryDirectory() as directory:
        write_files(Path(directory), contents)
        return load_bundle(Path(directory))


def release(build: Callable[[Path], object], archive: Path, key: SigningKey) -> None:
    """Build into a directory that does not outlive the call, and write the signed archive.

    Args:
        build: writes manifest and files into the directory it is given.
        archive: to write; its folder is made when absent.
        key: of the site.

    Raises:
        BundleError: whatever ``signed_archive`` refuses; then nothing is written.
    """
    with tempfile.TemporaryDirectory() as directory:
        build(Path(directory))
        content = signed_archive(Path(directory), key)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)


def main(bundle_id: str, build: Callable[[Path], object]) -> None:
    """The command line of a builder: build into the archive given, or into the one in the package itself."""
    parser = argparse.ArgumentParser(description=f"Build and sign the bundle {bundle_id}.")
    parser.add_argument("archive", type=Path, nargs="?", default=shipped_archive(bundle_id), help=f"file NAME{SUFFIX}")
    parser.add_argument("--key", type=Path, help="signing key of the site; the DEVELOPMENT key when absent")
    options = parser.parse_args()
    key = SigningKey.load(options.key) if options.key else development_key()
    release(build, options.archive, key)
    sys.stdout.write(f"bundle written to {options.archive}, signed by {key.name}\n")
