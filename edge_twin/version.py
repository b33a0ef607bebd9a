"""The release of this runtime, which bundles compare with their ``min_runtime``."""

from __future__ import annotations

RUNTIME_VERSION = "0.1.0"
