"""``edge-twin doctor``: what works on this machine, and why the rest does not."""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.program import Threshold, load_program, program_names
from edge_twin_app.engine_findings import Finding, bundle_findings, provider_findings
from edge_twin_app.models import active_bundle

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

BUNDLE = "neutropenia"


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("doctor", help="what works on this machine and why the rest does not")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at everything and print; the exit status is 0 unless the twin itself cannot run."""
    findings = [check() for check in _CHECKS] + [*bundle_findings(), *provider_findings(), *_packages()]
    to_confirm = _marked_thresholds()
    if options.json:
        rows = [finding._asdict() for finding in (*findings, *to_confirm)]
        sys.stdout.write(json.dumps({"rows": rows}, indent=1) + "\n")
    else:
        sys.stdout.write(_table(findings, to_confirm))
    return 0 if _python().works and _model().works else 1


def _table(findings: Sequence[Finding], to_confirm: Sequence[Finding]) -> str:
    lines = [f"{'yes' if finding.works else 'no':<5}{finding.name:<40}{finding.detail}" for finding in findings]
    lines += ["", "A clinician has to confirm these before use (no published source backs them):"]
    lines += [f"     {finding.name:<46}{finding.detail}" for finding in to_confirm]
    return "\n".join(lines) + "\n"


def _python() -> Finding:
    return Finding("python >= 3.11", sys.version_info >= (3, 11), platform.python_version())


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    return Finding("sqlite with RETURNING", sqlite3.sqlite_version_info >= (3, 35), version)


def _model() -> Finding:
    """Whether the program's own model opens: the installed version, else the shipped one."""
    try:
        bundle = active_bundle(BUNDLE)
    except Exception as error:  # noqa: BLE001 - whatever it is, the doctor reports it
        return Finding(f"model of {BUNDLE}", works=False, detail=f"{type(error).__name__}: {error}")
    return Finding(f"model of {BUNDLE}", works=True, detail=f"{bundle.id} version {bundle.version}")


def _bluetooth() -> Finding:
    """A radio that bleak could use; on Linux the kernel lists the adapters."""
    if sys.platform != "linux":
        return Finding("bluetooth radio", works=True, detail=f"{sys.platform}: the platform's own, not probed")
    adapters = sorted(path.name for path in Path("/sys/class/bluetooth").glob("hci*"))
    bus = Path("/run/dbus/system_bus_socket").exists()
    detail = f"adapters {', '.join(adapters) or 'none'}; D-Bus {'there' if bus else 'missing'}"
    return Finding("bluetooth radio", bool(adapters) and bus, detail)


_CHECKS: tuple[Callable[[], Finding], ...] = (_python, _sqlite, _model, _bluetooth)


def _packages() -> list[Finding]:
    wanted = ("bleak", "paho-mqtt", "cryptography", "sqlite-utils", "iotcore", "bumble", "matplotlib", "scipy", "kivy")
    modules = {"paho-mqtt": "paho", "sqlite-utils": "sqlite_utils"}
    return [_package(name, modules.get(name, name)) for name in wanted]


def _package(name: str, module: str) -> Finding:
    if util.find_spec(module) is None:
        return Finding(f"package {name}", works=False, detail="not installed (an optional extra)")
    return Finding(f"package {name}", works=True, detail=metadata.version(name))


def _marked_thresholds() -> list[Finding]:
    """Active thresholds that no published source backs, so that a clinician can confirm them."""
    return [
        Finding(_threshold_name(program, table, name), works=True, detail=f"{t.value:g}, mark {t.mark}: {t.source}")
        for program, table, name, t in _once_each()
        if t.mark in {"A", "C", "U"}
    ]


def _once_each() -> Iterator[tuple[str, str, str, Threshold]]:
    """Thresholds of every program and of the alarms; those that several programs share stand with the first of them."""
    names = (BUNDLE, *(name for name in program_names() if name != BUNDLE))
    programs = [(name, load_program(name).thresholds) for name in names]
    seen: set[tuple[str, str, Threshold]] = set()
    for program, tables in (*programs, ("alarms", alarm_rules().tables)):
        for table, rows in tables.items():
            fresh = {name: row for name, row in rows.items() if (table, name, row) not in seen}
            seen |= {(table, name, row) for name, row in fresh.items()}
            yield from ((program, table, name, row) for name, row in fresh.items())


def _threshold_name(program: str, table: str, name: str) -> str:
    """A threshold's name; that of the first program stands alone, as it did before there were others."""
    return f"threshold {table}.{name}" if program == BUNDLE else f"threshold {program}: {table}.{name}"
