"""Central (teacher) models, the reduced models built from them, and the shipped bundles."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edge_twin.errors import BundleError

_BUNDLES = Path(str(files(__name__))) / "bundles"


def bundle_path(name: str) -> Path:
    """Directory of a shipped bundle.

    Raises:
        BundleError: ``bundle_unknown``.
    """
    path = _BUNDLES / name
    if name not in bundle_names():
        raise BundleError(f"no bundle {name!r} is shipped", reason="bundle_unknown")
    return path


def bundle_names() -> tuple[str, ...]:
    """Names of the shipped bundles, sorted."""
    return tuple(sorted(path.parent.name for path in _BUNDLES.glob("*/manifest.json")))
