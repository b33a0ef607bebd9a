"""How the virtual machine tells the host what was shown."""

from __future__ import annotations

import time


def told(name: str, detail: str) -> None:
    """Print a step that was shown, with the seconds since the machine booted."""
    print(f"BLUEZ-VM step={name} ok after={time.monotonic():.1f} {detail}", flush=True)  # noqa: T201 - the console is the result


def require(holds: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Fail unless ``holds``."""
    if not holds:
        raise AssertionError(what)
