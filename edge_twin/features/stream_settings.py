"""Thresholds of the streaming features, from ``streams.toml`` with their marks and sources."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("streams.toml")
_TABLE: dict[str, Any] = tomllib.loads(_FILE.read_text(encoding="utf-8"))

VERSION = int(_TABLE["version"])


def setting(section: str, name: str) -> float:
    """One threshold.

    Args:
        section: table of ``streams.toml``.
        name: its key; ends in the unit where there is one.

    Raises:
        KeyError: there is no such threshold.
    """
    return float(_TABLE[section][name]["value"])


def table() -> dict[str, dict[str, dict[str, Any]]]:
    """Every threshold with value, mark and source, by section and name."""
    return {section: dict(entries) for section, entries in _TABLE.items() if section != "version"}
