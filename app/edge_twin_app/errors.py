"""Errors of the front doors."""

from __future__ import annotations

from edge_twin.errors import EdgeTwinError


class AppError(EdgeTwinError):
    """A setting, file or part of this machine that a command needs and does not have."""
