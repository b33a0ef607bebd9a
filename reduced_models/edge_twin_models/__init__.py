"""Central (teacher) models, the reduced models built from them, and the shipped bundles."""

from __future__ import annotations

from pathlib import Path

from edge_twin.errors import BundleError
from edge_twin.release import SUFFIX
from edge_twin.signing import SigningKey

_PACKAGE = Path(__file__).parent
_BUNDLES = _PACKAGE / "bundles"


def bundle_path(name: str) -> Path:
    """Signed archive of a shipped bundle.

    Raises:
        BundleError: ``bundle_unknown``.
    """
    if name not in bundle_names():
        raise BundleError(f"no bundle {name!r} is shipped", reason="bundle_unknown")
    return shipped_archive(name)


def shipped_archive(name: str) -> Path:
    """Where the archive of a bundle of this package lies, built already or not."""
    return _BUNDLES / f"{name}{SUFFIX}"


def bundle_names() -> tuple[str, ...]:
    """Names of the shipped bundles, sorted."""
    return tuple(sorted(path.stem for path in _BUNDLES.glob(f"*{SUFFIX}")))


def development_key() -> SigningKey:
    """The key that signs the bundles of the repository; everybody has it, and production refuses it."""
    return SigningKey.load(_PACKAGE / "development_key.toml")
