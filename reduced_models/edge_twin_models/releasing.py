"""The last step of every build: the files, checked and signed, become the archive NAME.etb."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from edge_twin.release import SUFFIX, signed_archive
from edge_twin.signing import SigningKey
from edge_twin_models import development_key, shipped_archive


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
