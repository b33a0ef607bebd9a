"""``edge-twin doctor``: what works on this machine, and why the rest does not."""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from edge_twin.bundle import load_bundle
from edge_twin.cycle import select_cycle_operator
from edge_twin.engines import select_engine
from edge_twin.engines.course_network import select_course_engine
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels
from edge_twin.program import load_program
from edge_twin.student import load_student
from edge_twin_app.models import COURSE_BUNDLE, installed_models
from edge_twin_models import bundle_path

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

BUNDLE, CYCLE_BUNDLE = "neutropenia", "neutropenia-cycle"


class NamedEngine(Protocol):
    """Any engine."""

    @property
    def name(self) -> str:
        """Short name for reports."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what; works: whether it does; detail: version, or why not.
    """

    name: str
    works: bool
    detail: str


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("doctor", help="what works on this machine and why the rest does not")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at everything and print; the exit status is 0 unless the twin itself cannot run."""
    findings = [check() for check in _CHECKS] + [*_installed(), *_engines(), *_packages()]
    to_confirm = _marked_thresholds()
    if options.json:
        rows = [finding._asdict() for finding in (*findings, *to_confirm)]
        sys.stdout.write(json.dumps({"rows": rows}, indent=1) + "\n")
    else:
        sys.stdout.write(_table(findings, to_confirm))
    return 0 if _python().works and _bundle().works else 1


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


def _bundle() -> Finding:
    try:
        bundle = load_bundle(bundle_path(BUNDLE))
    except Exception as error:  # noqa: BLE001 - whatever it is, the doctor reports it
        return Finding(f"bundle {BUNDLE}", works=False, detail=f"{type(error).__name__}: {error}")
    return Finding(
        f"bundle {BUNDLE}", works=True, detail=f"version {bundle.version}, expires {bundle.expires:%Y-%m-%d}"
    )


def _installed() -> list[Finding]:
    """The versions installed on this device, each verified as it lies on the disk."""
    try:
        models = installed_models()
        return [_installed_version(models, name) for name in models.names()]
    except BundleError as error:
        return [Finding("installed models", works=False, detail=f"{error.reason}: {error}")]


def _installed_version(models: InstalledModels, name: str) -> Finding:
    try:
        bundle, state = models.open(name), models.state(name)
    except BundleError as error:
        return Finding(f"installed {name}", works=False, detail=f"{error.reason}: {error}")
    trial = "on trial" if state.on_trial else "committed"
    return Finding(f"installed {name}", works=True, detail=f"version {bundle.version}, {trial}")


def _bluetooth() -> Finding:
    """A radio that bleak could use; on Linux the kernel lists the adapters."""
    if sys.platform != "linux":
        return Finding("bluetooth radio", works=True, detail=f"{sys.platform}: the platform's own, not probed")
    adapters = sorted(path.name for path in Path("/sys/class/bluetooth").glob("hci*"))
    bus = Path("/run/dbus/system_bus_socket").exists()
    detail = f"adapters {', '.join(adapters) or 'none'}; D-Bus {'there' if bus else 'missing'}"
    return Finding("bluetooth radio", bool(adapters) and bus, detail)


_CHECKS: tuple[Callable[[], Finding], ...] = (_python, _sqlite, _bundle, _bluetooth)


def _engines() -> list[Finding]:
    """Each engine of each kind of model is asked for the golden vectors, since an import proves nothing."""
    mechanistic = select_engine(load_bundle(bundle_path(BUNDLE)))
    course, cycle = (load_bundle(bundle_path(name)) for name in (COURSE_BUNDLE, CYCLE_BUNDLE))
    student, operator = select_course_engine(course, load_student(course)), select_cycle_operator(cycle)
    return [
        *_engine("", mechanistic.engine, mechanistic.refused),
        *_engine(f" ({COURSE_BUNDLE})", student.engine, student.refused),
        *_engine(f" ({CYCLE_BUNDLE})", operator.operator.engine, operator.refused),
    ]


def _engine(model: str, engine: NamedEngine, refused: Mapping[str, str]) -> list[Finding]:
    """The engine in use with the provider or library that runs it, and why others were refused."""
    runs_on = [*getattr(engine, "providers", ())[:1], *filter(None, [getattr(engine, "library", "")])]
    detail = " ".join(["reproduces the golden vectors; in use", *(f"on {what}" for what in runs_on)])
    others = [Finding(f"engine {name}{model}", works=False, detail=why) for name, why in refused.items()]
    return [Finding(f"engine {engine.name}{model}", works=True, detail=detail), *others]


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
    tables = load_program(BUNDLE).thresholds
    return [
        Finding(f"threshold {table}.{name}", works=True, detail=f"{t.value:g}, mark {t.mark}: {t.source}")
        for table, rows in tables.items()
        for name, t in rows.items()
        if t.mark in {"A", "C", "U"}
    ]
