"""Which bleak backend to use: the platform's own, or one that is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner


@dataclass(frozen=True, slots=True)
class Backends:
    """Backend classes for ``BleakClient(backend=...)`` and ``BleakScanner(backend=...)``.

    Attributes:
        client: None for the platform's own.
        scanner: None for the platform's own.
    """

    client: type[BaseBleakClient] | None = None
    scanner: type[BaseBleakScanner] | None = None


BackendFactory = Callable[[], Backends]


def platform_backends() -> Backends:
    """The backends that bleak picks for this platform (BlueZ, CoreBluetooth, WinRT, Android)."""
    return Backends()
