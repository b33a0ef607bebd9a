"""``edge-twin devices doctor``: what Bluetooth needs on this machine, part by part, and why it does not work."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from bleak import BleakScanner
from bleak.backends import get_default_backend
from bleak.exc import BleakError

from edge_twin_adapters.ble.pairing_desk import PairingDesk
from edge_twin_adapters.errors import AdapterError
from edge_twin_app.devices.radio import air
from edge_twin_app.devices.scan import scan
from edge_twin_app.engine_findings import Finding
from edge_twin_app.errors import AppError

RADIO = "radio"
_VIRTUAL_SCAN_S = 0.5
_LIMIT_S = 15.0
_ADAPTERS = Path("/sys/class/bluetooth")
_SWITCHES = Path("/sys/class/rfkill")
_SYSTEM_BUS = Path("/run/dbus/system_bus_socket")
# Where distributions put BlueZ's daemon, which is on nobody's PATH.
_DAEMONS = ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd", "/usr/sbin/bluetoothd")


async def findings() -> list[Finding]:
    """Everything, in the order in which it is needed."""
    found = [_backend()]
    if sys.platform == "linux":
        found += [*_linux(), await _agent()]
    return [*found, await _radio(), await _virtual_radio()]


def _backend() -> Finding:
    """Which stack bleak takes here."""
    version = metadata.version("bleak")
    try:
        return Finding("backend", works=True, detail=f"bleak {version}, {get_default_backend().value}")
    except BleakError as error:
        return Finding("backend", works=False, detail=f"bleak {version} has none for {platform.system()}: {error}")


def _linux() -> Iterator[Finding]:
    adapters = sorted(path.name for path in _ADAPTERS.glob("hci*"))
    missing = "the kernel shows none: no controller, or no driver for it"
    yield Finding("adapter", bool(adapters), ", ".join(adapters) or missing)
    yield _switch()
    yield Finding(
        "d_bus", _SYSTEM_BUS.exists(), f"{_SYSTEM_BUS} {'is there' if _SYSTEM_BUS.exists() else 'is missing'}"
    )
    yield _bluez()
    yield _permissions()


def _switch() -> Finding:
    """Whether the radio is switched off (rfkill)."""
    blocked = [
        switch.name
        for switch in sorted(_SWITCHES.glob("rfkill*"))
        if _text(switch / "type") == "bluetooth" and "1" in {_text(switch / "soft"), _text(switch / "hard")}
    ]
    return Finding("not_switched_off", not blocked, f"blocked: {', '.join(blocked)}" if blocked else "no switch is off")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _bluez() -> Finding:
    """BlueZ's version; older than 5.55 may work, nobody tried."""
    daemon = next((path for path in (shutil.which("bluetoothd"), *_DAEMONS) if path and Path(path).exists()), None)
    if daemon is None:
        return Finding("bluez", works=False, detail="bluetoothd is not installed")
    try:
        told = subprocess.run([daemon, "--version"], capture_output=True, text=True, check=False, timeout=_LIMIT_S)  # noqa: S603 - a path of our own list
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("bluez", works=False, detail=f"{daemon} does not run: {error}")
    return Finding("bluez", told.returncode == 0, f"{daemon}, version {told.stdout.strip() or 'unknown'}")


def _permissions() -> Finding:
    """Whether this user may talk to BlueZ; its D-Bus policy lets root, the seat's user and one group in."""
    import grp  # noqa: PLC0415 - Unix only

    names = {group.gr_name for group in grp.getgrall() if group.gr_gid in {*os.getgroups(), os.getgid()}}
    works = os.geteuid() == 0 or "bluetooth" in names
    who = "root" if os.geteuid() == 0 else "in the group bluetooth"
    hint = "not in the group bluetooth: BlueZ may still let the user of this seat in"
    return Finding("permissions", works, who if works else hint)


async def _agent() -> Finding:
    """Whether an agent that answers the questions of a pairing can be registered, as `pair` does."""
    try:
        from edge_twin_adapters.ble.bluez_agent import BluezAgent  # noqa: PLC0415 - exists on Linux only

        async with asyncio.timeout(_LIMIT_S), BluezAgent(PairingDesk()):
            pass
    except AdapterError as error:
        return Finding("agent", works=False, detail=f"{error} [{error.reason}]")
    except (ImportError, TimeoutError) as error:
        return Finding("agent", works=False, detail=f"{type(error).__name__}: {error}")
    return Finding("agent", works=True, detail="registered as BlueZ's default agent and left again")


async def _radio() -> Finding:
    """Whether a scan can be started, which needs everything above."""
    try:
        async with asyncio.timeout(_LIMIT_S), BleakScanner():
            pass
    except (BleakError, OSError, TimeoutError) as error:
        return Finding(RADIO, works=False, detail=f"a scan does not start: {error or type(error).__name__}")
    return Finding(RADIO, works=True, detail="a scan starts")


async def _virtual_radio() -> Finding:
    """Whether the virtual sensors can be seen; this needs no hardware."""
    if util.find_spec("bumble") is None:
        return Finding("virtual_radio", works=False, detail="Bumble is not installed (extra 'demo')")
    try:
        async with air(virtual=True) as radio:
            seen = await scan(radio.backends, _VIRTUAL_SCAN_S, radio.clock)
    except AppError as error:
        return Finding("virtual_radio", works=False, detail=f"{error} [{error.reason}]")
    return Finding("virtual_radio", bool(seen), f"Bumble {metadata.version('bumble')}, {len(seen)} sensors seen")
