"""From the files of a build to the signed archive that leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_twin.archive import MANIFEST, SIGNATURE, pack
from edge_twin.bundle import load_bundle, open_bundle
from edge_twin.bundle_files import read_file
from edge_twin.errors import BundleError
from edge_twin.signing import BUNDLE_TYPE, DEVELOPMENT, SigningKey, TrustedKeys

SUFFIX = ".etb"


def signed_archive(directory: Path, key: SigningKey) -> bytes:
    """Check the directory as a device would, and sign it; the same files and key always give the same bytes.

    Args:
        directory: manifest and exactly the files that it lists; our own or a third party's.
        key: of the site.

    Raises:
        BundleError: whatever ``load_bundle`` or ``open_bundle`` refuses; ``not_a_directory``.
    """
    if not directory.is_dir():
        raise BundleError(f"{directory.name} is not the directory of a build", reason="not_a_directory")
    manifest, bundle = read_file(directory, MANIFEST), load_bundle(directory)
    return signed_files({MANIFEST: manifest, **bundle.files}, key)


def signed_files(contents: Mapping[str, bytes], key: SigningKey) -> bytes:
    """Sign the files of a build that are still in memory.

    Args:
        contents: by name, ``manifest.json`` among them.
        key: of the site.

    Raises:
        BundleError: whatever ``pack`` or ``open_bundle`` refuses.
    """
    if MANIFEST not in contents:
        raise BundleError(f"{MANIFEST} is missing from the bundle", reason="missing_file")
    archive = pack({**contents, SIGNATURE: key.sign(BUNDLE_TYPE, contents[MANIFEST])})
    open_bundle(archive, TrustedKeys(DEVELOPMENT, (key.trusted,)))
    return archive
